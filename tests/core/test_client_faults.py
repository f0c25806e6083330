"""The client of a daemon: nothing that is at the other end of its address costs more than a stated time and size."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.certificates import authority
from tests.support.dashboard import snapshot
from tests.support.wire import Script, Wire, endlessly, gzip_bomb, head, slowly
from wattview import client as client_module
from wattview import line_stream
from wattview.client import CallRefused, Client, ClientError, DaemonUnreachable

MIB = 2**20


def answering(body: bytes, *fields: str, status: str = "200 OK") -> Script:
    def script(_: str) -> Iterator[bytes]:
        yield head(f"Content-Length: {len(body)}", *fields, status=status) + body

    return script


def trickling(_: str) -> Iterator[bytes]:
    yield from slowly(b"HTTP/1.1 200 OK\r\nX-Header: " + b"a" * 1000, 0.02)


def endless(_: str) -> Iterator[bytes]:
    yield head()
    yield from endlessly(b"a" * 65536)


@pytest.fixture(scope="module", autouse=True)
def _the_bomb_is_made_before_a_clock_runs() -> None:
    gzip_bomb(200)


def compressed_bomb(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip", f"Content-Length: {len(gzip_bomb(200))}") + gzip_bomb(200)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (trickling, "does not answer in time"),
        (endless, "more than 4 MiB"),
        (compressed_bomb, "more than 4 MiB"),
        (answering(b"[" * 1_000_000), "speaks another version"),
        (answering(b"\xff\xfe"), "speaks another version"),
        (answering(b"<html>"), "speaks another version"),
    ],
    ids=["trickling", "endless", "compressed", "nested", "binary", "html"],
)
async def test_a_call_is_bounded_and_a_malformed_answer_is_reported(
    monkeypatch: pytest.MonkeyPatch, script: Script, said: str
) -> None:
    monkeypatch.setattr(client_module, "MAX_BYTES", 4 * MIB)
    with Wire(script) as wire:
        began = time.monotonic()
        async with Client(wire.url, timeout_seconds=1.0) as daemon:
            with pytest.raises(ClientError, match=said):
                await daemon.runs()
        assert time.monotonic() - began < 5


async def test_an_unknown_refusal_is_reported_by_its_status() -> None:
    for body in (b"<html>", b"\xff", b"[" * 100_000, b'{"error": 5}'):
        with Wire(answering(body, status="502 Bad Gateway")) as wire:
            async with Client(wire.url) as daemon:
                with pytest.raises(CallRefused, match="the daemon answered 502 Bad Gateway"):
                    await daemon.runs()


def one_line_without_end(_: str) -> Iterator[bytes]:
    yield head() + b"data: "
    yield from endlessly(b"a" * 65536)


def compressed(_: str) -> Iterator[bytes]:
    yield head("Content-Encoding: gzip") + gzip_bomb(200)


def silent_after_the_first(_: str) -> Iterator[bytes]:
    yield head() + b"data: " + msgspec.json.encode(snapshot()) + b"\n\n"
    yield from slowly(b"data: " + b"a" * 1000, 0.02)


async def test_a_line_in_small_pieces_is_read_in_linear_time() -> None:
    class Pieces(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"first\n\nsecond\nbe"
            for _ in range(500_000):
                yield b"aaaaaaaa"
            yield b"\nrest"

    began = time.process_time()
    found = [line async for line in line_stream.lines(httpx.Response(200, stream=Pieces()), 60.0)]
    assert found == [b"first", b"", b"second", b"be" + b"aaaaaaaa" * 500_000]
    assert time.process_time() - began < 20


@pytest.mark.parametrize("script", [trickling, one_line_without_end, compressed, silent_after_the_first])
async def test_an_invalid_stream_of_snapshots_ends(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    monkeypatch.setattr(line_stream, "MAX_LINE_BYTES", 4 * MIB)
    monkeypatch.setattr(client_module, "QUIET_SECONDS", 0.5)
    with Wire(script) as wire:
        began = time.monotonic()
        async with Client(wire.url) as daemon:
            with pytest.raises(ClientError):
                async for _ in daemon.live(0.01):
                    pass
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("url", ["http://[", "http://me:hunter2@host:x/", "http://\x00", "http://host:99999999/"])
async def test_an_invalid_address_is_one_line_without_secrets(url: str) -> None:
    with pytest.raises(ClientError) as told:
        await Client(url).runs()
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


async def test_a_daemon_behind_a_private_certificate_is_reached(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with Wire(answering(b"[]"), own.server) as wire:
        async with Client(wire.url, "token", ca_file=str(own.ca_file)) as daemon:
            assert await daemon.runs() == []
        assert "Authorization: Bearer token" in wire.requests[0]
        async with Client(wire.url, "token") as daemon:
            with pytest.raises(DaemonUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                await daemon.runs()
    with pytest.raises(ClientError, match="ca_file"):
        Client("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))
