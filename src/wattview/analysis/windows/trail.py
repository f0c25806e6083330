"""Energy and power of a window from the daemon's trail: every sample of the power clock, each with its bounds.

Pure functions. Energy is assumed to grow linearly between two points; the bounds hold in any case.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from wattview.analysis.windows.energy import NoData, Points
from wattview.model import TrailPoint

MAX_TRAIL_GAP_SECONDS = 60.0
"""A counter that wrapped during a longer gap would be too small by one wrap."""

LEAST_STEP_SECONDS = 0.07
"""Minimum span of a power value: three quarters of the usual time between two samples."""

PEAK_UPDATES = 20
"""If a counter updates more often than it is read, a power value spans at least this many updates: up to one update's
energy may be missing or extra at each end, an error of a twentieth."""

MOST_COUNTERS = 16

EVEN_WITHIN = 0.2
"""Updates are periodic if their intervals differ by no more than this share."""


class Energy(Struct, frozen=True):
    """Joules of a window; the truth lies between ``least`` and ``most``."""

    joules: float
    least: float
    most: float


def energy(points: Sequence[TrailPoint], start: float, end: float) -> Energy:
    """Of a window. Raises NoData if the points do not cover it."""
    first, last = _at(points, start), _at(points, end)
    for left, right in pairwise(_inside(points, start, end)):
        if right.joules < left.joules:
            raise NoData("the counter restarted in the window: energy around the restart is unknown")
        if right.time - left.time > MAX_TRAIL_GAP_SECONDS:
            raise NoData(f"no sample for {right.time - left.time:.0f} s in the window")
    joules = last.joules - first.joules
    return Energy(joules, max(0.0, min(joules, last.least - first.most)), max(joules, last.most - first.least))


def steps(points: Sequence[TrailPoint], start: float, end: float) -> Points:
    """Times and joules at the ends of the window and in between, as close together as a power value allows. Raises
    NoData as ``energy`` does."""
    edges = _edges(points, start, end)
    least = _shortest(points)
    kept = edges[:1]
    for edge in edges[1:-1]:
        if edge[0] - kept[-1][0] >= least:
            kept.append(edge)
    if len(kept) > 1 and end - kept[-1][0] < least:
        kept.pop()
    return [*kept, edges[-1]]


def powers(points: Sequence[TrailPoint], start: float, end: float) -> Points:
    """Mean powers over spans that fill the window, stamped with the middle of each span; the spans are as short as the
    counter allows. Raises NoData as ``energy`` does."""
    spans = pairwise(steps(points, start, end))
    if (period := _period(points)) is not None:
        ticks = _over_periods(_strictly_inside(points, start, end), period)[:: period.points]
        if ticks:
            return ticks
    return [((t0 + t1) / 2, (j1 - j0) / (t1 - t0)) for (t0, j0), (t1, j1) in spans]


def largest(points: Sequence[TrailPoint], start: float, end: float) -> float:
    """Largest of ``powers``, and never less than the mean of the window. Raises NoData as ``energy`` does."""
    edges = _edges(points, start, end)
    mean = (edges[-1][1] - edges[0][1]) / (end - start)
    if (period := _period(points)) is not None:
        return max([mean, *(watts for _, watts in _over_periods(_strictly_inside(points, start, end), period))])
    least, found, first = _shortest(points), mean, 0
    for last, (time, joules) in enumerate(edges):
        while first + 1 < last and time - edges[first + 1][0] >= least:
            first += 1
        span = time - edges[first][0]
        if span >= least:
            found = max(found, (joules - edges[first][1]) / span)
    return found


def with_gpus(points: Sequence[TrailPoint], gpus: Points) -> list[TrailPoint]:
    """Sum of the trail and of the GPUs' joules, which are read less often, for power values; the bounds are the trail's
    alone. It covers the time that both cover."""
    found = []
    for point in points:
        after = bisect_left(gpus, point.time, key=_time)
        if after == len(gpus) or (after == 0 and gpus[0][0] > point.time):
            continue
        before = max(after - 1, 0)
        (t0, j0), (t1, j1) = gpus[before], gpus[after]
        if j1 < j0:
            raise NoData("the GPUs' counter restarted in the window: the use around that is unknown")
        joules = j1 if t1 == t0 else j0 + (j1 - j0) * (point.time - t0) / (t1 - t0)
        found.append(point._replace(joules=point.joules + joules, most_joules=point.most_joules + joules))
    return found


class _Known(Struct, frozen=True):
    joules: float
    least: float
    most: float


def _at(points: Sequence[TrailPoint], time: float) -> _Known:
    """Energy used by a moment, and its bounds."""
    if not points:
        raise NoData("no power sample was taken")
    after = bisect_left(points, time, key=_time)
    if after == len(points):
        raise NoData(f"no sample at or after the end: the last came {time - points[-1].time:.1f} s before it")
    if points[after].time == time:
        return _Known(points[after].joules, points[after].joules, points[after].most_joules)
    if after == 0:
        raise NoData(f"no sample at or before the start: the first came {points[0].time - time:.1f} s after it")
    left, right = points[after - 1], points[after]
    if right.joules < left.joules:
        raise NoData("the counter restarted at an end of the window: the use around that is unknown")
    share = (time - left.time) / (right.time - left.time)
    return _Known(left.joules + (right.joules - left.joules) * share, left.joules, right.most_joules)


def _edges(points: Sequence[TrailPoint], start: float, end: float) -> list[tuple[float, float]]:
    """Times and joules at the ends of the window and at every sample in between."""
    energy(points, start, end)
    inside = [(point.time, point.joules) for point in _strictly_inside(points, start, end)]
    return [(start, _at(points, start).joules), *inside, (end, _at(points, end).joules)]


def _strictly_inside(points: Sequence[TrailPoint], start: float, end: float) -> Sequence[TrailPoint]:
    return points[bisect_right(points, start, key=_time) : bisect_left(points, end, key=_time)]


def _inside(points: Sequence[TrailPoint], start: float, end: float) -> Sequence[TrailPoint]:
    """The points in the window, and their neighbours outside."""
    return points[max(bisect_right(points, start, key=_time) - 1, 0) : bisect_left(points, end, key=_time) + 1]


def _shortest(points: Sequence[TrailPoint]) -> float:
    """Minimum span of a power value."""
    update = max((point.update_seconds for point in points), default=0.0)
    return max(LEAST_STEP_SECONDS, PEAK_UPDATES * update if update < LEAST_STEP_SECONDS else update)


class _Period(Struct, frozen=True):
    """Counters that update periodically, less often than they are read: ``points`` of the trail (for one counter or a
    group) take ``seconds``."""

    points: int
    seconds: float


def _period(points: Sequence[TrailPoint]) -> _Period | None:
    """The energy of one update of every counter is known exactly, and many updates give its time more precisely than
    the moment at which one of them was seen."""
    update = max((point.update_seconds for point in points), default=0.0)
    for count in range(1, MOST_COUNTERS + 1):
        apart = [after.time - before.time for before, after in zip(points, points[count:], strict=False)]
        if len(apart) < 3 or update <= LEAST_STEP_SECONDS:
            return None
        mean = (points[-1].time - points[(len(points) - 1) % count].time) / ((len(points) - 1) // count)
        if 0.7 * update <= mean <= update and all(abs(one - mean) <= EVEN_WITHIN * mean for one in apart):
            return _Period(count, mean)
    return None


def _over_periods(points: Sequence[TrailPoint], period: _Period) -> list[tuple[float, float]]:
    return [
        ((before.time + after.time) / 2, (after.joules - before.joules) / period.seconds)
        for before, after in zip(points, points[period.points :], strict=False)
    ]


def _time(point: tuple[float, ...]) -> float:
    return point[0]
