"""Kernel samepage merging (/sys/kernel/mm/ksm)."""

from __future__ import annotations

from wattview.exposition import Family, named
from wattview.probes.node.collector import Directory, NoSource, of_sysfs

# File, name, help (Documentation/admin-guide/mm/ksm.rst).
_TABLE = (
    ("full_scans", "full_scans_total", "How many times all mergeable areas have been scanned."),
    (
        "general_profit", "general_profit_bytes",
        "How effective is KSM. ksm_saved_pages * sizeof(page) - (all_rmap_items) * sizeof(rmap_item)",
    ),
    ("merge_across_nodes", "merge_across_nodes", "Specifies if pages from different NUMA nodes can be merged."),
    ("pages_shared", "pages_shared", "How many shared pages are being used."),
    ("pages_sharing", "pages_sharing", "How many more sites are sharing them i.e. how much saved."),
    ("pages_to_scan", "pages_to_scan", "How many pages to scan before ksmd goes to sleep."),
    ("pages_unshared", "pages_unshared", "How many pages unique but repeatedly checked for merging."),
    ("pages_volatile", "pages_volatile", "How many pages changing too fast to be placed in a tree."),
    ("run", "run", "The status of ksmd. stopped = 0, running = 1"),
    ("sleep_millisecs", "sleep_seconds", "How many seconds ksmd should sleep before next scan."),
)  # fmt: skip


@of_sysfs(Directory, "kernel/mm/ksm")
def collector(directory: Directory) -> list[Family]:
    """``node_ksmd_*``."""
    found = []
    for file, name, help_text in _TABLE:
        value = directory.number(file)
        if value is not None:
            found.append(named(f"node_ksmd_{name}", help_text, value / 1000 if name == "sleep_seconds" else value))
    if not found:
        raise NoSource("this kernel merges no pages")
    return found
