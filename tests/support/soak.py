"""The soak: a daemon and a dashboard for hours on a machine whose figures all move, and whether they stay as they are.

    python -m tests.support.soak [--hours 1] [--speed 1] [--web] [--out FILE]        (make soak HOURS=24)

The machine is ``busy_machine``: containers and streams come and go all the time. Every exporter is scraped, and a hand
walks through the dashboard's screens, details and dialogs. With ``--web`` a second dashboard is open in a browser,
which is a websocket client here. Every minute the memory, open files, threads and CPU time of each process are noted,
and the size of the history's file. What counts is how the second half of the samples after the warm-up rises: the
median slope between any two of them (Theil and Sen's), times its length. Exit status 1 where something rose.

``--speed`` does more in the same time: snapshots, scrapes, ticks, containers, the hand, collections of garbage, returns
of the daemon's memory and its checks of its own exporters come so many times as often (every second, 15 s, 5 s, 2 s, a
minute, two, five and two at speed 1), and the retention, the warm-up and the time between samples are so many times as
short. 24 hours at speed 40 take 36 minutes. Snapshots come at most ten a second, which is what the API gives. A moment
of the machine's own counters cannot be sped up, nor what glibc and Python do by time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
from msgspec import Struct
from msgspec.structs import fields

from tests.support.api_fuzz import with_results
from tests.support.busy_machine import CHURN, BusyMachine
from tests.support.daemon import DaemonProcess, alive, running_daemon
from tests.support.soak_web import Page, browsed
from tests.support.terminal import Terminal
from wattview.tui.base_app import TIDY_SECONDS

WARM_UP_SECONDS = 600.0
SAMPLE_SECONDS = 60.0
SCRAPE_SECONDS = 15.0
TICK_SECONDS = 5.0
RETENTION_SECONDS = 600.0
SNAPSHOT_SECONDS, SHORTEST_SNAPSHOT_SECONDS = 1.0, 0.1

VISITS = (
    "1", "2", "3", "3\r", "4", "4\r", "5", "6", "6n", "7", "8", "9", "1?", "2\x10", "2,L", "7\r", "3t",
)  # fmt: skip
"""Keys of a visit each: every screen, the details of a container, a stream and a run, the launch dialog, help, palette,
the past, a theme. Escape comes before the next."""
KEY_SECONDS = 0.15
DRAWN_SECONDS = 60.0
ESCAPE = "\x1b"

MAY_RISE = {"resident_megabytes": 2.0, "open_files": 4.0, "threads": 2.0, "history_megabytes": 2.0}
"""How much each may rise over the second half of its samples, however long that is: a longer soak is stricter."""

DAEMON = """
import sys
from wattview.cli.commands import main
from wattview.daemon import service
from wattview.daemon.exporters import health
speed = float(sys.argv.pop(1))
service.GIVE_BACK_SECONDS /= speed
health.FETCH_SECONDS /= speed
main()
"""

DASHBOARD = """
import faulthandler, signal, sys
from wattview.tui import app, base_app
url, interval, base_app.TIDY_SECONDS = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
faulthandler.register(signal.SIGUSR1)
app.Dashboard(url, interval=interval).run()
"""
"""Writes its threads' stacks to stderr when it is sent SIGUSR1."""

REST_SECONDS = 12.0
"""Before the first key, which at a higher speed leaves no time again to create the screens in advance."""


class Sample(Struct, frozen=True, kw_only=True):
    """One process at one time, in seconds since the begin and as the speed counts them; ``history_megabytes`` is of the
    file on disk. ``scrapes``: how often every exporter has been scraped until then, on a loaded machine less often than
    the speed asks for."""

    seconds: float
    resident_megabytes: float
    open_files: float
    threads: float
    cpu_seconds: float
    history_megabytes: float
    scrapes: float = 0.0


class Rounds(Struct):
    """How often every exporter has been scraped."""

    count: int = 0


class Soaked(Struct, frozen=True, kw_only=True):
    """What a process was over the soak, after the warm-up."""

    name: str
    samples: list[Sample]

    def half(self) -> list[Sample]:
        """The samples that count."""
        return self.samples[len(self.samples) // 2 :]

    def rise(self, figure: str) -> float:
        """By how much a figure rises over the second half."""
        points = [(sample.seconds, getattr(sample, figure)) for sample in self.half()]
        slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in itertools.combinations(points, 2)]
        return statistics.median(slopes) * (points[-1][0] - points[0][0]) if slopes else 0.0

    def risen(self) -> list[str]:
        """What rose, in words; nothing where all stayed flat."""
        found = []
        for figure, most in MAY_RISE.items():
            if (rise := self.rise(figure)) > most:
                hours = (self.samples[-1].seconds - self.half()[0].seconds) / 3600
                found.append(f"{self.name}: {figure} rose by {rise:.1f} in {hours:.1f} h")
        return found

    def row(self) -> str:
        def middle(name: str) -> float:
            return statistics.median(getattr(sample, name) for sample in self.half())

        first, last = self.samples[0], self.samples[-1]
        cpu = 100 * (last.cpu_seconds - first.cpu_seconds) / max(last.seconds - first.seconds, 1e-9)
        return (
            f"| {self.name} | {first.resident_megabytes:.1f} | {middle('resident_megabytes'):.1f} | "
            f"{last.resident_megabytes:.1f} | {self.rise('resident_megabytes'):+.2f} | {middle('open_files'):.0f} | "
            f"{middle('threads'):.0f} | {cpu:.1f} |"
        )


HEAD = (
    "| process | MB after 10 min | second half | at the end | rise over the second half | open files | threads | "
    "CPU, % of a core |\n|---|---|---|---|---|---|---|---|"
)


def look(pid: int, seconds: float, history: Path, scrapes: int) -> Sample:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    spent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Sample(
        seconds=seconds,
        resident_megabytes=int(status["VmRSS"].split()[0]) / 1000,
        open_files=len(os.listdir(f"/proc/{pid}/fd")),
        threads=int(status["Threads"]),
        cpu_seconds=(int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK"),
        history_megabytes=sum(path.stat().st_size for path in history.parent.glob(f"{history.name}*")) / 1e6,
        scrapes=scrapes,
    )


def soak(
    directory: Path,
    seconds: float,
    speed: float = 1.0,
    told: Callable[[str], None] = lambda line: None,
    *,
    web: bool = False,
) -> list[Soaked]:
    """Runs all for so long, the warm-up included, and returns what they were after it."""
    with_results(directory / "daemon")
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(BusyMachine(directory / "machine", churn=max(1, round(CHURN / speed))))
        settings = [
            *machine.settings,
            f"history.interval={TICK_SECONDS / speed}s",
            f"history.retention={RETENTION_SECONDS / speed}s",
        ]
        daemon = stack.enter_context(
            running_daemon(directory / "daemon", *settings, program=("-c", DAEMON, str(speed)))
        )
        rounds = stack.enter_context(scraped(daemon, SCRAPE_SECONDS / speed))
        interval = max(SNAPSHOT_SECONDS / speed, SHORTEST_SNAPSHOT_SECONDS)
        paces = str(interval), str(TIDY_SECONDS / speed)
        command = [sys.executable, "-c", DASHBOARD, f"unix://{daemon.socket}", *paces]
        dashboard = stack.enter_context(Terminal(command, (160, 48)))
        pids = {"daemon": daemon.process.pid, "dashboard": dashboard.process.pid}
        seats: list[Terminal | Page] = [dashboard]
        if web:
            browser = stack.enter_context(browsed(command))
            pids |= {"--web": browser.server, "dashboard in a browser": browser.dashboard}
            seats.append(browser.page)
        time.sleep(REST_SECONDS)
        for seat in seats:
            shows_what_moves(seat)
        found = watched(daemon, pids, seats, rounds, seconds, speed, told)
        for seat in seats:
            shows_what_moves(seat)
        return found


def shows_what_moves(seat: Terminal | Page) -> None:
    """Fails if a dashboard has no snapshots: nothing then moves in it, and it stays flat for the wrong reason."""
    for key in (ESCAPE, "1"):  # a busy dashboard that reads both at once takes them for Alt+1
        seat.type(key)
        time.sleep(KEY_SECONDS)
    seat.forget()
    seat.type("3")
    seat.wait_for(b"job-")


def watched(
    daemon: DaemonProcess,
    pids: dict[str, int],
    seats: Sequence[Terminal | Page],
    rounds: Rounds,
    seconds: float,
    speed: float,
    told: Callable[[str], None],
) -> list[Soaked]:
    samples: dict[str, list[Sample]] = {name: [] for name in pids}
    began = time.monotonic()
    for visit in itertools.cycle(VISITS):
        if (passed := (time.monotonic() - began)) >= seconds:
            break
        for name, pid in pids.items():
            assert alive(pid), f"{name} has ended\n{daemon.log}"
            one = look(pid, passed * speed, daemon.state / "history.sqlite", rounds.count)
            told("\t".join([name, *(f"{getattr(one, field.name):.1f}" for field in fields(Sample))]))
            if one.seconds >= WARM_UP_SECONDS:
                samples[name].append(one)
        drawn = [seat.received for seat in seats]
        for key in (ESCAPE, *visit):
            for seat in seats:
                seat.type(key)
            time.sleep(KEY_SECONDS)
        time.sleep(max(0.0, began + passed + SAMPLE_SECONDS / speed - time.monotonic()))
        for seat, before in zip(seats, drawn, strict=True):
            end = time.monotonic() + DRAWN_SECONDS
            while seat.received == before:
                if time.monotonic() > end:
                    raise RuntimeError(
                        f"{type(seat).__name__}: nothing was drawn after {visit!r}\n{autopsy(pids, seats)}"
                    )
                time.sleep(KEY_SECONDS)
    return [Soaked(name=name, samples=found) for name, found in samples.items()]


def autopsy(pids: Mapping[str, int], seats: Sequence[Terminal | Page]) -> str:
    """What each process does, and the dashboards' stacks as far as they go to a terminal."""
    found = []
    for name, pid in pids.items():
        if not alive(pid):
            found.append(f"{name}: has ended")
            continue
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        waits = Path(f"/proc/{pid}/wchan").read_text()
        found.append(f"{name}: {status['State']} in {waits}, {status['Threads']} threads")
        if name.startswith("dashboard"):
            os.kill(pid, signal.SIGUSR1)
    time.sleep(1)
    return "\n".join(
        [*found, *(seat.text[-3000:].decode("utf-8", "replace") for seat in seats if isinstance(seat, Terminal))]
    )


@contextlib.contextmanager
def scraped(daemon: DaemonProcess, every: float) -> Iterator[Rounds]:
    """Every exporter is scraped, as a Prometheus does it, for the time of the block."""
    urls = [f"{one.url}/metrics" for one in daemon.exporters().values() if one.url]
    stop, rounds = threading.Event(), Rounds()

    def scrape() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not stop.wait(every):
                for url in urls:
                    client.get(url).raise_for_status()
                rounds.count += 1

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield rounds
    finally:
        stop.set()
        thread.join()


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hours", type=float, default=1.0, help="how long it takes by its own clock")
    options.add_argument("--speed", type=float, default=1.0, help="of that clock")
    options.add_argument("--web", action="store_true", help="a dashboard in a browser beside the one in a terminal")
    options.add_argument("--out", type=Path, help="where the samples are written, one line each")
    chosen = options.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattview-soak-"))
        out = stack.enter_context(chosen.out.open("w")) if chosen.out else sys.stderr

        def told(line: str) -> None:
            print(line, file=out, flush=True)

        told("\t".join(["process", *(field.name for field in fields(Sample))]))
        found = soak(Path(directory), 3600 * chosen.hours / chosen.speed, chosen.speed, told, web=chosen.web)
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    scrapes = found[0].samples[-1].scrapes
    print(
        f"{chosen.hours:g} h at speed {chosen.speed:g}, {scrapes:.0f} scrapes of every exporter: "
        f"{scrapes * SCRAPE_SECONDS / 3600:.1f} h' worth; {revision.stdout.strip()}\n"
    )
    print("\n".join([HEAD, *(one.row() for one in found)]))
    risen = [line for one in found for line in one.risen()]
    print("\n".join(["", *(risen or ["flat"])]))
    return 1 if risen else 0


if __name__ == "__main__":
    sys.exit(main())
