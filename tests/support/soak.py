"""The soak: a daemon and a dashboard for hours on a machine whose figures all move, and whether they stay as they are.

    python -m tests.support.soak [--hours 1] [--out FILE]        (make soak HOURS=24)

The machine is ``busy_machine``: containers and streams come and go all the time. Every exporter is scraped, and the
dashboard walks through its screens. Every minute the memory, open files, threads and CPU time of both processes are
noted, and the size of the history's file. What counts is the change after a warm-up: the median of the last quarter
less that of the first one. Exit status 1 where something grew.

``--speed`` does more in the same time: snapshots, scrapes and ticks come so many times as often (every second, 15 s and
5 s at speed 1), the retention, the warm-up and the time between samples are so many times as short.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
from msgspec import Struct
from msgspec.structs import fields

from tests.support.busy_machine import BusyMachine
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.terminal import Terminal

WARM_UP_SECONDS = 600.0
SAMPLE_SECONDS = 60.0
SCRAPE_SECONDS = 15.0
TICK_SECONDS = 5.0
RETENTION_SECONDS = 600.0
SCREENS = "123456789"

MAY_GROW = {"resident_megabytes": 4.0, "open_files": 4.0, "threads": 2.0, "history_megabytes": 2.0}
"""By how much each may differ from the first quarter to the last one; memory also by ``MAY_GROW_SHARE``."""
MAY_GROW_SHARE = 0.04

DASHBOARD = (
    "import sys; from wattview.tui.app import Dashboard; Dashboard(sys.argv[1], interval=float(sys.argv[2])).run()"
)


class Sample(Struct, frozen=True, kw_only=True):
    """One process at one time; ``history_megabytes`` is of the file on disk."""

    seconds: float
    resident_megabytes: float
    open_files: float
    threads: float
    cpu_seconds: float
    history_megabytes: float


class Soaked(Struct, frozen=True, kw_only=True):
    """What a process was over the soak, after the warm-up."""

    name: str
    samples: list[Sample]

    def quarters(self, figure: str) -> tuple[float, float]:
        """The medians of the first and of the last quarter."""
        values = [getattr(sample, figure) for sample in self.samples]
        quarter = max(1, len(values) // 4)
        return statistics.median(values[:quarter]), statistics.median(values[-quarter:])

    def grown(self, may_grow_megabytes: float = MAY_GROW["resident_megabytes"]) -> list[str]:
        """What grew, in words; nothing where all stayed flat."""
        found = []
        for figure, most in MAY_GROW.items():
            first, last = self.quarters(figure)
            if figure == "resident_megabytes":
                most = max(may_grow_megabytes, MAY_GROW_SHARE * first)
            if last - first > most:
                found.append(f"{self.name}: {figure} grew from {first:.1f} to {last:.1f}")
        return found

    def row(self) -> str:
        memory, files, threads = (self.quarters(name) for name in ("resident_megabytes", "open_files", "threads"))
        first, last = self.samples[0], self.samples[-1]
        cpu = 100 * (last.cpu_seconds - first.cpu_seconds) / max(last.seconds - first.seconds, 1e-9)
        return (
            f"| {self.name} | {memory[0]:.1f} → {memory[1]:.1f} | {files[0]:.0f} → {files[1]:.0f} | "
            f"{threads[0]:.0f} → {threads[1]:.0f} | {cpu:.1f} |"
        )


HEAD = "| process | memory, MB | open files | threads | CPU, % of a core |\n|---|---|---|---|---|"


def look(pid: int, seconds: float, history: Path) -> Sample:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(
        seconds=seconds,
        resident_megabytes=int(status["VmRSS"].split()[0]) / 1000,
        open_files=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(status["Threads"]),
        cpu_seconds=(int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK"),
        history_megabytes=sum(path.stat().st_size for path in history.parent.glob(f"{history.name}*")) / 1e6,
    )


def soak(
    directory: Path, seconds: float, speed: float = 1.0, told: Callable[[str], None] = lambda line: None
) -> list[Soaked]:
    """Runs both for so long, the warm-up included, and returns what they were after it."""
    (directory / "daemon").mkdir()
    with BusyMachine(directory / "machine") as machine:
        settings = [
            *machine.settings,
            f"history.interval={TICK_SECONDS / speed}s",
            f"history.retention={RETENTION_SECONDS / speed}s",
        ]
        with running_daemon(directory / "daemon", *settings) as daemon, scraped(daemon, SCRAPE_SECONDS / speed):
            command = [sys.executable, "-c", DASHBOARD, f"unix://{daemon.socket}", str(1 / speed)]
            with Terminal(command, (160, 48)) as dashboard:
                dashboard.wait_for(b"Overview")
                return watched(daemon, dashboard, seconds, speed, told)


def watched(
    daemon: DaemonProcess, dashboard: Terminal, seconds: float, speed: float, told: Callable[[str], None]
) -> list[Soaked]:
    pids = {"daemon": daemon.process.pid, "dashboard": dashboard.process.pid}
    samples: dict[str, list[Sample]] = {name: [] for name in pids}
    screens = itertools.cycle(SCREENS)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        assert daemon.process.poll() is None, daemon.log
        assert dashboard.process.poll() is None, dashboard.text[-2000:].decode("utf-8", "replace")
        for name, pid in pids.items():
            one = look(pid, passed, daemon.state / "history.sqlite")
            told("\t".join([name, *(f"{getattr(one, field.name):.1f}" for field in fields(Sample))]))
            if passed >= WARM_UP_SECONDS / speed:
                samples[name].append(one)
        dashboard.type(next(screens))
        time.sleep(SAMPLE_SECONDS / speed)
    return [Soaked(name=name, samples=found) for name, found in samples.items()]


@contextlib.contextmanager
def scraped(daemon: DaemonProcess, every: float) -> Iterator[None]:
    """Every exporter is scraped, as a Prometheus does it, for the time of the block."""
    urls = [f"{one.url}/metrics" for one in daemon.exporters().values() if one.url]
    stop = threading.Event()

    def scrape() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not stop.wait(every):
                for url in urls:
                    client.get(url).raise_for_status()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hours", type=float, default=1.0)
    options.add_argument("--speed", type=float, default=1.0)
    options.add_argument("--out", type=Path, help="where the samples are written, one line each")
    chosen = options.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattview-soak-"))
        out = stack.enter_context(chosen.out.open("w")) if chosen.out else sys.stderr
        print("\t".join(["process", *(field.name for field in fields(Sample))]), file=out, flush=True)
        found = soak(Path(directory), 3600 * chosen.hours, chosen.speed, lambda line: print(line, file=out, flush=True))
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"{chosen.hours:g} h at speed {chosen.speed:g}, {revision.stdout.strip()}: first quarter → last quarter\n")
    print("\n".join([HEAD, *(one.row() for one in found)]))
    grown = [line for one in found for line in one.grown()]
    print("\n".join(["", *(grown or ["flat"])]))
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
