"""Power meters of the board and the power supply, through the kernel's hwmon tree (``<sysfs>/class/hwmon``).

Format: Documentation/hwmon/sysfs-interface.rst. hwmon shows every sensor of any driver (a GPU's, a rail's, a disk's),
so a sum over all of them is meaningless: ``MACHINE_METERS`` lists the sensors that cover the machine, and
``PROCESSOR_METERS`` those that cover its processors, by each driver's documentation. Only sysfs is read.
"""

from __future__ import annotations

import collections
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wattview.config import Config
from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.kernel_files import KernelFile, text_of
from wattview.probes.plausible import HOST_WATTS, implausible
from wattview.probes.power.energy_source import Counter, Measurement, Moment, PowerIntegral, SourceStill
from wattview.probes.power.powercap_zone import growth
from wattview.probes.power.update_interval import UpdateInterval

LISTING_SECONDS = 10.0
METER_HZ = 1.0
COUNTER_HZ = 10.0


class Meter(NamedTuple):
    """Sensors of one driver that together cover the host, each once.

    ``sensor`` matches a sensor's label, or an ACPI meter's manufacturer text, or its bare name (``power1``). ``alone``:
    only if it is the only such sensor, as the meaning of several is undocumented.
    """

    chip: str
    sensor: re.Pattern[str]
    alone: bool = False


MACHINE_METERS = (
    # NVIDIA Grace: ACPI meters for each socket, and for its parts. A module is the socket with its GPU.
    Meter("power_meter", re.compile(r"Module Power Socket \d+")),
    # Documentation/hwmon/acpi_power_meter.rst: a server's power, from its firmware.
    Meter("power_meter", re.compile(r"(?!Grace Power Socket).*"), alone=True),
    # Documentation/hwmon/corsair-psu.rst: power1 is the total, the others are its rails.
    Meter("corsairpsu", re.compile(r"power total|power1"), alone=True),
)
PROCESSOR_METERS = (
    Meter("power_meter", re.compile(r"Grace Power Socket \d+")),
    # Documentation/hwmon/xgene-hwmon.rst: CPU and I/O of APM's X-Gene.
    Meter("apm_xgene", re.compile(r"(CPU|IO) power")),
    # Documentation/hwmon/amd_energy.rst (Linux 5.8 to 5.12): the sockets, not the cores in them.
    Meter("amd_energy", re.compile(r"Esocket\d+")),
    # Documentation/hwmon/fam15h_power.rst: whole packages.
    Meter("fam15h_power", re.compile(r"power1")),
)
"""The first that this machine has is used, and no other."""

_SENSOR = re.compile(r"((?:power|energy)\d+)_(?:input|average)")
_VALUES = ("input", "average")
_NOTHING_THERE = (errno.ENODATA, errno.ENXIO, errno.ENODEV, errno.ENOENT)


def make(config: Config) -> HwmonMeters:
    """The source, as configured."""
    return HwmonMeters(config.paths.sysfs, "hwmon", MACHINE_METERS)


class HwmonMeters:
    """The host's power by its own meter: see ``EnergySource``.

    Energy comes from the sensor's counter (``energy*_input``) if it has one, else it is the integral of the power
    readings. ``measure`` raises SourceAbsent if no sensor covers the host, SourceRefused without permission,
    SourceBroken if a value is invalid, and SourceStill if all of them report 0 W.
    """

    def __init__(self, sysfs: str | Path, name: PowerSource, meters: tuple[Meter, ...]) -> None:
        self.name = name
        self._meters = meters
        self._root = Path(sysfs) / "class" / "hwmon"
        self._files: list[KernelFile] = []
        self._counters: dict[str, _Counter] = {}
        self._list_at = float("-inf")
        self._integral = PowerIntegral()
        self._most: dict[Meter, collections.Counter[str]] = {}
        self._missing = ""

    @property
    def counts(self) -> bool:
        return bool(self._files) and all(_is_energy(file.path) for file in self._files)

    @property
    def useful_hz(self) -> float:
        """A meter's power is a mean over a second or more; a counter shows each of its updates."""
        return COUNTER_HZ if self.counts else METER_HZ

    def measure(self, now: Moment) -> Measurement:
        if now.boottime >= self._list_at:
            self._list()
            self._list_at = now.boottime + LISTING_SECONDS
        if not self._files:
            raise SourceAbsent(f"no sensor under {self._root} measures the host")
        if self._missing:
            raise SourceBroken(
                f"{self._missing}, and the sum without it would be too small",
                "load its driver again, or restart WattView to measure without it",
            )
        watts = 0.0
        metered = False
        for file in self._files:
            value = self._read(file)
            if _is_energy(file.path):
                self._counters.setdefault(file.path, _Counter()).take(now, value)
            else:
                metered = True
                watts += value / 1e6
        if metered and watts == 0:
            raise SourceStill(f"{self._files[0].path} reads 0 W, which is impossible")
        counted = sum(counter.total for counter in self._counters.values())
        return Measurement(
            counted + (self._integral.add(now, watts) if metered else 0),
            counters=tuple(
                counter.shown(file.path)
                for file in self._files
                if (counter := self._counters.get(file.path)) is not None
            ),
        )

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _read(self, file: KernelFile) -> int:
        try:
            value = int(file.read())
        except PermissionError:
            raise SourceRefused(
                f"{file.path} may not be read by this user",
                f"run: sudo chown {os.geteuid()} {file.path} (until the next boot)",
            ) from None
        except OSError as error:
            self._list_at = float("-inf")
            if error.errno in _NOTHING_THERE:
                raise SourceAbsent(f"{file.path} gives no value: {error.strerror}") from None
            raise SourceBroken(f"{file.path} cannot be read: {error.strerror}") from None
        except ValueError:
            raise SourceBroken(f"{file.path} does not hold a number") from None
        if value < 0:
            raise SourceBroken(f"{file.path} holds {value}, which is not a possible energy or power")
        if not _is_energy(file.path) and (reason := implausible(value / 1e6, HOST_WATTS)):
            raise SourceBroken(f"{file.path}: {reason}")
        return value

    def _list(self) -> None:
        chips = list(self._chips())
        for meter in self._meters:
            all_sensors = [one for chip, directory in chips if chip == meter.chip for one in _sensors(directory)]
            found = [(identity, file) for identity, file in all_sensors if meter.sensor.fullmatch(identity)]
            if found and not (meter.alone and len(found) > 1):
                self._missing = self._lacking(meter, [name for name, _ in found], [name for name, _ in all_sensors])
                self._use([file for _, file in found])
                return
        self._use([])

    def _lacking(self, meter: Meter, found: list[str], everywhere: list[str]) -> str:
        """What these sensors lack to cover the host; "" if they are complete: all that existed before, and one for each
        socket with any sensor."""
        most = self._most[meter] = self._most.get(meter, collections.Counter()) | collections.Counter(found)
        gone = sorted((most - collections.Counter(found)).keys())
        if gone:
            return f"the sensor {gone[0]!r} has gone"
        sockets = sorted(_sockets(everywhere) - _sockets(found))
        return f"socket {sockets[0]} has no such sensor as {found[0]!r}" if sockets and _sockets(found) else ""

    def _use(self, files: list[Path]) -> None:
        """A sensor that is already in use stays open."""
        kept = {file.path: file for file in self._files}
        self._files = [kept.get(str(file)) or KernelFile(file, size=64) for file in files]

    def _chips(self) -> Iterator[tuple[str, Path]]:
        """(name, directory) of each chip. Older drivers keep their files in the device, not in the hwmon directory."""
        try:
            entries = sorted(self._root.iterdir())
        except OSError:
            return
        for entry in entries:
            for directory in (entry, entry / "device"):
                name = text_of(directory / "name") or text_of(entry / "name")
                if name and any(_sensors(directory)):
                    yield name, directory
                    break


class _Counter:
    """One sensor that counts energy. ``total``: microjoules since it was first read."""

    def __init__(self) -> None:
        self.total = 0
        self.moving = False
        self.updates = UpdateInterval()
        self._last: tuple[Moment, int] | None = None

    def take(self, now: Moment, value: int) -> None:
        self.updates.look(now.monotonic, value)
        if self._last is not None:
            before, shown = self._last
            self.total += growth(shown, value, 0, now.boottime - before.boottime)
            self.moving = self.moving or value != shown
        self._last = now, value

    def shown(self, path: str) -> Counter:
        resting = self.moving and self.updates.resting
        return Counter(path, self.total, self.moving, resting, self.updates.seconds)


def _sensors(directory: Path) -> Iterator[tuple[str, Path]]:
    """(identity, file with its value) of each sensor of power or energy in a chip's directory."""
    try:
        files = {file.name for file in directory.iterdir()}
    except OSError:
        return
    for sensor in sorted({match[1] for file in files if (match := _SENSOR.fullmatch(file))}):
        if text_of(directory / f"{sensor}_is_battery") == "1":
            continue
        identity = text_of(directory / f"{sensor}_label") or text_of(directory / f"{sensor}_oem_info") or sensor
        value = next(value for value in _VALUES if f"{sensor}_{value}" in files)
        yield identity, directory / f"{sensor}_{value}"


_SOCKET = re.compile(r"(?i:socket) ?(\d+)")


def _sockets(identities: list[str]) -> set[str]:
    return {match[1] for identity in identities if (match := _SOCKET.search(identity))}


def _is_energy(path: str) -> bool:
    return os.path.basename(path).startswith("energy")
