"""Measurement of external commands and workloads: subcommands, child process, parsing of FFmpeg's command line."""
