"""NVMe controllers and their namespaces, from /sys/class/nvme."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes import procfs
from wattview.probes.node.collector import Directories, Directory

# nvme0n1, or nvme0c0n1 if several controllers share one namespace.
_NAMESPACE = re.compile(r"nvme\d+(?:c\d+)?n(\d+)")

_CAPACITY, _SIZE, _USED, _BLOCK = (
    (
        "capacity_bytes",
        "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
    ),
    ("size_bytes", "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size"),
    ("used_bytes", "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse"),
    (
        "logical_block_size_bytes",
        "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in "
        "/sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
    ),
)  # fmt: skip


class Nvme:
    """``node_nvme_*{device}``; no data without such a controller."""

    def __init__(self, config: Config) -> None:
        self._devices = Directories(f"{config.paths.sysfs}/class/nvme")

    def collect(self) -> list[Family]:
        info = gauge("node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.")
        namespace = gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1")
        sizes = [
            gauge(f"node_nvme_namespace_{name}", help_text) for name, help_text in (_CAPACITY, _SIZE, _USED, _BLOCK)
        ]
        for device, directory in self._devices.found().items():
            info.add(
                1,
                labels(
                    device=device,
                    firmware_revision=_text(directory, "firmware_rev"),
                    model=_text(directory, "model"),
                    serial=_text(directory, "serial"),
                    state=_text(directory, "state"),
                    cntlid=_text(directory, "cntlid"),
                ),
            )
            for entry in directory.names():
                if match := _NAMESPACE.fullmatch(entry):
                    state = directory.text(f"{entry}/ana_state") or "unknown"
                    namespace.add(1, labels(device=device, nsid=match[1], ana_state=state))
                    text = labels(device=device, nsid=match[1])
                    for family, value in zip(sizes, namespace_sizes(directory, entry), strict=True):
                        family.add(value, text)
        return [info, namespace, *sizes]


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
