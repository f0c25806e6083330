"""RTMP servers that do not do what they should: the result says so, and never that the streams were pushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.support.bench import SHORT, Bench
from tests.support.ffmpeg import own_ffmpegs, rtmp_server
from wattview.daemon.lab.encoding import push
from wattview.model import RunRequest

pytestmark = pytest.mark.slow

BRIEF = replace(SHORT, quality=False)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and nothing else."""
    await asyncio.sleep(600)


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything and answers nothing."""
    while await reader.read(65536):
        pass


async def only_shakes_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """S0, S1 and S2, and then nothing to any command."""
    hello = await reader.readexactly(1537)
    writer.write(b"\x03" + bytes(1536) + hello[1:])
    await deaf(reader, writer)


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.close()


async def talks_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await deaf(reader, writer)


@asynccontextmanager
async def server(answer: object) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        assert callable(answer)
        try:
            await answer(reader, writer)
        except (asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"rtmp://127.0.0.1:{listening.sockets[0].getsockname()[1]}/live"
    finally:
        listening.close()
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (silent, "did not complete the handshake"),
        (deaf, "did not complete the handshake"),
        (only_shakes_hands, "has not accepted the stream"),
        (hangs_up, "FFmpeg exited"),
        (talks_http, ""),
    ],
)
async def test_a_server_that_does_not_accept_the_stream_fails_the_scenario(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch, answer: object, says: str
) -> None:
    monkeypatch.setattr(push, "PUBLISHED_SECONDS", 3.0)
    async with server(answer) as url:
        bench = Bench(make_config(), url)
        ended = await bench.run(BRIEF, replace(BRIEF, name="ladder", streams=2))
    assert ended.state == "failed"
    for one in ended.finished:
        assert (one.status, one.pushed) == ("failed", None)
        assert says in (one.notes or [""])[0]
    assert own_ffmpegs() == set()


async def test_a_server_that_refuses_the_key_fails_the_scenario(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path, "deny publish all;") as refusing:
        bench = Bench(make_config(), refusing.url)
        ended = await bench.run(BRIEF)
    (one,) = ended.finished
    assert (ended.state, one.status, one.pushed) == ("failed", "failed", None)


async def test_a_server_that_stops_reading_is_not_pushed_to(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as real:
        bench = Bench(make_config(), real.url)
        begun = bench.runner.start(RunRequest(scenarios=[replace(BRIEF, duration=6.0)]))
        await bench.phase("measuring")
        real.freeze()
        ended = await bench.ended(begun.id)
    (one,) = ended.finished
    assert (one.status, one.pushed, one.realtime) == ("done", False, False)
    assert any("stopped receiving short-1" in note for note in one.notes or [])


async def test_a_server_that_takes_everything_is_pushed_to(make_config: ConfigFactory, tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as real:
        bench = Bench(make_config(), real.url)
        ended = await bench.run(replace(BRIEF, streams=2, bitrate="60k"))
    (one,) = ended.finished
    assert (one.status, one.pushed, one.realtime) == ("done", True, True), one.notes
    assert one.pushed_to == real.url
    assert (one.encoder_tool or "").startswith("/usr/bin/ffmpeg ")
