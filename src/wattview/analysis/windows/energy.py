"""Energy of a window from a counter, and the largest reading in it. Pure functions of (time, value) points.

Points are in order of time (Unix seconds), with one more point beyond either end of the window if the history has one.
If the samples do not cover the window, ``NoData`` is raised with the reason: nothing is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from wattview.decoding import Explained

Points = Sequence[tuple[float, float]]

MAX_GAP_SECONDS = 60.0
"""Longest time between two samples that counts as covered, for a series with a shorter sampling interval."""

MISSED_SAMPLES = 2.5
"""For a series with a longer interval, this many intervals count as covered: one failed scrape is no gap."""

LAG_SECONDS = 1.1
"""Maximum age of a counter's value at its time stamp: some hardware updates once a second, and readers within a tenth
of a second share one reading."""

LEAD_SECONDS = 0.1
"""Maximum lead of a value over its time stamp: a store stamps a sample with the start of its scrape."""

STEEPEST_SECONDS = 0.2
"""Span at a window's end in which power may exceed the steepest known rate, which is a mean over a tenth of a second.
"""

Restart = Literal["zero", "unknown"]
"""What a counter did when it fell. ``zero``: it restarted at 0, as Prometheus assumes for every counter (CPU time after
a reboot, a restarted container), and its new value is the increase since. ``unknown``: it restarted, and the increase
in between is unknown. The joules counter, which starts at 0 with each daemon, is of that kind: an increase from 0 would
miss the energy used while no daemon ran."""


class NoData(Explained):
    """These samples do not give the figure."""


def counter_increase(
    points: Points, start: float, end: float, *, restart: Restart = "unknown", max_gap: float = MAX_GAP_SECONDS
) -> float:
    """Increase of a counter from ``start`` to ``end``.

    The counter is assumed to grow linearly between two samples, so that adjacent windows add up exactly. Raises NoData
    if there is no sample at or before the start or at or after the end, if two samples are further apart than
    ``tolerated_gap``, or if a counter of unknown restart fell inside the window.
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
    """Least and greatest possible increase of a counter in the window, whatever happened between two samples.

    A sample's value was counted at most ``lead`` seconds after its time stamp and includes everything up to ``lag``
    seconds before it; a counter never falls. The truth at each end of the window therefore lies between a sample before
    it and a sample after it. ``steepest``, if known, is the largest rate per second over a tenth of a second; the
    counter cannot have grown faster in between.
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
    """Integral of a gauge over the window, linear between readings. Only for sources without a counter."""
    total = 0.0
    for (left, before), (right, after) in _segments(points, start, end, max_gap):
        slope = (after - before) / (right - left)
        begin, finish = max(left, start), min(right, end)
        middle = before + slope * ((begin + finish) / 2 - left)
        total += middle * (finish - begin)
    return total


def readings(points: Points, start: float, end: float, *, max_gap: float = MAX_GAP_SECONDS) -> Points:
    """The readings inside the window, ends included. Raises NoData if they leave a gap, or there are none."""
    inside = points[bisect_left(points, start, key=_time) : bisect_right(points, end, key=_time)]
    if not inside:
        raise NoData("no reading inside the window")
    times = [start, *(time for time, _ in inside), end]
    allowed = tolerated_gap(points, max_gap)
    for left, right in pairwise(times):
        if right - left > allowed:
            raise NoData(f"no reading for {right - left:.0f} s, {_into(left, start)}")
    return inside


def percentile(values: Sequence[float], percent: float) -> float:
    """A percentile, linear between neighbours (Hyndman and Fan's type 7)."""
    ordered = sorted(values)
    place = percent / 100.0 * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summed(series: Sequence[Points]) -> list[tuple[float, float]]:
    """Sum of several gauges at every time at which one was read; each keeps its last reading for a tolerated gap.

    Times at which one of them has no reading are left out, as the sum would be too small.
    """
    if len(series) == 1:
        return list(series[0])
    total = []
    gaps = [tolerated_gap(points) for points in series]
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
    """Longest time between two samples of this series that is no gap: ``max_gap``, or ``MISSED_SAMPLES`` of the series'
    own intervals if that is longer. It takes at least three intervals to know their length."""
    intervals = [right - left for (left, _), (right, _) in pairwise(points)]
    return max(max_gap, MISSED_SAMPLES * median(intervals)) if len(intervals) > 2 else max_gap


def _unbroken(points: Points) -> Points:
    """The points of a counter that restarted at 0, made continuous."""
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
    """Indices of the last sample at or before the start and of the first at or after the end."""
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
