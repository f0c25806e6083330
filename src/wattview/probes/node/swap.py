"""Swap devices and files: their size, use and priority (/proc/swaps)."""

from __future__ import annotations

from typing import NamedTuple

from wattview.exposition import Family, families_of, labels, rows
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file

_TABLE = rows("""
size node_swap_size_bytes Swap device size in bytes.
used node_swap_used_bytes Swap device used in bytes.
priority node_swap_priority Swap device priority.
""")


class SwapDevice(NamedTuple):
    """One line of /proc/swaps; sizes in bytes."""

    device: str
    type: str
    size: int
    used: int
    priority: int


@of_file("swaps")
def collector(data: bytes) -> list[Family]:
    """``node_swap_*{device,type}``."""
    return families_of(_TABLE, [(labels(device=one.device, type=one.type), one) for one in swaps(data)])


def swaps(data: bytes) -> list[SwapDevice]:
    """The lines of /proc/swaps. The kernel escapes spaces in names (``\040``)."""

    def device(line: str) -> SwapDevice | None:
        name, kind, size, used, priority = line.split()
        if name == "Filename":
            return None
        return SwapDevice(name, kind, int(size) * 1024, int(used) * 1024, int(priority))

    return understood(data.decode("utf-8", "replace").splitlines(), device, "swaps")
