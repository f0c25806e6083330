"""Soft interrupts by kind and CPU."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.files import KernelFile
from wattview.probes.node.collector import counter


class Softirqs:
    """``node_softirqs_functions_total{cpu,type}``, from /proc/softirqs."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/softirqs", 16384)

    def collect(self) -> list[Family]:
        family = counter("node_softirqs_functions_total", "Softirq counts per CPU.")
        for kind, counts in softirqs(self._file.read()).items():
            for cpu, count in enumerate(counts):
                family.add(count, labels(cpu=str(cpu), type=kind))
        return [family]


def softirqs(data: bytes) -> dict[str, list[int]]:
    """Counts of each kind, one a CPU."""
    found = {}
    for line in data.decode("ascii", "replace").splitlines()[1:]:
        kind, colon, rest = line.partition(":")
        if not colon:
            raise ValueError("softirqs: a line has no name")
        found[kind.strip()] = [int(field) for field in rest.split()]
    return found
