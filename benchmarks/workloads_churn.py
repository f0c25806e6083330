"""A thousand workloads of which ten change a second, under a real daemon that is scraped every five seconds.

    python -m benchmarks.workloads_churn [--workloads 1000] [--seconds 600]

The control groups are files (Docker's, Podman's, systemd's and the CRI's in turn), all else is real: the daemon, its
history, HTTP. Every third of those that begin lives for a tenth of a second. The aims: none is lost, that is, the
energy of each is in a scrape after its end; and the last quarter costs no more CPU, memory and files than the second
(in the first, the list of those that have ended grows). A busy machine may look for the briefest too late: their use is
then their slice's. The table says how long the longest-lived of these was there, and how late a change came.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from msgspec import Struct

from benchmarks.processes import cpu_seconds, resident_megabytes
from benchmarks.table import Result, Row, print_table
from tests.support.daemon import running_daemon
from tests.support.workload_tree import WorkloadTree, path_of
from wattview.exposition import parse_series

CHANGES_A_SECOND = 10
SCRAPE_SECONDS = 5.0
USED_SECONDS = 0.05
"""CPU time of each that begins."""


AIM_GROWTH = 1.1
_ENERGY = re.compile(r"^(wattview_workload_energy_joules_total\{.*\}) (\S+)$", re.MULTILINE)


class Moment(Struct, frozen=True):
    """What the daemon had used and held at a scrape."""

    at: float
    cpu_seconds: float
    megabytes: float
    files: int


class Churn(threading.Thread):
    """Workloads that end and begin; ``ended`` is when each ended, ``energies`` what the last scrape after that said.
    ``delays`` are how late each change came, seconds."""

    def __init__(self, tree: WorkloadTree, count: int) -> None:
        super().__init__(name="churn", daemon=True)
        self.stopped = threading.Event()
        self.delays: list[float] = []
        self._tree = tree
        self._next = self._oldest = 0
        self.ended: dict[int, float] = {}
        self.energies: dict[int, float] = {}
        self.lives: dict[int, float] = {}
        """How long those were there that are to live briefly, seconds."""
        self._began: dict[int, float] = {}
        while self._next < count:
            self._begin()
        self._first = count

    def run(self) -> None:
        due = time.monotonic()
        while not self.stopped.is_set():
            self.delays.append(time.monotonic() - due)
            self.change()
            due += 1 / CHANGES_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))

    def _begin(self) -> int:
        number, self._next = self._next, self._next + 1
        self._tree.add(path_of(number), 0.0)
        self._tree.use(path_of(number), USED_SECONDS)
        self._began[number] = time.monotonic()
        return number

    def change(self) -> None:
        """One begins, and the oldest ends, or the one that began last."""
        number = self._begin()
        brief = number % 3 == 1 and number > self._first
        gone = number - 1 if brief else self._oldest
        while gone in self.ended:
            gone += 1
        self._oldest = max(self._oldest, gone + 1) if not brief else self._oldest
        path, began = path_of(gone), self._began.pop(gone)
        if brief:
            self.lives[gone] = time.monotonic() - began
        self._tree.empty(path)
        # A pod goes with its container.
        self._tree.remove(path.rpartition("/")[0] if "kubepods" in path else path)
        self.ended[gone] = time.monotonic()

    def hear(self, text: str, asked: float) -> None:
        """What a scrape says of those that have ended."""
        for series, value in _ENERGY.findall(text):
            labels = parse_series(series)[1]
            number = _number(labels["kind"], labels["name"])
            if number is not None and self.ended.get(number, asked) < asked:
                self.energies[number] = float(value)

    def lost(self, before: float) -> set[int]:
        """Those that ended by then and of which no scrape has told."""
        return {number for number, at in self.ended.items() if at < before} - self.energies.keys()


def _number(kind: str, name: str) -> int | None:
    if kind == "container":
        return int(name, 16)
    return int(name.removeprefix("job-").removesuffix(".service")) if name.startswith("job-") else None


def measure(count: int = 1000, seconds: float = 600.0) -> Iterator[Result]:
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as directory:
        tree = WorkloadTree(Path(directory) / "machine", 2)
        churn = Churn(tree, count)
        sets = (f"paths.sysfs={tree.sysfs}", "workloads.engines=", "docker.host=unix:///nowhere")
        with running_daemon(Path(directory), *sets) as daemon:
            url = f"{daemon.exporters()['rapl-exporter'].url}/metrics"
            moments, latencies = [], []
            httpx.get(url, timeout=30, trust_env=False)  # the control groups are watched from the first on
            scrape = begin = time.monotonic()
            churn.start()
            with httpx.Client(timeout=30, trust_env=False) as client:
                while scrape < begin + seconds:
                    asked = time.monotonic()
                    churn.hear(client.get(url).text, asked)
                    latencies.append(time.monotonic() - asked)
                    moments.append(_moment(daemon.process.pid))
                    scrape += SCRAPE_SECONDS
                    time.sleep(max(0.0, scrape - time.monotonic()))
                last = time.monotonic()
                churn.stopped.set()
                churn.join()
                time.sleep(SCRAPE_SECONDS)
                churn.hear(client.get(url).text, time.monotonic())
        lost = churn.lost(last)
        first_cpu, last_cpu = _quarters(moments)
        early, late = moments[len(moments) // 2], moments[-1]
        brief = churn.lives.keys() & churn.ended.keys()
        told = f"of {len(churn.ended) - len(brief)} that ended"
        changes = len(churn.delays) / (last - begin)
        yield Row(subject="changes a second", ours=changes, unit="1/s")
        yield Row(subject="delay of a change, longest", ours=max(churn.delays), unit="s")
        yield Row(subject=f"lost between two scrapes, {told}", ours=float(len(lost - brief)), below=0.5)
        yield Row(subject=f"of {len(brief)} that lived for a tenth of a second", ours=float(len(lost & brief)))
        longest = max((churn.lives[number] for number in lost & brief), default=0.0)
        yield Row(subject="of these, the longest life", ours=longest * 1000, unit="ms")
        without = sum(value <= 0 for number, value in churn.energies.items() if number >= count)
        yield Row(subject="of those that had begun meanwhile, told without energy", ours=float(without))
        yield Row(subject="CPU of the daemon, last quarter", ours=last_cpu, unit="% of a core", peer=first_cpu,
                  peer_name="second quarter", ratio_below=AIM_GROWTH)  # fmt: skip
        yield Row(subject="memory at the end", ours=late.megabytes, unit="MB", peer=early.megabytes,
                  peer_name="at half time", ratio_below=AIM_GROWTH)  # fmt: skip
        yield Row(subject="open files at the end", ours=float(late.files), peer=float(early.files),
                  peer_name="at half time", ratio_below=AIM_GROWTH)  # fmt: skip
        yield Row(subject="time to an answer, median", ours=sorted(latencies)[len(latencies) // 2] * 1000, unit="ms")


def _moment(pid: int) -> Moment:
    return Moment(time.monotonic(), cpu_seconds(pid), resident_megabytes(pid), len(os.listdir(f"/proc/{pid}/fd")))


def _quarters(moments: list[Moment]) -> tuple[float, float]:
    """CPU in the second and in the last quarter, percent of a core."""
    quarter = max(1, len(moments) // 4)
    spans = (moments[quarter], moments[2 * quarter]), (moments[-1 - quarter], moments[-1])
    first, last = ((b.cpu_seconds - a.cpu_seconds) / (b.at - a.at) * 100 for a, b in spans)
    return first, last


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--workloads", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=600.0)
    options = arguments.parse_args()
    print_table(measure(options.workloads, options.seconds))


if __name__ == "__main__":
    main()
