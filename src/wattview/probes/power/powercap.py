"""RAPL energy counters through the kernel's powercap tree: finding the zones, reading them, adding them up.

The tree is ``<sysfs>/class/powercap`` (Documentation/power/powercap/powercap.rst; drivers/powercap/intel_rapl_common.c,
which serves AMD too). The kernel's code shows what that document leaves out:

- Zones are numbered in hexadecimal: the eleventh package is ``intel-rapl:a``.
- A zone's ``energy_uj`` wraps after ``max_energy_range_uj``, from minutes (a large socket) to hours (a small one).
- ``psys`` is the whole platform and a sibling of the packages; on a machine with several sockets only one of them, not
  always the first, has it, and it is then called ``psys-1``.
- ``enabled`` is about the power *limit* of a zone: a zone counts even if it is 0 (on AMD it always is). Only a counter
  that does not move shows that a zone measures nothing.
- ``intel-rapl-mmio`` repeats the same packages through another register window.
- On AMD's larger processors Linux 6.9 to 6.12 repeats the one counter of a package for each of its dies
  (``package-0-die-0`` …), as if each die drew the whole package's power.
- ``energy_uj`` is readable by root only, with mode 0400, since Linux 5.10 (CVE-2020-8694).

A package includes its core and uncore, but not its DRAM; psys includes all. The host is therefore psys if that counts,
else packages + DRAM, each once. If a part of that sum cannot be read, the host's figure is None, never a smaller sum.
Only sysfs is read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from wattview.config import Config
from wattview.model import Fault, PowerSource
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.power.energy_source import Counter, Glance, Measurement, Moment, SourceStill, ZoneEnergy
from wattview.probes.power.powercap_zone import Kind, PowercapZone, text_or_none

LISTING_SECONDS = 60.0
"""How often the tree is scanned for new zones (a socket put online, a module loaded)."""

RELISTING_SECONDS = 1.0
"""How soon it is scanned again after a zone failed: the zone may be gone."""

PSYS_TRIAL_JOULES = 50.0
PSYS_LEAST_SHARE = 0.9
"""A platform counts at least as much as its packages. If psys has less than this share of them after the packages
counted so many joules, its board was never calibrated for it, and psys is not used."""

SAME_COUNTER_MICROJOULES = 5_000_000
"""Two dies whose counters are still equal after this much more energy have the same counter."""

_ZONE = re.compile(r"intel-rapl[a-z-]*(?::[0-9a-f]+)+")


class PowercapZones:
    """All RAPL zones of a machine and the energy of the host: see ``EnergySource``.

    ``measure`` raises SourceAbsent if the kernel lists no zone, SourceRefused without permission for any, SourceBroken
    if none has a number, and SourceStill if no counter moves (as in many virtual machines).
    """

    name: PowerSource = "rapl"
    useful_hz = 100.0
    counts = True

    def __init__(self, config: Config) -> None:
        self._root = Path(config.paths.sysfs) / "class" / "powercap"
        self._zones: dict[str, PowercapZone] = {}
        self._gone: dict[str, PowercapZone] = {}
        self._nameless: list[Fault] = []
        self._dies = _Dies()
        self._list_at = float("-inf")
        self._host = 0
        self._psys_grown = 0
        self._packages_grown = 0
        self._psys_too_small = False

    def glance(self) -> Glance | None:
        try:
            return {path: zone.glance() for path, zone in self._zones.items()} or None
        except OSError:
            return None

    def measure(self, now: Moment, seen: Glance | None = None) -> Measurement:
        if seen is None and now.boottime >= self._list_at:
            self._list()
            self._list_at = now.boottime + LISTING_SECONDS
        grown: dict[str, int] = {}
        faults = list(self._nameless)
        refused = False
        for zone in self._zones.values():
            try:
                grown[zone.path] = zone.read(now, zone.glance() if seen is None else seen[zone.path])
            except PermissionError:
                refused = True
                faults.append(Fault(zone.path, "energy_uj may not be read by this user", self._permission()))
            except OSError as error:
                faults.append(Fault(zone.path, f"energy_uj cannot be read: {error.strerror}"))
            except ValueError as error:
                faults.append(Fault(zone.path, str(error)))
        if self._gone:
            faults += [_gone_fault(zone) for zone in self._gone.values()]
        faults += [_endless_fault(zone) for zone in self._zones.values() if zone.wrapped_unseen]
        if len(grown) < len(self._zones):
            self._list_at = min(self._list_at, now.boottime + RELISTING_SECONDS)
        self._host += self._dies.judge(self._zones, grown)
        read = [zone for zone in self._zones.values() if zone.path in grown]
        alive = [zone for zone in read if not zone.still]
        faults += [_still_fault(zone) for zone in read if zone.still]
        self._require_some(read, alive, refused, faults)
        self._judge_psys(grown)
        if self._psys_too_small:
            faults.append(Fault("psys", "it counts less than the packages that it contains, and is ignored"))
        psys = self._psys()
        counted = psys or self._packages_and_dram()
        self._host += sum([grown.get(zone.path, 0) for zone in counted if zone.path not in self._dies.undecided])
        known = bool(psys) or not (self._nameless or self._dies.undecided)
        whole = bool(counted) and all(zone in alive for zone in counted) and known
        return Measurement(
            host_microjoules=self._host if whole else None,
            counters=tuple(
                [
                    Counter(zone.path, zone.total, zone.moving, zone.resting, zone.update_seconds)
                    for zone in alive
                    if zone in counted
                ]
            ),
            zones=tuple(
                [
                    ZoneEnergy(zone.path, zone.package, zone.zone, zone.total, zone.moving, zone in counted)
                    for zone in alive
                ]
            ),
            faults=tuple(faults),
        )

    def close(self) -> None:
        for zone in self._zones.values():
            zone.close()

    def _psys(self) -> list[PowercapZone]:
        """The platform's zone, once its counter has moved: on many machines it exists but stands still. It is
        undocumented whether two of them are halves, or the same twice, so then the packages are added up instead."""
        known = [zone for zone in (*self._zones.values(), *self._gone.values()) if zone.kind == "psys"]
        return known if len(known) == 1 and known[0].moving and not self._psys_too_small else []

    def _judge_psys(self, grown: dict[str, int]) -> None:
        """The verdict "wrong" is final: a figure that alternates between two meanings would be worse than either."""
        psys = [zone for zone in self._zones.values() if zone.kind == "psys" and zone.moving]
        if len(psys) != 1:
            return
        packages = [zone for zone in self._zones.values() if zone.kind == "package"]
        if any(zone.path not in grown for zone in (*packages, *psys)):
            return
        self._psys_grown += grown[psys[0].path]
        self._packages_grown += sum(grown[zone.path] for zone in packages)
        if self._packages_grown > PSYS_TRIAL_JOULES * 1e6:
            self._psys_too_small |= self._psys_grown < PSYS_LEAST_SHARE * self._packages_grown

    def _packages_and_dram(self) -> list[PowercapZone]:
        """A dead DRAM counter is left out and reported. A package that is dead or gone is not left out: it makes the
        sum unknown."""
        known = [*self._zones.values(), *self._gone.values()]
        return [zone for zone in known if zone.kind == "package" or (zone.kind == "dram" and not zone.still)]

    def _require_some(
        self, read: list[PowercapZone], alive: list[PowercapZone], refused: bool, faults: list[Fault]
    ) -> None:
        if alive:
            return
        if read:
            raise SourceStill(
                "the RAPL counters do not move: "
                + ", ".join(zone.path + (" (disabled)" if zone.disabled else "") for zone in read)
                + "; a virtual machine may show counters that its hypervisor does not update"
            )
        if refused:
            raise SourceRefused("the RAPL counters (energy_uj) are readable by root only", self._permission())
        raise SourceBroken("; ".join(f"{fault.part}: {fault.reason}" for fault in faults) or "no RAPL zone can be read")

    def _permission(self) -> str:
        """Ownership rather than ``a+r``: power traces leak secrets (CVE-2020-8694). sysfs has no ACLs."""
        return f"run: sudo chown {os.geteuid()} {self._root}/intel-rapl*:*/energy_uj (until the next boot)"

    def _list(self) -> None:
        """Scans the tree. A zone that still exists keeps its state; one that is gone is remembered as gone."""
        directories = self._directories()
        known = self._zones | self._gone
        self._nameless = []
        zones: dict[str, PowercapZone] = {}
        taken: dict[tuple[str, str], str] = {}
        packages: dict[str, str] = {}
        self._dies.keep(directories)
        for path in sorted(directories, key=_order):
            control_type, _, parent = _parts(path)
            if path in self._dies.repeated or parent in self._dies.repeated:
                known.pop(path, None)
                continue
            if not _ZONE.fullmatch(path):
                self._nameless.append(Fault(path, "it is not numbered as zones are"))
                continue
            name = text_or_none(directories[path] / "name")
            if not name or (parent and parent not in packages):
                self._nameless.append(Fault(path, "it has no name"))
                continue
            package, label, kind = _labels(name, packages.get(parent, ""))
            if kind == "other":
                self._nameless.append(Fault(path, f"it is unknown what a zone called {name!r} counts"))
            if (package, label) in taken:
                if taken[package, label] != control_type:
                    packages[path] = package
                    continue  # the same registers through another window
                package, label = (package, f"{label} ({path})") if parent else (f"{name} ({path})",) * 2
            taken[package, label] = control_type
            packages[path] = package
            zone = known.get(path)
            if zone is None or (zone.package, zone.zone) != (package, label):
                zone = PowercapZone(path, directories[path], package, label, kind)
            zones[path] = zone
        if not zones and not self._nameless:
            self._zones, self._gone = {}, {}
            raise SourceAbsent(
                f"there is no RAPL zone under {self._root}",
                "on a real machine, run: sudo modprobe intel_rapl_msr (a virtual machine rarely has RAPL)",
            )
        self._zones, self._gone = zones, {path: zone for path, zone in known.items() if path not in zones}

    def _directories(self) -> dict[str, Path]:
        """Every zone's directory, by the kernel's name of the zone. Both forms of the tree are supported: the class
        directory with its flat links, and a single control type with nested zones, as in a bind mount."""
        found: dict[str, Path] = {}
        dangling = False

        def walk(directory: Path, top: bool) -> None:
            nonlocal dangling
            with os.scandir(directory) as entries:
                for entry in entries:
                    if not entry.name.startswith("intel-rapl"):
                        continue
                    if not entry.is_dir():
                        dangling = dangling or entry.is_symlink()
                    elif ":" in entry.name:
                        found.setdefault(entry.name, Path(entry.path))
                        walk(Path(entry.path), top=False)
                    elif top:
                        walk(Path(entry.path), top=False)

        try:
            walk(self._root, top=True)
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            raise SourceRefused(f"{error.filename} may not be listed by this user") from None
        except OSError as error:
            raise SourceBroken(f"{error.filename} cannot be listed: {error.strerror}") from None
        if dangling and not found:
            raise SourceRefused(
                f"{self._root} links to zones that are hidden here, as container engines do",
                "start the container with -v /sys:/host/sys:ro, and WattView with --set paths.sysfs=/host/sys"
                " (as another user than root also with --cap-add DAC_READ_SEARCH)",
            )
        return found


make = PowercapZones


class _Dies:
    """Zones that repeat their package's counter. This is known once both have been read; while it is possible but
    undecided, the sum is unknown.

    ``repeated`` and ``undecided`` are zones by path. A repeated die stays one for as long as its zone exists.
    """

    def __init__(self) -> None:
        self.repeated: set[str] = set()
        self.undecided: set[str] = set()
        self._apart: set[tuple[str, str]] = set()
        self._met: dict[tuple[str, str], int] = {}

    def keep(self, paths: Collection[str]) -> None:
        """Forgets zones that no longer exist."""
        self.repeated &= set(paths)
        self._apart = {pair for pair in self._apart if set(pair) <= set(paths)}
        self._met = {pair: total for pair, total in self._met.items() if set(pair) <= set(paths)}

    def judge(self, zones: dict[str, PowercapZone], grown: dict[str, int]) -> int:
        """Removes repeated zones, and their parts, from ``zones``. Returns the microjoules counted before this reading
        by dies that turned out to be independent."""
        packages = [zone for zone in zones.values() if zone.kind == "package"]
        if len(packages) < 2 and not (self.undecided or self.repeated):
            return 0
        undecided: set[str] = set()
        for number, zone in enumerate(packages):
            for other in packages[:number]:
                if other.path in self.repeated or not zone.shares_package(other):
                    continue
                verdict = self._same(other, zone, grown)
                if verdict:
                    self.repeated.add(zone.path)
                    break
                if verdict is None:
                    undecided.add(zone.path)
        for path in [path for path in zones if path in self.repeated or path.rpartition(":")[0] in self.repeated]:
            zones.pop(path).close()
        decided = self.undecided - undecided - self.repeated
        self.undecided = undecided - self.repeated
        return sum(zones[path].total - grown.get(path, 0) for path in decided if path in zones)

    def _same(self, one: PowercapZone, other: PowercapZone, grown: dict[str, int]) -> bool | None:
        pair = one.path, other.path
        if pair in self._apart:
            return False
        if one.path not in grown or other.path not in grown:
            return None
        if not one.shows_the_same(other):
            self._apart.add(pair)
            return False
        met = self._met.setdefault(pair, other.total)
        return True if other.total - met >= SAME_COUNTER_MICROJOULES else None


def _labels(name: str, package: str) -> tuple[str, str, Kind]:
    """(package label, zone label, kind) of a zone, from its name and its parent's package label ("" at the top)."""
    if package:
        return package, name, "dram" if name == "dram" else "part"
    if name.startswith("package-"):
        return name, name, "package"
    if name == "dram":
        return name, name, "dram"
    if name == "psys" or name.startswith("psys-"):
        return "psys", "psys", "psys"
    return name, name, "other"


def _parts(path: str) -> tuple[str, tuple[int, ...], str]:
    """(control type, numbers, parent zone or "") of ``intel-rapl:0:1``. An invalid number sorts last."""
    control_type, numbers = path.split(":", 1)
    parent = path.rpartition(":")[0] if ":" in numbers else ""
    return control_type, tuple(_hexadecimal(number) for number in numbers.split(":")), parent


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return sys.maxsize


def _order(path: str) -> tuple[str, tuple[int, ...]]:
    """By control type, MSR before MMIO, and a parent before its parts."""
    control_type, numbers, _ = _parts(path)
    return control_type, numbers


def _still_fault(zone: PowercapZone) -> Fault:
    disabled = " and the zone is disabled (its `enabled` is 0)" if zone.disabled else ""
    return Fault(
        zone.path, f"the counter of {zone.package}/{zone.zone} has not moved since it was first read{disabled}"
    )


def _endless_fault(zone: PowercapZone) -> Fault:
    return Fault(zone.path, "its counter fell and max_energy_range_uj is unknown: the energy up to its wrap is missing")


def _gone_fault(zone: PowercapZone) -> Fault:
    return Fault(
        zone.path,
        f"{zone.package}/{zone.zone} has disappeared from the powercap tree",
        "put its CPUs online again, or restart WattView to measure without it",
    )
