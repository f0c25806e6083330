"""Which rows of the embedded history are old enough to be deleted.

A jump of the clock must not delete recordings. A row's age is therefore not a difference of clock times, but the amount
that was recorded after it. The recording is a list of *spans*: a new one starts where time moved by more than ``gap``
seconds, forward (the machine was suspended, its clock was set) or backward. Any gap counts as ``gap`` seconds. A
history of 7 days thus holds 7 days of recording, even if the machine was off for a month.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from msgspec import Struct

GAP_SECONDS = 900.0
"""The most of the oldest rows that one jump of the clock can cost."""

DELETED_AT_ONCE = 20

_SAVED_EVERY_SECONDS = 60.0
"""How often the current span's end is written; with every row it would cost one more page each time."""

_MICROSECONDS = 1_000_000


class Span(Struct):
    """An uninterrupted recording, in microseconds. ``first`` and ``last`` are Unix times; ``began`` is the amount
    recorded before it."""

    number: int
    first: int
    last: int
    began: int

    @property
    def recorded(self) -> int:
        """The amount recorded by its end."""
        return self.began + self.last - self.first


class Retention:
    """The spans of one file, for its writing thread. Called within that thread's transactions."""

    def __init__(self, seconds: float, gap_seconds: float = GAP_SECONDS) -> None:
        self._kept = round(seconds * _MICROSECONDS)
        # One jump must not use up a short retention.
        self._gap = round(min(gap_seconds, seconds / 4) * _MICROSECONDS)
        self._now: Span | None = None
        self._saved = 0

    def reset(self) -> None:
        """Discards the cached spans: the file may have been rolled back or replaced."""
        self._now = None

    def note(self, connection: sqlite3.Connection, at: int) -> None:
        """A row was recorded at that time (Unix microseconds)."""
        span = self._now if self._now is not None else self._load(connection, at)
        if span.first - self._gap <= at < span.first:
            span.first, span.began = at, span.began - (span.first - at)
        elif span.last - self._gap <= at <= span.last + self._gap:
            span.last = max(span.last, at)
        else:
            _save(connection, span)
            span = self._begin(connection, at, span.recorded + self._gap)
        if span.last - self._saved >= _SAVED_EVERY_SECONDS * _MICROSECONDS:
            _save(connection, span)
            self._saved = span.last
        self._now = span

    def forget(self, connection: sqlite3.Connection) -> None:
        """Deletes a few of the rows that exceed the retention."""
        assert self._now is not None
        rows = connection.execute("SELECT id, first, last, began FROM spans ORDER BY id")
        oldest, *newer = [Span(*row) for row in rows]
        if oldest.number == self._now.number:
            oldest = self._now
        newer = [self._now if span.number == self._now.number else span for span in newer]
        end = min(oldest.first + self._now.recorded - self._kept - oldest.began, oldest.last + 1)
        left = DELETED_AT_ONCE
        for first, last in _without(oldest.first, end, newer):
            left -= connection.execute(
                "DELETE FROM ticks WHERE time IN (SELECT time FROM ticks WHERE time >= ? AND time < ? ORDER BY time "
                "LIMIT ?)",
                (first, last, left),
            ).rowcount
            if left <= 0:
                return
        if newer and end > oldest.last:
            connection.execute("DELETE FROM spans WHERE id = ?", (oldest.number,))

    def _load(self, connection: sqlite3.Connection, at: int) -> Span:
        """Loads the newest span of the file, including rows written after its end was last saved. A file without spans
        gets them from its rows."""
        connection.execute(
            "CREATE TABLE IF NOT EXISTS spans (id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,"
            " began INTEGER NOT NULL)"
        )
        row = connection.execute("SELECT id, first, last, began FROM spans ORDER BY id DESC LIMIT 1").fetchone()
        span = Span(*row) if row is not None else self._cut(connection, at)
        reach = span.last + self._gap + round(_SAVED_EVERY_SECONDS * _MICROSECONDS)
        row = connection.execute(
            "SELECT max(time) FROM ticks WHERE time BETWEEN ? AND ?", (span.last, reach)
        ).fetchone()
        span.last = max(span.last, row[0] or 0)
        self._saved = span.last
        return span

    def _cut(self, connection: sqlite3.Connection, at: int) -> Span:
        """Spans from the rows of a file that has none yet."""
        times = [time for (time,) in connection.execute("SELECT time FROM ticks ORDER BY time")]
        recorded = 0
        for first, last in _stretches(times or [at], self._gap):
            span = self._begin(connection, first, recorded)
            span.last = last
            _save(connection, span)
            recorded = span.recorded + self._gap
        return span

    def _begin(self, connection: sqlite3.Connection, at: int, began: int) -> Span:
        row = connection.execute("INSERT INTO spans (first, last, began) VALUES (?, ?, ?)", (at, at, began))
        assert row.lastrowid is not None
        self._saved = at
        return Span(row.lastrowid, at, at, began)


def _save(connection: sqlite3.Connection, span: Span) -> None:
    connection.execute(
        "UPDATE spans SET first = ?, last = ?, began = ? WHERE id = ?", (span.first, span.last, span.began, span.number)
    )


def _stretches(times: Iterable[int], gap: int) -> list[tuple[int, int]]:
    """Times in order, cut where two are further apart than ``gap``."""
    found: list[tuple[int, int]] = []
    for time in times:
        if found and time - found[-1][1] <= gap:
            found[-1] = (found[-1][0], time)
        else:
            found.append((time, time))
    return found


def _without(first: int, end: int, spans: Iterable[Span]) -> list[tuple[int, int]]:
    """The parts of [first, end) that are in none of the spans, which may hold rows of a newer span."""
    parts = [(first, end)]
    for span in spans:
        parts = [
            part
            for start, stop in parts
            for part in ((start, min(stop, span.first)), (max(start, span.last + 1), stop))
            if part[0] < part[1]
        ]
    return [part for part in parts if part[0] < part[1]]
