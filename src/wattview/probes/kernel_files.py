"""Kernel files that are read repeatedly: opened once, read through ``os.pread``."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from types import TracebackType
from typing import Self

# A seq_file returns its page-sized buffer when the next record does not fit; a shorter result is complete.
_SURELY_WHOLE = 2048

MOST_BYTES = 32 * 2**20
"""More than any kernel says in one file. A longer one is not the kernel's, and would take all memory."""


def kept_below() -> int:
    """Files with a descriptor of this number or higher do not stay open. The kernel assigns the lowest free number,
    so such a number means that half of this process's descriptors are in use; the rest is for connections and the
    history."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft // 2


def read_once(path: str) -> bytes:
    """The whole content of a kernel file that must not stay open. Raises OSError as ``open`` and ``read`` do."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(file, 65536)
        if len(data) < _SURELY_WHOLE:
            return data
        pieces, size = [data], len(data)
        while piece := os.read(file, 65536):
            pieces.append(piece)
            size += len(piece)
            _bound(size, path)
        return b"".join(pieces)
    finally:
        os.close(file)


def _bound(size: int, path: str) -> None:
    if size > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)


def text_of(path: Path) -> str:
    """A small text file without the space around it; "" if it cannot be read."""
    return bytes_of(str(path)).decode("utf-8", "replace").strip()


def bytes_of(path: str, most: int | None = None) -> bytes:
    """A file of a process or a control group, or at most that much of it; empty if it has ended, or cannot be read."""
    try:
        if most is None:
            return read_once(path)
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""


class KernelFile:
    """A file under /proc, /sys or a cgroup mount that stays open between reads.

    A ``pread`` at offset 0 returns current content at a third of the cost of opening the file. If the object behind the
    descriptor is gone (ENODEV after a hot-unplug, ESTALE), the next read reopens the path. The file does not stay open
    if descriptors are scarce. Raises OSError as ``open`` and ``read`` do.
    """

    __slots__ = ("_fd", "_size", "path")

    def __init__(self, path: str | Path, size: int = 4096) -> None:
        self.path = str(path)
        self._fd = -1
        self._size = size

    def read(self) -> bytes:
        """The whole content, whatever its length."""
        if self._fd < 0:
            opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            if opened >= kept_below():
                os.close(opened)
                return read_once(self.path)
            self._fd = opened
        try:
            data = os.pread(self._fd, self._size, 0)
            if len(data) < _SURELY_WHOLE:
                return data
            data += self._rest(len(data))
            self._size = max(self._size, len(data) + 1)
            return data
        except OSError:
            self.close()
            raise

    def _rest(self, offset: int) -> bytes:
        pieces = []
        while piece := os.pread(self._fd, 65536, offset):
            pieces.append(piece)
            offset += len(piece)
            _bound(offset, self.path)
        return b"".join(pieces)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
