"""Memory of each NUMA node, and its allocation counters (/sys/devices/system/node)."""

from __future__ import annotations

from wattview.exposition import Families, Family, labels
from wattview.probes.lines import pairs, understood
from wattview.probes.node.collector import Directories, NoSource, of_sysfs
from wattview.probes.node.meminfo import memory_field_name


@of_sysfs(Directories, "devices/system/node", r"node[0-9]+")
def collector(directories: Directories) -> list[Family]:
    """``node_memory_numa_*{node}``: sizes in bytes; the counters of numastat end in ``_total``."""
    families = Families()
    for name, directory in directories.found().items():
        text = labels(node=name.removeprefix("node"))
        fields = node_meminfo(directory.read("meminfo")) + node_numastat(directory.read("numastat"))
        for field, value in fields:
            families.add(f"node_memory_numa_{field}", f"Memory information field {field}.", value, text)
    found = families.all()
    if not found:
        raise NoSource("this machine has no NUMA nodes")
    return found


def node_meminfo(data: bytes) -> list[tuple[str, int]]:
    """(field, bytes or count) out of ``Node 0 Active(anon):   1 kB``."""

    def field(line: str) -> tuple[str, int]:
        fields = line.split()
        if len(fields) not in (4, 5) or not fields[2].endswith(":"):
            raise ValueError("not a field")
        factor = 1024 if fields[4:] == ["kB"] else 1
        return memory_field_name(fields[2].removesuffix(":")), int(fields[3]) * factor

    return understood(data.decode("ascii", "replace").splitlines(), field, "node meminfo")


def node_numastat(data: bytes) -> list[tuple[str, int]]:
    """(counter with ``_total``, pages) out of a node's numastat."""
    return [(f"{name.decode('ascii', 'replace')}_total", int(value)) for name, value in pairs(data)]
