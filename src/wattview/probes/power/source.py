"""What every source of power gives: its energy so far at one moment. Plain types, no I/O but the clocks."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

from wattview.model import Fault, PowerSource
from wattview.probes import SourceBroken


class Moment(NamedTuple):
    """One instant on three clocks. ``boottime`` goes on while the machine sleeps, ``monotonic`` does not."""

    time: float
    monotonic: float
    boottime: float


def moment() -> Moment:
    """Now."""
    return Moment(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))


def slept(before: Moment, now: Moment) -> bool:
    """The machine was suspended in between."""
    return (now.boottime - before.boottime) - (now.monotonic - before.monotonic) > 0.5


class ZoneEnergy(NamedTuple):
    """The energy of one powercap zone. ``moving``: its counter has moved since it was first read. ``resting``: it has
    moved, and does not now. ``update_seconds``: see ``UpdateInterval``."""

    path: str
    package: str
    zone: str
    microjoules: int
    moving: bool
    counted: bool
    resting: bool = False
    update_seconds: float | None = None


class Measurement(NamedTuple):
    """What a source has counted so far. ``host_microjoules`` only grows; None where a part of it is missing now."""

    host_microjoules: int | None
    zones: tuple[ZoneEnergy, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def counters(self) -> dict[str, int]:
        """Microjoules of the counters that the host's figure is made of and that have moved, by path."""
        return {zone.path: zone.microjoules for zone in self.zones if zone.counted and zone.moving}

    @property
    def awaited(self) -> frozenset[str]:
        """The counters of the host's figure that are not known to stand still: an update of each can be waited for."""
        return frozenset(zone.path for zone in self.zones if zone.counted and not zone.resting)

    @property
    def update_seconds(self) -> float | None:
        """The longest update interval of those; None where one of them has not been updated twice."""
        known = [zone.update_seconds for zone in self.zones if zone.counted and not zone.resting]
        return None if not known or None in known else max(seconds for seconds in known if seconds is not None)


class SourceStill(SourceBroken):
    """Its counters exist, may be read, and do not move: there is nothing behind them."""


class EnergySource(Protocol):
    """One way to learn the host's energy. ``useful_hz``: reading it more often than that shows nothing new.
    ``counts``: its energy is that of hardware counters, so that two readings are bounds of what was used between."""

    name: PowerSource
    useful_hz: float
    counts: bool

    def measure(self, now: Moment) -> Measurement:
        """The energy at ``now``. Raises SourceError where there is none."""
        ...

    def close(self) -> None: ...


class PowerIntegral:
    """Energy out of readings of power, for meters that do not count it themselves: the area under the straight lines
    between them. Time asleep adds nothing, because nobody read the meter."""

    __slots__ = ("_last", "_watts", "microjoules")

    def __init__(self) -> None:
        self.microjoules = 0
        self._last: Moment | None = None
        self._watts = 0.0

    def add(self, now: Moment, watts: float) -> int:
        """Takes a reading, and returns the energy since the first."""
        if self._last is not None and not slept(self._last, now):
            mean = (self._watts + watts) / 2
            self.microjoules += round(mean * (now.monotonic - self._last.monotonic) * 1e6)
        self._last, self._watts = now, watts
        return self.microjoules
