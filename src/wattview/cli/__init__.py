"""The command line: one module a subcommand, and how it prints."""

from wattview.cli.commands import main

__all__ = ["main"]
