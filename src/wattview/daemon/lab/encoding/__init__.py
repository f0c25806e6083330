"""FFmpeg at work: options, command lines, processes, viewers."""
