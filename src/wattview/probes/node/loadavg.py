"""Load averages."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, gauge
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile


class Loadavg:
    """``node_load1``, ``node_load5`` and ``node_load15``."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/loadavg")

    def collect(self) -> list[Family]:
        load1, load5, load15 = procfs.loadavg(self._file.read())
        return [
            gauge("node_load1", "1m load average.", load1),
            gauge("node_load5", "5m load average.", load5),
            gauge("node_load15", "15m load average.", load15),
        ]
