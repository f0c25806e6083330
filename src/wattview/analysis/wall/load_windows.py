"""The machine's load over time and the meter's readings, aligned in windows.

A reading is the mean of the time since the previous one, and late: the lag is the shift of the readings against the
machine's own power with the best correlation. The edges of load steps are left out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from wattview.analysis.wall.terms import INPUTS, Warmth, input_row
from wattview.model.power.calibration import WallInputs

MeterPoints = Sequence[tuple[float, float]]
"""Readings of a meter, (Unix seconds, watts), in order of time."""

LONGEST_LAG_SECONDS = 30.0
LAG_STEP_SECONDS = 0.5

SETTLE_SECONDS = 2.0
"""Time for a load to settle: encoders that start, and power that follows."""

EDGE_SECONDS = 1.0
"""Time left out before the end of a step, since the lag is not known to the second."""

MOST_REPEATS = 20
"""A reading may repeat this many times; after that the meter counts as silent."""

WINDOW_SECONDS = 5.0
"""The shortest window: a model estimate is a mean over about as long."""

LEAST_COVERED = 0.8
"""Share of a window that both sides must cover."""


class Step(NamedTuple):
    """A period of constant load, in Unix seconds."""

    start: float
    end: float


class LoadWindow(NamedTuple):
    """One window of one step: the mean of each of ``INPUTS`` and of each warmth, and the meter's watts."""

    step: int
    inputs: list[float]
    warmths: list[float]
    watts: float


class InputTimeline:
    """Inputs over time as integrals, so that the mean over any span is a difference. ``measured``: the host's power is
    measured, not derived from CPU use. ``warm_seconds`` are the time constants of the warmths."""

    def __init__(self, inputs: Sequence[WallInputs], measured: bool, warm_seconds: Sequence[float]) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self._rows: list[list[float]] = []
        self._sums: list[list[float]] = [[0.0] * (1 + len(INPUTS) + len(warm_seconds))]
        warmths = [Warmth(seconds) for seconds in warm_seconds]
        for one in inputs:
            row = input_row(one, measured)
            row = [1.0, *row, *(warmth.after(one.seconds, row[0]) for warmth in warmths)]
            self._starts.append(one.time - one.seconds)
            self._ends.append(one.time)
            self._rows.append(row)
            self._sums.append([total + value * one.seconds for total, value in zip(self._sums[-1], row, strict=True)])

    def mean(self, start: float, end: float) -> list[float] | None:
        """The mean inputs and warmths; None if too little of that time is covered."""
        grown = [after - before for after, before in zip(self._until(end), self._until(start), strict=True)]
        seconds = grown[0]
        if end <= start or seconds < LEAST_COVERED * (end - start):
            return None
        return [value / seconds for value in grown[1:]]

    def seen(self, start: float, end: float) -> float | None:
        found = self.mean(start, end)
        return None if found is None else found[0]

    def _until(self, moment: float) -> list[float]:
        at = bisect_right(self._ends, moment)
        total = self._sums[at]
        if at == len(self._ends) or moment <= self._starts[at]:
            return total
        seconds = moment - self._starts[at]
        return [value + seconds * rate for value, rate in zip(total, self._rows[at], strict=True)]


def repeated(meter: MeterPoints, refresh: float) -> list[tuple[float, float]]:
    """The readings including repeats of the previous value, which do not appear as new ones."""
    found: list[tuple[float, float]] = []
    for at, (time, watts) in enumerate(meter):
        until = meter[at + 1][0] if at + 1 < len(meter) else time
        count = max(1, min(round((until - time) / refresh), MOST_REPEATS))
        found += [(time + number * refresh, watts) for number in range(count)]
    return found


def lag_seconds(timeline: InputTimeline, meter: MeterPoints, refresh: float) -> float:
    """Lag of the meter's readings: the shift with the best correlation with the machine's own power. 0 if either is
    constant."""
    best, found = 0.0, 0.0
    for number in range(round(LONGEST_LAG_SECONDS / LAG_STEP_SECONDS) + 1):
        lag = number * LAG_STEP_SECONDS - refresh / 2.0
        pairs = [
            (seen, watts)
            for time, watts in meter
            if (seen := timeline.seen(time - lag - refresh, time - lag)) is not None
        ]
        together = correlation(pairs)
        if together > best + 1e-9:
            best, found = together, lag
    return found


def readings_of_window(refresh: float) -> int:
    """Number of readings per window."""
    return max(1, math.ceil(WINDOW_SECONDS / refresh - 1e-6))


def load_windows(
    timeline: InputTimeline, meter: MeterPoints, steps: Sequence[Step], lag: float, refresh: float
) -> list[LoadWindow]:
    """The windows of all steps, from readings that lie in one step with their whole refresh interval."""
    found = []
    for number, step in enumerate(steps):
        inside = [
            (time - lag, watts)
            for time, watts in meter
            if step.start + SETTLE_SECONDS <= time - lag - refresh and time - lag <= step.end - EDGE_SECONDS
        ]
        size = readings_of_window(refresh)
        for first in range(0, len(inside) - size + 1, size):
            part = inside[first : first + size]
            row = timeline.mean(part[0][0] - refresh, part[-1][0])
            whole = part[-1][0] - part[0][0] <= (size - 1) * refresh * 1.5 + 1.0
            if row is not None and whole:
                watts = sum(value for _, value in part) / size
                found.append(LoadWindow(number, row[: len(INPUTS)], row[len(INPUTS) :], watts))
    return found


def correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Pearson's correlation; 0 if either is constant."""
    count = len(pairs)
    if count < 3:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in pairs) / count, sum(y for _, y in pairs) / count
    xx = sum((x - mean_x) ** 2 for x, _ in pairs)
    yy = sum((y - mean_y) ** 2 for _, y in pairs)
    if xx <= 0.0 or yy <= 0.0:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in pairs) / math.sqrt(xx * yy)
