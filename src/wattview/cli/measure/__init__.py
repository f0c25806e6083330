"""Measuring what others run: the subcommands, the command as a child, what FFmpeg's command line says."""
