"""Files that are written atomically and read with a size limit. Everything here blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from pathlib import Path

_SUFFIX = ".tmp"


class NotRegular(OSError):
    """A FIFO, a device or a directory instead of a file."""

    def __init__(self, path: Path) -> None:
        super().__init__("not a regular file")
        self.strerror, self.filename = "not a regular file", str(path)


class TooLarge(OSError):
    """A file larger than the limit."""

    def __init__(self, limit: int) -> None:
        text = f"larger than {limit // 2**20} MiB"
        super().__init__(text)
        self.strerror = text


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes a file atomically: a temporary file beside it, fsync, rename, fsync of the directory.

    Raises OSError; then the temporary file is removed and the previous file is unchanged. The temporary file is always
    new, so a planted link is not followed. It is locked while it is written, so that ``sweep`` recognises those of
    killed writers.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # a sweep may hold it for the moment in which it looks at its age
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            os.replace(temporary, path)
        finally:
            os.close(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _fsync_directory(path.parent)


def read(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. Raises OSError.

    A FIFO neither blocks the reader nor is treated as a file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegular(path)
        content = stream.read(limit + 1) if status.st_size <= limit else b""
    if status.st_size > limit or len(content) > limit:
        raise TooLarge(limit)
    return content


def sweep(directory: Path, name: str, older_than: float = 0.0) -> None:
    """Removes temporary files of ``name`` (a glob pattern) that killed writers left in a directory, if at least that
    many seconds old. An unreadable directory is left alone."""
    for leftover in directory.glob(f".{name}.*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(descriptor).st_mtime >= older_than:
                    leftover.unlink()
            finally:
                os.close(descriptor)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
