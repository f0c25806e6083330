"""Meters at the wall, played: what a device of each kind answers about a power that a test chooses.

The answers are in the shape that the devices' documentation and captures of real ones show; the figures come from
``PlayedMeter``, which lags, rounds and refreshes as plugs do.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Watts = Callable[[float], float]


class PlayedMeter:
    """A meter of a known power, ``watts(seconds)``. It shows the mean of each ``refresh`` seconds in steps of
    ``watts_step``, ``lag`` seconds late, and counts energy in steps of ``joules_step`` since long before the start."""

    def __init__(
        self,
        watts: Watts,
        *,
        refresh: float = 1.0,
        lag: float = 0.0,
        watts_step: float = 0.1,
        joules_step: float | None = 3.6,
        counted_before: float = 123_456.7,
    ) -> None:
        self._watts = watts
        self._refresh = refresh
        self._lag = lag
        self._watts_step = watts_step
        self._joules_step = joules_step
        self._energy = [counted_before]

    def at(self, seconds: float) -> tuple[float, float | None]:
        """(watts, joules) as shown then."""
        number = max(math.floor((seconds - self._lag) / self._refresh), 0)
        while len(self._energy) <= number:
            start = (len(self._energy) - 1) * self._refresh
            self._energy.append(self._energy[-1] + self._used(start, start + self._refresh))
        mean = (self._energy[number] - self._energy[number - 1]) / self._refresh if number else self._watts(0)
        shown = round(mean / self._watts_step) * self._watts_step
        if self._joules_step is None:
            return shown, None
        return shown, math.floor(self._energy[number] / self._joules_step) * self._joules_step

    def _used(self, start: float, end: float, parts: int = 20) -> float:
        width = (end - start) / parts
        return sum(self._watts(start + (part + 0.5) * width) for part in range(parts)) * width


def busy_machine(seconds: float) -> float:
    """A machine that encodes now and then: 60 W to 260 W, never quite steady."""
    base = 62 + 3 * math.sin(seconds / 7.3) + 1.5 * math.sin(seconds * 2.9)
    return base + (185 + 8 * math.sin(seconds / 1.7) if seconds % 300 > 160 else 0)


def energy(watts: Watts, start: float, end: float) -> float:
    """The truth, in joules."""
    parts = max(int((end - start) * 20), 1)
    width = (end - start) / parts
    return sum(watts(start + (part + 0.5) * width) for part in range(parts)) * width
