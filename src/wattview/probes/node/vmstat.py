"""Chosen counters of /proc/vmstat: paging, swapping, faults, out-of-memory kills."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.files import KernelFile
from wattview.probes.node.collector import Filter


class Vmstat:
    """``node_vmstat_*``, of the fields that ``node.vmstat_fields_include`` matches."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/vmstat", size=16384)
        self._filter = Filter(include=config.node.vmstat_fields_include)

    def collect(self) -> list[Family]:
        found = []
        for line in self._file.read().decode("ascii", "replace").splitlines():
            name, _, value = line.partition(" ")
            if not self._filter.ignores(name):
                help_text = f"/proc/vmstat information field {name}."
                found.append(Family(f"node_vmstat_{name}", "untyped", help_text).add(int(value)))
        return found
