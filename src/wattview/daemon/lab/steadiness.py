"""When a machine under a new load has come to rest: a rule over a few seconds of readings. No I/O, no clock."""

from __future__ import annotations

from collections import deque

HALF_SECONDS = 5
"""Readings are a second apart; the mean of the last five is compared with that of the five before."""

RELATIVE = 0.03
ABSOLUTE = 0.5
"""Two halves are equal where they differ by at most 3 %, or by half a watt or half a percent of the machine: below
that, a quiet machine's own noise is larger."""


class Steadiness:
    """Told the power and the CPU use once a second, it knows when both have stopped drifting.

    A figure that is unknown says nothing; where both are, nothing is ever steady.
    """

    def __init__(self) -> None:
        self._readings: deque[tuple[float | None, float | None]] = deque(maxlen=2 * HALF_SECONDS)

    def note(self, watts: float | None, cpu_percent: float | None) -> bool:
        """Takes one reading; whether the last seconds were steady."""
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
