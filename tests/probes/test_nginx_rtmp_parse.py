"""The statistics page: what the module writes, what it gets wrong, and what is not such a page at all."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.support.stat_pages import META, client, page, stream
from wattview.exposition import render
from wattview.model import StreamsReading
from wattview.probes import SourceBroken
from wattview.probes.streams.families import families
from wattview.probes.streams.nginx_rtmp_stat import parse


def read(xml: bytes) -> StreamsReading:
    return parse(xml, time=1000.0, monotonic=50.0)


def samples(reading: StreamsReading) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample as Prometheus' own parser sees it; a series that comes twice is an error."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(render(families(reading)).decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"duplicate series {key}"
            found[key] = sample.value
    return found


def test_a_page_of_the_module_gives_every_figure_it_holds() -> None:
    reading = read(
        page(stream("talk", clients=client(number=2) + client(number=1, dropped="7", publishing=True)), pid=99)
    )
    assert reading.faults == ()
    server = reading.server
    assert (server.name, server.pid, server.uptime_seconds, server.connections) == ("nginx-rtmp 1.1.4", 99, 100.0, 2)
    assert (server.accepted_total, server.bytes_in_total, server.bytes_out_total) == (3, 6_100_000, 2000)
    (talk,) = reading.streams
    assert (talk.app, talk.name, talk.active) == ("live", "talk", True)
    assert (talk.uptime_seconds, talk.bytes_in_total, talk.bytes_out_total) == (60.0, 6_000_000, 0)
    assert (talk.publishers, talk.players, talk.dropped_frames) == (1, 1, 7)
    assert (talk.width, talk.height, talk.fps) == (320, 180, 25.0)
    assert (talk.video_codec, talk.video_profile, talk.video_level) == ("H264", "Baseline", "2.0")
    assert (talk.audio_codec, talk.audio_profile, talk.audio_channels) == ("AAC", "LC", 1)
    assert talk.audio_sample_rate_hertz == 44100
    assert [(c.id, c.publishing, c.connected_seconds) for c in talk.clients] == [("2", False, 5.0), ("1", True, 5.0)]


def test_bandwidth_is_bytes_per_second() -> None:
    reading = read(page(stream(bw_in=800_000), bw_in=1_600_000))
    assert reading.server.bandwidth_in_bytes == 200_000
    assert reading.streams[0].bandwidth_in_bytes == 100_000
    assert reading.streams[0].bandwidth_audio_bytes == 8_000


def test_bandwidth_of_the_first_seconds_is_unknown_and_not_zero() -> None:
    young = read(page(stream(milliseconds=5000, bw_in=0), uptime=6, bw_in=0))
    assert young.streams[0].bandwidth_in_bytes is None
    assert young.server.bandwidth_in_bytes is None
    old = read(page(stream(milliseconds=60_000, bw_in=0), uptime=100, bw_in=0))
    assert old.streams[0].bandwidth_in_bytes == 0
    assert old.server.bandwidth_in_bytes == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ("-40", -40), ("4294967256", -40), ("12", 12), ("99999999999", None)]
)
def test_av_sync_is_signed_and_may_be_empty(text: str, expected: int | None) -> None:
    reading = read(page(stream(clients=client(publishing=True, avsync=text))))
    assert reading.streams[0].avsync_ms == expected


def test_av_sync_of_a_stream_without_sound_is_unknown() -> None:
    silent = META.replace("<codec>AAC</codec>", "")
    assert read(page(stream(meta=silent, clients=client(publishing=True)))).streams[0].avsync_ms is None


def test_codecs_that_are_unknown_are_none_and_not_empty() -> None:
    bare = (
        "<meta><video><width>0</width><height>0</height><frame_rate>0</frame_rate><profile></profile></video>"
        "<audio></audio></meta>"
    )
    (talk,) = read(page(stream(meta=bare))).streams
    assert (talk.width, talk.height, talk.fps, talk.video_codec, talk.video_profile) == (None,) * 5


def test_a_stream_that_only_players_wait_for_is_listed_and_not_counted_as_live() -> None:
    waiting = stream("later", clients=client(), meta="", active=False)
    figures = samples(read(page(waiting, stream("now"))))
    assert figures["nginx_rtmp_streams", ()] == 1
    assert figures["nginx_rtmp_server_current_streams", ()] == 2
    assert figures["nginx_rtmp_stream_players", (("app", "live"), ("stream", "later"))] == 1


def test_streams_with_names_made_equal_by_the_module_are_added_and_reported() -> None:
    reading = read(page(stream("café1", bytes_in=100), stream("cafè1", bytes_in=23)))
    (one,) = reading.streams
    assert one.name == "caf  1"
    assert (one.bytes_in_total, one.publishers) == (123, 2)
    assert one.bandwidth_in_bytes == 200_000
    assert [fault.part for fault in reading.faults] == ["stream live/caf  1"]
    assert "2 streams share this name" in reading.faults[0].reason
    assert samples(reading)["nginx_rtmp_stream_incoming_bytes_total", (("app", "live"), ("stream", "caf  1"))] == 123


def test_files_that_are_played_show_their_viewers() -> None:
    play = (
        "<play>\r\n<stream>\r\n<name>film.mp4</name>\r\n<client><id>8</id><address>10.0.0.9</address>"
        "<time>100</time><timestamp>5</timestamp></client>\r\n<active/><nclients>1</nclients>\r\n</stream>\r\n"
        "<nclients>1</nclients>\r\n</play>\r\n"
    )
    reading = read(page(stream("talk"), play=play))
    film = next(s for s in reading.streams if s.name == "film.mp4")
    assert (film.players, film.publishers, film.bytes_out_total) == (1, 0, None)
    assert reading.server.connections == 2


def test_without_client_lists_the_counts_are_those_of_the_page() -> None:
    bare = stream("talk", clients="").replace("<nclients>0", "<publishing/><nclients>4")
    (talk,) = read(page(bare)).streams
    assert (talk.publishers, talk.players) == (1, 3)


def test_a_copy_for_another_worker_is_not_a_viewer_and_its_traffic_is_not_counted() -> None:
    origin = (
        client(number=1, publishing=True)
        + client(number=7, address="unix:/tmp/nginx-rtmp.1", flash="ngx-local-relay")
        + client(number=9)
    )
    reading = read(page(stream("talk", clients=origin, bw_out=1_600_000, bytes_out=12_000_000)))
    (talk,) = reading.streams
    assert (talk.publishers, talk.players) == (1, 1)
    assert talk.bandwidth_out_bytes == 100_000
    assert talk.bytes_out_total is None
    assert reading.server.connections == 2
    assert reading.server.bandwidth_out_bytes == 100_000
    assert reading.server.bytes_out_total is None
    assert any("worker_processes 1" in fault.fix for fault in reading.faults)


@pytest.mark.parametrize(
    ("address", "flash"),
    [("rtmp://198.51.100.1/live", "ngx-local-relay"), ("198.51.100.2", "LNX.11,1,102,55")],
    ids=["pushed to another server", "pulled by another server"],
)
def test_a_relay_is_not_a_viewer_but_its_traffic_is_counted(address: str, flash: str) -> None:
    relays = client(number=7, address=address, flash=flash) + client(number=8, address=address, flash=flash)
    reading = read(page(stream("talk", clients=client(publishing=True) + relays, bytes_out=5, bw_out=800_000)))
    (talk,) = reading.streams
    assert (talk.publishers, talk.players, reading.server.connections) == (1, 0, 1)
    assert (talk.bytes_out_total, talk.bandwidth_out_bytes) == (5, 100_000)
    assert [one.relay for one in talk.clients] == [False, True, True]
    assert reading.faults == ()


@pytest.mark.parametrize(
    ("address", "flash"),
    [("198.51.100.1:1935/live/a", "ngx-local-relay"), ("198.51.100.2", "LNX.11,1,102,55")],
    ids=["pulled from another server", "pushed by another server"],
)
def test_a_relayed_stream_has_no_encoder(address: str, flash: str) -> None:
    pulled = client(number=3, address=address, flash=flash, publishing=True)
    reading = read(page(stream("talk", clients=pulled + client(number=4))))
    (talk,) = reading.streams
    assert (talk.publishers, talk.players, reading.server.connections) == (1, 1, 2)
    assert talk.bandwidth_in_bytes == 100_000
    assert [one.fetched for one in talk.clients] == [True, False]
    assert reading.faults == ()


def test_dropped_frames_of_old_builds_are_video_and_audio() -> None:
    assert read(page(stream(clients=client(publishing=True, dropped="3/4")))).streams[0].dropped_frames == 7


def test_the_tags_of_old_builds_are_understood() -> None:
    old = (
        b'<?xml version="1.0" encoding="utf-8" ?>\r\n<rtmp><version>1.2.6</version><pid>5</pid><uptime>50</uptime>'
        b"<naccepted>1</naccepted><in>10</in><out>20</out><bwin>80</bwin><bwout>160</bwout><server><application>"
        b"<name>myapp</name><live><stream><name>s</name><time>40000</time><in>7</in><out>8</out><bwin>800</bwin>"
        b"<bwout>0</bwout><meta><width>640</width><height>360</height><framerate>30</framerate><video>H264</video>"
        b"<audio>AAC</audio><profile>High</profile><level>3.1</level></meta><nclients>1</nclients><publishing/><active/>"
        b"</stream><nclients>1</nclients></live></application></server></rtmp>"
    )
    reading = read(old)
    assert (reading.server.bytes_in_total, reading.server.bandwidth_out_bytes) == (10, 20)
    (only,) = reading.streams
    assert (only.app, only.bytes_in_total, only.bandwidth_in_bytes) == ("myapp", 7, 100)
    assert (only.width, only.height, only.fps) == (640, 360, 30)
    assert (only.video_codec, only.video_profile, only.audio_codec) == ("H264", "High", "AAC")


def test_a_damaged_closing_tag_loses_no_figure() -> None:
    damaged = page(stream("talk", bytes_in=1_293_270_697_145)).replace(
        b"1293270697145</bytes_in>", b"1293270697145</bytesin>"
    )
    reading = read(damaged)
    assert reading.streams[0].bytes_in_total == 1_293_270_697_145
    assert reading.streams[0].publishers == 1
    assert "not well-formed" in reading.faults[0].reason
    assert reading.faults[0].fix


@pytest.mark.parametrize(
    "name", ["a&b", "a<b", "<b>", "x</name", "&#0;", "&bogus;", "a]]>b", "\x00\x1b", "1 < 2 & 3 > 2"]
)
def test_an_unescaped_name_still_identifies_its_stream(name: str) -> None:
    raw = page(stream("MARK"), stream("other")).replace(b"MARK", name.encode())
    reading = read(raw)
    assert [s.publishers for s in reading.streams] == [1, 1]
    assert [s.bytes_in_total for s in reading.streams] == [6_000_000, 6_000_000]
    assert reading.streams[1].name == "other"
    samples(reading)


def test_a_truncated_status_page_is_broken_and_ends_no_stream() -> None:
    whole = page(stream("one"), stream("two"))
    for end in range(len(whole) - len(b"</rtmp>\r\n") + 1):
        with pytest.raises(SourceBroken):
            read(whole[:end])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "nothing"),
        (b"<!DOCTYPE html><html><body>Welcome to nginx!</body></html>", "DTD"),
        (b"<html><body>Welcome to nginx!</body></html>", "HTML"),
        (b'{"code": 0}', "code"),
        (b"<mpd/>", "mpd"),
        (b"\xff\xfe\x00", "expected"),
    ],
)
def test_what_is_not_the_page_is_named(body: bytes, said: str) -> None:
    with pytest.raises(SourceBroken, match=said):
        read(body)


def test_entities_are_not_expanded() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE rtmp [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><rtmp><pid>&b;</pid></rtmp>'
    with pytest.raises(SourceBroken, match="DTD"):
        read(bomb)
    outside = b'<?xml version="1.0"?><!DOCTYPE rtmp [<!ENTITY f SYSTEM "file:///etc/passwd">]><rtmp>&f;</rtmp>'
    with pytest.raises(SourceBroken, match="DTD"):
        read(outside)
    utf16 = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE rtmp [<!ENTITY a "x">]><rtmp>&a;</rtmp>'.encode("utf-16")
    with pytest.raises(SourceBroken):
        read(utf16)


@given(st.lists(st.text(max_size=20), max_size=6), st.integers(0, 2**63), st.integers(0, 2**63))
def test_any_names_and_counters_survive_the_way_to_prometheus(names: list[str], first: int, second: int) -> None:
    reading = read(page(*(stream(name, bytes_in=first, bytes_out=second) for name in names)))
    samples(reading)
    assert sum(s.publishers for s in reading.streams) == len(names)
    assert sum(s.bytes_in_total or 0 for s in reading.streams) == first * len(names)


def test_an_application_is_the_sum_of_its_streams() -> None:
    two = client(publishing=True) + client(number=2)
    figures = samples(read(page(stream("one", clients=two, bw_out=80_000), stream("two", bw_in=8000, bw_out=80_000))))
    live = (("app", "live"),)
    assert figures["nginx_rtmp_application_streams", live] == 2
    assert figures["nginx_rtmp_application_connections", live] == 3
    assert figures["nginx_rtmp_application_bandwidth_in_bytes", live] == 101_000
    assert figures["nginx_rtmp_application_bandwidth_out_bytes", live] == 20_000


def test_promtool_reports_nothing() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "this test needs promtool: apt-get install prometheus"
    text = render(families(read(page(stream("one"), stream('a"b')))))
    said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, b"")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page_or_broken(body: bytes) -> None:
    try:
        reading = read(body)
    except SourceBroken as error:
        assert str(error)
    else:
        samples(reading)


@given(st.data())
def test_a_damaged_page_is_read_or_broken_and_never_doubles_a_series(data: st.DataObject) -> None:
    good = page(stream("one"), stream("two", clients=client(publishing=True) + client(number=5)))
    begin = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(begin, min(begin + 40, len(good))))
    damaged = good[:begin] + data.draw(st.binary(max_size=40)) + good[end:]
    try:
        reading = read(damaged)
    except SourceBroken:
        return
    samples(reading)


def test_sizes_of_many_streams_stay_linear() -> None:
    reading = read(page(*(stream(f"s{number}") for number in range(2000))))
    assert len(reading.streams) == 2000
    broken = page(*(stream(f"s{number}") for number in range(500))).replace(b"s250", b"s&250")
    assert len(read(broken).streams) == 500
