"""Kernel files that are read again and again: opened once, read through ``os.pread``."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from types import TracebackType
from typing import Self

# A seq_file hands out its page-sized buffer when the next record does not fit; anything shorter was the whole.
_SURELY_WHOLE = 2048


def kept_below() -> int:
    """Files with a descriptor from here on do not stay open. The kernel gives the lowest that is free: such a one says
    that half of all that this process may have are in use, and the rest is for connections and the history."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft // 2


def read_once(path: str) -> bytes:
    """The whole content of a kernel file that must not stay open. Raises OSError as ``open`` and ``read`` do."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = piece = os.read(file, 65536)
        while len(data) >= _SURELY_WHOLE and piece:
            piece = os.read(file, 65536)
            data += piece
        return data
    finally:
        os.close(file)


class KernelFile:
    """A file under /proc, /sys or a cgroup mount that stays open between reads.

    A ``pread`` at offset 0 of such a file gives fresh content at a third of the cost of opening it anew. Where the
    thing behind the descriptor has gone (ENODEV after a hot-unplug, ESTALE), the next read opens the path again.
    It does not stay open where descriptors are scarce.
    Raises OSError as ``open`` and ``read`` do.
    """

    __slots__ = ("_fd", "_size", "path")

    def __init__(self, path: str | Path, size: int = 4096) -> None:
        self.path = str(path)
        self._fd = -1
        self._size = size

    def read(self) -> bytes:
        """The whole content, however long it has become."""
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
