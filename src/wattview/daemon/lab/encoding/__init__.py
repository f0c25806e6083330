"""FFmpeg: options, command lines, processes, viewers."""
