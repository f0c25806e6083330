"""Energy of a window from a counter, and the largest reading inside it. Pure functions of (time, value) points.

Points are in order of time (Unix seconds), with a neighbour outside either end of the window where the history has
one. Where the samples do not cover the window, ``NoData`` is raised with the reason: nothing is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

Points = Sequence[tuple[float, float]]

MAX_GAP_SECONDS = 60.0
"""The longest time between two samples that counts as covered, of a series that is sampled more often than that."""

MISSED_SAMPLES = 2.5
"""Of a series whose own interval is longer, so many of its intervals count as covered: one failed scrape is no gap."""

LAG_SECONDS = 1.1
"""How old a counter's value may be by its time stamp: some hardware updates it once a second, and readers that come
within a tenth of a second share one reading."""

LEAD_SECONDS = 0.1
"""How much younger it may be: a store stamps a sample with the beginning of its scrape."""

STEEPEST_SECONDS = 0.2
"""A rate over a tenth of a second says nothing of shorter times: what can lie at an end beyond it."""

Restart = Literal["zero", "unknown"]
"""What a counter that fell has done. ``zero``: it began again at 0, as Prometheus assumes of every counter (CPU time
after a reboot, a container that was started again): what it shows now has been added since. ``unknown``: it began
again, and nobody knows what it would have counted meanwhile. That is the joules counter, which starts at 0 with each
daemon: an increase from 0 would leave out what was used while none ran, and call that the energy of the window."""


class NoData(Exception):
    """A figure that cannot be had from these samples. ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def counter_increase(
    points: Points, start: float, end: float, *, restart: Restart = "unknown", max_gap: float = MAX_GAP_SECONDS
) -> float:
    """By how much a counter grew from ``start`` to ``end``: its value at one end less its value at the other.

    Between two samples the counter is taken to grow linearly, so that windows which touch add up exactly. Raises
    NoData where a sample at or before the start or at or after the end is missing, where two samples are further apart
    than ``tolerated_gap``, and where a counter of unknown restart fell inside the window.
    """
    total = 0.0
    for (left, before), (right, after) in _segments(points, start, end, max_gap):
        grown = after - before
        if grown < 0:
            if restart == "unknown":
                raise NoData(f"the counter restarted {_into(right, start)}: the use around that is unknown")
            grown = after
        overlap = min(right, end) - max(left, start)
        total += grown if overlap == right - left else grown * (overlap / (right - left))
    return total


def counter_bounds(
    points: Points,
    start: float,
    end: float,
    *,
    restart: Restart = "unknown",
    max_gap: float = MAX_GAP_SECONDS,
    steepest: float | None = None,
    lag: float = LAG_SECONDS,
    lead: float = LEAD_SECONDS,
) -> tuple[float, float]:
    """The least and the most that a counter can have grown in the window, whatever it did between two samples.

    What a sample shows had been counted at the latest ``lead`` seconds after its time stamp, and what had been counted
    ``lag`` seconds before that is in it; a counter never falls. So the truth at an end of the window lies between a
    sample before it and a sample after it. Where ``steepest`` is known (the most that it grew in a tenth of a second,
    as a rate per second), it cannot have grown faster than that from the one or to the other.
    """

    def at(moment: float) -> tuple[float, float]:
        before = points[max(bisect_right(points, moment - lead, key=_time) - 1, 0)]
        after = points[min(bisect_left(points, moment + lag, key=_time), len(points) - 1)]
        if steepest is None:
            return before[1], after[1]
        slack = lag + lead + STEEPEST_SECONDS
        most = before[1] + steepest * (moment - before[0] + slack)
        return max(before[1], after[1] - steepest * (after[0] - moment + slack)), min(after[1], most)

    joules = counter_increase(points, start, end, restart=restart, max_gap=max_gap)
    if any(after < before for (_, before), (_, after) in pairwise(points)):
        points = _unbroken(points)
    (least_start, most_start), (least_end, most_end) = at(start), at(end)
    return max(0.0, min(joules, least_end - most_start)), max(joules, most_end - least_start)


def integral(points: Points, start: float, end: float, *, max_gap: float = MAX_GAP_SECONDS) -> float:
    """The integral of a gauge over the window, linear between readings. Only for what has no counter."""
    total = 0.0
    for (left, before), (right, after) in _segments(points, start, end, max_gap):
        slope = (after - before) / (right - left)
        begin, finish = max(left, start), min(right, end)
        middle = before + slope * ((begin + finish) / 2 - left)
        total += middle * (finish - begin)
    return total


def readings(points: Points, start: float, end: float, *, max_gap: float = MAX_GAP_SECONDS) -> Points:
    """The readings inside the window, its ends included. Raises NoData where they leave a gap, or there are none."""
    inside = points[bisect_left(points, start, key=_time) : bisect_right(points, end, key=_time)]
    if not inside:
        raise NoData("no reading inside the window")
    times = [start, *(time for time, _ in inside), end]
    allowed = tolerated_gap(points, max_gap)
    for left, right in pairwise(times):
        if right - left > allowed:
            raise NoData(f"no reading for {right - left:.0f} s, {_into(left, start)}")
    return inside


def maximum(points: Points, start: float, end: float, *, max_gap: float = MAX_GAP_SECONDS) -> float:
    """The largest reading inside the window. Raises NoData as ``readings`` does."""
    return max(value for _, value in readings(points, start, end, max_gap=max_gap))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of all lie, linear between neighbours (Hyndman and Fan's type 7)."""
    ordered = sorted(values)
    place = percent / 100.0 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summed(series: Sequence[Points], max_gap: float = MAX_GAP_SECONDS) -> list[tuple[float, float]]:
    """The sum of several gauges at every time at which one was read; each holds its last reading for a tolerated gap.

    A time at which one of them has none is left out: a sum with a part missing would be too small.
    """
    if len(series) == 1:
        return list(series[0])
    total = []
    gaps = [tolerated_gap(points, max_gap) for points in series]
    for time in sorted({time for points in series for time, _ in points}):
        values = []
        for place, points in enumerate(series):
            at = bisect_right(points, time, key=_time) - 1
            if at >= 0 and time - points[at][0] <= gaps[place]:
                values.append(points[at][1])
        if len(values) == len(series):
            total.append((time, sum(values)))
    return total


def tolerated_gap(points: Points, max_gap: float = MAX_GAP_SECONDS) -> float:
    """The longest time between two samples of this series that is no gap: ``max_gap``, or ``MISSED_SAMPLES`` of its own
    intervals where these are longer. Three intervals at least have to show how long they are."""
    intervals = [right - left for (left, _), (right, _) in pairwise(points)]
    return max(max_gap, MISSED_SAMPLES * median(intervals)) if len(intervals) > 2 else max_gap


def _unbroken(points: Points) -> Points:
    """A counter that began again at 0, as one that went on."""
    shift, found = 0.0, list(points[:1])
    for (_, before), (time, after) in pairwise(points):
        shift += before if after < before else 0.0
        found.append((time, after + shift))
    return found


def _segments(
    points: Points, start: float, end: float, max_gap: float
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The pairs of neighbouring samples that overlap the window."""
    first, last = _around(points, start, end)
    allowed = tolerated_gap(points, max_gap)
    pairs = []
    for left, right in zip(points[first:last], points[first + 1 : last + 1], strict=True):
        if right[0] - left[0] > allowed:
            raise NoData(f"no sample for {right[0] - left[0]:.0f} s, {_into(left[0], start)}")
        if right[0] > left[0]:
            pairs.append((left, right))
    return pairs


def _around(points: Points, start: float, end: float) -> tuple[int, int]:
    """The indices of the last sample at or before the start and of the first one at or after the end."""
    if not end > start:
        raise NoData("the window ends before it begins")
    if not points:
        raise NoData("no samples")
    first = bisect_right(points, start, key=_time) - 1
    last = bisect_left(points, end, key=_time)
    if first < 0:
        late = points[0][0] - start
        raise NoData(f"no sample at or before the start: the first came {late:.1f} s after it")
    if last == len(points):
        raise NoData(f"no sample at or after the end: the last came {end - points[-1][0]:.1f} s before it")
    return first, last


def _into(time: float, start: float) -> str:
    seconds = time - start
    return f"{seconds:.0f} s into the window" if seconds >= 0 else f"from {-seconds:.0f} s before the window"


def _time(point: tuple[float, float]) -> float:
    return point[0]
