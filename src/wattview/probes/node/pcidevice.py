"""PCI devices: identification, links, power states and virtual functions (/sys/bus/pci/devices)."""

from __future__ import annotations

import os
import re

from wattview.config import Config
from wattview.exposition import Family, empty_families, gauge, labels, rows
from wattview.probes.lines import value
from wattview.probes.node.collector import Directories, Directory
from wattview.probes.node.pci_ids import PciIds, pci_ids

_LOCATION = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-9a-f])")
_PLACE = ("segment", "bus", "device", "function")
_POWER_STATES = ("D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error")
# File, digits, label.
_IDS = (
    ("class", 6, "class_id"), ("vendor", 4, "vendor_id"), ("device", 4, "device_id"),
    ("subsystem_vendor", 4, "subsystem_vendor_id"), ("subsystem_device", 4, "subsystem_device_id"),
    ("revision", 2, "revision"),
)  # fmt: skip
_INFO = "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1."
_SPEEDS = rows("""
max_link_speed node_pcidevice_max_link_transfers_per_second Value of maximum link's transfers per second (T/s)
current_link_speed node_pcidevice_current_link_transfers_per_second
  Value of current link's transfers per second (T/s)
""")
_NUMBERS = rows("""
max_link_width node_pcidevice_max_link_width Value of maximum link's width (number of lanes)
current_link_width node_pcidevice_current_link_width Value of current link's width (number of lanes)
d3cold_allowed node_pcidevice_d3cold_allowed Whether the PCIe device supports D3cold power state (0/1).
sriov_drivers_autoprobe node_pcidevice_sriov_drivers_autoprobe
  Whether SR-IOV drivers autoprobe is enabled for the device (0/1).
sriov_numvfs node_pcidevice_sriov_numvfs Number of Virtual Functions (VFs) currently enabled for SR-IOV.
sriov_totalvfs node_pcidevice_sriov_totalvfs Total number of Virtual Functions (VFs) supported by the device.
sriov_vf_total_msix node_pcidevice_sriov_vf_total_msix Total number of MSI-X vectors for Virtual Functions.
numa_node node_pcidevice_numa_node NUMA node number for the PCI device. -1 indicates unknown or not available.
""")
_POWER = "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error."


class PciDevice:
    """``node_pcidevice_*{segment,bus,device,function}``. Missing values are left out; node_exporter has -1 or 0."""

    def __init__(self, config: Config) -> None:
        self._devices = Directories(f"{config.paths.sysfs}/bus/pci/devices", _LOCATION.pattern)
        self._ids_file = config.node.pcidevice_ids_file
        self._names = config.node.pcidevice_names
        self._ids: PciIds | None = None

    def collect(self) -> list[Family]:
        if self._names and self._ids is None:
            self._ids = pci_ids(self._ids_file)
        info, power = gauge("node_pcidevice_info", _INFO), gauge("node_pcidevice_power_state", _POWER)
        speeds, numbers = empty_families(_SPEEDS), empty_families(_NUMBERS)
        for name, directory in self._devices.found().items():
            place = _place(name)
            text = labels(**place)
            info.add(1, labels(**place, **self._info(directory)))
            for file, family in speeds.items():
                family.add(value(directory.text(file) or None, transfers_per_second, f"pci {file}"), text)
            for file, family in numbers.items():
                family.add(_plausible(directory.number(file)), text)
            state = directory.text("power_state")
            for known in _POWER_STATES if state is not None else ():
                power.add(int(known == state), labels(**place, state=known))
        return [info, *speeds.values(), *numbers.values(), power]

    def _info(self, directory: Directory) -> dict[str, str]:
        # …/pci0000:00/0000:00:02.1/0000:01:00.0: a device's parent is the bridge above it.
        parent = _place(os.path.basename(os.path.dirname(os.path.realpath(directory.path))))
        found = {f"parent_{part}": text for part, text in parent.items()}
        ids: dict[str, int] = {}
        for file, digits, label in _IDS:
            number = directory.number(file)
            if number is not None:
                ids[file] = number
            found[label] = "" if number is None else f"0x{number:0{digits}x}"
        return {**found, **self._ids.names(ids)} if self._ids is not None else found


def _place(name: str) -> dict[str, str]:
    """An address as labels; ``*`` if there is none, as above a host bridge."""
    match = _LOCATION.fullmatch(name)
    return dict(zip(_PLACE, match.groups() if match else "****", strict=True))


def transfers_per_second(text: str) -> float | None:
    """``8.0 GT/s PCIe`` in transfers per second; None for a link of unknown speed. Raises ValueError."""
    number, _, unit = text.strip().partition(" ")
    if number.startswith("Unknown"):
        return None
    if not unit.startswith("GT/s"):
        raise ValueError(f"not a link's speed: {text[:80]!r}")
    speed = float(number)
    if not 0 <= speed < 1e6:
        raise ValueError(f"not a link's speed: {text[:80]!r}")
    return speed * 1e9


def _plausible(number: int | None) -> int | None:
    """Filters -1, the kernel's "none" (NUMA node), and 255, an unreadable width (PCIe's 6 bits are all ones)."""
    return None if number is None or number < 0 or number == 255 else number
