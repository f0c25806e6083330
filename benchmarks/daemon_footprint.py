"""What the whole daemon costs: CPU share of one core and resident memory, idle, scraped, and with a dashboard attached.

Starts a real daemon on free ports, a Docker engine with sleeping containers (root; docker.io, busybox-static), and for
comparison Debian's prometheus-node-exporter, one of the ten programs it stands in for, scraped at the same rate and
measured over the same seconds: what else the machine does slows both. Power is that of a simulated RAPL tree beside the
machine's own /sys, read ten times a second.

    python -m benchmarks.daemon_footprint [--containers 20] [--seconds 30]

The aims, with 20 containers: at most 0.6 times node_exporter's CPU time with no client, at most 1.5 times with all
ten endpoints scraped every 5 s, then also under 1 % of a core and under 80 MB. A share of a core says as much about the
machine as about the daemon.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from benchmarks.processes import beside, resident_megabytes, share, shares, wake_ups
from benchmarks.table import Result, Row, print_table
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.docker_engine import engine
from tests.support.node_exporter import RealNodeExporter
from tests.support.powercap import simulated_rapl

AIM_PERCENT = 1.0
AIM_MEGABYTES = 80.0
AIM_SCRAPED, AIM_ALONE = 1.5, 0.6
"""Times node_exporter's CPU, scraped as often at the same time: for all ten exporters, and with no client."""
SCRAPE_SECONDS = 5.0
PEER = "node_exporter alone"

_CLOCK_ALONE = """
import os, sys, threading, time
files = [os.open(path, os.O_RDONLY) for path in sys.argv[1:]]
never = threading.Lock()
never.acquire()
while True:
    for file in files:
        os.pread(file, 64, 0)
    never.acquire(timeout=0.1)
"""
"""The least that ten readings of the counters a second cost a Python program."""


@contextmanager
def clock_alone(sysfs: str) -> Iterator[int]:
    """A program that does nothing else; its pid."""
    counters = [str(path) for path in Path(sysfs).glob("class/powercap/intel-rapl:*/energy_uj")]
    process = subprocess.Popen([sys.executable, "-c", _CLOCK_ALONE, *counters])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def scraping(urls: list[str]) -> AbstractContextManager[None]:
    """Fetches every URL once each ``SCRAPE_SECONDS``, spread over the interval, each on a connection that is kept, as
    Prometheus does."""

    def loop(stop: threading.Event) -> None:
        kept = httpx.Limits(keepalive_expiry=60)
        with httpx.Client(trust_env=False, timeout=30, headers={"Accept-Encoding": "gzip"}, limits=kept) as client:
            while not stop.is_set():
                for url in urls:
                    client.get(f"{url}/metrics").raise_for_status()
                    if stop.wait(SCRAPE_SECONDS / len(urls)):
                        return

    return beside(loop)


def attached(daemon: DaemonProcess) -> AbstractContextManager[None]:
    """Follows the live snapshots at one a second, as the dashboard does."""

    def follow(stop: threading.Event) -> None:
        with daemon.api.stream("GET", "/api/v1/live", params={"interval": "1"}) as answer:
            for _ in answer.iter_lines():
                if stop.is_set():
                    return

    return beside(follow)


def measure(containers: int = 20, seconds: float = 30.0) -> Iterator[Result]:
    with (
        tempfile.TemporaryDirectory() as directory,
        engine() as own,
        simulated_rapl(Path(directory) / "sys") as sysfs,
    ):
        own.client.create_network("bench", driver="bridge")
        for number in range(containers):
            own.run(f"sleeper-{number}", "sleep", "100000", network="bench")
        sets = (f"docker.host={own.host}", f"paths.sysfs={sysfs}")
        with running_daemon(Path(directory), *sets) as daemon, RealNodeExporter() as real:
            ours, theirs = daemon.process.pid, real.process.pid
            time.sleep(SCRAPE_SECONDS)
            yield Row(
                subject="daemon: no client, resident", ours=resident_megabytes(ours), unit="MB",
                peer=resident_megabytes(theirs), peer_name=PEER,
            )  # fmt: skip
            with scraping([f"http://127.0.0.1:{real.port}"]):
                with clock_alone(str(sysfs)) as clock:
                    time.sleep(SCRAPE_SECONDS)
                    woken = wake_ups(ours)
                    alone, peer_percent, least = shares((ours, theirs, clock), seconds)
                    woken = wake_ups(ours) - woken
                yield Row(
                    subject="daemon: no client, CPU of a core", ours=alone, unit="%", peer=peer_percent,
                    peer_name=f"{PEER}, scraped", ratio_below=AIM_ALONE,
                )  # fmt: skip
                yield Row(
                    subject="daemon: no client, CPU of a core", ours=alone, unit="%", peer=least,
                    peer_name="a Python loop that reads the counters at 10 Hz",
                )  # fmt: skip
                yield Row(subject="daemon: no client, wake-ups a second", ours=woken / seconds, unit="/s")
                exporters = daemon.exporters()
                what = f"daemon: {len(exporters)} scraped every 5 s, {containers} containers"
                with scraping([one.url for one in exporters.values()]):
                    time.sleep(SCRAPE_SECONDS)
                    percent, peer_percent = shares((ours, theirs), seconds)
                    megabytes, peer_megabytes = resident_megabytes(ours), resident_megabytes(theirs)
            yield Row(
                subject=f"{what}, CPU",
                ours=percent,
                unit="%",
                peer=peer_percent,
                peer_name=PEER,
                below=AIM_PERCENT,
                ratio_below=AIM_SCRAPED,
            )
            yield Row(
                subject=f"{what}, resident", ours=megabytes, unit="MB", peer=peer_megabytes, peer_name=PEER,
                below=AIM_MEGABYTES,
            )  # fmt: skip
            with attached(daemon):
                time.sleep(2)
                yield Row(subject="daemon: a dashboard attached, CPU of a core", ours=share(ours, seconds), unit="%")
                yield Row(subject="daemon: a dashboard attached, resident", ours=resident_megabytes(ours), unit="MB")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--containers", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=30.0)
    options = arguments.parse_args()
    print_table(measure(options.containers, options.seconds))


if __name__ == "__main__":
    main()
