"""One counter's last readings, as a line over time: what lets counters that were read at different moments be compared.

Two sources are never read at the same instant. Between two readings a counter is taken to grow evenly, so that its
growth over any span is known, and spans that touch add up exactly. Times are of the monotonic clock.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from operator import itemgetter

_at = itemgetter(0)


class Trace:
    """The recent readings of one counter. Outside of them it stands still: nothing is extrapolated.

    ``most_per_second`` is the fastest that it can grow. A counter that fell began anew at 0, where it can have counted
    what it shows in the time since the reading before; else it was set back, and nothing was counted.
    """

    __slots__ = ("_last", "_most_per_second", "_points")

    def __init__(self, most_per_second: float = math.inf) -> None:
        self._most_per_second = most_per_second
        self._points: list[tuple[float, float]] = []
        self._last = 0.0

    @property
    def end(self) -> float:
        """The time of the last reading; minus infinity before the first."""
        return self._points[-1][0] if self._points else -math.inf

    @property
    def last(self) -> float:
        """The counter as it was last read; minus infinity before the first reading."""
        return self._last if self._points else -math.inf

    def add(self, at: float, value: float) -> None:
        """Takes a reading. One that is not later than the last is left out."""
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
        """How much was counted from ``start`` to ``end``."""
        return max(self._value(end) - self._value(start), 0.0)

    def forget(self, before: float) -> None:
        """Drops what is not needed for spans that begin at ``before`` or later."""
        keep = bisect_right(self._points, before, key=_at) - 1
        if keep > 0:
            del self._points[:keep]

    def _value(self, at: float) -> float:
        points = self._points
        after = bisect_left(points, at, key=_at)
        if after == len(points):
            return points[-1][1] if points else 0.0
        if after == 0:
            return points[0][1]
        (left, low), (right, high) = points[after - 1], points[after]
        return low + (high - low) * (at - left) / (right - left)
