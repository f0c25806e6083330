"""Free memory by the size of its blocks: how fragmented each zone is."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file


@of_file("buddyinfo")
def collector(data: bytes) -> list[Family]:
    """``node_buddyinfo_blocks{node,zone,size}``; size is the power of two of pages."""
    family = gauge("node_buddyinfo_blocks", "Count of free blocks according to size.")
    for node, zone, counts in buddyinfo(data):
        for size, count in enumerate(counts):
            family.add(count, labels(node=node, zone=zone, size=str(size)))
    return [family]


def buddyinfo(data: bytes) -> list[tuple[str, str, list[int]]]:
    """(node, zone, free blocks of each size) out of ``Node 0, zone DMA 1 0 …``."""

    def zone(line: str) -> tuple[str, str, list[int]]:
        fields = line.split()
        if len(fields) < 5 or fields[0] != "Node" or fields[2] != "zone":
            raise ValueError("not a zone")
        return fields[1].rstrip(","), fields[3], [int(field) for field in fields[4:]]

    return understood(data.decode("ascii", "replace").splitlines(), zone, "buddyinfo")
