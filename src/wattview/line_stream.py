"""HTTP responses of many lines, such as server-sent events, read as bytes and within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from wattview.fetch import BadAnswer

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The largest snapshot in a stream of them."""


class LineSplitter:
    """Takes pieces and returns the lines that they complete, in linear time. ``rest`` is the line that has begun."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        *lines, last = piece.split(b"\n")
        if lines and self.rest:
            lines[0] = bytes(self.rest) + lines[0]
            self.rest.clear()
        self.rest += last
        return lines


async def lines(answer: httpx.Response, quiet_seconds: float) -> AsyncIterator[bytes]:
    """The lines of a stream as they arrive. Raises TimeoutError if none has come for ``quiet_seconds``, BadAnswer if
    one is too long.

    httpx's own ``aiter_lines`` decodes them to text, which JSON does not need: it costs as much as reading a snapshot.
    """
    loop = asyncio.get_running_loop()
    pieces, splitter = answer.aiter_raw(), LineSplitter()
    due = loop.time() + quiet_seconds
    while True:
        async with asyncio.timeout_at(due):
            piece = await anext(pieces, None)
        if piece is None:
            return
        lines = splitter.feed(piece)
        for line in lines:
            yield line
        if len(splitter.rest) > MAX_LINE_BYTES:
            raise BadAnswer(f"the daemon sent a line of more than {MAX_LINE_BYTES // 2**20} MiB")
        if lines:
            due = loop.time() + quiet_seconds
