"""The embedded history: one SQLite file for one daemon.

The two threads of ``database`` do all I/O, one for writing and one for reading; nothing here blocks the event loop.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sqlite3
import struct
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wattview.daemon.history.database import Database
from wattview.daemon.history.protocol import (
    LOOKBACK_SECONDS,
    MAX_POINTS,
    HistoryError,
    matches,
    once,
    steps,
    too_many,
    trimmed,
)
from wattview.daemon.history.retention import GAP_SECONDS, Retention
from wattview.exposition import parse_series
from wattview.model import HistorySeries

log = logging.getLogger("wattview.history")

_DOUBLE = struct.Struct("<d")
_PACKED_FROM = 1024
"""Rows of at least this many bytes are compressed: the rates of many containers, often 0, shrink to half."""
_MICROSECONDS = 1_000_000
_DAY = 86_400.0
_KEPT_LAYOUTS = 32
_KEPT_IDS = 1000
_TICKS_PER_STEP = 16
_MOST_UNWRITTEN = 50_000
"""Samples; 20 containers have some 600 at a time. A sample is some 200 bytes."""

_DAMAGE = (struct.error, zlib.error, ValueError, TypeError)
"""Exceptions from reading a row that this program did not write."""

_Row = tuple[float, Mapping[str, float]]
"""The values of series at one moment."""


class SqliteHistory:
    """A history in one SQLite file, for one daemon.

    Every moment is one row: a time in microseconds, the number of a layout (which series, in which order) and their
    values as doubles. A tick thus costs one written page or two, whatever the number of series; a row per sample would
    cost a page each. 50 series every 5 s take 8.3 MB a day, and one day of one series is read in 0.05 s
    (tests/daemon/test_history_sqlite.py measures the size). Long rows are compressed. Each row deletes a few rows
    that exceed the retention.

    A damaged row is skipped, and logged once; ``database`` handles damage to the whole file, ``retention`` the age of
    rows. ``problem`` is why the last row could not be written, None if it was.
    """

    name = "sqlite"

    def __init__(self, path: Path, retention_seconds: float, gap_seconds: float = GAP_SECONDS) -> None:
        self.path = path
        self.problem: HistoryError | None = None
        self._database = Database(path)
        self._retention = Retention(retention_seconds, gap_seconds)
        self._renewed_seconds = min(_DAY, retention_seconds)
        self._known: sqlite3.Connection | None = None
        self._ids: dict[str, int] = {}
        self._layouts: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()
        self._pruned = -math.inf
        self._damage_said = False
        self._unwritten: list[_Row] = []

    async def append(self, time: float, samples: Iterable[tuple[str, float]]) -> None:
        """Stores the values of series at one moment. Values that are not finite are dropped."""
        await self.append_all([(time, samples)])

    async def append_all(self, rows: Iterable[tuple[float, Iterable[tuple[str, float]]]]) -> None:
        """The same for several moments, in one transaction, with what the disk or another program's lock did not let
        earlier ones write."""
        finite = [
            (time, {key: float(value) for key, value in samples if math.isfinite(value)}) for time, samples in rows
        ]
        kept = [(time, samples) for time, samples in finite if samples]
        if not kept:
            return
        due, self._unwritten = [*self._unwritten, *kept], []
        try:
            await self._database.write(lambda connection: self._append(connection, due))
        except HistoryError as error:
            self.problem = error
            if isinstance(error.__cause__, (sqlite3.Error, OSError)):  # and not a row that can never be written
                self._unwritten = _newest([*due, *self._unwritten])
            raise
        self.problem = None

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        metric, labels = parse_series(selector)
        return await self._database.read(lambda connection: self._samples(connection, metric, labels, start, end))

    async def thinned(
        self, selector: str, start: float, end: float, step: float, own_times: bool = False
    ) -> list[HistorySeries]:
        metric, labels = parse_series(selector)
        times = steps(start, end, step)
        return await self._database.read(lambda connection: self._thinned(connection, metric, labels, times, own_times))

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        return await self._database.read(lambda connection: self._recent(connection, metrics, start, end))

    async def reach(self) -> tuple[float, float] | None:
        first, last = await self._database.read(
            lambda connection: connection.execute(
                "SELECT (SELECT min(time) FROM ticks), (SELECT max(time) FROM ticks)"
            ).fetchone()
        )
        return None if first is None else (first / _MICROSECONDS, last / _MICROSECONDS)

    async def close(self) -> None:
        await self._database.close()

    # In the writing thread.

    def _append(self, connection: sqlite3.Connection, rows: Iterable[_Row]) -> None:
        if connection is not self._known:
            self._forget_what_is_known()
            self._known = connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for time, samples in rows:
                self._append_row(connection, time, samples)
            connection.execute("COMMIT")
        except BaseException:
            # The transaction may have been rolled back.
            self._forget_what_is_known()
            raise

    def _append_row(self, connection: sqlite3.Connection, time: float, samples: Mapping[str, float]) -> None:
        layout = self._layout(connection, time, tuple(samples))
        data = _packed(struct.pack(f"<{len(samples)}d", *samples.values()))
        at = round(time * _MICROSECONDS)
        while not connection.execute("INSERT OR IGNORE INTO ticks VALUES (?, ?, ?)", (at, layout, data)).rowcount:
            at += 1
        self._retention.note(connection, at)
        self._retention.forget(connection)
        self._prune(connection, time)

    def _forget_what_is_known(self) -> None:
        self._known = None
        self._ids.clear()
        self._layouts.clear()
        self._retention.reset()

    def _layout(self, connection: sqlite3.Connection, time: float, keys: tuple[str, ...]) -> int:
        """The number of a layout, a new one at least once a day, so that old layouts end up without rows."""
        known = self._layouts.get(keys)
        if known is not None and 0 <= time - known[1] < self._renewed_seconds:
            self._layouts.move_to_end(keys)
            return known[0]
        if len(self._ids) > 2 * len(keys) + _KEPT_IDS:  # of containers that are gone
            self._ids.clear()
        series = struct.pack(f"<{len(keys)}I", *[self._series(connection, key) for key in keys])
        row = connection.execute(
            "INSERT INTO layouts (created, series) VALUES (?, ?)", (round(time * _MICROSECONDS), series)
        )
        assert row.lastrowid is not None
        self._layouts[keys] = (row.lastrowid, time)
        if len(self._layouts) > _KEPT_LAYOUTS:
            self._layouts.popitem(last=False)
        return row.lastrowid

    def _series(self, connection: sqlite3.Connection, key: str) -> int:
        known = self._ids.get(key)
        if known is None:
            metric, _ = parse_series(key)
            connection.execute("INSERT OR IGNORE INTO series (metric, key) VALUES (?, ?)", (metric, key))
            known = int(connection.execute("SELECT id FROM series WHERE key = ?", (key,)).fetchone()[0])
            self._ids[key] = known
        return known

    def _prune(self, connection: sqlite3.Connection, time: float) -> None:
        """Deletes, once a day (more often where the retention is shorter), the layouts and series that no row refers
        to."""
        if abs(time - self._pruned) < self._renewed_seconds:
            return
        self._pruned = time
        oldest = connection.execute("SELECT coalesce(min(time), 0) FROM ticks").fetchone()[0]
        renewed = oldest - round(self._renewed_seconds * _MICROSECONDS)
        connection.execute("DELETE FROM layouts WHERE created < ?", (renewed,))
        used: set[int] = set()
        for (series,) in connection.execute("SELECT series FROM layouts"):
            with contextlib.suppress(*_DAMAGE):
                used.update(_numbers(series))
        known = {number for (number,) in connection.execute("SELECT id FROM series")}
        connection.executemany("DELETE FROM series WHERE id = ?", [(number,) for number in known - used])
        self._ids.clear()

    # In the reading thread.

    def _samples(
        self, connection: sqlite3.Connection, metric: str, labels: Mapping[str, str], start: float, end: float
    ) -> list[HistorySeries]:
        view = _matching(connection, metric, labels)
        found = view.points(start - LOOKBACK_SECONDS, end + LOOKBACK_SECONDS)
        self._judge(view, found)
        return view.series({number: trimmed(points, start, end) for number, points in found.items()})

    def _recent(
        self, connection: sqlite3.Connection, metrics: Sequence[str], start: float, end: float
    ) -> list[HistorySeries]:
        wanted = frozenset(metrics)
        rows = connection.execute("SELECT id, metric, key FROM series ORDER BY key")
        view = _View(connection, {number: key for number, metric, key in rows if metric in wanted})
        found = view.points(start, end)
        self._judge(view, found)
        return view.series(found)

    def _thinned(
        self,
        connection: sqlite3.Connection,
        metric: str,
        labels: Mapping[str, str],
        times: list[float],
        own_times: bool,
    ) -> list[HistorySeries]:
        view = _matching(connection, metric, labels)
        # Only the cursor that holds an unfinished statement can reuse it.
        cursor = connection.cursor()
        found: dict[int, list[tuple[float, float]]] = {number: [] for number in view.keys}
        count = 0
        for time in times if found else ():
            rows = cursor.execute(
                "SELECT time, layout, data FROM ticks WHERE time <= ? AND time > ? ORDER BY time DESC LIMIT ?",
                (math.floor(time * _MICROSECONDS), (time - LOOKBACK_SECONDS) * _MICROSECONDS, _TICKS_PER_STEP),
            )
            # Each source has rows of its own: for each series, the newest row with it counts.
            missing = set(found)
            for own, layout, data in rows:
                for number, value in view.values(layout, data):
                    if number in missing:
                        missing.discard(number)
                        found[number].append((own / _MICROSECONDS if own_times else time, value))
                if not missing:
                    break
            count += len(found) - len(missing)
            if count > MAX_POINTS:
                raise too_many(metric)
        cursor.close()
        self._judge(view, found)
        return view.series({number: once(points) for number, points in found.items()} if own_times else found)

    def _judge(self, view: _View, found: Mapping[int, list[tuple[float, float]]]) -> None:
        """Skips damaged rows. Raises HistoryError if there are no others: that is not "no data"."""
        if not view.damage:
            return
        if not self._damage_said:
            self._damage_said = True
            log.warning("the history %s has damaged rows, which are skipped: %s", self.path, view.damage)
        if not any(found.values()):
            raise HistoryError(f"history {self.path}: the rows of that time are damaged: {view.damage}")


def _newest(rows: Sequence[_Row]) -> list[_Row]:
    """As many of the last rows as are worth their memory."""
    found: list[_Row] = []
    room = _MOST_UNWRITTEN
    for row in reversed(rows):
        room -= len(row[1])
        if room < 0:
            break
        found.append(row)
    return found[::-1]


def _matching(connection: sqlite3.Connection, metric: str, labels: Mapping[str, str]) -> _View:
    rows = connection.execute("SELECT id, key FROM series WHERE metric = ? ORDER BY key", (metric,))
    return _View(connection, {number: key for number, key in rows if matches(labels, _labels(key))})


def _labels(key: str) -> Mapping[str, str]:
    """The labels of a series; those of a damaged name match no selector with labels."""
    try:
        return parse_series(key)[1]
    except (ValueError, TypeError, AttributeError):
        return {}


class _View:
    """Some series by their numbers, and their positions in the ticks of a layout."""

    def __init__(self, connection: sqlite3.Connection, keys: dict[int, str]) -> None:
        self.keys = keys
        self.damage = ""
        self._connection = connection
        self._places: dict[int, tuple[int, list[tuple[int, int]]]] = {}

    def values(self, layout: int, data: bytes) -> list[tuple[int, float]]:
        """(series number, value) of each matching series in a tick; empty for a damaged tick."""
        try:
            size, places = self._places_in(layout)
            whole = _whole(data, size) if places else b""
            return [(number, _DOUBLE.unpack_from(whole, offset)[0]) for number, offset in places]
        except _DAMAGE as error:
            self.damage = f"{type(error).__name__}: {error}"
            return []

    def _places_in(self, layout: int) -> tuple[int, list[tuple[int, int]]]:
        """The size in bytes of a tick of that layout, and (series number, byte offset of its value) of each matching
        series."""
        known = self._places.get(layout)
        if known is None:
            row = self._connection.execute("SELECT series FROM layouts WHERE id = ?", (layout,)).fetchone()
            numbers = _numbers(row[0]) if row else ()
            places = [(number, at * _DOUBLE.size) for at, number in enumerate(numbers) if number in self.keys]
            known = self._places[layout] = (len(numbers) * _DOUBLE.size, places)
        return known

    def points(self, start: float, end: float) -> dict[int, list[tuple[float, float]]]:
        """All their points from ``start`` to ``end``, by number."""
        found: dict[int, list[tuple[float, float]]] = {number: [] for number in self.keys}
        rows = self._connection.execute(
            "SELECT time, layout, data FROM ticks WHERE time BETWEEN ? AND ? ORDER BY time",
            (math.floor(start * _MICROSECONDS), math.ceil(end * _MICROSECONDS)),
        )
        count = 0
        for time, layout, data in rows if found else ():
            values = self.values(layout, data)
            count += len(values)
            if count > MAX_POINTS:
                raise too_many(f"the history from {start:.0f} to {end:.0f}")
            for number, value in values:
                found[number].append((time / _MICROSECONDS, value))
        return found

    def series(self, found: Mapping[int, list[tuple[float, float]]]) -> list[HistorySeries]:
        return [HistorySeries(self.keys[number], points) for number, points in found.items() if points]


def _packed(data: bytes) -> bytes:
    """The stored form of a tick: its doubles, compressed if that makes a long row shorter."""
    if len(data) < _PACKED_FROM:
        return data
    packed = zlib.compress(data, 1)
    return packed if len(packed) < len(data) else data


def _whole(data: bytes, size: int) -> bytes:
    """The doubles of a row. Raises one of ``_DAMAGE`` if they are not ``size`` bytes."""
    if len(data) == size:
        return data
    inflater = zlib.decompressobj()
    whole = inflater.decompress(data, size + 1)
    if len(whole) != size:
        raise ValueError(f"a row of {len(whole)} bytes, not {size}")
    return whole


def _numbers(layout: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(layout) // 4}I", layout)
