"""What the whole daemon costs: CPU share of one core and resident memory, idle, scraped, and with a dashboard attached.

Starts a real daemon on free ports, a Docker engine with sleeping containers (root; docker.io, busybox-static), and for
comparison Debian's prometheus-node-exporter, one of the ten programs it stands in for, scraped at the same rate.

    python -m benchmarks.daemon_footprint [--containers 20] [--seconds 30]

The aim is under 1 % of a core and under 80 MB with 20 containers and all ten endpoints scraped every 5 s.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.docker_engine import engine
from tests.support.node_exporter import RealNodeExporter

AIM_PERCENT = 1.0
AIM_MEGABYTES = 80.0
SCRAPE_SECONDS = 5.0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def scraping(urls: list[str]) -> Iterator[None]:
    """Fetches every URL once each ``SCRAPE_SECONDS``, spread over the interval, as Prometheus does."""
    stop = threading.Event()

    def loop() -> None:
        with httpx.Client(trust_env=False, timeout=30, headers={"Accept-Encoding": "gzip"}) as client:
            while not stop.is_set():
                for url in urls:
                    client.get(f"{url}/metrics").raise_for_status()
                    if stop.wait(SCRAPE_SECONDS / len(urls)):
                        return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def attached(daemon: DaemonProcess) -> Iterator[None]:
    """Follows the live snapshots at one a second, as the dashboard does."""
    stop = threading.Event()

    def follow() -> None:
        with daemon.api.stream("GET", "/api/v1/live", params={"interval": "1"}) as answer:
            for _ in answer.iter_lines():
                if stop.is_set():
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def share(pid: int, seconds: float) -> float:
    """CPU use of one process over ``seconds``, in percent of one core."""
    began, before = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began) * 100


def row(name: str, percent: float, megabytes: float, verdict: str = "") -> None:
    print(f"{name:<52} {percent:>7.2f} % {megabytes:>8.1f} MB  {verdict}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--containers", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=30.0)
    options = arguments.parse_args()
    print(f"{'':<52} {'of a core':>9} {'resident':>11}")
    with tempfile.TemporaryDirectory() as directory, engine() as own:
        own.client.create_network("bench", driver="bridge")
        for number in range(options.containers):
            own.run(f"sleeper-{number}", "sleep", "100000", network="bench")
        with running_daemon(Path(directory), f"docker.host={own.host}") as daemon:
            pid = daemon.process.pid
            time.sleep(5)
            row("WattView, nobody asks (clock and history only)", share(pid, options.seconds), resident_megabytes(pid))
            urls = [one.url for one in daemon.exporters().values()]
            with scraping(urls):
                time.sleep(SCRAPE_SECONDS)
                percent, megabytes = share(pid, options.seconds), resident_megabytes(pid)
            good = percent < AIM_PERCENT and megabytes < AIM_MEGABYTES
            verdict = "ok" if good else f"aim: under {AIM_PERCENT:g} % and {AIM_MEGABYTES:g} MB"
            row(
                f"WattView, all exporters scraped every 5 s, {options.containers} containers",
                percent,
                megabytes,
                verdict,
            )
            with attached(daemon):
                time.sleep(2)
                row("WattView, a dashboard attached, 1 snapshot a second", share(pid, options.seconds),
                    resident_megabytes(pid))  # fmt: skip
    with RealNodeExporter() as peer, scraping([f"http://127.0.0.1:{peer.port}"]):
        time.sleep(SCRAPE_SECONDS)
        pid = peer.process.pid
        row("node_exporter alone, scraped every 5 s", share(pid, options.seconds), resident_megabytes(pid))


if __name__ == "__main__":
    main()
