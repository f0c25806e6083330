"""The kernel's slab caches. Root only; many series, so disabled by default."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import Filter

# Column of /proc/slabinfo (slabinfo(5)) after the name, counted from 0, name, help.
_TABLE = rows("""
0 node_slabinfo_active_objects The number of objects that are currently active (i.e., in use).
1 node_slabinfo_objects
    The total number of allocated objects (i.e., objects that are both in use and not in use).
2 node_slabinfo_object_size_bytes The size of objects in this slab, in bytes.
3 node_slabinfo_objects_per_slab The number of objects stored in each slab.
4 node_slabinfo_pages_per_slab The number of pages allocated for each slab.
""")


class Slabinfo:
    """``node_slabinfo_*{slab}``."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/slabinfo", 65536)
        self._filter = Filter(config.node.slab_exclude, config.node.slab_include)

    def collect(self) -> list[Family]:
        slabs = [pair for pair in slabinfo(self._file.read()).items() if not self._filter.ignores(pair[0])]
        shown = [(labels(slab=slab), columns) for slab, columns in slabs]
        return families_of(_TABLE, shown, lambda columns, column: columns[int(column)])


def slabinfo(data: bytes) -> dict[str, list[int]]:
    """Active objects, objects, object size, objects and pages a slab, by cache."""

    def cache(line: str) -> tuple[str, list[int]] | None:
        if line.startswith(("slabinfo", "#")):
            return None
        fields = line.split()
        return fields[0], [int(fields[column]) for column in range(1, 6)]

    return dict(understood(data.decode("ascii", "replace").splitlines(), cache, "slabinfo"))
