"""A child's output in a file of limited size: its start and its end, with a note on what was cut in between."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader
from collections.abc import Sequence
from pathlib import Path

MAX_BYTES = 1 << 20
HEAD_BYTES = 128 << 10
TAIL_BYTES = 128 << 10
CHUNK_BYTES = 1 << 16


class ChildLog:
    """One file. ``begin`` is its first line; ``watch_for`` is a phrase, and ``seen`` says whether it has occurred.
    ``hidden`` are texts that are replaced by dots, such as passwords in addresses; each stands within one line.

    Raises OSError if the file cannot be created; later write errors are ignored, and reading continues: the child must
    not block on our disk.
    """

    def __init__(self, path: Path, begin: str = "", watch_for: str = "", hidden: Sequence[str] = ()) -> None:
        self.path = path
        self.seen = False
        self._phrase = watch_for.encode()
        self._before = b""
        self._left_out = 0
        self._hidden = [text.encode() for text in hidden]
        self._rest = b""
        self._file = path.open("w+b", buffering=0)
        self._size = self._file.write(self._public(f"{begin}\n".encode())) if begin else 0

    async def take(self, stream: StreamReader) -> None:
        """Consumes everything until the stream ends."""
        try:
            while data := await stream.read(CHUNK_BYTES):
                if self._phrase and not self.seen:
                    self.seen = self._phrase in self._before + data
                    self._before = data[-len(self._phrase) :]
                await asyncio.to_thread(self._write, self._whole_lines(data) if self._hidden else data)
        finally:
            self._write(self._public(self._rest))
            self._file.close()

    def _whole_lines(self, data: bytes) -> bytes:
        """What is complete of the output so far: a text that is hidden may come in two pieces."""
        lines, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > CHUNK_BYTES:
            lines, newline, self._rest = lines + newline + self._rest, b"", b""
        return self._public(lines + newline)

    def _public(self, data: bytes) -> bytes:
        for text in self._hidden:
            data = data.replace(text, "…".encode())
        return data

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._size += self._file.write(data)
            if self._size > MAX_BYTES:
                self._shorten()

    def _shorten(self) -> None:
        self._file.seek(-TAIL_BYTES, 2)
        tail = self._file.read(TAIL_BYTES).partition(b"\n")[2]
        self._left_out += self._size - HEAD_BYTES - len(tail)
        self._file.seek(HEAD_BYTES)
        note = f"\n# … {self._left_out} bytes were left out …\n".encode()
        self._size = HEAD_BYTES + self._file.write(note + tail)
        self._file.truncate()
