"""NVMe controllers and their namespaces, from /sys/class/nvme."""

from __future__ import annotations

import re

from wattview.exposition import Family, empty_families, labels, rows
from wattview.probes import procfs
from wattview.probes.node.collector import Directories, Directory, of_sysfs

# nvme0n1, or nvme0c0n1 if several controllers share one namespace.
_NAMESPACE = re.compile(r"nvme\d+(?:c\d+)?n(\d+)")

_FAMILIES = rows("""
info node_nvme_info Non-numeric data from /sys/class/nvme/<device>, value is always 1.
namespace node_nvme_namespace_info Information about NVMe namespaces. Value is always 1
capacity node_nvme_namespace_capacity_bytes
  Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size
size node_nvme_namespace_size_bytes
  Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size
used node_nvme_namespace_used_bytes
  Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse
block node_nvme_namespace_logical_block_size_bytes
  Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in
  /sys/class/nvme/<device>/<namespace>/queue/logical_block_size
""")
_INFO = {
    "firmware_revision": "firmware_rev",
    "model": "model",
    "serial": "serial",
    "state": "state",
    "cntlid": "cntlid",
}
"""Labels, and their files."""


@of_sysfs(Directories, "class/nvme")
def collector(directories: Directories) -> list[Family]:
    """``node_nvme_*{device}``; no data without such a controller."""
    families = empty_families(_FAMILIES)
    info, namespace, *sizes = families.values()
    for device, directory in directories.found().items():
        info.add(1, labels(device=device, **{label: _text(directory, file) for label, file in _INFO.items()}))
        for entry in directory.names():
            if match := _NAMESPACE.fullmatch(entry):
                state = directory.text(f"{entry}/ana_state") or "unknown"
                namespace.add(1, labels(device=device, nsid=match[1], ana_state=state))
                text = labels(device=device, nsid=match[1])
                for family, value in zip(sizes, namespace_sizes(directory, entry), strict=True):
                    family.add(value, text)
    return list(families.values())


def namespace_sizes(directory: Directory, namespace: str) -> tuple[int | None, int | None, int | None, int | None]:
    """Capacity, size and use in bytes, and the logical block size.

    ``nuse`` counts logical blocks, ``size`` sectors of 512 bytes whatever the block size. node_exporter treats both as
    logical blocks, and is eight times too high for a namespace with blocks of 4096 bytes.
    """
    block = directory.number(f"{namespace}/queue/logical_block_size")
    sectors, blocks = directory.number(f"{namespace}/size"), directory.number(f"{namespace}/nuse")
    size = None if sectors is None else sectors * procfs.SECTOR_BYTES
    used = None if blocks is None or block is None else blocks * block
    return size, size, used, block


def _text(directory: Directory, file: str) -> str:
    return (directory.text(file) or "").strip()
