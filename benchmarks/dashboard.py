"""What the dashboard costs, and how soon it is there: in a pseudo-terminal, beside glances in one of the same size.

The daemon is scripted (its API over a real socket, in this process): 200 containers and 50 streams whose figures all
change with every snapshot, one a second. The start is the time from the call of the command to the host's power on
the screen, beside that of Textual's smallest app to its first text.

    python -m benchmarks.dashboard [--seconds 20] [--containers 200] [--streams 50] [--size 120x40]

The aims are under 5 % of a core, less than glances, and a first screen within a second.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from benchmarks.processes import beside, shares
from benchmarks.table import Result, Row, print_table
from tests.support.dashboard import ScriptedDaemon, power_use, scripted, snapshot
from tests.support.terminal import Terminal
from wattview.model import Snapshot

AIM_PERCENT = 5.0
AIM_START_SECONDS = 1.0
STARTS = 7
PEER = "glances"
SETTLE_SECONDS = 5.0

EMPTY_APP = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    def compose(self):
        yield Static("painted")
Empty().run()
"""


def busy(at: float, containers: int, streams: int) -> Snapshot:
    """Figures that all waver from one second to the next."""
    now = snapshot(at, containers=containers, streams=streams, power_use=power_use(at))

    def wave(index: int) -> float:
        return 1.5 + math.sin(at / 3 + index)

    return replace(
        now,
        containers=tuple(
            replace(one, cpu_percent=20 * wave(index), power_watts=0.3 * wave(index), memory_percent=3 * wave(index))
            for index, one in enumerate(now.containers)
        ),
        streams=tuple(
            replace(one, bandwidth_in_bytes=3e5 * wave(index), power_watts=0.5 * wave(index), uptime_seconds=at + index)
            for index, one in enumerate(now.streams)
        ),
    )


def telling(
    daemon: ScriptedDaemon, containers: int, streams: int, turn: AbstractContextManager[Any] | None = None
) -> AbstractContextManager[None]:
    """A snapshot a second, for as long as the block lasts. While somebody else has the ``turn``, one that is due
    waits."""
    turn = turn or contextlib.nullcontext()

    def loop(stop: threading.Event) -> None:
        began, number = time.monotonic(), 0
        while not stop.wait(max(0.0, began + number - time.monotonic())):
            with turn:
                daemon.say(busy(float(number), containers, streams))
            number += 1

    return beside(loop)


def start_seconds(command: list[str], painted: bytes, size: tuple[int, int]) -> float:
    began = time.perf_counter()
    with Terminal(command, size) as running:
        running.wait_for(painted)
        return time.perf_counter() - began


def measure(
    seconds: float = 20.0, containers: int = 200, streams: int = 50, size: tuple[int, int] = (120, 40)
) -> Iterator[Result]:
    glances = shutil.which("glances")
    if glances is None:
        raise RuntimeError("glances is not installed: sudo apt-get install glances")
    with tempfile.TemporaryDirectory(prefix="wv") as directory, scripted(Path(directory) / "s") as daemon:
        daemon.now = busy(0.0, containers, streams)
        ours = [sys.executable, "-m", "wattview", "tui", "--url", daemon.url]
        with (
            telling(daemon, containers, streams),
            Terminal(ours, size) as dashboard,
            Terminal([glances, "--time", "1", "--disable-check-update"], size) as peer,
        ):
            dashboard.wait_for(b"USD/h")
            peer.wait_for(b"CPU")
            time.sleep(SETTLE_SECONDS)
            for key, name in (("1", "overview"), ("3", "containers"), ("4", "streams")):
                dashboard.type(key)
                time.sleep(SETTLE_SECONDS)
                percent, peer_percent = shares((dashboard.process.pid, peer.process.pid), seconds)
                yield Row(
                    subject=f"dashboard: {name}, {containers} containers, {streams} streams, CPU of a core",
                    ours=percent, unit="%", peer=peer_percent, peer_name=PEER,
                    below=AIM_PERCENT, ratio_below=1.0,
                )  # fmt: skip
        first, empty = [], []
        for _ in range(STARTS):
            first.append(start_seconds(ours, b"USD/h", size))
            empty.append(start_seconds([sys.executable, "-c", EMPTY_APP], b"painted", size))
        yield Row(
            subject="dashboard: start to power on the screen", ours=min(first), unit="s", peer=min(empty),
            peer_name="Textual's smallest app", below=AIM_START_SECONDS,
        )  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=20.0)
    arguments.add_argument("--containers", type=int, default=200)
    arguments.add_argument("--streams", type=int, default=50)
    arguments.add_argument("--size", default="120x40")
    options = arguments.parse_args()
    columns, lines = map(int, options.size.split("x"))
    print_table(measure(options.seconds, options.containers, options.streams, (columns, lines)))


if __name__ == "__main__":
    main()
