"""Where the dashboard does otherwise than Textual: what it keeps of drawn lines, and when it works out styles."""
