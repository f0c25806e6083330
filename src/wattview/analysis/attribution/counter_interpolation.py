"""Linear interpolation between a counter's recent readings, to compare counters that are read at different moments.

No two sources are read at the same instant. A counter is assumed to grow linearly between two readings, so its increase
over any span is defined, and increases over adjacent spans add up exactly. Times are monotonic.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from operator import itemgetter

_at = itemgetter(0)


class Trace:
    """The recent readings of one counter. It is constant outside of them: nothing is extrapolated.

    ``most_per_second`` is the fastest possible growth. A counter that fell was reset: to 0 if it can have reached its
    new value since the previous reading, else to an arbitrary value, and then no increase is counted.
    """

    __slots__ = ("_last", "_most_per_second", "_points")

    def __init__(self, most_per_second: float = math.inf) -> None:
        self._most_per_second = most_per_second
        self._points: list[tuple[float, float]] = []
        self._last = 0.0

    @property
    def begin(self) -> float:
        """The time of the first reading that is kept; infinity before the first."""
        return self._points[0][0] if self._points else math.inf

    @property
    def end(self) -> float:
        """Time of the last reading; minus infinity before the first."""
        return self._points[-1][0] if self._points else -math.inf

    @property
    def last(self) -> float:
        """The counter at its last reading; minus infinity before the first."""
        return self._last if self._points else -math.inf

    def add(self, at: float, value: float) -> None:
        """Adds a reading. One that is not later than the last is ignored."""
        if not self._points:
            self._points.append((at, 0.0))
        elif at > self.end:
            before, total = self._points[-1]
            grown = value - self._last
            if grown < 0:
                grown = value if value <= self._most_per_second * (at - before) else 0.0
            self._points.append((at, total + grown))
        else:
            return
        self._last = value

    def increase(self, start: float, end: float) -> float:
        """The increase from ``start`` to ``end``."""
        return max(self._value(end) - self._value(start), 0.0)

    def forget(self, before: float) -> None:
        """Drops readings that are not needed for spans that begin at ``before`` or later."""
        points = self._points
        if len(points) > 1 and points[1][0] <= before:
            del points[: bisect_right(points, before, key=_at) - 1]

    def _value(self, at: float) -> float:
        points = self._points
        after = bisect_left(points, at, key=_at)
        if after == len(points):
            return points[-1][1] if points else 0.0
        if after == 0:
            return points[0][1]
        (left, low), (right, high) = points[after - 1], points[after]
        return low + (high - low) * (at - left) / (right - left)
