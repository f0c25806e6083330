"""Swap devices and files: their size, use and priority (/proc/swaps)."""

from __future__ import annotations

from typing import NamedTuple

from wattview.exposition import Family, gauge, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file


class SwapDevice(NamedTuple):
    """One line of /proc/swaps; sizes in KiB, as the kernel gives them."""

    device: str
    type: str
    size: int
    used: int
    priority: int


def families(data: bytes) -> list[Family]:
    """``node_swap_*{device,type}``."""
    size = gauge("node_swap_size_bytes", "Swap device size in bytes.")
    used = gauge("node_swap_used_bytes", "Swap device used in bytes.")
    priority = gauge("node_swap_priority", "Swap device priority.")
    for one in swaps(data):
        text = labels(device=one.device, type=one.type)
        size.add(one.size * 1024, text)
        used.add(one.used * 1024, text)
        priority.add(one.priority, text)
    return [size, used, priority]


def swaps(data: bytes) -> list[SwapDevice]:
    """The lines of /proc/swaps. The kernel escapes spaces in names (``\040``)."""

    def device(line: str) -> SwapDevice | None:
        name, kind, size, used, priority = line.split()
        if name == "Filename":
            return None
        return SwapDevice(name, kind, int(size), int(used), int(priority))

    return understood(data.decode("utf-8", "replace").splitlines(), device, "swaps")


collector = of_file("swaps", families)
