"""What a running process costs: its CPU time and memory, and what a scrape of its endpoint adds to it."""

from __future__ import annotations

import http.client
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Self
from urllib.parse import urlsplit

# A reading of the daemon is shared for a tenth of a second: scrapes must lie further apart to be scrapes.
PAUSE_SECONDS = 0.12
IDLE_SECONDS = 6.0
"""Longer than the daemon's history takes from one tick to the next, so that a tick is in it."""

_CPUCLOCK_SCHED = 2


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads, from its CPU clock (clock_getcpuclockid(3)): to the ns."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def wake_ups(pid: int) -> int:
    """How often all its threads together have gone to sleep so far, to be woken up again (proc(5), status)."""
    found = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        _, _, rest = status.read_text().partition("\nvoluntary_ctxt_switches:")
        found += int(rest.split()[0])
    return found


def share(pid: int, seconds: float) -> float:
    """CPU use of one process over ``seconds``, in percent of one core."""
    return shares((pid,), seconds)[0]


def shares(pids: Sequence[int], seconds: float) -> list[float]:
    """CPU use of several processes over the same ``seconds``, each in percent of one core."""
    began, before = time.monotonic(), [cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    spent = time.monotonic() - began
    return [(cpu_seconds(pid) - one) / spent * 100 for pid, one in zip(pids, before, strict=True)]


class Endpoint:
    """One exporter's /metrics, and the CPU time of the process behind it.

    It is asked as Prometheus asks: a connection that is kept, gzip. Each round begins with a while in which nobody
    asks: what the process spends then, on its clock and in its background, is not counted as the scrapes' that follow.
    """

    def __init__(self, url: str, pid: int) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._pid = pid
        self._latencies: list[float] = []
        self._costs: list[float] = []

    def warm_up(self) -> None:
        """A few scrapes that count for nothing, and time for what they set going."""
        self._scrape(5)
        self._latencies.clear()
        time.sleep(IDLE_SECONDS)

    def scraped(self, rounds: int, scrapes: int) -> Self:
        """After a warm-up, so many rounds of so many scrapes; the connection is closed then."""
        self.warm_up()
        for _ in range(rounds):
            self.round(scrapes)
        self.close()
        return self

    def round(self, scrapes: int) -> None:
        idle = share(self._pid, IDLE_SECONDS) / 100
        began, before = time.monotonic(), cpu_seconds(self._pid)
        self._scrape(scrapes)
        spent, took = cpu_seconds(self._pid) - before, time.monotonic() - began
        self._costs.append((spent - idle * took) / scrapes)

    def _scrape(self, count: int) -> None:
        for _ in range(count):
            asked = time.perf_counter()
            self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = self._connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            self._latencies.append(time.perf_counter() - asked)
            time.sleep(PAUSE_SECONDS)

    @property
    def cpu_ms(self) -> float:
        """CPU time that one scrape adds, the median of the rounds, milliseconds."""
        cost = median(self._costs) * 1000
        assert cost > 0, "what the process does unasked hides what scrapes cost it; is this machine busy?"
        return cost

    @property
    def latency_ms(self) -> float:
        """The median time to an answer, milliseconds."""
        return median(self._latencies) * 1000

    def close(self) -> None:
        self._connection.close()


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """``work`` in a thread for as long as the block lasts: it returns soon after its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
