"""InfiniBand and RoCE adapters and their ports, from /sys/class/infiniband."""

from __future__ import annotations

import math

from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.probes.lines import value
from wattview.probes.node.collector import Directories, Directory, of_sysfs
from wattview.probes.node.infiniband_counters import COUNTERS, IN_WORDS

# Row of a port's own figures: name, help.
_PORT = rows("""
state node_infiniband_state_id
    State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)
phys_state node_infiniband_physical_state_id
    Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, 6: link
    error recover, 7: phytest)
rate node_infiniband_rate_bytes_per_second Maximum signal transfer rate
lifespan node_infiniband_lifespan_seconds
    The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period
    might return the same values.
""")


@of_sysfs(Directories, "class/infiniband")
def collector(directories: Directories) -> list[Family]:
    """``node_infiniband_*{device,port}``; counters that an adapter lacks, or marks as N/A, are left out."""
    devices = directories.found()
    ports: list[tuple[str, tuple[Directory, str]]] = []
    info = gauge("node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.")
    for device, directory in devices.items():
        info.add(1, _device_labels(device, directory))
        names = directory.names("ports")
        ports += [(labels(device=device, port=port), (directory, f"ports/{port}")) for port in names]
    return [info, *families_of(_PORT, ports, _figure), *families_of(COUNTERS, ports, _count)]


def _figure(port: tuple[Directory, str], what: str) -> int | None:
    directory, place = port
    if what == "lifespan":
        milliseconds = directory.number(f"{place}/hw_counters/lifespan")
        return None if milliseconds is None else milliseconds // 1000
    return value(directory.text(f"{place}/{what}"), bytes_per_second if what == "rate" else number_before_colon,
                 f"infiniband {what}")  # fmt: skip


def _count(port: tuple[Directory, str], file: str) -> int | None:
    directory, place = port
    count = directory.number(f"{place}/{file}")
    return count * 4 if count is not None and file in IN_WORDS else count


def _device_labels(device: str, directory: Directory) -> str:
    return labels(
        device=device,
        board_id=directory.text("board_id") or "",
        firmware_version=directory.text("fw_ver") or "",
        hca_type=directory.text("hca_type") or "",
    )


def number_before_colon(text: str) -> int:
    """4 out of ``4: ACTIVE``. Raises ValueError."""
    return int(text.partition(":")[0])


def bytes_per_second(text: str) -> int:
    """``100 Gb/sec (4X EDR)`` in bytes per second. Raises ValueError."""
    gigabits = float(text.split(" ", 1)[0])
    if not math.isfinite(gigabits):
        raise ValueError(f"infiniband: not a rate: {text[:80]!r}")
    return int(gigabits * 125000000)
