"""``wattview results …``: one module per subcommand."""
