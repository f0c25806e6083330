"""The state of one meter by its answers: power, energy, refresh interval, and whether it still refreshes.

Energy is the meter's own counter, interpolated between two of its steps by the power: plugs' counters move in steps of
a watt-minute to a watt-hour, or once a minute. Without a counter it is the integral of power. No energy is invented for
a time without readings: the sum is unknown for windows that include it. Pure: no I/O, and no clock but the given
``Moment``.
"""

from __future__ import annotations

import math
from collections import deque

from wattview.model import Fault
from wattview.probes import SourceError
from wattview.probes.meters.answer import MeterAnswer
from wattview.probes.plausible import METER_WATTS, implausible
from wattview.probes.power.energy_source import Moment, slept

STALE_REFRESHES = 10
STALE_SECONDS = 60.0
LONGEST = 3
"""A meter has stopped if it repeats a value for this many refreshes, for at least this long, and for this many times
its longest recent repetition."""

MISSED = 4
LEAST_MISSED_SECONDS = 10.0
"""A meter that missed this many answers, for this long, has no figure any more."""

INTERVALS = 20
"""How many of the last intervals between two changes determine a meter's refresh interval."""

FEW = 3
SPREAD = 1.6
DIGITS = 3
"""How many of them are enough; by how much an interval may exceed another with the same number of refreshes; how many
decimals of watts are meaningful."""


class MeterRecord:
    """The last answers of one meter, which is read every ``interval_seconds``."""

    def __init__(self, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.watts: float | None = None
        self.changed: Moment | None = None
        self._alive: Moment | None = None
        self._began: Moment | None = None
        self.answered: Moment | None = None
        self.error: SourceError | None = None
        self.fault: Fault | None = None
        self.since = 0.0
        self._answer: MeterAnswer | None = None
        self._energy = MeterEnergy()
        self._intervals: deque[float] = deque(maxlen=INTERVALS)
        self._steps = _Steps()

    def take(self, now: Moment, answer: MeterAnswer) -> None:
        """An answer that came at ``now``."""
        self.error, self.fault = None, None
        if answer.watts is not None and (reason := implausible(answer.watts, METER_WATTS)):
            self.fault = Fault("power", reason)
            answer = answer._replace(watts=None)
        before = self._answer
        last = self.answered
        gap = last is None or self._missed(now, last) or slept(last, now) or self.stopped(last)
        if self.changed is None or before is None or _moved(before, answer):
            if self.changed is not None and not gap:
                self._intervals.append(now.monotonic - self.changed.monotonic)
            self.changed = now
        if self._alive is None or before is None or before != answer:
            self._alive = now
        if self._energy.take(now, answer, gap=gap):
            self.since = now.time
        if answer.watts is not None:
            self._steps.take(answer.watts)
        self._answer, self.watts, self.answered = answer, answer.watts, now

    def failed(self, error: SourceError) -> None:
        """There was no answer."""
        self.error = error

    @property
    def refresh_seconds(self) -> float | None:
        """The observed refresh interval, not shorter than the reading interval; None until it was seen a few times. A
        value that repeats by chance merges two intervals; a lost answer makes a long and a short one."""
        if len(self._intervals) < FEW:
            return None
        typical = sorted(self._intervals)[len(self._intervals) // 4]
        once = [seconds for seconds in self._intervals if typical / SPREAD <= seconds <= typical * SPREAD]
        return sum(once) / len(once)

    @property
    def resolution_watts(self) -> float | None:
        return self._steps.watts

    def reading(self, now: Moment) -> tuple[float | None, float | None, Fault | None]:
        """Watts, joules since the first answer, and what is wrong."""
        self._began = self._began or now
        since = self.answered or self._began
        if self._missed(now, since):
            seconds = now.monotonic - since.monotonic
            return None, None, self._failure() or Fault("meter", f"has not answered for {seconds:.0f} s")
        if self.answered is None:
            return None, None, self._failure()  # its first answer is not due yet
        if self.stopped(now) and self._alive is not None:
            seconds = now.monotonic - self._alive.monotonic
            reason = f"has shown the same for {seconds:.0f} s: it is stuck"
            return None, None, Fault("meter", reason, "restart the meter")
        return self.watts, self._energy.joules, self.fault

    def stopped(self, now: Moment) -> bool:
        """It still answers, but has repeated its value for so long that it no longer measures."""
        if self._alive is None or self._answer is None:
            return False
        bound = STALE_SECONDS
        if (refresh := self.refresh_seconds) is not None:
            bound = max(bound, STALE_REFRESHES * refresh, LONGEST * max(self._intervals))
        if self._answer.joules is not None and self.watts:
            bound = max(bound, LONGEST * self._answer.joules_step / self.watts)
        elif refresh is None:
            return False  # a steady load in whole watts looks the same
        return now.monotonic - self._alive.monotonic > bound

    def _missed(self, now: Moment, since: Moment) -> bool:
        bound = max(MISSED * self.interval_seconds, LEAST_MISSED_SECONDS)
        return now.monotonic - since.monotonic > bound

    def _failure(self) -> Fault | None:
        return None if self.error is None else Fault("meter", self.error.reason, self.error.fix)


class MeterEnergy:
    """Energy since the first answer, or the end of the last gap. None until it is known."""

    def __init__(self) -> None:
        self.joules: float | None = None
        self._at: Moment | None = None
        self._watts: float | None = None
        self._shown: float | None = None
        self._counted = 0.0
        self._ticks: deque[float] = deque(maxlen=8)

    def take(self, now: Moment, answer: MeterAnswer, *, gap: bool) -> bool:
        """True if the energy since the last answer is unknown, so that counting restarts at ``now``."""
        seconds = 0.0 if self._at is None else now.monotonic - self._at.monotonic
        used = self._by_power(answer.watts, seconds) if not gap else None
        if self._at is not None and slept(self._at, now):
            seconds = now.boottime - self._at.boottime
        grown = self._growth(answer, seconds)
        self._at, self._watts = now, answer.watts
        begins = self.joules is None
        if begins and (answer.watts is not None or answer.joules is not None):
            self.joules = 0.0
        if self.joules is None:
            return True
        if grown is not None:
            self._follow(grown, used)
            return begins
        if used is None:
            # The energy in between is unknown: counting restarts, as with a counter that was reset.
            self.joules = 0.0
        else:
            self.joules += used
        self._counted = self.joules
        return begins or used is None

    def _by_power(self, watts: float | None, seconds: float) -> float | None:
        if watts is None or self._watts is None:
            return None
        return (watts + self._watts) / 2 * seconds

    def _growth(self, answer: MeterAnswer, seconds: float) -> float | None:
        """The counter's increase since the last answer; None if there is none, or it was reset."""
        before, self._shown = self._shown, answer.joules
        if before is None or answer.joules is None:
            return None
        grown = answer.joules - before
        most = METER_WATTS.most * max(seconds, 1.0) + answer.joules_step
        if grown < 0 and answer.wraps_at is not None and 0 <= grown + answer.wraps_at <= most:
            grown += answer.wraps_at
        if not 0 <= grown <= most:
            self._ticks.clear()
            return None
        if grown > 0:
            self._ticks.append(max(grown, answer.joules_step))
        return grown

    def _follow(self, grown: float, used: float | None) -> None:
        """Extrapolates by the power if known, but by no more than one step of the counter."""
        assert self.joules is not None
        first = grown > 0 and len(self._ticks) == 1
        self._counted += grown
        if used is None:
            self.joules = max(self.joules, self._counted)
            return
        ahead = self.joules + used
        if first:
            # The counter's position within its step was unknown at the start; now it is known.
            self._counted = ahead
        if self._ticks:
            ahead = min(ahead, self._counted + 2 * max(self._ticks))
        self.joules = max(self.joules, ahead, self._counted)


class _Steps:
    """The resolution of the watts: the greatest common divisor of their changes."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._divisor = 0

    def take(self, watts: float) -> None:
        value = round(watts * 10**DIGITS)
        if len(self._seen) <= FEW:
            self._seen.add(value)
        self._divisor = math.gcd(self._divisor, abs(value))

    @property
    def watts(self) -> float | None:
        return None if len(self._seen) <= FEW or not self._divisor else self._divisor / 10**DIGITS


def _moved(before: MeterAnswer, after: MeterAnswer) -> bool:
    """The power was refreshed. A counter may change more or less often."""
    if (before.watts, before.signs) != (after.watts, after.signs):
        return True
    return after.watts is None and before.joules != after.joules
