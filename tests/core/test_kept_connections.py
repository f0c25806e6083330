"""A request that is cancelled, or whose time is over, keeps no connection open, and takes none from later ones."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.support.http_server import until
from wattview.client import Client
from wattview.fetch import FetchError, Site
from wattview.kept_connections import KeptConnections


class Server:
    """Answers slowly over a Unix socket, and knows its open connections."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.open = 0
        self.accepted = 0
        self._random = Random(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.accepted += 1
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await asyncio.sleep(self._random.choice((0, 0.002)))
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100002\r\n\r\n[]")
                    await asyncio.sleep(self._random.choice((0, 0.002)))
                    writer.write(b" " * 100_000)
                    await writer.drain()
        finally:
            self.open -= 1
            writer.close()

    async def left(self, most: int) -> None:
        """Waits until no more connections than these are open."""
        await until(lambda: self.open <= most)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    one = Server(tmp_path / "s")
    async with await asyncio.start_unix_server(one.serve, tmp_path / "s"):
        yield one


async def cancelled_at_any_moment(call, count: int = 150) -> None:  # type: ignore[no-untyped-def]
    random = Random(2)
    for number in range(count):
        task = asyncio.create_task(call())
        for _ in range(random.randrange(14)):
            await asyncio.sleep(0)
        if number % 3 == 0:
            await asyncio.sleep(random.random() * 0.006)
        task.cancel()
        await asyncio.wait([task])


async def test_cancelled_calls_leave_no_connection(server: Server) -> None:
    async with Client(server.url) as client:
        await cancelled_at_any_moment(client.runs)
        await server.left(0)
        assert await client.runs() == []


async def test_cancelled_and_late_fetches_leave_only_the_kept_connection(server: Server) -> None:
    async with Site(server.url) as site:
        await cancelled_at_any_moment(site.fetch)
        await server.left(1)
        assert (await site.fetch()).status == 200
    async with Site(server.url, seconds=0.001) as site:
        for _ in range(20):
            with contextlib.suppress(FetchError):
                await site.fetch()
        await server.left(1)
    await server.left(0)


async def test_a_request_cancelled_while_closing_does_not_block_later_ones(server: Server) -> None:
    connections = KeptConnections(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server.url.removeprefix("unix://"))
    async with httpx.AsyncClient(transport=connections, base_url="http://here", timeout=1.0) as client:
        for steps in range(12):
            read = asyncio.Event()

            async def get(read: asyncio.Event = read) -> None:
                async with client.stream("GET", "/") as answer:
                    async for _ in answer.aiter_raw():
                        if answer.num_bytes_downloaded == 100_002:
                            read.set()

            call = asyncio.create_task(get())
            await read.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
            assert (await client.get("/")).json() == []


async def test_a_connection_whose_answer_was_read_serves_the_next_request(server: Server) -> None:
    connections = KeptConnections(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), server.url.removeprefix("unix://"))
    async with httpx.AsyncClient(transport=connections, base_url="http://here") as client:
        for _ in range(3):
            assert (await client.get("/")).json() == []
        assert server.accepted == 1
        async with client.stream("GET", "/"):
            assert (await client.get("/")).json() == []
        assert server.accepted == 2
        await server.left(1)
    await server.left(0)
