"""How much the daemon's HTTP servers hold at once: connections, requests, memory, descriptors."""

from __future__ import annotations

import asyncio
import logging

import pytest
from starlette.responses import PlainTextResponse

from tests.support.http_server import served, until
from wattview.daemon.http import guard, listener
from wattview.daemon.http.guard import Turns
from wattview.daemon.http.listener import Pool
from wattview.daemon.http.throttled_log import ThrottledLog

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"


class Gate:
    """An application that answers when it is let; ``most`` is how many it was asked for at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.now = self.most = 0

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        self.now += 1
        self.most = max(self.most, self.now)
        await self.open.wait()
        self.now -= 1
        await PlainTextResponse("ok")(scope, receive, send)


async def test_more_requests_than_are_answered_at_once_wait_for_their_turn() -> None:
    gate = Gate()
    async with served(Turns(gate, 3)) as server:
        peers = [await server.peer() for _ in range(20)]
        for peer in peers:
            peer.send(ASK)
        await until(lambda: len(server.listener.running) == 20)
        assert gate.now == 3
        gate.open.set()
        assert [await peer.answer() for peer in peers] == [(200, b"ok")] * 20
        assert gate.most == 3


async def test_a_request_that_waits_too_long_for_its_turn_is_refused_as_by_node_exporter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "TURN_SECONDS", 0.1)
    gate = Gate()
    async with served(Turns(gate, 1)) as server:
        first, second = await server.peer(), await server.peer()
        first.send(ASK)
        await until(lambda: gate.now == 1)
        status, text = await second.ask(ASK)
        assert (status, text) == (503, b"Limit of concurrent requests reached (1), try again later.\n")
        gate.open.set()
        assert (await first.answer())[0] == 200


async def test_an_unread_answer_keeps_its_slot() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        body = b"x" * (20_000_000 if scope["path"] == "/large" else 1)
        await PlainTextResponse(body)(scope, receive, send)

    async with served(Turns(app, 2)) as server:
        stuck = [await server.peer() for _ in range(2)]
        for peer in stuck:
            peer.send(ASK.replace(b" / ", b" /large "))
        await until(lambda: len(server.listener.running) == 2)
        late = await server.peer()
        late.send(ASK)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late.reader.readexactly(1), 0.3)
        stuck[0].writer.transport.abort()
        assert (await late.answer())[0] == 200


async def test_a_new_connection_takes_the_place_of_the_one_that_has_waited_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "SPARED_SECONDS", 0.0)
    async with served(pool=Pool(5)) as server:
        peers = []
        for _ in range(5):
            peers.append(await server.peer())
            assert (await peers[-1].ask(ASK))[0] == 200
        assert (await peers[0].ask(ASK))[0] == 200
        new = await server.peer()
        assert (await new.ask(ASK))[0] == 200
        assert await peers[1].rest(2) == b"", "it waited longest: the first one has asked again since"
        assert (await peers[0].ask(ASK))[0] == 200


async def test_with_all_connections_busy_a_new_one_is_refused_and_reported_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "said", ThrottledLog("wattview.http"))
    gate = Gate()
    async with served(gate, Pool(5)) as server:
        working = [await server.peer() for _ in range(5)]
        for peer in working:
            peer.send(ASK)
        await until(lambda: gate.now == 5)
        with caplog.at_level(logging.WARNING):
            for _ in range(50):
                assert (await (await server.peer()).rest(2)).startswith(b"HTTP/1.1 503 ")
        assert [record.message for record in caplog.records if "refused" in record.message] == [
            "too many open connections: new ones are refused; check which client holds them"
        ]
        gate.open.set()
        assert [(await peer.answer())[0] for peer in working] == [200] * 5
        monkeypatch.setattr(listener, "SPARED_SECONDS", 0.0)
        assert (await (await server.peer()).ask(ASK))[0] == 200


async def test_a_pipeline_that_is_never_read_stops_being_read_itself() -> None:
    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await PlainTextResponse(b"x" * 100_000)(scope, receive, send)

    async with served(app) as server:
        peer = await server.peer()
        peer.send(ASK * 500_000)
        sizes = [-1, peer.writer.transport.get_write_buffer_size()]
        while sizes[-1] != sizes[-2]:
            await asyncio.sleep(0.3)
            sizes.append(peer.writer.transport.get_write_buffer_size())
        assert sizes[-1] > 1_000_000, "the peer's own buffers must fill, not the server's"
        (connection,) = server.listener.pool.state.connections
        assert len(connection._unparsed) <= 512 * 1024  # type: ignore[union-attr]
        assert connection.transport.get_write_buffer_size() < 1_000_000
        began = asyncio.get_running_loop().time()
        await server.listener.close()
        assert asyncio.get_running_loop().time() - began < 5


async def test_a_listener_without_application_lets_requests_wait_for_the_next() -> None:
    async with served() as server:
        kept = await server.peer()
        assert (await kept.ask(ASK))[0] == 200
        server.listener.hold()
        await server.listener.settle()
        new = await server.peer()
        for peer in (kept, new):
            peer.send(ASK)
        await until(lambda: len(server.listener.requests) == 2)
        server.listener.serve(server.app)
        assert [(await peer.answer())[0] for peer in (kept, new)] == [200, 200]


def test_a_frequent_condition_is_reported_at_growing_intervals(caplog: pytest.LogCaptureFixture) -> None:
    said = ThrottledLog("wattview.test", quiet_seconds=0.2)
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            said.warning("kind", "it was %s", "so")
        said._quiet = 0.0
        said.warning("kind", "it was %s", "so")
    assert [record.message for record in caplog.records] == [
        "it was so", "it was so (and 999 more of this kind since the last line)"
    ]  # fmt: skip
