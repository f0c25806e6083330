"""Assessment of an encoder's output: picture scores, delay, and the self-test of the tools."""
