"""Pages of each memory zone, from /proc/zoneinfo: many series, so disabled by default."""

from __future__ import annotations

import re

from wattview.exposition import Families, Family, labels
from wattview.probes.node.collector import of_file

# Field of /proc/zoneinfo: name, help.
_TABLE = {
    "nr_free_pages": ("nr_free_pages", "Total number of free pages in the zone"),
    "min": ("min_pages", "Zone watermark pages_min"),
    "low": ("low_pages", "Zone watermark pages_low"),
    "high": ("high_pages", "Zone watermark pages_high"),
    "scanned": ("scanned_pages", "Pages scanned since last reclaim"),
    "spanned": ("spanned_pages", "Total pages spanned by the zone, including holes"),
    "present": ("present_pages", "Physical pages existing within the zone"),
    "managed": ("managed_pages", "Present pages managed by the buddy system"),
    "nr_active_anon": ("nr_active_anon_pages", "Number of anonymous pages recently more used"),
    "nr_inactive_anon": ("nr_inactive_anon_pages", "Number of anonymous pages recently less used"),
    "nr_isolated_anon": ("nr_isolated_anon_pages", "Temporary isolated pages from anon lru"),
    "nr_anon_pages": ("nr_anon_pages", "Number of anonymous pages currently used by the system"),
    "nr_anon_transparent_hugepages": (
        "nr_anon_transparent_hugepages",
        "Number of anonymous transparent huge pages currently used by the system",
    ),
    "nr_active_file": ("nr_active_file_pages", "Number of active pages with file-backing"),
    "nr_inactive_file": ("nr_inactive_file_pages", "Number of inactive pages with file-backing"),
    "nr_isolated_file": ("nr_isolated_file_pages", "Temporary isolated pages from file lru"),
    "nr_file_pages": ("nr_file_pages", "Number of file pages"),
    "nr_slab_reclaimable": ("nr_slab_reclaimable_pages", "Number of reclaimable slab pages"),
    "nr_slab_unreclaimable": ("nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages"),
    "nr_mlock_stack": ("nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU"),
    "nr_kernel_stack": ("nr_kernel_stacks", "Number of kernel stacks"),
    "nr_mapped": ("nr_mapped_pages", "Number of mapped pages"),
    "nr_dirty": ("nr_dirty_pages", "Number of dirty pages"),
    "nr_writeback": ("nr_writeback_pages", "Number of writeback pages"),
    "nr_unevictable": ("nr_unevictable_pages", "Number of unevictable pages"),
    "nr_shmem": ("nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)"),
    "nr_dirtied": ("nr_dirtied_total", "Page dirtyings since bootup"),
    "nr_written": ("nr_written_total", "Page writings since bootup"),
    "numa_hit": ("numa_hit_total", "Allocated in intended node"),
    "numa_miss": ("numa_miss_total", "Allocated in non intended node"),
    "numa_foreign": ("numa_foreign_total", "Was intended here, hit elsewhere"),
    "numa_interleave": ("numa_interleave_total", "Interleaver preferred this zone"),
    "numa_local": ("numa_local_total", "Allocation from local node"),
    "numa_other": ("numa_other_total", "Allocation from other node"),
}
_ZONE = re.compile(r"Node (\d+), zone\s+(\w+)")


@of_file("zoneinfo", size=32768)
def collector(data: bytes) -> list[Family]:
    """``node_zoneinfo_*{node,zone}``. Figures of a whole node appear at its first zone, as in the kernel's file."""
    families = Families()
    for node, zone, fields, protection in zoneinfo(data):
        text = labels(node=node, zone=zone)
        for field, value in fields.items():
            name, help_text = _TABLE[field]
            families.add(f"node_zoneinfo_{name}", help_text, value, text)
        for index, value in enumerate(protection):
            families.add(f"node_zoneinfo_protection_{index}", f"Protection array {index}. field", value, text)
    return families.all()


def zoneinfo(data: bytes) -> list[tuple[str, str, dict[str, int], list[int]]]:
    """(node, zone, its fields, its protection) of each zone; per-CPU page sets are ignored."""
    found: list[tuple[str, str, dict[str, int], list[int]]] = []
    in_pagesets = False
    for line in data.decode("ascii", "replace").splitlines():
        if match := _ZONE.match(line):
            found.append((match[1], match[2], {}, []))
            in_pagesets = False
            continue
        words = line.split()
        if not found or len(words) < 2:
            in_pagesets = in_pagesets or words == ["pagesets"]
            continue
        # "pages free 3840" puts its first field after a heading.
        field, value = (words[1], words[2]) if words[0] == "pages" and len(words) > 2 else (words[0], words[1])
        if field == "protection:":
            numbers = line.partition("(")[2].rstrip(" )").split(",")
            if all(number.strip().isdecimal() for number in numbers):
                found[-1][3].extend(int(number) for number in numbers)
        elif field in _TABLE and not in_pagesets and value.isdecimal():
            found[-1][2].setdefault(field, int(value))
    return found
