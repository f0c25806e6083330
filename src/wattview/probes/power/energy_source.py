"""The interface of power sources: energy so far at one moment. Plain types, no I/O but the clocks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from msgspec import Struct

from wattview.model import Fault, PowerSource
from wattview.probes import SourceBroken


class Moment(Struct, frozen=True, gc=False):
    """One instant on three clocks. ``boottime`` continues while the machine is suspended, ``monotonic`` does not."""

    time: float
    monotonic: float
    boottime: float

    @property
    def epoch(self) -> float:
        """The Unix time of boottime 0. It changes only when the wall clock is set."""
        return self.time - self.boottime


def moment() -> Moment:
    """Now."""
    return Moment(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))


def slept(before: Moment, now: Moment) -> bool:
    """The machine was suspended in between."""
    return (now.boottime - before.boottime) - (now.monotonic - before.monotonic) > 0.5


class ZoneEnergy(Struct, frozen=True, gc=False):
    """The energy of one powercap zone. ``moving``: its counter has moved since it was first read."""

    path: str
    package: str
    zone: str
    microjoules: int
    moving: bool
    counted: bool


class Counter(Struct, frozen=True, gc=False):
    """One of the hardware counters behind the host's figure. ``moving``: it has moved since it was first read;
    ``resting``: it does not move now. ``update_seconds``: see ``UpdateInterval``."""

    path: str
    microjoules: int
    moving: bool
    resting: bool
    update_seconds: float | None


class Measurement(Struct, frozen=True, gc=False):
    """Energy counted by a source so far. ``host_microjoules`` never falls; None if a part of it is missing now.
    ``counters``: those behind it, for a source that ``counts``. ``idle_watts`` is the host's idle power if the source
    itself assumes one, that is, an estimate."""

    host_microjoules: int | None
    counters: tuple[Counter, ...] = ()
    zones: tuple[ZoneEnergy, ...] = ()
    faults: tuple[Fault, ...] = ()
    idle_watts: float | None = None

    @property
    def shown(self) -> dict[str, int]:
        """The values of the counters that have moved, in microjoules, by path."""
        return {counter.path: counter.microjoules for counter in self.counters if counter.moving}

    @property
    def awaited(self) -> frozenset[str]:
        """The counters that are not known to stand still, whose next update can be awaited."""
        return frozenset([counter.path for counter in self.counters if not counter.resting])

    @property
    def update_seconds(self) -> float | None:
        """The longest update interval of those; None if one of them has not been updated twice."""
        known = [counter.update_seconds for counter in self.counters if not counter.resting]
        return None if not known or None in known else max([seconds for seconds in known if seconds is not None])


class SourceStill(SourceBroken):
    """The counters exist and are readable, but do not move: they measure nothing."""


Glance = Mapping[str, bytes]
"""What the files of a source's counters contained at one moment, by path."""


class EnergySource(Protocol):
    """A source of the host's energy. ``useful_hz``: reading it more often shows nothing new. ``counts``: its energy
    comes from hardware counters, so that two readings bound the energy used in between."""

    name: PowerSource

    @property
    def useful_hz(self) -> float: ...

    @property
    def counts(self) -> bool: ...

    def measure(self, now: Moment) -> Measurement:
        """The energy at ``now``. Raises SourceError if there is none."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class GlancedSource(EnergySource, Protocol):
    """A source whose counters can be read now and taken later, in order: to read them costs a fraction of that."""

    def glance(self) -> Glance | None:
        """What the counters show now; None where one cannot be read, or none is known yet."""
        ...

    def measure(self, now: Moment, seen: Glance | None = None) -> Measurement:
        """The energy at ``now``, from what was ``seen`` then."""
        ...


class PowerIntegral:
    """Energy from readings of power, for meters that do not count it: the area under the straight lines between them.
    Time suspended adds nothing, because the meter was not read."""

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
