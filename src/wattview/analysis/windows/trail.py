"""Energy and power of a window from the daemon's own trail: every sample of the power clock, each with its bounds.

Pure functions. Between two points the energy is taken to grow evenly; what is known for sure are the bounds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from wattview.analysis.windows.energy import NoData, Points
from wattview.model import TrailPoint

MAX_TRAIL_GAP_SECONDS = 60.0
"""A counter goes on while nobody reads it, but one that wrapped meanwhile is too small by a wrap."""

LEAST_STEP_SECONDS = 0.07
"""A power is over at least so much time: three quarters of the usual time between two samples."""

PEAK_UPDATES = 20
"""Where a counter is updated more often than it is read, a power is over at least so many updates: it is then within a
twentieth, as up to one update's energy is counted or missing at an end."""

MOST_COUNTERS = 16

EVEN_WITHIN = 0.2
"""Updates whose distances differ by no more than this share of them come at even times."""


class Energy(Struct, frozen=True):
    """Joules of a window; the truth lies between ``least`` and ``most``."""

    joules: float
    least: float
    most: float


def energy(points: Sequence[TrailPoint], start: float, end: float) -> Energy:
    """Of a window. Raises NoData where the points do not reach over it."""
    first, last = _at(points, start), _at(points, end)
    for left, right in pairwise(_inside(points, start, end)):
        if right.joules < left.joules:
            raise NoData("the counter restarted in the window: the use around that is unknown")
        if right.time - left.time > MAX_TRAIL_GAP_SECONDS:
            raise NoData(f"no sample for {right.time - left.time:.0f} s in the window")
    joules = last.joules - first.joules
    return Energy(joules, max(0.0, min(joules, last.least - first.most)), max(joules, last.most - first.least))


def steps(points: Sequence[TrailPoint], start: float, end: float) -> Points:
    """Time and joules at both ends of the window and between them, as near to each other as a power may be over. Raises
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
    """Mean powers over spans that fill the window, each at the middle of its span: watts over as little time as the
    counter can tell. Raises NoData as ``energy`` does."""
    spans = pairwise(steps(points, start, end))
    if (period := _period(points)) is not None:
        ticks = _over_periods(_strictly_inside(points, start, end), period)[:: period.points]
        if ticks:
            return ticks
    return [((t0 + t1) / 2, (j1 - j0) / (t1 - t0)) for (t0, j0), (t1, j1) in spans]


def largest(points: Sequence[TrailPoint], start: float, end: float) -> float:
    """The largest mean power in the window over as little time as the counter can tell, and never less than the mean of
    the window. Raises NoData as ``energy`` does."""
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
    """The trail and a counter of the GPUs' joules, which was read less often, as one, for powers: its bounds are the
    trail's alone. It reaches as far as both do."""
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
    """What had been used by a moment, and the bounds of that."""
    if not points:
        raise NoData("no sample of the power was taken")
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
    """Time and joules at both ends of the window and at every sample between."""
    energy(points, start, end)
    inside = [(point.time, point.joules) for point in _strictly_inside(points, start, end)]
    return [(start, _at(points, start).joules), *inside, (end, _at(points, end).joules)]


def _strictly_inside(points: Sequence[TrailPoint], start: float, end: float) -> Sequence[TrailPoint]:
    return points[bisect_right(points, start, key=_time) : bisect_left(points, end, key=_time)]


def _inside(points: Sequence[TrailPoint], start: float, end: float) -> Sequence[TrailPoint]:
    """Those in the window, and their neighbours outside."""
    return points[max(bisect_right(points, start, key=_time) - 1, 0) : bisect_left(points, end, key=_time) + 1]


def _shortest(points: Sequence[TrailPoint]) -> float:
    """The shortest time that a power may be over."""
    update = max((point.update_seconds for point in points), default=0.0)
    return max(LEAST_STEP_SECONDS, PEAK_UPDATES * update if update < LEAST_STEP_SECONDS else update)


class _Period(Struct, frozen=True):
    """Counters that are updated less often than they are read, at even times: ``points`` of the trail, one for each
    counter or for some of them together, are ``seconds``."""

    points: int
    seconds: float


def _period(points: Sequence[TrailPoint]) -> _Period | None:
    """Over one update of every counter the energy is known, and the time is known better from many updates than from
    the moments at which one of them was seen."""
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
