"""How long a key takes to be a picture: each screen's first visit and later ones, in a pseudo-terminal, beside btop.

Both run in terminals of one size while this machine encodes two 720p streams, and btop's boxes are switched between
the visits. The daemon is scripted (its API over a real socket, in this process): 200 containers and 50 streams whose
figures all change with every snapshot, one a second, and keys are pressed at any time between two. A key's time goes
from its writing to the last byte of what it had written in answer: output is over when none has come for
``QUIET_SECONDS``. A snapshot that falls due in that silence, when the answer is complete but for what may still come,
is told after it: its picture is not the key's. One that is told before is in the key's time, with all that it takes.

    python -m benchmarks.latency [--starts 4] [--rounds 4] [--containers 200] [--streams 50] [--size 120x40]

The aims are 200 ms for a first visit and 100 ms for a later one, of every screen.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

from benchmarks.dashboard import busy, telling
from benchmarks.table import Result, Row, print_table
from tests.support.dashboard import result, run, scripted
from tests.support.terminal import Terminal

AIM_FIRST_MS, AIM_LATER_MS = 200.0, 100.0
PEER = "btop"
QUIET_SECONDS = 0.12
REST_SECONDS = 0.2
SNAPSHOT_SECONDS = 1.0
SETTLE_SECONDS = 3.0

ENCODE = (
    "ffmpeg -nostdin -loglevel error -re -f lavfi -i testsrc2=size=1280x720:rate=30 "
    "-c:v libx264 -preset veryfast -b:v 2500k -f null -"
)  # fmt: skip


class Visit(NamedTuple):
    """A screen, the keys that lead away from it and back to it, and a text that is on no other."""

    screen: str
    before: str
    key: str
    text: bytes


VISITS = (
    Visit("power", "", "2", b"Sources"),
    Visit("workloads", "", "3", b"CPU % of"),
    Visit("container", "3", "\r", b"cgroup"),
    Visit("streams", "", "4", b"Mbit/s into"),
    Visit("stream", "4", "\r", b"Clients"),
    Visit("GPU", "", "5", b"GPUs"),
    Visit("scenarios", "", "6", b"Presets"),
    Visit("results", "", "7", b"Scatter"),
    Visit("exporters", "", "8", b"Doctor"),
    Visit("log", "", "9", b"Log"),
    Visit("overview", "", "1", b"Power now"),
)
BOXES = "1234"


def answer_ms(
    terminal: Terminal, key: str, text: bytes = b"", turn: contextlib.AbstractContextManager[Any] | None = None
) -> float:
    """From the key to the last byte of its picture. Nothing else is to be painted in one's ``turn``."""
    terminal.forget()
    began = time.perf_counter()
    terminal.type(key)
    terminal.wait_for(text or b"\x1b")
    with turn or contextlib.nullcontext():
        while time.perf_counter() - terminal.arrived < QUIET_SECONDS:
            time.sleep(QUIET_SECONDS / 10)
    return (terminal.arrived - began) * 1000


@contextlib.contextmanager
def encoding(count: int) -> Iterator[None]:
    """So many FFmpeg that encode 720p at real time."""
    running = [subprocess.Popen(ENCODE.split()) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


class Times:
    """Milliseconds by screen: of first visits, and of later ones; and the peer's."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.first: dict[str, list[float]] = defaultdict(list)
        self.later: dict[str, list[float]] = defaultdict(list)
        self.peer: list[float] = []

    def go_through(self, dashboard: Terminal, peer: Terminal, rounds: int) -> None:
        """Every screen once, then again and again; a box of the peer's after each."""
        for number in range(rounds + 1):
            times = self.later if number else self.first
            for index, visit in enumerate(VISITS):
                for key in visit.before:
                    dashboard.type(key)
                    time.sleep(REST_SECONDS)
                time.sleep(random.uniform(0.0, SNAPSHOT_SECONDS))  # rounds that last whole seconds meet one phase only
                times[visit.screen].append(answer_ms(dashboard, visit.key, visit.text, self.turn))
                if visit.before:
                    dashboard.type("\x7f")
                time.sleep(REST_SECONDS)
                self.peer.append(answer_ms(peer, BOXES[index % len(BOXES)]))
                time.sleep(REST_SECONDS)


def measure(
    starts: int = 4, rounds: int = 4, containers: int = 200, streams: int = 50, size: tuple[int, int] = (120, 40)
) -> Iterator[Result]:
    for program in (PEER, "ffmpeg"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is not installed: sudo apt-get install {program}")
    times = Times()
    with tempfile.TemporaryDirectory(prefix="wv") as directory, scripted(Path(directory) / "s") as daemon:
        daemon.now = busy(0.0, containers, streams)
        daemon.results = [result("20250615_140000"), result("20250614_090000", watts=36.0)]
        daemon.past_runs = [run("finished", id="20250614_090000", state="done", progress=None)]
        command = [sys.executable, "-m", "wattview", "tui", "--url", daemon.url]
        with telling(daemon, containers, streams, times.turn), encoding(2):
            for _ in range(starts):
                with Terminal(command, size) as dashboard, Terminal([PEER, "--utf-force"], size) as peer:
                    dashboard.wait_for(b"USD/h")
                    peer.wait_for(b"\x1b")
                    time.sleep(SETTLE_SECONDS)
                    times.go_through(dashboard, peer, rounds)
    peer_ms = median(times.peer)
    for visits, name, aim in ((times.first, "first", AIM_FIRST_MS), (times.later, "later", AIM_LATER_MS)):
        for screen, taken in visits.items():
            yield Row(
                subject=f"latency: {name} visit of {screen}", ours=median(taken), unit="ms",
                peer=peer_ms, peer_name=PEER, below=aim,
            )  # fmt: skip
        every = [one for taken in visits.values() for one in taken]
        yield Row(
            subject=f"latency: {name} visit, all screens", ours=median(every), unit="ms", peer=peer_ms, peer_name=PEER,
            below=aim,
        )  # fmt: skip
        yield Row(
            subject=f"latency: {name} visit, all screens, 9 of 10", ours=quantiles(every, n=10)[-1], unit="ms",
            peer=quantiles(times.peer, n=10)[-1], peer_name=PEER,
        )  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--starts", type=int, default=4)
    arguments.add_argument("--rounds", type=int, default=4)
    arguments.add_argument("--containers", type=int, default=200)
    arguments.add_argument("--streams", type=int, default=50)
    arguments.add_argument("--size", default="120x40")
    options = arguments.parse_args()
    columns, lines = map(int, options.size.split("x"))
    print_table(measure(options.starts, options.rounds, options.containers, options.streams, (columns, lines)))


if __name__ == "__main__":
    main()
