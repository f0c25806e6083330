"""What one scrape of the node endpoint costs: CPU time and latency, beside Debian's node_exporter in the same run.

    python -m benchmarks.node_scrape [--scrapes 200]

Both answer with their default collectors, over HTTP on loopback, to a client that keeps its connection and takes gzip,
as Prometheus does; they are asked by turns. CPU time is user and system time of the whole process, less what it spends
in the same time when nobody asks. The aim is under half of node_exporter's CPU time.
"""

from __future__ import annotations

import argparse
import http.client
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from tests.support.daemon import running_daemon
from tests.support.node_exporter import RealNodeExporter
from wattview import config
from wattview.exposition import render
from wattview.probes import node

AIM_RATIO = 0.5
# A reading of the daemon is shared for a tenth of a second: scrapes must lie further apart to be scrapes.
PAUSE_SECONDS = 0.12
IDLE_SECONDS = 5.0


class Endpoint:
    """One exporter's /metrics, and the CPU time of the process behind it."""

    def __init__(self, url: str, pid: int) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        self._pid = pid
        self.latencies: list[float] = []
        self.cpu = 0.0
        self.idle_share = 0.0
        self._scraped_seconds = 0.0

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Scrapes a few times, measures what the process spends unasked, and forgets the scrapes."""
        self.scrape(5)
        self.latencies.clear()
        self.cpu = self._scraped_seconds = 0.0
        before = self.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        self.idle_share = (self.cpu_seconds() - before) / IDLE_SECONDS

    def scrape(self, count: int) -> None:
        began, before = time.monotonic(), self.cpu_seconds()
        for _ in range(count):
            asked = time.perf_counter()
            self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            self._connection.getresponse().read()
            self.latencies.append(time.perf_counter() - asked)
            time.sleep(PAUSE_SECONDS)
        self._scraped_seconds += time.monotonic() - began
        self.cpu += self.cpu_seconds() - before

    @property
    def cpu_ms(self) -> float:
        return (self.cpu - self.idle_share * self._scraped_seconds) / len(self.latencies) * 1000


def in_process(probe: node.NodeProbe, count: int) -> tuple[float, float]:
    """A reading, its families and its page, without HTTP: (CPU ms of the process, median ms) a scrape."""

    def scrape() -> bytes:
        return render(node.families(probe.read()))

    scrape()
    latencies, before = [], time.process_time()
    for _ in range(count):
        began = time.perf_counter()
        scrape()
        latencies.append(time.perf_counter() - began)
        time.sleep(PAUSE_SECONDS)
    return (time.process_time() - before) / count * 1000, median(latencies) * 1000


def row(name: str, cpu_ms: float, latency_ms: float, reference: float) -> None:
    verdict = "" if cpu_ms == reference else f"{cpu_ms / reference:>8.2f} of node_exporter's CPU"
    print(f"{name:<44} {cpu_ms:>7.2f} ms {latency_ms:>8.2f} ms {verdict}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--scrapes", type=int, default=200)
    options = arguments.parse_args()
    rounds = 10
    with tempfile.TemporaryDirectory() as directory, RealNodeExporter() as real:
        with running_daemon(Path(directory)) as daemon:
            theirs = Endpoint(f"http://127.0.0.1:{real.port}", real.process.pid)
            ours = Endpoint(daemon.exporters()["node-exporter"].url, daemon.process.pid)
            for endpoint in (theirs, ours):
                endpoint.settle()
            for _ in range(rounds):
                theirs.scrape(options.scrapes // rounds)
                ours.scrape(options.scrapes // rounds)
        settings = config.load(environ={"HOME": directory})
        cpu_ms, latency_ms = in_process(node.NodeProbe(settings), options.scrapes)
    print(f"{'':<44} {'CPU':>10} {'latency':>11}")
    row("node_exporter, over HTTP", theirs.cpu_ms, median(theirs.latencies) * 1000, theirs.cpu_ms)
    row("WattView, over HTTP", ours.cpu_ms, median(ours.latencies) * 1000, theirs.cpu_ms)
    row("WattView, read + families + page", cpu_ms, latency_ms, theirs.cpu_ms)
    ratio = ours.cpu_ms / theirs.cpu_ms
    print(f"{'ok' if ratio < AIM_RATIO else 'missed'}: aim under {AIM_RATIO:g}, is {ratio:.2f}")


if __name__ == "__main__":
    main()
