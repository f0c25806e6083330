"""One RAPL zone: its energy counter, kept open, unwrapped, and validated.

The files are those of Documentation/power/powercap/powercap.rst: ``energy_uj``, ``max_energy_range_uj``, ``enabled``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from wattview.probes.kernel_files import KernelFile, read_once
from wattview.probes.plausible import ZONE_WATTS
from wattview.probes.power.energy_source import Moment, slept
from wattview.probes.power.update_interval import UpdateInterval

MAX_ZONE_WATTS = ZONE_WATTS.most
"""A counter that grew faster did not count energy: it was reset or corrupted."""

COUNTER_TICK_SECONDS = 0.1
"""Added to an interval before its power is judged: counters move in steps, and short intervals exaggerate them."""

STILL_SECONDS = 1.25
"""A counter that did not move for this long after it was first read measures nothing. Most move every millisecond; the
slowest are updated once a second."""

SAME_REGISTER_MICROJOULES = 1_000_000
"""Counters of one package's dies that are this close are one counter: independent ones range over 65 kJ and more."""

Kind = Literal["psys", "package", "dram", "part", "other"]


def growth(before: int, now: int, range_uj: int, elapsed_seconds: float, after_sleep: bool = False) -> int:
    """The microjoules that a wrapping counter has counted between two readings.

    A counter that fell has wrapped once, if the resulting power is plausible and the machine was not suspended.
    Otherwise it was reset to 0 in between (by the suspend, or a write to ``energy_uj``), and its new value was counted
    since. An implausible jump counts nothing. ``elapsed_seconds`` includes time suspended, or the little that a machine
    draws in a night would look like a jump. Over a gap longer than the counter takes to wrap (minutes at full load),
    and over a suspend with a wrap in it, energy is missed: the result is a lower bound, never too much.
    """
    possible = MAX_ZONE_WATTS * (elapsed_seconds + COUNTER_TICK_SECONDS) * 1e6
    if now >= before:
        candidates: tuple[int, ...] = (now - before,)
    else:
        candidates = (now,) if after_sleep else (now - before + range_uj, now)
    return next((grown for grown in candidates if 0 <= grown <= possible), 0)


class PowercapZone:
    """One zone and its counter, open and unwrapped.

    ``total`` is the microjoules counted since the first read: it starts at 0, so that Prometheus' ``increase``, which
    sees it fall after a restart, adds what was counted since, and not what the kernel had counted long before.
    """

    def __init__(self, path: str, directory: Path, package: str, zone: str, kind: Kind) -> None:
        self.path = path
        self.package = package
        self.zone = zone
        self.kind = kind
        self.total = 0
        self.moving = False
        self.wrapped_unseen = False
        """It fell, and it is unknown whether it wrapped or was reset."""
        self.disabled = text_or_none(directory / "enabled") == "0"
        self._range = _range(directory)
        self._file = KernelFile(directory / "energy_uj", size=64)
        self._raw = 0
        self._updates = UpdateInterval()
        self._first: Moment | None = None
        self._last: Moment | None = None

    def glance(self) -> bytes:
        """The content of the counter's file, for ``read``. Raises the kernel's OSError."""
        return self._file.read()

    def read(self, now: Moment, seen: bytes) -> int:
        """Takes what the counter's file contained at ``now``; returns the microjoules since the last time (0 at first).

        Raises ValueError if that is not a number.
        """
        raw = self._number(seen)
        self._updates.look(now.monotonic, raw)
        last, self._last = self._last, now
        if last is None:
            self._raw, self._first = raw, now
            return 0
        before, self._raw = self._raw, raw
        grown = growth(before, raw, self._range, now.boottime - last.boottime, slept(last, now))
        self.moving = self.moving or raw != before
        self.wrapped_unseen |= raw < before and not self._range
        self.total += grown
        return grown

    def _number(self, data: bytes) -> int:
        try:
            raw = int(data)
        except ValueError:
            raw = -1
        if raw < 0:
            self._file.close()
            raise ValueError(f"energy_uj holds {data[:40]!r}, not a number of microjoules")
        return raw

    @property
    def still(self) -> bool:
        """The counter has not moved once although it had the time to: it measures nothing."""
        if self.moving or self._first is None or self._last is None:
            return False
        return self._last.monotonic - self._first.monotonic >= STILL_SECONDS

    @property
    def update_seconds(self) -> float | None:
        """The counter's update interval: see ``UpdateInterval``."""
        return self._updates.seconds

    @property
    def resting(self) -> bool:
        """The counter has moved before, and does not move now."""
        return self.moving and self._updates.resting

    def shares_package(self, other: PowercapZone) -> bool:
        """Both are dies of one package."""
        mine, theirs = self.package.partition("-die-"), other.package.partition("-die-")
        return bool(mine[1]) and mine[0] == theirs[0] and self.kind == other.kind == "package"

    def shows_the_same(self, other: PowercapZone) -> bool:
        """Both counters had the same value at their last reads."""
        apart = abs(self._raw - other._raw)
        return min(apart, abs(max(self._range, other._range) - apart)) < SAME_REGISTER_MICROJOULES

    def close(self) -> None:
        self._file.close()


def text_or_none(file: Path) -> str | None:
    try:
        return read_once(str(file)).decode("utf-8", "replace").strip()
    except OSError:
        return None


def _range(directory: Path) -> int:
    text = text_or_none(directory / "max_energy_range_uj")
    return int(text) if text and text.isdecimal() else 0
