"""A listener of the daemon's with a small application, and peers that speak to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from wattview.daemon.http.listener import Listener, Pool, bind_tcp


class Peer:
    """A connection to a listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer that has a length."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)
        status = int(head.split()[1])
        length = next(
            (
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        return status, await asyncio.wait_for(self.reader.readexactly(length), 20)

    async def rest(self, seconds: float = 20) -> bytes:
        """Everything until the other side closes; b"" also where it does so without a word."""
        try:
            return await asyncio.wait_for(self.reader.read(), seconds)
        except ConnectionError:
            return b""

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        self.send(data)
        return await self.answer()


class Served:
    """A listener that serves; ``heard`` is what its application was asked: method, path and body."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.port: int = listener.sock.getsockname()[1]
        self.heard: list[tuple[str, str, bytes]] = []
        self.peers: list[Peer] = []

    async def peer(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.heard.append((request.method, request.url.path, body))
        await PlainTextResponse(f"{request.method} {request.url.path}")(scope, receive, send)


@contextlib.asynccontextmanager
async def served(app: Any = None, pool: Pool | None = None) -> AsyncIterator[Served]:
    """Serves ``app``, or one that says what it was asked, on a free port of loopback."""
    one = Served(Listener(bind_tcp("127.0.0.1", 0), pool or Pool(100)))
    one.listener.serve(app or one.app)
    try:
        yield one
    finally:
        for peer in one.peers:
            peer.writer.close()
        await one.listener.close()


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
