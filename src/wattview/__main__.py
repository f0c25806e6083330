"""``python -m wattview``: the command line."""

from wattview.cli.commands import main

if __name__ == "__main__":
    main()
