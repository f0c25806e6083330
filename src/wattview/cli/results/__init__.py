"""``wattview results …``: one module a subcommand, and how it prints."""
