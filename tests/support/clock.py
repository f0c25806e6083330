"""A clock that a test turns by hand, for probes that take one."""

from __future__ import annotations

from collections.abc import Callable

from wattview.probes.power.energy_source import Moment

EPOCH = 1_700_000_000.0
BOOT = 5_000.0


class FakeClock:
    """Three clocks that start at fixed times. ``advance`` lets time go by; ``suspend`` suspends the machine; ``set_by``
    is how far the wall clock has been set ahead."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.asleep = 0.0
        self.set_by = 0.0

    def __call__(self) -> Moment:
        awake = self.seconds - self.asleep
        return Moment(EPOCH + self.seconds + self.set_by, BOOT + awake, BOOT + self.seconds)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def suspend(self, seconds: float) -> None:
        self.seconds += seconds
        self.asleep += seconds


class RunningClock(FakeClock):
    """A clock on which time goes by whenever somebody looks at it or pauses, and the machine with it: ``machine`` is
    told the seconds since the start. What is read between two looks is read at the first."""

    def __init__(self, machine: Callable[[float], None], look_seconds: float = 40e-6) -> None:
        super().__init__()
        self._machine = machine
        self._look_seconds = look_seconds

    def __call__(self) -> Moment:
        self.seconds += self._look_seconds
        self._machine(self.seconds)
        return super().__call__()

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
