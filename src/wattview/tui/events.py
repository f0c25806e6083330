"""The lines of the log: the daemon's events, and the dashboard's own, about its connection."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wattview.model import Event, EventLevel

MAX_LINES = 2000


class LogLine(NamedTuple):
    """One line. ``own``: from the dashboard, not the daemon. Lines are in order of time."""

    time: float
    number: int
    event: Event
    own: bool


class Lines:
    """All lines, oldest first; the oldest are dropped beyond a limit. ``last_event`` is the id of the newest event
    received."""

    def __init__(self) -> None:
        self.last_event = 0
        self._lines: list[LogLine] = []
        self._count = 0

    def __iter__(self) -> Iterator[LogLine]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, events: Iterable[Event]) -> list[Event]:
        """Adds the daemon's events; returns those that are new."""
        new = [event for event in events if event.id > self.last_event]
        for event in new:
            self.last_event = event.id
            self._insert(event, own=False)
        return new

    def say(self, moment: float, level: EventLevel, about: str, text: str) -> None:
        """Adds a line of the dashboard's own."""
        self._insert(Event(id=0, time=moment, level=level, about=about, text=text), own=True)

    def _insert(self, event: Event, own: bool) -> None:
        self._count += 1
        insort(self._lines, LogLine(event.time, self._count, event, own), key=lambda line: line.time)
        del self._lines[:-MAX_LINES]
