"""What stream servers do wrong, and what those do who get between: it costs its own figures, and a stated time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conftest import ConfigFactory
from tests.probes.test_rtmp_servers import (
    MEDIAMTX_CONNECTIONS,
    SRS_CLIENTS,
    SRS_STREAM,
    mediamtx,
    mediamtx_path,
    no_series_twice,
    srs,
)
from tests.support.answers import Answer, Answers
from tests.support.dashboard import snapshot
from tests.support.stat_pages import client, page, stream
from tests.support.wire import Wire, endlessly, head, slowly
from wattview.config import ConfigError
from wattview.exposition import Family
from wattview.fetch import Access
from wattview.fleet import of_snapshot
from wattview.model import StreamsReading
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.families import families
from wattview.probes.streams.kind import MAX_STREAMS
from wattview.probes.streams.mediamtx import MediaMtxProbe
from wattview.probes.streams.nginx_rtmp_stat import parse
from wattview.probes.streams.probe import RtmpServerProbe
from wattview.probes.streams.srs import SrsProbe

SIZE = 10_000_000
HEAD = b'<?xml version="1.0"?><rtmp>'
LIVE = b"<server><application><live>"


def read(xml: bytes) -> StreamsReading:
    return parse(xml, time=1000.0, monotonic=50.0)


def figures(reading: StreamsReading) -> dict[str, Family]:
    return {family.name: family for family in families(reading) if family.samples}


# Pages that are made to take long


def filled(pattern: bytes) -> bytes:
    return (pattern * (SIZE // len(pattern) + 1))[:SIZE]


WORST: dict[str, Callable[[], bytes]] = {
    "processing instructions that do not end": lambda: filled(b"<?"),
    "the same in a page": lambda: HEAD + filled(b"<?"),
    "wrong closing tags": lambda: HEAD + b"<server>" * 20 + filled(b"</bw_in>"),
    "closing tags of nothing": lambda: HEAD + filled(b"</x>"),
    "depth": lambda: HEAD + filled(b"<client>"),
    "less-than signs": lambda: HEAD + filled(b"<"),
    "tags that do not end": lambda: HEAD + filled(b"<a"),
    "spaces in a tag": lambda: HEAD + filled(b"<a" + b" " * 8),
    "a name without end": lambda: HEAD + b"<" + filled(b"a"),
    "attributes": lambda: HEAD + b"<x " + filled(b'a="1" '),
    "ampersands": lambda: HEAD + b"<server>" + filled(b"&"),
    "entities": lambda: HEAD + b"<pid>" + filled(b"&#65;") + b"</pid></rtmp>",
    "a comment without end": lambda: HEAD + b"<!--" + filled(b"-"),
    "a section without end": lambda: HEAD + b"<![CDATA[" + filled(b"]"),
    "empty elements": lambda: HEAD + filled(b"<id/>"),
    "names": lambda: HEAD + b"".join(b"<a%d/>" % number for number in range(SIZE // 10)),
    "streams without anything": lambda: HEAD + LIVE + filled(b"<stream/>"),
    "streams of one name": lambda: page(*([stream("s")] * (SIZE // len(stream("s"))))),
    "a number without end": lambda: page(stream("s")).replace(b"<time>", b"<time>" + filled(b"9"), 1),
    "bytes that are none": lambda: filled(b"\xff\x00"),
}


@pytest.mark.slow
def test_the_worst_10_mb_page_takes_about_as_long_as_any_of_that_size() -> None:
    one = stream("s0000")
    began = time.process_time()
    read(page(*(stream(f"s{number:04}") for number in range(SIZE // len(one)))))
    benign = time.process_time() - began
    took = {}
    for name, make in WORST.items():
        body = make()
        began = time.process_time()
        try:
            read(body)
        except SourceBroken as error:
            assert len(error.reason) < 300
        took[name] = (time.process_time() - began) / benign
    assert {name: round(ratio, 1) for name, ratio in took.items() if ratio > 8} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the same in a page", "less-than signs", "streams without anything", "attributes"])
def test_parsing_a_page_does_not_block_other_threads(name: str) -> None:
    body, gaps, done = WORST[name](), [0.0], threading.Event()

    def work() -> None:
        try:
            read(body)
        except SourceBroken:
            pass
        finally:
            done.set()

    thread = threading.Thread(target=work)
    before = time.monotonic()
    thread.start()
    while not done.wait(0.001):
        now = time.monotonic()
        gaps.append(now - before)
        before = now
    thread.join()
    gaps.sort()
    assert gaps[-1] < 0.5  # a busy machine; the regular expression that was here before held it for 47 s


def test_a_page_of_many_streams_lists_as_many_as_can_be_shown_and_says_so() -> None:
    reading = read(page(*(stream(f"s{number}") for number in range(MAX_STREAMS + 62))))
    assert (len(reading.streams), reading.server.unlisted_streams) == (MAX_STREAMS, 62)
    assert reading.faults[0].reason.startswith("62 more than the 2,000 that are listed")
    shown = figures(reading)
    assert shown["nginx_rtmp_server_current_streams"].samples == [("", MAX_STREAMS + 62)]
    unknown = {"nginx_rtmp_streams", "nginx_rtmp_connections", "nginx_rtmp_application_streams"}
    assert unknown & shown.keys() == set()
    row = of_snapshot(replace(snapshot(), rtmp_server=reading.server, streams=reading.streams), "host")
    assert (row.streams, row.players) == (None, None)


def test_nothing_but_its_own_tag_ends_a_page() -> None:
    with pytest.raises(SourceBroken, match="cut off"):
        read(HEAD + b"</bw_in>" * 100)
    whole = page(stream("one")).replace(b"<server>", b"</bw_in></server><server>", 1)
    assert [one.name for one in read(whole).streams] == ["one"]


def test_many_viewers_of_one_stream_are_read() -> None:
    clients = client(publishing=True) + client(number=2) * 25_000
    (talk,) = read(page(stream("talk", clients=clients))).streams
    assert (talk.publishers, talk.players) == (1, 25_000)


# A reading ends, however its pages come


def trickling(_: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Header: "
    yield from slowly(b"a" * 1000, 0.02)


def endless(_: str) -> Iterator[bytes]:
    yield head("Content-Type: text/xml")
    yield from endlessly(b"<rtmp>" * 10_000)


def pages_without_end(request: str) -> Iterator[bytes]:
    """Every page promises another one, and takes its time."""
    time.sleep(0.1)
    entry = {"id": "x", "name": "n", "app": "a"}
    body = json.dumps(
        {"code": 0, "pageCount": 10**6, "itemCount": 1, "items": [], "streams": [entry] * 500, "clients": []}
    ).encode()
    yield head(f"Content-Length: {len(body)}") + body


@pytest.mark.parametrize("script", [trickling, endless, pages_without_end])
@pytest.mark.parametrize("kind", ["nginx-rtmp", "mediamtx", "srs"])
def test_a_reading_has_a_deadline_and_a_size(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch, kind: str, script: Any
) -> None:
    monkeypatch.setattr(rtmp_http, "DEADLINE_SECONDS", 0.5)
    with Wire(script) as wire:
        probe = RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={wire.url}", f"streams.server={kind}"))
        began = time.monotonic()
        with pytest.raises(SourceBroken, match=r"within 0\.5 s|more than 8 MiB|expected the RTMP module's"):
            probe.read()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(("url", "port"), [("http://rtmp.lan/stat", 80), ("https://rtmp.lan/stat", 443)])
def test_a_server_without_a_port_uses_its_schemes_default(monkeypatch: pytest.MonkeyPatch, url: str, port: int) -> None:
    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        if address == ("rtmp.lan", port):
            return socket.socket()
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    rtmp_http.fail_if_closed(url)
    with pytest.raises(SourceAbsent, match="no connection to"):
        rtmp_http.fail_if_closed(url.replace("rtmp.lan", "rtmp.lan:9"))


# Behind a proxy, behind a password


@pytest.mark.parametrize(("kind", "serve"), [("mediamtx", mediamtx(mediamtx_path())), ("srs", srs(SRS_STREAM))])
def test_an_api_behind_a_path_is_read_there(
    make_config: ConfigFactory, kind: str, serve: Callable[[str], Answer]
) -> None:
    def behind(request: str) -> Answer:
        prefix, path = request[:6], request[6:]
        return serve(path) if prefix == "/media" else Answer(status=404)

    with Answers(behind) as server:
        for url in (f"{server.url}/media", f"{server.url}/media/"):
            probe = RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={url}", f"streams.server={kind}"))
            assert [one.name for one in probe.read().streams] == ["talk"]


def test_a_token_from_the_settings_is_accepted(make_config: ConfigFactory, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("me:word")
    body = page(stream())

    def guarded(request: str) -> Iterator[bytes]:
        status = "200 OK" if "Authorization: Basic bWU6d29yZA==" in request else "401 Unauthorized"
        yield head(f"Content-Length: {len(body)}", status=status) + body

    with Wire(guarded) as wire:
        url = f"streams.nginx_rtmp_url={wire.url}/stat"
        with pytest.raises(SourceRefused) as refused:
            RtmpServerProbe(make_config(url)).read()
        assert "streams.token_file" in refused.value.fix
        assert RtmpServerProbe(make_config(url, f"streams.token_file={tmp_path / 'token'}")).read().streams


def test_a_server_of_no_known_kind_is_an_error_of_the_settings(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"streams\.server: expected one of auto, nginx-rtmp, mediamtx, srs, got 'x'"):
        RtmpServerProbe(make_config("streams.server=x"))


# SRS


def redirecting(serve: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """As SRS' HTTP server does for a path that is registered with a slash at its end."""

    def respond(request: str) -> Answer:
        path, mark, query = request.partition("?")
        if path.endswith(("/streams", "/clients", "/vhosts")):
            location = f"{path}/{mark}{query}"
            return Answer(f"Redirect to{location}".encode(), 302, (("Location", location),))
        return serve(f"{path.rstrip('/')}{mark}{query}")

    return respond


def test_an_srs_that_redirects_to_the_name_with_a_slash_is_read() -> None:
    many = [{**SRS_STREAM, "id": f"vid-{number}", "name": f"s{number}"} for number in range(612)]
    with Answers(redirecting(srs(*many, clients=SRS_CLIENTS))) as server:
        reading = SrsProbe(server.url).read()
    assert len(reading.streams) == 612
    assert reading.faults == ()


NAMES = [
    b"a\\",
    b'a"b',
    b"caf\xe9",
    b"\xff\xfe",
    b'a","id":"b',
    b"tab\there",
    b"line\nbreak",
    b'}]},"streams":[{',
    b'{"id":',
    b'x"},{"id":"y","name":"z',
    b"\\u12",
    b"\x00",
]


def with_names(names: list[bytes]) -> Callable[[str], Answer]:
    """An SRS that writes the names of its streams and of their clients as they were published."""

    def entry(number: int, what: dict[str, Any], name: bytes) -> bytes:
        text = json.dumps({**what, "name": "NAME", "url": "/live/NAME", "tcUrl": "rtmp://host/live/NAME"})
        return text.replace('"vid-s1"', f'"vid-s{number}"').encode().replace(b"NAME", name)

    serve = srs(SRS_STREAM)

    def respond(request: str) -> Answer:
        for what, one in (("streams", SRS_STREAM), ("clients", SRS_CLIENTS[0])):
            if request.startswith(f"/api/v1/{what}"):
                entries = b",".join(entry(number, one, name) for number, name in enumerate(names))
                top = b'{"code":0,"server":"vid-1","service":"x","pid":"77","%s":[' % what.encode()
                return Answer(top + entries + b"]}")
        return serve(request)

    return respond


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_name_that_srs_did_not_escape_only_loses_its_own_stream(name: bytes, place: int) -> None:
    names = [b"one", b"two"]
    names.insert(place, name)
    with Answers(with_names(names)) as server:
        reading = SrsProbe(server.url).read()
    assert {one.name for one in reading.streams} >= {"one", "two"}
    assert [one.bytes_in_total for one in reading.streams if one.name in ("one", "two")] == [5000, 5000]
    assert reading.server.bytes_in_total == 6000
    if reading.faults:
        assert reading.faults[0].part == "stream"
        assert "no valid JSON" in reading.faults[0].reason
        assert reading.faults[0].reason.isprintable()
        assert reading.server.unlisted_streams >= 1
        assert "nginx_rtmp_streams" not in figures(reading)
    no_series_twice(reading)


@pytest.mark.parametrize("part", ["video", "audio", "kbps", "publish"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_null_field_of_srs_only_loses_itself(part: str, whole: bool) -> None:
    said = SRS_STREAM[part]
    odd = SRS_STREAM | {part: None if whole or part == "publish" else dict.fromkeys(said)}
    with Answers(srs(odd)) as server:
        reading = SrsProbe(server.url).read()
    (stream,) = reading.streams
    assert (stream.name, reading.faults, reading.server.unlisted_streams) == ("talk", (), 0)
    assert stream.active == (part != "publish")
    assert (stream.video_codec is None, stream.audio_codec is None) == (part == "video", part == "audio")


@pytest.mark.parametrize("name", NAMES[:6])
def test_an_unreadable_stream_is_reported(name: bytes) -> None:
    with Answers(with_names([b"one", name])) as server:
        reading = SrsProbe(server.url).read()
    assert reading.faults or len(reading.streams) == 2


def test_all_oddly_named_streams_are_reported_up_to_the_limit() -> None:
    with Answers(with_names([b"a\\"] * 400)) as server:
        reading = SrsProbe(server.url).read()
    assert reading.streams == ()
    assert reading.server.unlisted_streams == 400
    assert len(reading.faults) == 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern", [b'{"id":', b'{"id":"x","name":"a\\","app":"b"},', b"[", b'{"id":[', b'"', b"\\", b"{}, "]
)
def test_10_mb_of_broken_json_takes_no_longer_than_10_mb_of_valid_json(pattern: bytes) -> None:
    top = b'{"code":0,"pid":"1","streams":['
    whole = json.dumps({"code": 0, "pid": "1", "x": "y" * SIZE}).encode()
    took = []
    for body in (whole, top + filled(pattern)):
        began = time.process_time()
        with Answers(lambda _, body=body: Answer(body[: rtmp_http.MAX_BYTES])) as server:
            try:
                SrsProbe(server.url).read()
            except SourceError as error:
                assert len(error.reason) < 400
        took.append(time.process_time() - began)
    assert took[1] < 10 * took[0] + 0.5


@pytest.mark.parametrize(
    ("make", "entry"),
    [
        (SrsProbe, b'{"code":0,"pid":"1","streams":[%s]}' % b",".join([b'{"id":1,"name":"a","app":"b"}'] * 100_000)),
        (MediaMtxProbe, b'{"itemCount":9,"pageCount":99,"items":[%s]}' % b",".join([b'{"name":"a"}'] * 100_000)),
    ],
    ids=["srs", "mediamtx"],
)
def test_pages_with_more_entries_than_asked_for_are_refused(
    make: Callable[[str], SrsProbe | MediaMtxProbe], entry: bytes
) -> None:
    began = time.process_time()
    with Answers(lambda _: Answer(entry)) as server, pytest.raises(SourceBroken, match="100,000 entries where 500"):
        make(server.url).read()
    assert time.process_time() - began < 3


def test_streams_of_one_id_and_its_clients_are_read_in_linear_time() -> None:
    streams, clients = [SRS_STREAM] * 9_000, [{"id": 1, "stream": SRS_STREAM["id"]}] * 9_000
    with Answers(srs(*streams, clients=clients)) as server:
        began = time.process_time()
        (found,) = SrsProbe(server.url).read().streams
        assert time.process_time() - began < 8
    assert len(found.clients) == 9_000


# MediaMTX


def test_a_mediamtx_of_many_paths_lists_as_many_as_can_be_shown() -> None:
    paths = [mediamtx_path(f"live/s{number}") for number in range(MAX_STREAMS + 7)]
    with Answers(mediamtx(*paths, connections=MEDIAMTX_CONNECTIONS)) as server:
        reading = MediaMtxProbe(server.url, Access()).read()
    assert (len(reading.streams), reading.server.unlisted_streams) == (MAX_STREAMS, 7)
    assert reading.server.connections is None
    assert reading.server.bandwidth_in_bytes is None


@pytest.mark.parametrize(
    "odd",
    [
        {"tracks2": [{"codec": "H264", "codecProps": {"level": 4.1}}]},
        {"tracks2": [{"codec": "H264", "codecProps": {"width": [1920]}}]},
        {"readers": {"count": 3}},
        {"name": None},
    ],
)
def test_an_unknown_form_of_a_mediamtx_path_only_loses_that_path(odd: dict[str, Any]) -> None:
    """Fields of a path have changed their form over the versions: https://github.com/bluenviron/mediamtx/releases."""
    with Answers(mediamtx(mediamtx_path("live/odd") | odd, mediamtx_path("live/talk"))) as server:
        reading = MediaMtxProbe(server.url).read()
    assert [one.name for one in reading.streams] == ["talk"]
    assert (reading.server.unlisted_streams, reading.server.connections) == (1, None)
    (fault,) = reading.faults
    assert "unknown form" in fault.reason


@pytest.mark.parametrize("name", ['a"b', "a\\", "café", "a\nb", "\u202eabc", "\x1b[31m", "é" * 300])
def test_any_name_that_mediamtx_escapes_is_shown(name: str) -> None:
    with Answers(mediamtx(mediamtx_path(f"live/{name}"), mediamtx_path())) as server:
        reading = MediaMtxProbe(server.url).read()
    assert [one.name for one in reading.streams] == [name, "talk"]
    no_series_twice(reading)


@pytest.mark.parametrize("pid", ["²", "9" * 5000, -1, "", "12x"])
def test_a_pid_that_is_no_number_is_unknown(pid: str | int) -> None:
    def respond(path: str) -> Answer:
        answer = srs(SRS_STREAM, clients=SRS_CLIENTS)(path)
        return answer._replace(body=answer.body.replace(b'"77"', json.dumps(pid).encode()))

    with Answers(respond) as server:
        reading = SrsProbe(server.url).read()
    assert reading.server.pid is None
    assert len(reading.streams) == 1
