"""When a machine under a new load has become steady: a rule over a few seconds of readings. No I/O, no clock."""

from __future__ import annotations

from collections import deque

HALF_SECONDS = 5
"""Readings are a second apart; the mean of the last five is compared with that of the previous five."""

RELATIVE = 0.03
ABSOLUTE = 0.5
"""Two halves are equal if they differ by at most 3 %, or by half a watt, or by half a percent of CPU use: a quiet
machine's own noise is larger than 3 %."""


class Steadiness:
    """Given power and CPU use once a second, determines when both have stopped drifting.

    An unknown figure is ignored; if both are unknown, the machine is never steady.
    """

    def __init__(self) -> None:
        self._readings: deque[tuple[float | None, float | None]] = deque(maxlen=2 * HALF_SECONDS)

    def note(self, watts: float | None, cpu_percent: float | None) -> bool:
        """Takes one reading; returns whether the last seconds were steady."""
        self._readings.append((watts, cpu_percent))
        if len(self._readings) < 2 * HALF_SECONDS:
            return False
        verdicts = [_level([reading[figure] for reading in self._readings]) for figure in (0, 1)]
        known = [verdict for verdict in verdicts if verdict is not None]
        return bool(known) and all(known)


def _level(values: list[float | None]) -> bool | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    before, after = sum(known[:HALF_SECONDS]) / HALF_SECONDS, sum(known[HALF_SECONDS:]) / HALF_SECONDS
    return abs(after - before) <= max(ABSOLUTE, RELATIVE * max(before, after))
