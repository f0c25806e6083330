"""The update interval of a counter, determined by observation. No I/O and no clock."""

from __future__ import annotations

from collections import deque

QUICK_SECONDS = 0.03
"""The longest update interval that a reader waits for."""

RESTING_SECONDS = 2.5
"""A counter that stands still for this long, and for two of its update intervals, is at rest, not late."""

KEPT_INTERVALS = 8

TOO_SHORT = 20
"""After so many consecutive updates in less than half of the interval, it was longer only for a while."""


class UpdateInterval:
    """The update interval of one counter, from the times and values of observations.

    An update lies between the last observation of the old value and the first of the new one. The time between two
    updates is therefore known to within the observation interval, and only observations more frequent than updates are
    conclusive. ``seconds`` is the longest that it can have been recently: 0 if every observation saw another value,
    None before the second update.
    """

    __slots__ = ("_after", "_intervals", "_looked", "_raw", "_seen", "_short", "seconds")

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._intervals: deque[float] = deque(maxlen=KEPT_INTERVALS)
        self._raw: int | None = None
        self._looked = 0.0
        self._after: float | None = None
        self._seen = 0.0
        self._short = 0

    def look(self, at: float, raw: int) -> None:
        """The counter showed ``raw`` at ``at`` (monotonic seconds)."""
        if self._raw is None:
            self._seen = at
        elif raw != self._raw:
            if self._after is not None:
                self.seconds = self.seconds or 0.0
                if self._looked > self._seen and self._tells(at):
                    self._take(at - self._after)
                elif at - self._after < self.seconds / 2:
                    self._short += 1
                    if self._short >= TOO_SHORT:
                        self._intervals.clear()
                        self.seconds = 0.0
                else:
                    self._short = 0
            self._after, self._seen = self._looked, at
        elif self.seconds and self.seconds <= QUICK_SECONDS and at - self._seen > self.seconds:
            # It stands still for longer than was assumed.
            self._take(2 * self.seconds)
        self._looked, self._raw = at, raw

    @property
    def resting(self) -> bool:
        """Whether the counter has been constant for so long that what it measures must be drawing nothing."""
        return self._looked - self._seen > max(RESTING_SECONDS, 2 * (self.seconds or 0.0))

    def _tells(self, at: float) -> bool:
        """Whether this update is conclusive: not if the previous observation was so long ago that there were several
        updates since, unless the counter had stood still for longer than was assumed by then."""
        return not self.seconds or at - self._looked < self.seconds or self._looked - self._seen > self.seconds

    def _take(self, seconds: float) -> None:
        self._short = 0
        self._intervals.append(seconds)
        self.seconds = max(self._intervals)
