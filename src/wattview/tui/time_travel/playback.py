"""State of the playback: a moment between two bounds, and its speed. No I/O, no clock."""

from __future__ import annotations

SPEEDS = (1, 2, 5, 10, 60)

SCALES = (900.0, 3600.0, 6 * 3600.0, 86400.0, 7 * 86400.0)
"""Spans of the timeline: the shortest that includes the moment is used."""


class PastPlayback:
    """A moment (``at``) between ``first`` and ``last``, in Unix seconds.

    ``title`` names the run that is replayed; the bounds are then the run's, and playback stops at its end. Otherwise
    the bounds are the history's, and its end is now.
    """

    def __init__(self, at: float, first: float, last: float, title: str = "") -> None:
        self.first = first
        self.last = last
        self.title = title
        self.at = at
        self.playing = False
        self.speed = 1
        self.go(at)

    def go(self, at: float) -> None:
        self.at = max(self.first, min(self.last, at))

    def bound(self, first: float, last: float) -> None:
        """Updates the history's bounds; a run's stay."""
        if not self.title:
            self.first, self.last = first, max(first, last)
            self.go(self.at)

    @property
    def at_end(self) -> bool:
        return self.at >= self.last

    def advance(self, seconds: float) -> None:
        """Advances by seconds of real time. Stops at the end."""
        if self.playing:
            self.go(self.at + seconds * self.speed)
            self.playing = not self.at_end

    def play(self) -> None:
        """Plays or pauses. At the end of a run it starts again."""
        if self.at_end and self.title and not self.playing:
            self.at = self.first
        self.playing = not self.playing and not self.at_end

    def faster(self, steps: int) -> None:
        place = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, place))]

    def scale(self) -> tuple[float, float]:
        """Start and end of the timeline."""
        if self.title:
            return self.first, self.last
        back = self.last - self.at
        whole = self.last - self.first
        length = next((scale for scale in SCALES if back <= 0.95 * scale), whole)
        return max(self.first, self.last - length), self.last
