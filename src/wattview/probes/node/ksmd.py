"""Kernel samepage merging: equal pages of memory that are kept once (/sys/kernel/mm/ksm)."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.node.collector import Directory, NoData, named

# File, name.
_TABLE = (
    ("full_scans", "full_scans_total"),
    ("merge_across_nodes", "merge_across_nodes"),
    ("pages_shared", "pages_shared"),
    ("pages_sharing", "pages_sharing"),
    ("pages_to_scan", "pages_to_scan"),
    ("pages_unshared", "pages_unshared"),
    ("pages_volatile", "pages_volatile"),
    ("run", "run"),
    ("sleep_millisecs", "sleep_seconds"),
)


class Ksmd:
    """``node_ksmd_*``."""

    def __init__(self, config: Config) -> None:
        self._directory = Directory(f"{config.paths.sysfs}/kernel/mm/ksm")

    def collect(self) -> list[Family]:
        found = []
        for file, name in _TABLE:
            value = self._directory.number(file)
            if value is not None:
                shown = value / 1000 if name == "sleep_seconds" else value
                found.append(named(f"node_ksmd_{name}", f"ksmd '{file}' file.", shown))
        if not found:
            raise NoData("this kernel merges no pages")
        return found
