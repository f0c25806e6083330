"""Selected counters of /proc/vmstat: paging, swapping, faults, out-of-memory kills."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import Filter, SelectedLines


class Vmstat:
    """``node_vmstat_*``, for the fields that match ``node.vmstat_fields_include``."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/vmstat", size=16384)
        self._filter = Filter(include=config.node.vmstat_fields_include)
        self._chosen = SelectedLines(self._field)

    def collect(self) -> list[Family]:
        return [
            Family(name, "untyped", help_text).add(value)
            for (name, help_text), value in self._chosen.of(self._file.read())
        ]

    def _field(self, key: bytes) -> tuple[str, str] | None:
        name = key.decode("ascii", "replace")
        if self._filter.ignores(name):
            return None
        return f"node_vmstat_{name}", f"/proc/vmstat information field {name}."
