"""What an encoder made, judged: scores of the picture, delay, and the self-test of the tools."""
