"""inotify(7): notification of directories that come and go and of written files, without polling."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

CREATED, DELETED, MODIFIED = 0x100, 0x200, 0x2
MOVED = 0xC0
"""IN_MOVED_FROM and IN_MOVED_TO: of cgroups only version 1 can be renamed."""
OVERFLOW = 0x4000
DIRECTORY = 0x40000000
_ONLY_DIRECTORY = 0x1000000

_HEADER = struct.Struct("iIII")


class TreeEvent(NamedTuple):
    """One event of the watch ``watch``. ``name`` is that of the entry of a directory, "" for the thing itself."""

    watch: int
    mask: int
    name: str


class Inotify:
    """One instance. Raises OSError if the user has none left (``fs.inotify.max_user_instances``)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")

    def watch_directory(self, path: str) -> int:
        return self._add(path, CREATED | DELETED | MOVED | _ONLY_DIRECTORY)

    def watch_file(self, path: str) -> int:
        return self._add(path, MODIFIED)

    def forget(self, watch: int) -> None:
        self._libc.inotify_rm_watch(self.descriptor, watch)

    def events(self) -> list[TreeEvent]:
        """All events since the last call."""
        found: list[TreeEvent] = []
        while True:
            try:
                data = os.read(self.descriptor, 65536)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                watch, mask, _, length = _HEADER.unpack_from(data, at)
                at += _HEADER.size
                name = data[at : at + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
                at += length
                found.append(TreeEvent(watch, mask, name))

    def close(self) -> None:
        os.close(self.descriptor)

    def _add(self, path: str, mask: int) -> int:
        watch = int(self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), mask))
        if watch < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return watch
