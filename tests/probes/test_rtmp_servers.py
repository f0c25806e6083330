"""MediaMTX and SRS through their HTTP APIs, and how the kind of server is recognised.

The answers are written as the servers' own sources write them (bluenviron/mediamtx internal/defs/api_*.go, ossrs/srs
srs_app_statistic.cpp): neither server is packaged where these tests run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory, free_port
from tests.support.answers import Answer, Answers
from tests.support.stat_pages import page, stream
from wattview import fetch
from wattview.exposition import render
from wattview.model import StreamsReading
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams import mediamtx as mediamtx_probe
from wattview.probes.streams import probe as rtmp_server
from wattview.probes.streams import srs as srs_probe
from wattview.probes.streams.families import families
from wattview.probes.streams.mediamtx import MediaMtxProbe
from wattview.probes.streams.probe import RtmpServerProbe
from wattview.probes.streams.srs import SrsProbe

NOT_FOUND = Answer(b'{"status":"error","error":"not found"}', status=404)


def ago(seconds: float) -> str:
    """As Go's time.Time becomes JSON: nine digits of a second."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f") + "789Z"


def mediamtx_path(name: str = "live/talk", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "confName": "all_others",
        "ready": True,
        "readyTime": ago(120),
        "available": True,
        "availableTime": ago(120),
        "online": True,
        "onlineTime": ago(60),
        "source": {"type": "rtmpConn", "id": "11111111-aaaa"},
        "tracks": ["H264", "MPEG-4 Audio"],
        "tracks2": [
            {"codec": "H264", "codecProps": {"width": 1280, "height": 720, "profile": "High", "level": "3.1"}},
            {"codec": "MPEG-4 Audio", "codecProps": {"sampleRate": 48000, "channelCount": 2}},
        ],
        "inboundBytes": 5000,
        "outboundBytes": 700,
        "bytesReceived": 5000,
        "bytesSent": 700,
        "readers": [
            {"type": "rtmpConn", "id": "22222222-bbbb"},
            {"type": "srtConn", "id": "33333333-cccc"},
            {"type": "hlsMuxer", "id": ""},
        ],
        **fields,
    }


MEDIAMTX_CONNECTIONS = {
    "itemCount": 2,
    "pageCount": 1,
    "items": [
        {"id": "11111111-aaaa", "created": ago(61), "remoteAddr": "198.51.100.7:4000", "state": "publish",
         "path": "live/talk", "query": "", "inboundBytes": 5100, "outboundBytes": 3, "outboundFramesDiscarded": 0},
        {"id": "22222222-bbbb", "created": ago(30), "remoteAddr": "198.51.100.9:4001", "state": "read",
         "path": "live/talk", "query": "", "inboundBytes": 3, "outboundBytes": 400, "outboundFramesDiscarded": 9},
    ],
}  # fmt: skip


def mediamtx(*paths: dict[str, Any], connections: dict[str, Any] | None = None) -> Callable[[str], Answer]:
    """A MediaMTX that has these paths. ``connections`` None: an RTMP server that is switched off."""

    def respond(request: str) -> Answer:
        url = urlsplit(request)
        query = parse_qs(url.query)
        if url.path == "/v3/paths/list":
            size, number = int(query["itemsPerPage"][0]), int(query["page"][0])
            items = list(paths[number * size : (number + 1) * size])
            pages = -(-len(paths) // size)
            return Answer(json.dumps({"itemCount": len(paths), "pageCount": pages, "items": items}).encode())
        if url.path == "/v3/rtmpconns/list" and connections is not None:
            return Answer(json.dumps(connections).encode())
        if url.path == "/v3/info":
            return Answer(json.dumps({"version": "v1.18.1", "started": ago(3600)}).encode())
        return NOT_FOUND

    return respond


SRS_STREAM: dict[str, Any] = {
    "id": "vid-s1", "name": "talk", "vhost": "vid-v1", "app": "live", "tcUrl": "rtmp://vhost/live", "url": "/live/talk",
    "live_ms": 1780321583369, "clients": 3, "frames": 15220, "audio_frames": 1, "video_frames": 2,
    "send_bytes": 700, "recv_bytes": 5000, "kbps": {"recv_30s": 400, "send_30s": 0},
    "publish": {"active": True, "cid": "c1"},
    "video": {"codec": "H264", "profile": "High", "level": "3.1", "width": 1280, "height": 720},
    "audio": {"codec": "AAC", "sample_rate": 44100, "channel": 2, "profile": "LC"},
}  # fmt: skip

SRS_CLIENTS: list[dict[str, Any]] = [
    {"id": "c1", "vhost": "vid-v1", "stream": "vid-s1", "ip": "198.51.100.7", "pageUrl": "", "type": "fmle-publish",
     "publish": True, "alive": 75.5, "kbps": {"recv_30s": 400, "send_30s": 0}},
    {"id": "c2", "vhost": "vid-v1", "stream": "vid-s1", "ip": "198.51.100.9", "type": "rtmp-play", "publish": False,
     "alive": 12.25},
]  # fmt: skip


def srs(
    *streams: dict[str, Any], clients: list[dict[str, Any]] | None = None, vhosts: list[dict[str, Any]] | None = None
) -> Callable[[str], Answer]:
    vhosts = [{"id": "vid-v1", "send_bytes": 900, "recv_bytes": 6000, "kbps": {"recv_30s": 480, "send_30s": 8}}] if (
        vhosts is None
    ) else vhosts  # fmt: skip
    lists = {"streams": list(streams), "clients": clients or [], "vhosts": vhosts}

    def respond(request: str) -> Answer:
        url = urlsplit(request)
        what = url.path.removeprefix("/api/v1/")
        head = {"code": 0, "server": "vid-1", "service": "x", "pid": "77"}
        if what == "versions":
            return Answer(json.dumps({**head, "data": {"major": 6, "version": "6.0.48"}}).encode())
        if what not in lists:
            return NOT_FOUND
        query = parse_qs(url.query)
        start, count = int(query.get("start", ["0"])[0]), int(query.get("count", ["10"])[0])
        return Answer(json.dumps({**head, what: lists[what][start : start + count]}).encode())

    return respond


def no_series_twice(reading: StreamsReading) -> None:
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for family in text_string_to_metric_families(render(families(reading)).decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in seen
            seen.add(key)


def test_mediamtx_fills_the_same_model() -> None:
    with Answers(mediamtx(mediamtx_path(), connections=MEDIAMTX_CONNECTIONS)) as server:
        reading = MediaMtxProbe(server.url).read()
    assert reading.faults == ()
    assert reading.server.name == "mediamtx 1.18.1"
    assert reading.server.uptime_seconds == pytest.approx(3600, abs=5)
    assert (reading.server.connections, reading.server.pid, reading.server.bytes_in_total) == (3, None, None)
    (talk,) = reading.streams
    assert (talk.app, talk.name, talk.active) == ("live", "talk", True)
    assert (talk.publishers, talk.players, talk.dropped_frames) == (1, 2, 9)
    assert (talk.bytes_in_total, talk.bytes_out_total) == (5000, 700)
    assert talk.uptime_seconds == pytest.approx(60, abs=5)
    assert (talk.width, talk.height, talk.video_codec, talk.video_profile) == (1280, 720, "H264", "High")
    assert (talk.audio_codec, talk.audio_channels, talk.audio_sample_rate_hertz) == ("MPEG-4 Audio", 2, 48000)
    assert [(c.address, c.publishing) for c in talk.clients] == [
        ("198.51.100.7:4000", True), ("198.51.100.9:4001", False), ("", False)]  # fmt: skip
    no_series_twice(reading)


def test_mediamtx_reports_publishers_of_any_protocol_and_its_own_pulls() -> None:
    lists = {
        "srtconns": [{"id": "s", "remoteAddr": "198.51.100.7:9000"}],
        "rtspsessions": [{"id": "r", "remoteAddr": "[2001:db8::7]:9001"}],
    }
    of_paths = mediamtx(
        mediamtx_path("a", source={"type": "srtConn", "id": "s"}, readers=[]),
        mediamtx_path("b", source={"type": "rtspSession", "id": "r"}, readers=[]),
        mediamtx_path("c", source={"type": "rtspSource", "id": ""}, readers=[]),
    )
    asked: list[str] = []

    def respond(request: str) -> Answer:
        name = urlsplit(request).path.split("/")[2]
        asked.append(name)
        return Answer(json.dumps({"items": lists[name]}).encode()) if name in lists else of_paths(request)

    with Answers(respond) as server:
        clients = [one for stream in MediaMtxProbe(server.url).read().streams for one in stream.clients]
    assert [(one.address, one.fetched) for one in clients] == [
        ("198.51.100.7:9000", False), ("[2001:db8::7]:9001", False), ("", True),
    ]  # fmt: skip
    assert sorted(asked) == ["info", "paths", "rtspsessions", "srtconns"], "no list that nobody is in"


def test_an_older_mediamtx_with_previous_field_names_is_read() -> None:
    new = ("available", "availableTime", "online", "onlineTime", "tracks2", "inboundBytes", "outboundBytes")
    old = {key: value for key, value in mediamtx_path().items() if key not in new}
    with Answers(mediamtx(old)) as server:
        (talk,) = MediaMtxProbe(server.url).read().streams
    assert (talk.active, talk.bytes_in_total, talk.bytes_out_total) == (True, 5000, 700)
    assert (talk.video_codec, talk.audio_codec, talk.width) == ("H264", "MPEG-4 Audio", None)
    assert talk.uptime_seconds == pytest.approx(120, abs=5)


def test_mediamtx_paths_that_nobody_uses_are_not_streams() -> None:
    idle = mediamtx_path("spare", source=None, readers=[], ready=False, available=False, online=False)
    waiting = mediamtx_path("later", source=None, ready=False, available=False, online=False)
    with Answers(mediamtx(idle, waiting)) as server:
        reading = MediaMtxProbe(server.url).read()
    assert [(s.app, s.name, s.active, s.publishers, s.players) for s in reading.streams] == [("", "later", False, 0, 2)]


def test_mediamtx_lists_longer_than_a_page_are_read_completely() -> None:
    with Answers(mediamtx(*(mediamtx_path(f"live/{number}") for number in range(1201)))) as server:
        assert len(MediaMtxProbe(server.url).read().streams) == 1201


def test_mediamtx_bandwidth_is_the_change_of_its_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 100.0

        def time(self) -> float:
            return 1.8e9 + self.now

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr("wattview.probes.streams.mediamtx.time", clock)
    paths = [mediamtx_path("live/a", onlineTime=None), mediamtx_path("live/b", onlineTime=None)]
    with Answers(lambda request: mediamtx(*paths)(request)) as server:
        probe = MediaMtxProbe(server.url)
        assert probe.read().server.bandwidth_in_bytes is None
        paths[0]["inboundBytes"] += 1000
        paths[1]["inboundBytes"] += 500
        clock.now += 2.0
        reading = probe.read()
    assert [s.bandwidth_in_bytes for s in reading.streams] == [500.0, 250.0]
    assert reading.server.bandwidth_in_bytes == 750.0


def test_srs_fills_the_same_model() -> None:
    with Answers(srs(SRS_STREAM, clients=SRS_CLIENTS)) as server:
        reading = SrsProbe(server.url).read()
    assert (reading.server.name, reading.server.pid, reading.server.connections) == ("srs 6.0.48", 77, 3)
    assert (reading.server.bytes_in_total, reading.server.bytes_out_total) == (6000, 900)
    assert (reading.server.bandwidth_in_bytes, reading.server.bandwidth_out_bytes) == (60_000, 1000)
    (talk,) = reading.streams
    assert (talk.app, talk.name, talk.active, talk.publishers, talk.players) == ("live", "talk", True, 1, 2)
    assert talk.uptime_seconds == 75.5, "live_ms is the server's clock"
    assert (talk.bandwidth_in_bytes, talk.bandwidth_out_bytes) == (50_000, 0)
    assert (talk.width, talk.video_profile, talk.audio_codec, talk.audio_channels) == (1280, "High", "AAC", 2)
    assert [(c.id, c.address, c.publishing) for c in talk.clients] == [
        ("c1", "198.51.100.7", True), ("c2", "198.51.100.9", False)]  # fmt: skip
    no_series_twice(reading)


def test_an_older_srs_with_numeric_ids_is_read() -> None:
    old = {**SRS_STREAM, "id": 105, "vhost": 104, "publish": {"active": True, "cid": 107}, "video": None, "audio": None}
    clients = [{**SRS_CLIENTS[0], "id": 107, "stream": 105}]
    with Answers(srs(old, clients=clients)) as server:
        (talk,) = SrsProbe(server.url).read().streams
    assert (talk.uptime_seconds, talk.video_codec, talk.audio_codec) == (75.5, None, None)


def test_srs_means_of_the_first_half_minute_are_unknown_and_not_zero() -> None:
    young = {**SRS_STREAM, "kbps": {"recv_30s": 0, "send_30s": 0}}
    with Answers(srs(young, clients=[{**SRS_CLIENTS[0], "alive": 10.0}])) as server:
        assert SrsProbe(server.url).read().streams[0].bandwidth_in_bytes is None


def test_ended_srs_streams_are_not_listed_and_pages_are_read_completely() -> None:
    ended = {**SRS_STREAM, "id": "vid-x", "name": "old", "clients": 0, "publish": {"active": False, "cid": "c0"}}
    many = [{**SRS_STREAM, "id": f"vid-{n}", "name": f"s{n}"} for n in range(1100)]
    with Answers(srs(ended, *many)) as server:
        reading = SrsProbe(server.url).read()
    assert len(reading.streams) == 1100
    assert "old" not in {s.name for s in reading.streams}


def test_srs_streams_of_one_name_in_two_virtual_hosts_make_one_series() -> None:
    with Answers(srs(SRS_STREAM, {**SRS_STREAM, "id": "vid-s2", "vhost": "vid-v2"})) as server:
        reading = SrsProbe(server.url).read()
    assert [(s.publishers, s.bytes_in_total) for s in reading.streams] == [(2, 10_000)]
    no_series_twice(reading)


@pytest.mark.parametrize("kind", [MediaMtxProbe, SrsProbe])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(status=401), SourceRefused),
        (Answer(b"{", status=200), SourceBroken),
        (Answer(b"[]"), SourceBroken),
        (Answer(b'{"code": 1001, "itemCount": "x"}'), SourceBroken),
        (Answer(b"\xff\xfe"), SourceBroken),
        (NOT_FOUND, SourceBroken),
    ],
)
def test_wrong_answers_are_distinguished(kind: Any, answer: Answer, error: type[SourceError]) -> None:
    with Answers(lambda _: answer) as server, pytest.raises(error):
        kind(server.url).read()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_json_is_read_or_broken(value: Any) -> None:
    answer = fetch.Fetched("http://x/api", 200, "OK", json.dumps(value).encode())
    for kind, server in ((mediamtx_probe._Paths, "MediaMTX"), (srs_probe._Streams, "SRS")):
        with pytest.raises(SourceBroken, match=f"not the API of {server}"):
            rtmp_http.decoded(answer, kind, server, "")


def the_kind(config_of: ConfigFactory, *sets: str) -> str:
    probe = RtmpServerProbe(config_of(*sets))
    try:
        return probe.read().server.name.split()[0]
    finally:
        probe.close()


@pytest.mark.parametrize(
    ("respond", "kind"),
    [
        (lambda _: Answer(page(stream())), "nginx-rtmp"),
        (mediamtx(mediamtx_path()), "mediamtx"),
        (srs(SRS_STREAM), "srs"),
    ],
)
def test_the_server_at_the_configured_address_is_recognised(
    make_config: ConfigFactory, respond: Callable[[str], Answer], kind: str
) -> None:
    with Answers(respond) as server:
        assert the_kind(make_config, f"streams.nginx_rtmp_url={server.url}/stat") == kind
        assert the_kind(make_config, f"streams.nginx_rtmp_url={server.url}", f"streams.server={kind}") == kind


def test_long_names_of_streams_are_cut_and_stay_apart(make_config: ConfigFactory) -> None:
    long = "x" * 4000
    streams = page(stream(f"{long}1"), stream(f"{long}2"), stream("short"))
    with Answers(lambda _: Answer(streams)) as server:
        reading = RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={server.url}/stat")).read()
    names = {one.name for one in reading.streams}
    assert len(names) == 3
    assert "short" in names
    assert max(map(len, names)) < 300
    assert len(render(families(reading))) < 60_000


def test_a_server_at_an_apis_usual_port_is_found(make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"streams.nginx_rtmp_url=http://127.0.0.1:{free_port()}/stat"
    with Answers(srs(SRS_STREAM)) as server:
        ports = {"srs": urlsplit(server.url).port, "mediamtx": free_port(), "nginx-rtmp": None}
        servers = tuple(one._replace(port=ports[one.name]) for one in rtmp_server.SERVERS)
        monkeypatch.setattr(rtmp_server, "SERVERS", servers)
        assert the_kind(make_config, nobody) == "srs"


def test_other_hosts_are_not_searched(make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    class Nobody:
        def __init__(self, url: str, access: fetch.Access) -> None:
            tried.append(url)

        def read(self) -> StreamsReading:
            raise SourceAbsent("nobody")

        def close(self) -> None:
            pass

    monkeypatch.setattr(rtmp_server, "SERVERS", tuple(one._replace(make=Nobody) for one in rtmp_server.SERVERS))
    with pytest.raises(SourceAbsent):
        RtmpServerProbe(make_config("streams.nginx_rtmp_url=http://media.example.invalid:8088/stat")).read()
    assert tried == ["http://media.example.invalid:8088/stat"]


def test_a_refusing_server_is_not_skipped(make_config: ConfigFactory) -> None:
    with Answers(lambda _: Answer(status=403)) as server:
        with pytest.raises(SourceRefused):
            RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={server.url}/stat")).read()
        assert server.requests == ["/stat"]


def test_an_unrecognised_page_is_reported_as_served(make_config: ConfigFactory) -> None:
    with (
        Answers(lambda _: Answer(b"<html>Welcome</html>")) as server,
        pytest.raises(SourceBroken, match="HTML"),
    ):
        RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={server.url}/stat")).read()


def test_a_server_replaced_by_another_kind_is_recognised(make_config: ConfigFactory) -> None:
    with Answers(lambda _: Answer(page(stream()))) as first:
        probe = RtmpServerProbe(make_config(f"streams.nginx_rtmp_url={first.url}/stat"))
        assert probe.read().server.name.startswith("nginx-rtmp")
        first.respond = mediamtx(mediamtx_path())
        with pytest.raises(SourceBroken):
            probe.read()
        assert probe.read().server.name.startswith("mediamtx")
    with pytest.raises(SourceAbsent):
        probe.read()
    probe.close()
