"""The embedded history: one SQLite file, for one daemon.

All file work happens in two threads of this module's own, one that writes and one that reads; nothing here blocks the
event loop.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from wattview.daemon.history.protocol import LOOKBACK_SECONDS, HistoryError, matches, steps, trimmed
from wattview.exposition import parse_series
from wattview.model import HistorySeries

T = TypeVar("T")

_VERSION = 2
"""Form 2 packs long rows; a file of form 1 has none and is read and gone on with as it is."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, metric TEXT NOT NULL, key TEXT NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS series_metric ON series (metric);
CREATE TABLE IF NOT EXISTS layouts (id INTEGER PRIMARY KEY, created INTEGER NOT NULL, series BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ticks (time INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
PRAGMA user_version = {_VERSION};
COMMIT;
"""
_DOUBLE = struct.Struct("<d")
_PACKED_FROM = 1024
"""Rows of at least so many bytes are packed: many containers' rates, of which many are 0, take half."""
_MICROSECONDS = 1_000_000
_DAY = 86_400.0
_KEPT_LAYOUTS = 32
_DELETED_AT_ONCE = 20
_TICKS_PER_STEP = 16


class SqliteHistory:
    """A history in one SQLite file, for one daemon.

    Every ``append`` is one row: a time in microseconds, the number of a layout (which series, in which order) and
    their values as doubles. A tick so costs one page written, whatever the number of series, where a row for each
    sample costs a page for each: 50 series every 5 s are 8.3 MB a day, and one day of one series is read in 0.05 s
    (tests/daemon/test_history_sqlite.py measures the size). Long rows are packed. Rows older than the retention go, a
    few at each append.

    The file is opened when it is first used, and opened anew after a failure: a file that is corrupt, unwritable or
    on a full disk raises HistoryError each time until it is mended. It is in WAL mode: a process that was killed in
    the middle of a write leaves a file that opens with the last whole append.
    """

    name = "sqlite"

    def __init__(self, path: Path, retention_seconds: float, lookback_seconds: float = LOOKBACK_SECONDS) -> None:
        self.path = path
        self._retention = retention_seconds
        self._lookback = lookback_seconds
        # Two connections that make a new file at once get "locked" whatever their patience.
        opening = threading.Lock()
        self._writing = _Thread(path, "history-write", opening)
        self._reading = _Thread(path, "history-read", opening)
        self._ids: dict[str, int] = {}
        self._layouts: OrderedDict[tuple[str, ...], tuple[int, float]] = OrderedDict()
        self._pruned = -math.inf

    async def append(self, time: float, samples: Iterable[tuple[str, float]]) -> None:
        """Keeps the values that series have at one moment. A value that is not finite is no sample."""
        finite = {key: float(value) for key, value in samples if math.isfinite(value)}
        if finite:
            await self._writing.run(lambda connection: self._append(connection, time, finite))

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        metric, labels = parse_series(selector)
        return await self._reading.run(lambda connection: self._samples(connection, metric, labels, start, end))

    async def thinned(self, selector: str, start: float, end: float, step: float) -> list[HistorySeries]:
        metric, labels = parse_series(selector)
        times = steps(start, end, step)
        return await self._reading.run(lambda connection: self._thinned(connection, metric, labels, times))

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        return await self._reading.run(lambda connection: self._recent(connection, metrics, start, end))

    async def reach(self) -> tuple[float, float] | None:
        first, last = await self._reading.run(
            lambda connection: connection.execute(
                "SELECT (SELECT min(time) FROM ticks), (SELECT max(time) FROM ticks)"
            ).fetchone()
        )
        return None if first is None else (first / _MICROSECONDS, last / _MICROSECONDS)

    async def close(self) -> None:
        await self._writing.close()
        await self._reading.close()

    # in the writing thread

    def _append(self, connection: sqlite3.Connection, time: float, samples: Mapping[str, float]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            layout = self._layout(connection, time, tuple(samples))
            data = _packed(struct.pack(f"<{len(samples)}d", *samples.values()))
            at = round(time * _MICROSECONDS)
            while not connection.execute("INSERT OR IGNORE INTO ticks VALUES (?, ?, ?)", (at, layout, data)).rowcount:
                at += 1
            self._forget(connection, time)
            connection.execute("COMMIT")
        except BaseException:
            # What was cached may have been rolled back.
            self._ids.clear()
            self._layouts.clear()
            raise

    def _layout(self, connection: sqlite3.Connection, time: float, keys: tuple[str, ...]) -> int:
        """The number of a layout, a new one at least once a day: an old layout is one that no kept tick uses."""
        known = self._layouts.get(keys)
        if known is not None and 0 <= time - known[1] < _DAY:
            self._layouts.move_to_end(keys)
            return known[0]
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

    def _forget(self, connection: sqlite3.Connection, time: float) -> None:
        cutoff = time - self._retention
        connection.execute(
            "DELETE FROM ticks WHERE time IN (SELECT time FROM ticks WHERE time < ? ORDER BY time LIMIT ?)",
            (round(cutoff * _MICROSECONDS), _DELETED_AT_ONCE),
        )
        if abs(time - self._pruned) < _DAY:
            return
        self._pruned = time
        oldest = connection.execute("SELECT min(time) FROM ticks").fetchone()[0]
        connection.execute("DELETE FROM layouts WHERE created < ?", (oldest - round(_DAY * _MICROSECONDS),))
        used: set[int] = set()
        for (series,) in connection.execute("SELECT series FROM layouts"):
            used.update(_numbers(series))
        known = {number for (number,) in connection.execute("SELECT id FROM series")}
        connection.executemany("DELETE FROM series WHERE id = ?", [(number,) for number in known - used])
        self._ids.clear()

    # in the reading thread

    def _samples(
        self, connection: sqlite3.Connection, metric: str, labels: Mapping[str, str], start: float, end: float
    ) -> list[HistorySeries]:
        view = _matching(connection, metric, labels)
        found = view.points(start - self._lookback, end + self._lookback)
        return view.series({number: trimmed(points, start, end) for number, points in found.items()})

    def _recent(
        self, connection: sqlite3.Connection, metrics: Sequence[str], start: float, end: float
    ) -> list[HistorySeries]:
        wanted = frozenset(metrics)
        rows = connection.execute("SELECT id, metric, key FROM series ORDER BY key")
        view = _View(connection, {number: key for number, metric, key in rows if metric in wanted})
        return view.series(view.points(start, end))

    def _thinned(
        self, connection: sqlite3.Connection, metric: str, labels: Mapping[str, str], times: list[float]
    ) -> list[HistorySeries]:
        view = _matching(connection, metric, labels)
        # One cursor: a statement that was not read to its end can only be used again by the cursor that holds it.
        cursor = connection.cursor()
        found: dict[int, list[tuple[float, float]]] = {number: [] for number in view.keys}
        for time in times if found else ():
            rows = cursor.execute(
                "SELECT layout, data FROM ticks WHERE time <= ? AND time > ? ORDER BY time DESC LIMIT ?",
                (math.floor(time * _MICROSECONDS), (time - self._lookback) * _MICROSECONDS, _TICKS_PER_STEP),
            )
            # Each source is a row of its own: the newest row that holds a series counts.
            missing = set(found)
            for layout, data in rows:
                for number, value in view.values(layout, data):
                    if number in missing:
                        missing.discard(number)
                        found[number].append((time, value))
                if not missing:
                    break
        cursor.close()
        return view.series(found)


def _matching(connection: sqlite3.Connection, metric: str, labels: Mapping[str, str]) -> _View:
    rows = connection.execute("SELECT id, key FROM series WHERE metric = ? ORDER BY key", (metric,))
    return _View(connection, {number: key for number, key in rows if matches(labels, parse_series(key)[1])})


class _View:
    """Some series by their numbers, and where each stands in the ticks of a layout."""

    def __init__(self, connection: sqlite3.Connection, keys: dict[int, str]) -> None:
        self.keys = keys
        self._connection = connection
        self._places: dict[int, tuple[int, list[tuple[int, int]]]] = {}

    def values(self, layout: int, data: bytes) -> Iterator[tuple[int, float]]:
        """(series number, value) of each matching series in a tick."""
        size, places = self._places_in(layout)
        if places:
            whole = _whole(data, size)
            for number, offset in places:
                yield number, _DOUBLE.unpack_from(whole, offset)[0]

    def _places_in(self, layout: int) -> tuple[int, list[tuple[int, int]]]:
        """The bytes of a tick of that layout, and (series number, byte offset of its value) of each matching series."""
        known = self._places.get(layout)
        if known is None:
            row = self._connection.execute("SELECT series FROM layouts WHERE id = ?", (layout,)).fetchone()
            numbers = _numbers(row[0]) if row else ()
            places = [(number, at * _DOUBLE.size) for at, number in enumerate(numbers) if number in self.keys]
            known = self._places[layout] = (len(numbers) * _DOUBLE.size, places)
        return known

    def points(self, start: float, end: float) -> dict[int, list[tuple[float, float]]]:
        """All that they were from ``start`` to ``end``, by number."""
        found: dict[int, list[tuple[float, float]]] = {number: [] for number in self.keys}
        rows = self._connection.execute(
            "SELECT time, layout, data FROM ticks WHERE time BETWEEN ? AND ? ORDER BY time",
            (math.floor(start * _MICROSECONDS), math.ceil(end * _MICROSECONDS)),
        )
        for time, layout, data in rows if found else ():
            for number, value in self.values(layout, data):
                found[number].append((time / _MICROSECONDS, value))
        return found

    def series(self, found: Mapping[int, list[tuple[float, float]]]) -> list[HistorySeries]:
        return [HistorySeries(self.keys[number], points) for number, points in found.items() if points]


def _packed(data: bytes) -> bytes:
    """What is stored of a tick: its doubles, packed where that makes a long row shorter."""
    if len(data) < _PACKED_FROM:
        return data
    packed = zlib.compress(data, 1)
    return packed if len(packed) < len(data) else data


def _whole(data: bytes, size: int) -> bytes:
    return data if len(data) == size else zlib.decompress(data)


def _numbers(layout: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(layout) // 4}I", layout)


class _Thread:
    """One thread with one connection, opened when it is first needed and dropped after a failure."""

    def __init__(self, path: Path, name: str, opening: threading.Lock) -> None:
        self._path = path
        self._opening = opening
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._do, work)
        except RuntimeError as error:
            raise HistoryError(f"the history {self._path} is closed") from error

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                with self._opening:
                    self._connection = _open(self._path)
            return work(self._connection)
        except (sqlite3.Error, OSError, zlib.error) as error:
            self._drop()
            raise _explained(self._path, error) from error
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, self._drop)
        except RuntimeError:
            return
        await loop.run_in_executor(None, self._executor.shutdown)


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {8 * 2**20}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version > _VERSION:
            raise HistoryError(f"{path} was written by a newer WattView (form {version}, this one knows {_VERSION})")
        if version == 0 and tables:
            raise HistoryError(f"{path} is a database of another program", "set paths.state to another directory")
        if version == 0:
            connection.executescript(_SCHEMA)
        elif version < _VERSION:
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


_FIXES = (
    ("not a database", "move it away: mv {path} {path}.broken"),
    ("malformed", "move it away: mv {path} {path}.broken"),
    ("full", "free some space on that disk"),
    ("readonly", "make {path} and its directory writable"),
    ("unable to open", "make {path} and its directory writable"),
    ("Permission denied", "make {path} and its directory writable"),
)


def _explained(path: Path, error: sqlite3.Error | OSError | zlib.error) -> HistoryError:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    fix = next((fix.format(path=path) for part, fix in _FIXES if part in text), "")
    return HistoryError(f"history {path}: {text}", fix)
