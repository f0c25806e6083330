"""The command line: one module per subcommand."""

from wattview.cli.commands import main

__all__ = ["main"]
