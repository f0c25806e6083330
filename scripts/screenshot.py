"""A picture of the dashboard of a running daemon, as the README shows it.

    python scripts/screenshot.py docs/images/overview.svg [--keys 1] [--size 120x40] [--seconds 5] [--url unix://…]

Attaches as ``wattview tui`` does, presses the keys, waits, and writes what is then on the screen as SVG.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from wattview import config
from wattview.cli.attach import socket_url
from wattview.config import Tui
from wattview.tui.app import Dashboard


async def take(url: str, keys: list[str], size: tuple[int, int], seconds: float) -> str:
    app = Dashboard(url, settings=Tui(theme="wattview-dark"))
    async with app.run_test(size=size) as pilot:
        await pilot.pause(1.0)
        await pilot.press(*keys)
        await pilot.pause(seconds)
        return app.export_screenshot(title="wattview up")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--keys", nargs="*", default=["1"])
    arguments.add_argument("--size", default="120x40")
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--url", default="")
    options = arguments.parse_args()
    width, height = map(int, options.size.split("x"))
    url = options.url or socket_url(config.load())
    picture = asyncio.run(take(url, options.keys, (width, height), options.seconds))
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_text(picture)


if __name__ == "__main__":
    main()
