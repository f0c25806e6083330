"""InfiniBand and RoCE adapters and their ports, from /sys/class/infiniband."""

from __future__ import annotations

import math

from wattview.config import Config
from wattview.exposition import Family, families_of, gauge, labels
from wattview.probes.lines import value
from wattview.probes.node.collector import Directories, Directory
from wattview.probes.node.infiniband_counters import COUNTERS, IN_WORDS

_LIFESPAN = (
    "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period "
    "might return the same values."
)
_PHYSICAL_STATE = (
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, "
    "6: link error recover, 7: phytest)"
)
_STATE = "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)"


class Infiniband:
    """``node_infiniband_*{device,port}``; counters that an adapter lacks, or marks as N/A, are left out."""

    def __init__(self, config: Config) -> None:
        self._devices = Directories(f"{config.paths.sysfs}/class/infiniband")

    def collect(self) -> list[Family]:
        devices = self._devices.found()
        ports: list[tuple[str, tuple[Directory, str]]] = []
        info = gauge("node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.")
        state = gauge("node_infiniband_state_id", _STATE)
        physical = gauge("node_infiniband_physical_state_id", _PHYSICAL_STATE)
        rate = gauge("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate")
        lifespan = gauge("node_infiniband_lifespan_seconds", _LIFESPAN)
        for device, directory in devices.items():
            info.add(1, _device_labels(device, directory))
            for port in directory.names("ports"):
                text = labels(device=device, port=port)
                place = f"ports/{port}"
                state.add(_number(directory.text(f"{place}/state")), text)
                physical.add(_number(directory.text(f"{place}/phys_state")), text)
                rate.add(value(directory.text(f"{place}/rate"), bytes_per_second, "infiniband rate"), text)
                milliseconds = directory.number(f"{place}/hw_counters/lifespan")
                lifespan.add(None if milliseconds is None else milliseconds // 1000, text)
                ports.append((text, (directory, place)))
        return [info, state, physical, rate, lifespan, *families_of(COUNTERS, ports, _count)]


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


def _number(text: str | None) -> int | None:
    return value(text, number_before_colon, "infiniband state")


def number_before_colon(text: str) -> int:
    """4 out of ``4: ACTIVE``. Raises ValueError."""
    return int(text.partition(":")[0])


def bytes_per_second(text: str) -> int:
    """``100 Gb/sec (4X EDR)`` in bytes per second. Raises ValueError."""
    gigabits = float(text.split(" ", 1)[0])
    if not math.isfinite(gigabits):
        raise ValueError(f"infiniband: not a rate: {text[:80]!r}")
    return int(gigabits * 125000000)
