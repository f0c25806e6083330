"""An HTTP response of many lines, such as server-sent events, read as bytes and within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from wattview.fetch import BadAnswer

MAX_LINE_BYTES = 16 * 1024 * 1024
"""The largest snapshot in a stream of them."""


async def lines(answer: httpx.Response, quiet_seconds: float) -> AsyncIterator[bytes]:
    """The lines of a stream as they arrive. Raises TimeoutError if none has come for ``quiet_seconds``, BadAnswer if
    one is too long.

    httpx's own ``aiter_lines`` decodes them to text, which JSON does not need: it costs as much as reading a snapshot.
    """
    loop = asyncio.get_running_loop()
    pieces, rest = answer.aiter_raw(), bytearray()
    due = loop.time() + quiet_seconds
    while True:
        async with asyncio.timeout_at(due):
            piece = await anext(pieces, None)
        if piece is None:
            return
        *lines, last = piece.split(b"\n")
        for line in lines:
            yield bytes(rest + line) if rest else line
            rest.clear()
        rest += last
        if len(rest) > MAX_LINE_BYTES:
            raise BadAnswer(f"the daemon sent a line of more than {MAX_LINE_BYTES // 2**20} MiB")
        if lines:
            due = loop.time() + quiet_seconds
