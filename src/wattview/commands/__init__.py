"""What the subcommands that answer do, one module each. ``cli`` parses; these ask the daemon or files, and print."""
