"""Load averages."""

from __future__ import annotations

from wattview.exposition import Family, gauge
from wattview.probes import procfs
from wattview.probes.node.collector import of_file


@of_file("loadavg")
def collector(data: bytes) -> list[Family]:
    """``node_load1``, ``node_load5`` and ``node_load15``."""
    load1, load5, load15 = procfs.loadavg(data)
    return [
        gauge("node_load1", "1m load average.", load1),
        gauge("node_load5", "5m load average.", load5),
        gauge("node_load15", "15m load average.", load15),
    ]
