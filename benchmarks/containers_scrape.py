"""What a scrape of the containers endpoint costs as containers become more, beside ``docker stats --no-stream``.

Starts a Docker engine of its own with sleeping containers, each with a network of its own on one bridge, and a real
daemon that is scraped over HTTP (root; docker.io, busybox-static).

    python -m benchmarks.containers_scrape [--containers 1 20 100 300]

The aims are that a further container costs less than 0.2 ms of CPU, among many as among few. The CPU time of
``docker stats`` is the command's and that of dockerd and containerd together; a scrape asks these nothing.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.processes import Endpoint
from benchmarks.table import Result, Row, print_table
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.docker_engine import Engine, engine
from wattview.probes.containers.engine_processes import Asked, EngineProcesses

AIM_MS = 0.2
"""CPU time of a scrape for each further container."""
AIM_GROWTH = 1.25
"""By how much a container may cost more among many than among few: what two measurements differ by anyway."""
COUNTS = (1, 20, 100, 300)
SCRAPES = 12
ROUNDS = 5
STATS = 3


def docker_stats(own: Engine) -> tuple[float, float]:
    """``docker stats --no-stream``, the median of some: (ms to the answer, CPU ms of the command and the engine)."""
    docker = shutil.which("docker")
    assert docker is not None, "docker is not installed; run: sudo apt-get install docker.io"
    processes = EngineProcesses("/proc")

    def spent_seconds() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        use = processes.read(time.monotonic(), Asked("dockerd", own.pid, True))
        assert use is not None, "the engine's processes cannot be read"
        return children.ru_utime + children.ru_stime + use.cpu_seconds

    took, spent = [], []
    for _ in range(STATS):
        before, began = spent_seconds(), time.monotonic()
        subprocess.run([docker, "--host", own.host, "stats", "--no-stream"], check=True, stdout=subprocess.DEVNULL)
        took.append((time.monotonic() - began) * 1000)
        spent.append((spent_seconds() - before) * 1000)
    processes.close()
    return median(took), median(spent)


def scraped(daemon: DaemonProcess, count: int) -> Endpoint:
    """The endpoint after its scrapes, once it shows ``count`` containers with their own networks."""
    deadline = time.monotonic() + 60
    while (shown := daemon.metrics("cadvisor").count("\ncontainer_network_receive_bytes_total{")) < count:
        assert time.monotonic() < deadline, f"{shown} of {count} containers are shown"
        time.sleep(0.2)
    return Endpoint(daemon.exporters()["cadvisor"].url, daemon.process.pid).scraped(ROUNDS, SCRAPES)


def measure(counts: Sequence[int] = COUNTS) -> Iterator[Result]:
    costs: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as directory, engine() as own:
        own.client.create_network("bench", driver="bridge")
        with running_daemon(Path(directory), f"docker.host={own.host}") as daemon:
            started = 0
            for count in sorted(counts):
                for number in range(started, count):
                    own.run(f"sleeper-{number}", "sleep", "100000", network="bench")
                started = count
                ours = scraped(daemon, count)
                stats_ms, stats_cpu_ms = docker_stats(own)
                costs[count] = ours.cpu_ms
                what = f"containers: {count} running"
                yield Row(
                    subject=f"{what}, CPU of a scrape",
                    ours=ours.cpu_ms,
                    unit="ms",
                    peer=stats_cpu_ms,
                    peer_name="docker stats",
                )
                yield Row(
                    subject=f"{what}, time to the answer",
                    ours=ours.latency_ms,
                    unit="ms",
                    peer=stats_ms,
                    peer_name="docker stats",
                )
                yield Row(subject=f"{what}, CPU a container", ours=ours.cpu_ms / count, unit="ms")
    yield from growth(costs)
    yield (
        "containers: CPU a container contains its share of what a scrape costs once (HTTP, the machine's own families, "
        "the root cgroup), which is most of it with one running. What a container costs is in the last row."
    )


def growth(costs: dict[int, float]) -> Iterator[Row]:
    """What each further container adds among many, against what it adds among few."""
    counts = sorted(costs)
    if len(counts) < 3:
        return
    few, middle, many = counts[0], counts[-2], counts[-1]
    yield Row(
        subject=f"containers: each further one, {middle} to {many}",
        ours=(costs[many] - costs[middle]) / (many - middle),
        unit="ms",
        peer=(costs[middle] - costs[few]) / (middle - few),
        peer_name=f"{few} to {middle}",
        below=AIM_MS,
        ratio_below=AIM_GROWTH,
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--containers", type=int, nargs="+", default=COUNTS)
    print_table(measure(arguments.parse_args().containers))


if __name__ == "__main__":
    main()
