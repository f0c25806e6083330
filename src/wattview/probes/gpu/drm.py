"""AMD and Intel GPUs, from the files of the kernel's graphics drivers (amdgpu, i915, xe).

Power, energy and temperatures are the card's hwmon sensors; utilisation and memory are amdgpu's own files. What a
driver does not provide is None: Intel's have no file for utilisation or memory, amdgpu no energy counter. A suspended
GPU (runtime power management) is listed but not read: reading its sensors would wake it up and change the measurement.

Formats: Documentation/gpu/amdgpu/thermal.rst (gpu_busy_percent, hwmon; an APU's power is that of the whole chip, CPU
included, and so left out here), Documentation/gpu/amdgpu/driver-misc.rst (mem_info_*),
Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon and -xe-hwmon, Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import errno
import os
import re
import time
from pathlib import Path
from typing import Any, Literal

from wattview.model import Fault, Gpu
from wattview.probes.kernel_files import KernelFile, text_of
from wattview.probes.plausible import plausible
from wattview.probes.rates import Rate

RESCAN_SECONDS = 30.0
_VENDORS: dict[str, Literal["amd", "intel"]] = {"0x1002": "amd", "0x8086": "intel"}
_NAMES = {"amd": "AMD GPU", "intel": "Intel GPU"}
# How many of the units of a file make one of ours.
_PLAIN, _MILLI, _MICRO, _MEGA = 1, 1000, 1e6, 1e-6
_LET_GO = (
    "its driver has released it, although it is still present",
    "load its driver again (see dmesg), or restart WattView to measure without it",
)


class DrmGpus:
    """The cards below ``<sysfs>/class/drm`` whose driver provides any data."""

    def __init__(self, sysfs: str) -> None:
        self._directory = Path(sysfs) / "class" / "drm"
        self._devices = Path(sysfs) / "bus" / "pci" / "devices"
        self._cards: dict[str, _Card] = {}
        self._let_go: dict[str, Gpu] = {}
        self._scanned: float | None = None

    def read(self) -> tuple[list[Gpu], list[Fault]]:
        """(the GPUs, what could not be read). No card is an empty list, not an error."""
        now = time.monotonic()
        if self._scanned is None or now - self._scanned > RESCAN_SECONDS:
            self._scan()
            self._scanned = now
        gpus: list[Gpu] = []
        faults: list[Fault] = []
        for name, card in list(self._cards.items()):
            try:
                gpus.append(card.read(now, faults))
            except OSError as error:
                # Unplugged, or its driver was unbound: the next scan tells.
                gpus.append(card.unread)
                faults.append(Fault(f"GPU {name}", f"{error.filename or name}: {error.strerror}"))
                self._drop(self._cards.pop(name))
                self._scanned = None
            else:
                self._let_go.pop(card.unread.pci_bus_id, None)
        shown = {gpu.pci_bus_id for gpu in gpus}
        for pci, gpu in self._let_go.items():
            if pci not in shown:
                gpus.append(gpu)
                faults.append(Fault(f"GPU {gpu.device}", *_LET_GO))
        return gpus, faults

    def _drop(self, card: _Card) -> None:
        """A card that can no longer be read. Without a driver, or with a virtual machine's, it is still plugged in and
        draws power."""
        card.close()
        if card.unread.pci_bus_id:
            self._let_go[card.unread.pci_bus_id] = card.unread

    def close(self) -> None:
        for card in self._cards.values():
            card.close()
        self._cards = {}
        self._scanned = None

    def _scan(self) -> None:
        found: dict[str, _Card] = {}
        try:
            names = sorted(os.listdir(self._directory))
        except OSError:
            names = []
        for name in names:
            if re.fullmatch(r"card\d+", name):
                device = self._directory / name / "device"
                vendor = _VENDORS.get(text_of(device / "vendor"))
                if vendor is not None:
                    card = _Card(name, device, vendor)
                    known = self._cards.get(name)
                    if known is not None and known.is_same(card):
                        card = self._cards.pop(name)
                    if card.files:
                        found[name] = card
        for card in self._cards.values():
            self._drop(card)
        self._cards = found
        self._let_go = {pci: gpu for pci, gpu in self._let_go.items() if (self._devices / pci).exists()}


class _Card:
    """One card. Its sensors stay open."""

    def __init__(self, name: str, device: Path, vendor: Literal["amd", "intel"]) -> None:
        self._device = device
        self._status = KernelFile(device / "power" / "runtime_status", 64)
        event = dict(line.partition("=")[::2] for line in text_of(device / "uevent").splitlines())
        self._pci = event.get("PCI_SLOT_NAME", "")
        unique = text_of(device / "unique_id")
        product = text_of(device / "product_name")
        self._fixed: dict[str, Any] = {
            "index": int(name.removeprefix("card")),
            "uuid": f"{vendor}-{unique or self._pci or name}",
            "name": product or f"{_NAMES[vendor]} {event.get('PCI_ID', '')}".strip(),
            "pci_bus_id": self._pci,
            "driver_version": event.get("DRIVER", ""),
            "vendor": vendor,
            "device": name,
        }
        self._power = Rate()
        hwmon = _hwmon(device)
        self._fixed["integrated"] = _integrated(self._pci, hwmon, vendor)
        self.unread = Gpu(**self._fixed)
        self.files = {
            field: (KernelFile(path, 64), unit)
            for field, path, unit in _sensors(device, hwmon, device.parent / name, vendor, self.unread.integrated)
            if path.exists()
        }

    def is_same(self, other: _Card) -> bool:
        """The same card with the same sensors: a driver may add them later than the card."""
        return self._pci == other._pci and self._paths() == other._paths()

    def _paths(self) -> set[str]:
        return {file.path for file, _ in self.files.values()}

    def read(self, monotonic: float, faults: list[Fault]) -> Gpu:
        """Raises OSError if the card is gone."""
        if self._sleeps():
            return Gpu(**self._fixed, asleep=True)
        values: dict[str, Any] = {}
        for field, (file, unit) in self.files.items():
            number = _number(file)
            if number is not None and (number or field != "power_limit_watts"):  # 0: no limit
                values.setdefault(field, number if unit == _PLAIN else number / unit)
        values = plausible(f"GPU {self._fixed['device']}", values, faults)
        energy = values.get("energy_joules_total")
        if energy is not None:
            watts = self._power.update(monotonic, energy)
            values.setdefault("power_watts", watts)
        total, used = values.get("memory_total_bytes"), values.get("memory_used_bytes")
        if total is not None and used is not None and used <= total:
            values["memory_free_bytes"] = total - used
        return Gpu(**self._fixed, **values)

    def close(self) -> None:
        for file, _ in self.files.values():
            file.close()
        self._status.close()

    def _sleeps(self) -> bool:
        try:
            return self._status.read().strip() in (b"suspended", b"suspending")
        except FileNotFoundError:
            return False  # no runtime power management


def _integrated(pci: str, hwmon: Path, vendor: Literal["amd", "intel"]) -> bool:
    """Whether it is part of the processor: Intel's is always the same device of the root bus; AMD's has the
    northbridge's voltage among its sensors (Documentation/gpu/amdgpu/thermal.rst), and its power includes the CPU's."""
    return pci.startswith("0000:00:") or (vendor == "amd" and (hwmon / "in1_input").exists())


def _hwmon(device: Path) -> Path:
    """The card's own sensors: i915 has further ones for each of its tiles (``i915_gt0``)."""
    directories = sorted((device / "hwmon").glob("hwmon*")) if (device / "hwmon").is_dir() else []
    for directory in directories:
        if "_gt" not in text_of(directory / "name"):
            return directory
    return device / "no-hwmon"


def _sensors(
    device: Path, hwmon: Path, card: Path, vendor: Literal["amd", "intel"], integrated: bool
) -> list[tuple[str, Path, float]]:
    """(our field, the driver's file, its unit)."""
    temperatures = {text_of(hwmon / f"temp{number}_label"): hwmon / f"temp{number}_input" for number in range(1, 5)}
    if vendor == "amd":
        power = hwmon / ("power1_average" if (hwmon / "power1_average").exists() else "power1_input")
        found = [
            ("power_limit_watts", hwmon / "power1_cap", _MICRO),
            ("utilization_percent", device / "gpu_busy_percent", _PLAIN),
            ("memory_utilization_percent", device / "mem_busy_percent", _PLAIN),
            ("decoder_percent", device / "vcn_busy_percent", _PLAIN),
            ("memory_total_bytes", device / "mem_info_vram_total", _PLAIN),
            ("memory_used_bytes", device / "mem_info_vram_used", _PLAIN),
            ("temperature_celsius", temperatures.get("edge", hwmon / "temp1_input"), _MILLI),
            ("sm_clock_hertz", hwmon / "freq1_input", _PLAIN),
            ("memory_clock_hertz", hwmon / "freq2_input", _PLAIN),
        ]
        if "mem" in temperatures:
            found.append(("memory_temperature_celsius", temperatures["mem"], _MILLI))
        return found if integrated else [("power_watts", power, _MICRO), *found]
    found = [
        ("energy_joules_total", hwmon / "energy1_input", _MICRO),
        ("power_limit_watts", hwmon / "power1_max", _MICRO),
        ("temperature_celsius", temperatures.get("pkg", hwmon / "temp2_input"), _MILLI),
        ("sm_clock_hertz", card / "gt_act_freq_mhz", _MEGA),
        ("sm_clock_hertz", device / "tile0" / "gt0" / "freq0" / "act_freq", _MEGA),
    ]
    if "vram" in temperatures:
        found.append(("memory_temperature_celsius", temperatures["vram"], _MILLI))
    return found


_GONE = {errno.ENODEV, errno.ENXIO, errno.ENOENT}


def _number(file: KernelFile) -> int | None:
    """The value of a sensor; None if the firmware has none now. Raises OSError if the card is gone."""
    try:
        text = file.read().strip()
    except OSError as error:
        if error.errno in _GONE:
            raise
        return None
    return int(text) if re.fullmatch(rb"-?\d{1,20}", text) else None
