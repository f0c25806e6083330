"""What a scrape of 9500 costs as workloads become more: a simulated tree of control groups, a real daemon over HTTP.

    python -m benchmarks.workloads_scrape [--workloads 100 300 1000]

Workloads are Docker's, Podman's, systemd's and the CRI's in turn. The aims: under 0.05 ms of CPU a control group for
reading it, and a cost that grows linearly. Beside it, in the same run, stands a scrape of node_exporter. As root, as
many control groups of this machine's kernel are read too, each with a sleeping process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
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
from wattview.probes.containers.cgroups.cgroup import hierarchies
from wattview.probes.workloads.probe import WorkloadsProbe

COUNTS = (100, 300, 1000)
AIM_MS = 0.05
PEER = "node_exporter"


@contextlib.contextmanager
def kernels_own(count: int) -> Iterator[None]:
    """Control groups of this machine's kernel, with a sleeping process in each."""
    mounted = hierarchies("/sys")
    assert mounted is not None, "no control groups are mounted"
    mounts = {mounted.mounts["" if mounted.version == 2 else "cpuacct"], mounted.mount("memory") or ""} - {""}
    groups = [Path(mount, f"wattview-bench-{number}.service") for number in range(count) for mount in mounts]
    sleepers: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(count):
            sleepers.append(subprocess.Popen(["sleep", "1000"]))
            for mount in mounts:
                group = Path(mount, f"wattview-bench-{number}.service")
                group.mkdir()
                (group / "cgroup.procs").write_text(str(sleepers[-1].pid))
        yield
    finally:
        for one in sleepers:
            one.kill()
            one.wait()
        for group in groups:
            with contextlib.suppress(FileNotFoundError):
                group.rmdir()


def read_ms(sets: tuple[str, ...]) -> float:
    """CPU of one reading of all workloads, without HTTP and attribution; the least of some."""
    probe = WorkloadsProbe(config.load(sets=sets, environ={}))
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
                    subject=f"workloads: {count}, reading each control group", ours=read_ms(_paths(tree)) / count,
                    unit="ms", below=AIM_MS,
                )  # fmt: skip
                if os.geteuid() == 0:
                    without = read_ms(_NOBODY)
                    with kernels_own(count):
                        each = (read_ms(_NOBODY) - without) / count
                    yield Row(
                        subject=f"workloads: {count}, each one of this kernel's", ours=each, unit="ms", below=AIM_MS
                    )
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


_NOBODY = ("workloads.engines=", "docker.host=unix:///nowhere")
"""No engine that could be asked for names."""


def _paths(tree: WorkloadTree) -> tuple[str, ...]:
    return (f"paths.sysfs={tree.sysfs}", *_NOBODY)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--workloads", type=int, nargs="+", default=COUNTS)
    print_table(measure(arguments.parse_args().workloads))


if __name__ == "__main__":
    main()
