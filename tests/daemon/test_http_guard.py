"""Who is let in: wrong secrets are few, said and compared alike; requests have a rate; event streams end quietly."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse

from tests.support.daemon import running_daemon
from tests.support.http_server import Served, served
from wattview.daemon.http import guard
from wattview.daemon.http.guard import Attempts, Bucket, Guard
from wattview.daemon.http.throttled_log import ThrottledLog

TOKEN = "correct-horse-battery-staple"


async def ok(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    await PlainTextResponse("in")(scope, receive, send)


async def asked(server: Served, authorization: str, host: str = "127.0.0.1", more: str = "") -> int:
    head = f"Authorization: {authorization}\r\n" if authorization else ""
    peer = await server.peer()
    status, _ = await peer.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n{head}{more}\r\n".encode())
    peer.writer.close()
    return status


async def test_wrong_tokens_are_locked_out_for_growing_times(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "said", ThrottledLog("wattview.http"))
    monkeypatch.setattr(guard, "MAX_LOCK_SECONDS", 3.0)
    async with served(Guard(ok, None, lambda: TOKEN)) as server:
        assert await asked(server, f"Bearer {TOKEN}") == 200
        with caplog.at_level(logging.WARNING):
            statuses = [await asked(server, f"Bearer wrong-{number}") for number in range(100)]
        assert statuses[:20] == [401] * 20
        assert statuses.count(401) <= 25
        assert set(statuses) == {401, 429}
        assert await asked(server, f"Bearer {TOKEN}") == 429, "in the meantime nothing is tried at all"
        assert [record.message for record in caplog.records] == [
            "a wrong token or password came from 127.0.0.1 (1 of them by now)"
        ]
        await asyncio.sleep(3.1)
        assert await asked(server, f"Bearer {TOKEN}") == 200
        assert await asked(server, "Bearer wrong") == 401, "who was right begins anew"
        assert TOKEN not in caplog.text


async def test_requests_without_a_token_are_not_counted_as_attempts() -> None:
    async with served(Guard(ok, None, lambda: TOKEN)) as server:
        assert [await asked(server, "") for _ in range(50)] == [401] * 50
        assert await asked(server, f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize(
    "given",
    ["Bearer", "Bearer ", f"bearer {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}",
     f"Bearer  {TOKEN}", "Bearer é"],
)  # fmt: skip
async def test_only_the_token_itself_is_the_token(given: str) -> None:
    async with served(Guard(ok, None, lambda: TOKEN)) as server:
        assert await asked(server, given) == 401
        assert await asked(server, f"Bearer {TOKEN} ") == 200, "space after a value is none of it (RFC 9110, 5.5)"


@pytest.mark.parametrize(
    ("host", "more", "status"),
    [
        ("127.0.0.1:80", "", 200), ("localhost", "", 200), ("[::1]:9700", "", 200), ("a.localhost", "", 200),
        ("evil.example", "", 421), ("localhost.evil.example", "", 421), ("127.0.0.1.evil.example", "", 421),
        ("localhost", "Origin: http://localhost\r\n", 200), ("localhost", "Origin: https://localhost\r\n", 403),
        ("localhost", "Origin: http://evil.example\r\n", 403), ("localhost", "Origin: null\r\n", 403),
        ("evil.example", "Origin: http://evil.example\r\n", 421),
    ],
)  # fmt: skip
async def test_a_web_page_cannot_use_the_api_even_with_the_token(host: str, more: str, status: int) -> None:
    async with served(Guard(ok, None, lambda: TOKEN)) as server:
        assert await asked(server, f"Bearer {TOKEN}", host, more) == status


def test_failed_attempts_are_kept_for_a_bounded_number_of_addresses() -> None:
    attempts = Attempts()
    for number in range(5000):
        attempts.failed(str(number))
    assert len(attempts._wrong) == guard.MAX_ADDRESSES


def test_a_lock_doubles_up_to_a_minute() -> None:
    attempts = Attempts()
    locks = []
    for _ in range(40):
        attempts.failed("a")
        locks.append(round(attempts.locked_seconds("a")))
    assert locks[:19] == [0] * 19
    assert locks[19:27] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert locks[-1] == 60


def test_a_token_bucket_allows_its_burst_then_one_per_interval() -> None:
    bucket = Bucket()
    assert [bucket.take(0.2, 3) for _ in range(5)] == [True, True, True, False, False]
    time.sleep(0.25)
    assert [bucket.take(0.2, 3) for _ in range(2)] == [True, False]
    assert all(bucket.take(0.0, 0) for _ in range(100)), "an interval of 0 is no limit"


def test_event_streams_that_end_leave_no_traceback(tmp_path: Path) -> None:
    """Left by their reader, cut off, and going on while the daemon ends."""
    with running_daemon(tmp_path) as daemon:
        for end in ("close", "abort", "stay"):
            for _ in range(3):
                stream = daemon.api.stream("GET", "/api/v1/live", params={"interval": "0.1"})
                answer = stream.__enter__()
                assert b"data: " in next(answer.iter_raw())
                if end == "close":
                    answer.close()
                elif end == "abort":
                    answer.extensions["network_stream"].get_extra_info("socket").close()
        time.sleep(0.5)
        assert daemon.snapshot().host is not None
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
        assert "ERROR" not in daemon.log
