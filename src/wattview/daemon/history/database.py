"""The embedded history's file: opening, monitoring, and setting it aside if it is damaged. Two threads of this module
do all I/O, one that writes and one that reads, each with its own connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from wattview.daemon.history.protocol import HistoryError

log = logging.getLogger("wattview.history")

T = TypeVar("T")

VERSION = 2
"""Version 2 compresses long rows. A file of version 1 has no such rows and is continued as it is."""

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, metric TEXT NOT NULL, key TEXT NOT NULL UNIQUE);
CREATE INDEX IF NOT EXISTS series_metric ON series (metric);
CREATE TABLE IF NOT EXISTS layouts (id INTEGER PRIMARY KEY, created INTEGER NOT NULL, series BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ticks (time INTEGER PRIMARY KEY, layout INTEGER NOT NULL, data BLOB NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""

LOCKED_SECONDS = 5.0
"""How long another program's lock is waited for."""

KEPT_ASIDE = 2
"""How many damaged files are kept; older ones are deleted, so that a bad disk does not fill up."""

_Identity = tuple[int, int] | None
"""A file's device and inode; None if there is no file."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One SQLite file of one daemon. ``write`` and ``read`` submit work to the two threads.

    The file is opened on first use, and reopened after a failure. It is in WAL mode, so a process that is killed during
    a write leaves a file with the last complete transaction. If the file is removed or replaced while open, the one
    that is there now is opened, or a new one created. If SQLite calls the file damaged, reads fail; the next write
    renames it and starts a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writing = _Thread("history-write")
        self._reading = _Thread("history-read")
        # Two connections that create a new file at the same time get "locked" regardless of their timeout.
        self._opening = threading.Lock()
        self._opened: _Identity = None
        self._damage: sqlite3.DatabaseError | None = None
        self._closed = False

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs ``work(connection)`` in the writing thread. Raises HistoryError, and ValueError if ``work`` does."""
        return await self._run(self._writing, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs ``work(connection)`` in the reading thread."""
        return await self._run(self._reading, work)

    async def close(self) -> None:
        self._closed = True
        for thread in (self._writing, self._reading):
            try:
                await asyncio.get_running_loop().run_in_executor(thread.executor, thread.drop)
            except RuntimeError:
                continue
            await asyncio.to_thread(thread.executor.shutdown)

    async def _run(self, thread: _Thread, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread.executor, self._do, thread, work)
        except RuntimeError as error:
            said = "is closed" if self._closed else f"has no thread: {error}"
            raise HistoryError(f"the history {self.path} {said}") from error

    def _do(self, thread: _Thread, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._gone():
                self._let_go()
            if thread is self._writing and self._damage is not None:
                self._put_aside(self._damage, self._reading.file)
            try:
                return self._once(thread, work)
            except sqlite3.DatabaseError as error:
                if not _damaged(error):
                    raise
                if thread is self._reading:
                    self._damage = error
                    raise
                if not self._put_aside(error, thread.file):
                    raise
                return self._once(thread, work)
        except (sqlite3.Error, OSError) as error:
            raise explained(self.path, error) from error
        except (HistoryError, ValueError):
            raise
        except Exception as error:
            # A row that no version of this program wrote must stop neither the query nor the recorder.
            log.debug("the history %s: unexpected", self.path, exc_info=error)
            raise HistoryError(f"history {self.path}: {type(error).__name__}: {error}") from error

    def _once(self, thread: _Thread, work: Callable[[sqlite3.Connection], T]) -> T:
        with thread.using:
            try:
                if thread.connection is None:
                    with self._opening:
                        thread.file = _identity(self.path)
                        thread.connection = _open(self.path)
                        self._opened = thread.file = _identity(self.path)
                return work(thread.connection)
            except BaseException:
                thread.drop()
                raise

    def _gone(self) -> bool:
        """Whether the open file, or its write-ahead log, is no longer the one on disk."""
        if self._writing.connection is None and self._reading.connection is None:
            return False
        return _identity(self.path) != self._opened or not os.path.exists(f"{self.path}-wal")

    def _let_go(self) -> None:
        with self._both():
            if not self._gone():
                return
            self._writing.drop()
            self._reading.drop()
            if _identity(self.path) != self._opened:
                log.error(
                    "the history %s was moved, removed or replaced while it was in use; "
                    "recording continues in a new file of that name, without the old rows",
                    self.path,
                )
            self._opened = None

    def _put_aside(self, error: sqlite3.DatabaseError, file: _Identity) -> bool:
        """Renames a damaged file. False if it is not a file and must be left alone."""
        with self._both():
            self._damage = None
            if _identity(self.path) != file:
                return True  # it has been replaced meanwhile
            if not self.path.is_file():
                return False
            self._writing.drop()
            self._reading.drop()
            self._opened = None
            aside = _free_name(self.path)
            os.replace(self.path, aside)
            for end in ("-wal", "-shm"):
                with contextlib.suppress(OSError):
                    os.replace(f"{self.path}{end}", f"{aside}{end}")
            log.error(
                "the history %s is damaged (%s): it was renamed to %s, and a new one is started; "
                "sqlite3's .recover may save what it holds",
                self.path, error, aside.name,
            )  # fmt: skip
            for old in sorted(self.path.parent.glob(f"{self.path.name}.damaged-????????_??????"))[:-KEPT_ASIDE]:
                for end in ("", "-wal", "-shm"):
                    with contextlib.suppress(OSError):
                        os.unlink(f"{old}{end}")
            return True

    @contextlib.contextmanager
    def _both(self) -> Iterator[None]:
        """Context in which neither thread uses its connection."""
        with self._writing.using, self._reading.using:
            yield


class _Thread:
    """One thread with one connection; ``using`` is held while it is in use."""

    def __init__(self, name: str) -> None:
        self.executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self.connection: sqlite3.Connection | None = None
        self.file: _Identity = None
        self.using = threading.RLock()

    def drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _free_name(path: Path) -> Path:
    """Name for a damaged file, with the time (UTC) in it."""
    moment = time.time()
    while True:
        stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(moment))
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        if not aside.exists():
            return aside
        moment += 1


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _damaged(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = sqlite3.connect(path, timeout=LOCKED_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {8 * 2**20}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version > VERSION:
            raise HistoryError(f"{path} was written by a newer WattView (form {version}, this one knows {VERSION})")
        if version == 0 and tables:
            raise HistoryError(f"{path} is a database of another program", "set paths.state to another directory")
        if version == 0:
            connection.executescript(_SCHEMA)
        elif version < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


_FIXES = (
    ("full", "free some space on that disk"),
    ("readonly", "make {path} and its directory writable"),
    ("Read-only", "make {path} and its directory writable"),
    ("unable to open", "make {path} and its directory writable"),
    ("Permission denied", "make {path} and its directory writable"),
    ("locked", "end the program that writes to it"),
    ("disk I/O", "look at that disk (dmesg), and whether it is mounted read-only"),
)


def explained(path: Path, error: sqlite3.Error | OSError) -> HistoryError:
    """The failure in words, with how to fix it."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    fix = next((fix.format(path=path) for part, fix in _FIXES if part in text), "")
    return HistoryError(f"history {path}: {text}", fix)
