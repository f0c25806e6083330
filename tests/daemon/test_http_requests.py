"""What the daemon's HTTP servers make of requests that a good client would not send: one answer each, or none."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.http_server import served, until
from wattview.daemon.http import connection

GOOD = b"GET /good HTTP/1.1\r\nHost: here\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: here\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 0x4\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999999999\r\n",
        b" Content-Length: 4\r\n",
    ],
)
async def test_a_body_of_ambiguous_length_is_refused(head: bytes) -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: here\r\n" + head + b"\r\n0\r\n\r\n" + HIDDEN)
        answer = await peer.rest()
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 501 "))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert server.heard == []


@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        (b"GET / HTTP/1.1", b"", 400),
        (b"GET / HTTP/1.1", b"Host: a\r\nHost: b\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: a b\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: a/b\r\n", 400),
        (b"GET / HTTP/1.1", b"Host: user@a\r\n", 400),
        (b"NONSENSE / HTTP/1.1", b"Host: a\r\n", 400),
        (b"get / HTTP/1.1", b"Host: a\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1", b"Host: a\r\n", 400),
        (b"OPTIONS * HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET http:// HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET good HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET /\x00 HTTP/1.1", b"Host: a\r\n", 400),
        (b"GET /\xc3\xa9 HTTP/1.1", b"Host: a\r\n", 400),
        (b"POST / HTTP/1.0", b"Transfer-Encoding: chunked\r\n", 400),
        (b"GET / HTTP/2.0", b"Host: a\r\n", 505),
        (b"GET / HTTP/9.9", b"Host: a\r\n", 400),
        (b"GET /", b"", 505),
        (b"PRI * HTTP/2.0", b"", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", b"", 400),
    ],
)
async def test_a_malformed_request_is_refused_and_ends_the_connection(
    request_line: bytes, host: bytes, status: int
) -> None:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with served() as server:
        peer = await server.peer()
        peer.send(request_line + b"\r\n" + host + b"\r\n" + HIDDEN)
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in answer
        assert server.heard == []
    assert not faults


async def test_pipelined_requests_are_answered_one_after_the_other_in_their_order() -> None:
    order: list[str] = []

    async with served() as server:

        async def slow_first(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
            order.append(f"begin {scope['path']}")
            await asyncio.sleep(0.1 if scope["path"] == "/0" else 0)
            await server.app(scope, receive, send)
            order.append(f"end {scope['path']}")

        server.listener.serve(slow_first)
        peer = await server.peer()
        bodies = [b"x" * (number * 1000) for number in range(5)]
        for number, body in enumerate(bodies):
            peer.send(b"POST /%d HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % (number, len(body)) + body)
        answers = [await peer.answer() for _ in bodies]
        assert answers == [(200, b"POST /%d" % number) for number in range(5)]
        assert order == [f"{word} /{number}" for number in range(5) for word in ("begin", "end")]
        assert [body for _, _, body in server.heard] == bodies


@pytest.mark.parametrize("piece", [1, 3, 7, 64])
async def test_a_request_may_arrive_in_any_fragments(piece: int) -> None:
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nHost: b\r\n\r\n"
    sized = b"POST /s HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
    text = GOOD + chunked + sized + GOOD
    async with served() as server:
        peer = await server.peer()
        for start in range(0, len(text), piece):
            peer.send(text[start : start + piece])
            await asyncio.sleep(0)
        assert [(await peer.answer())[0] for _ in range(4)] == [200] * 4
        assert server.heard == [
            ("GET", "/good", b""), ("POST", "/c", b"abc"), ("POST", "/s", b"\r\n\r\n"), ("GET", "/good", b"")
        ]  # fmt: skip


async def test_a_bad_request_does_not_lose_the_answer_to_the_one_before_it() -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(GOOD + b"NONSENSE\r\n\r\n" + HIDDEN)
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 2
        assert b"HTTP/1.1 400 " in answer
        assert [path for _, path, _ in server.heard] == ["/good"]


async def test_a_request_in_absolute_form_is_served_by_its_path() -> None:
    async with served() as server:
        peer = await server.peer()
        assert await peer.ask(b"GET http://other/a%20b?c=d HTTP/1.1\r\nHost: here\r\n\r\n") == (
            200,
            b"GET /a b",
        )
        assert await peer.ask(b"GET http://other.example HTTP/1.1\r\nHost: here\r\n\r\n") == (200, b"GET /")


async def test_http_1_0_is_answered_and_closed_with_and_without_a_host() -> None:
    async with served() as server:
        for host in (b"", b"Host: here\r\n"):
            peer = await server.peer()
            peer.send(b"GET /old HTTP/1.0\r\n" + host + b"\r\n" + HIDDEN)
            answer = await peer.rest()
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert answer.endswith(b"GET /old")
        assert [path for _, path, _ in server.heard] == ["/old", "/old"]


async def test_a_half_closed_connection_still_gets_its_answer() -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(GOOD)
        peer.writer.write_eof()
        assert (await peer.rest()).endswith(b"GET /good")


async def test_an_unknown_protocol_is_refused_and_nothing_after_it_is_read() -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HIDDEN)
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert [path for _, path, _ in server.heard] == ["/ws"]


async def test_trailers_of_a_body_do_not_become_headers() -> None:
    seen: list[list[bytes]] = []

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        while (await receive()).get("more_body"):
            pass
        seen.append([name for name, _ in scope["headers"]])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with served(app) as server:
        peer = await server.peer()
        peer.send(
            b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
        )
        assert (await peer.answer())[0] == 204
        assert seen == [[b"host", b"transfer-encoding"]]


@pytest.mark.parametrize(
    "what",
    [
        b"GET /" + b"a" * 10_000_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1_000_000,
        b"GET / HTTP/1.1\r\nHost: here\r\nA: " + b"b" * 65_536 + b"\r\n\r\n",
    ],
)
async def test_endless_urls_and_headers_are_refused_after_64_kib(what: bytes) -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(what)
        assert (await peer.rest()).startswith(b"HTTP/1.1 431 ")
        assert server.heard == []


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 3000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n200000\r\n"],
)
async def test_a_body_without_end_is_refused(head: bytes) -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: here\r\n" + head + b"0" * 3_000_000)
        assert (await peer.rest()).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 431 "))
        assert server.heard == []


async def test_chunks_of_nothing_but_extensions_are_refused() -> None:
    async with served() as server:
        peer = await server.peer()
        peer.send(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 3_000_000)
        assert b"HTTP/1.1 413 " in await peer.rest()


async def test_a_client_that_sends_no_whole_request_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "BODY_SECONDS", 0.4)
    async with served() as server:
        silent, half, trickling, body, after = [await server.peer() for _ in range(5)]
        half.send(b"GET / HTTP/1.1\r\nHost: h")
        body.send(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\nabc")
        after.send(GOOD + b"\r\n\r\n")

        async def trickle() -> None:
            for letter in b"GET / HTTP/1.1\r\nHost: " + b"a" * 1000:
                trickling.send(bytes([letter]))
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        assert await silent.rest(2) == b""
        assert (await half.rest(2)).startswith(b"HTTP/1.1 408 ")
        assert (await trickling.rest(2)).startswith(b"HTTP/1.1 408 ")
        assert (await body.rest(2)).startswith(b"HTTP/1.1 408 ")
        assert (await after.answer())[0] == 200
        assert (await after.rest(2)).startswith((b"HTTP/1.1 408 ", b""))
        task.cancel()
        assert server.heard == [("GET", "/good", b"")]


async def test_an_answer_takes_its_time_and_a_connection_is_kept_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.5 if scope["path"] == "/good" else 0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with served(app) as server:
        peer = await server.peer()
        assert (await peer.ask(GOOD))[0] == 200
        await asyncio.sleep(0.5)
        assert (await peer.ask(GOOD))[0] == 200
        assert (await peer.ask(HIDDEN))[0] == 200


async def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READER_SECONDS", 0.3)

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000})
        await scope["state"]["drained"]()

    async with served(app) as server:
        peer = await server.peer()
        peer.send(GOOD)
        await until(lambda: bool(server.listener.running))
        await until(lambda: not server.listener.running)
        assert not server.listener.pool.state.connections


async def test_a_slow_reader_receives_the_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READER_SECONDS", 0.3)
    size = 30_000_000

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"x" * size})

    async with served(app) as server:
        peer = await server.peer()
        peer.send(GOOD)
        got = 0
        while got < size:
            piece = await asyncio.wait_for(peer.reader.read(1_000_000), 5)
            assert piece, "closed in the middle"
            got += len(piece)
            await asyncio.sleep(0.02)
