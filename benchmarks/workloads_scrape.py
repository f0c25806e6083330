"""What a scrape of 9500 costs as workloads become more: a simulated tree of control groups, a real daemon over HTTP.

    python -m benchmarks.workloads_scrape [--workloads 100 300 1000]

Workloads are Docker's, Podman's, systemd's and the CRI's in turn. The aims: under 0.05 ms of CPU a control group for
reading it, and a cost that grows linearly. Beside it, in the same run, stands a scrape of node_exporter.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.containers_scrape import AIM_GROWTH, ROUNDS, SCRAPES
from benchmarks.processes import Endpoint
from benchmarks.table import Result, Row, print_table
from tests.support.daemon import running_daemon
from tests.support.node_exporter import RealNodeExporter
from tests.support.workload_tree import WorkloadTree, path_of
from wattview import config
from wattview.probes.workloads.probe import WorkloadsProbe

COUNTS = (100, 300, 1000)
AIM_MS = 0.05
PEER = "node_exporter"


def read_ms(tree: WorkloadTree) -> float:
    """CPU of one reading of all of them, without HTTP and attribution; the least of some."""
    probe = WorkloadsProbe(config.load(sets=_paths(tree), environ={}))
    probe.read()
    least = float("inf")
    for _ in range(10):
        began = time.thread_time()
        probe.read()
        least = min(least, time.thread_time() - began)
    probe.close()
    return least * 1000


def measure(counts: Sequence[int] = COUNTS) -> Iterator[Result]:
    costs: dict[int, float] = {}
    with RealNodeExporter() as real:
        theirs = Endpoint(f"http://127.0.0.1:{real.port}", real.process.pid).scraped(ROUNDS, SCRAPES)
        for count in sorted(counts):
            with tempfile.TemporaryDirectory() as directory:
                tree = WorkloadTree(Path(directory) / "machine", 2)
                for number in range(count):
                    tree.add(path_of(number), 1.0)
                yield Row(
                    subject=f"workloads: {count}, reading each control group", ours=read_ms(tree) / count, unit="ms",
                    below=AIM_MS,
                )  # fmt: skip
                with running_daemon(Path(directory), *_paths(tree)) as daemon:
                    endpoint = Endpoint(daemon.exporters()["rapl-exporter"].url, daemon.process.pid)
                    ours = endpoint.scraped(ROUNDS, SCRAPES)
            costs[count] = ours.cpu_ms
            yield Row(
                subject=f"workloads: {count}, CPU of a scrape of 9500", ours=ours.cpu_ms, unit="ms",
                peer=theirs.cpu_ms, peer_name=PEER,
            )  # fmt: skip
            yield Row(
                subject=f"workloads: {count}, time to the answer", ours=ours.latency_ms, unit="ms",
                peer=theirs.latency_ms, peer_name=PEER,
            )  # fmt: skip
    few, middle, many = (sorted(counts)[place] for place in (0, -2, -1))
    if few < middle < many:
        yield Row(
            subject=f"workloads: each further one, {middle} to {many}",
            ours=(costs[many] - costs[middle]) / (many - middle), unit="ms",
            peer=(costs[middle] - costs[few]) / (middle - few), peer_name=f"{few} to {middle}",
            ratio_below=AIM_GROWTH,
        )  # fmt: skip


def _paths(tree: WorkloadTree) -> tuple[str, ...]:
    return (f"paths.sysfs={tree.sysfs}", "workloads.engines=", "docker.host=unix:///nowhere")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--workloads", type=int, nargs="+", default=COUNTS)
    print_table(measure(arguments.parse_args().workloads))


if __name__ == "__main__":
    main()
