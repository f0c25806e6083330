"""The probe beside a real nginx with the RTMP module and real FFmpeg streams."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.nginx import Nginx, eventually
from tests.support.streams import Player, Publisher
from wattview.exposition import parse_series
from wattview.model import Stream, StreamsReading
from wattview.probes import SourceBroken, SourceError, SourceRefused
from wattview.probes.streams.families import families
from wattview.probes.streams.nginx_rtmp import NginxRtmpProbe


def find(reading: StreamsReading, name: str) -> Stream | None:
    return next((stream for stream in reading.streams if stream.name == name), None)


def state_of(probe: NginxRtmpProbe) -> str:
    try:
        probe.read()
    except SourceError as error:
        return error.state
    return "ok"


def test_the_probe_sees_what_ffmpeg_sends(tmp_path: Path) -> None:
    sent = tmp_path / "sent.flv"
    with Nginx(tmp_path / "nginx") as server:
        probe = NginxRtmpProbe(server.stat_url)
        assert probe.read().streams == ()
        with Publisher(f"{server.rtmp_url}/talk", kilobits=400, copy=sent) as publisher:
            eventually(lambda: find(probe.read(), "talk"))
            with Player(f"{server.rtmp_url}/talk"):
                talk = eventually(
                    lambda: (s := find(probe.read(), "talk")) and s.players and s.bandwidth_out_bytes and s
                )
                assert (talk.publishers, talk.players) == (1, 1)
                begin, began = sent.stat().st_size, time.monotonic()
                rates = []
                while time.monotonic() - began < 4.0:
                    rates.append((find(probe.read(), "talk") or talk).bandwidth_in_bytes or 0.0)
                    time.sleep(0.2)
                truth = (sent.stat().st_size - begin) / (time.monotonic() - began)
            assert publisher.running
        assert sum(rates) / len(rates) == pytest.approx(truth, rel=0.10)
        assert (talk.width, talk.height, talk.fps) == (320, 180, 25.0)
        assert (talk.video_codec, talk.audio_codec, talk.active) == ("H264", "AAC", True)
        eventually(lambda: not probe.read().streams)
        # An FLV tag is 15 bytes longer than the message that the module counts.
        whole = talk.bytes_in_total
        assert whole is not None
        assert 0 < whole < sent.stat().st_size
        probe.close()


def test_any_name_reaches_the_labels(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx") as server, Publisher(f'{server.rtmp_url}/caf"é<&>'):
        probe = NginxRtmpProbe(server.stat_url)
        stream = eventually(lambda: probe.read().streams)[0]
        assert stream.name == 'caf"  <&>'
        reading = probe.read()
        keys = {
            f"{family.name}{text}"
            for family in families(reading)
            for text, _ in family.samples
            if family.name == "nginx_rtmp_stream_players"
        }
        assert [parse_series(key) for key in keys] == [
            ("nginx_rtmp_stream_players", {"app": "live", "stream": 'caf"  <&>'})
        ]
        probe.close()


def test_a_server_that_is_killed_is_absent_and_found_again(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx") as server:
        probe = NginxRtmpProbe(server.stat_url)
        first = probe.read().server
        server.kill()
        eventually(lambda: state_of(probe) == "absent")
        server.start()
        second = probe.read()
        assert second.server.pid != first.pid
        assert second.faults == ()
        probe.close()


def test_real_refusals_are_distinguished(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx", stat_extra="deny all;") as server:
        for path in ("/stat", "/away"):
            with pytest.raises(SourceRefused, match="403"):
                NginxRtmpProbe(server.stat_url.replace("/stat", path)).read()
        for path, said in (("/nothing", "404"), ("/page", "HTML")):
            with pytest.raises(SourceBroken, match=said):
                NginxRtmpProbe(server.stat_url.replace("/stat", path)).read()


def test_relays_between_real_servers_are_not_viewers(tmp_path: Path) -> None:
    """One pushes to the second, the third pulls from the first, and one person watches at the third."""
    with (
        Nginx(tmp_path / "second") as second,
        Nginx(tmp_path / "first", rtmp_extra=f"push 127.0.0.1:{second.rtmp_port}/live;") as first,
        Nginx(tmp_path / "third", rtmp_extra=f"pull 127.0.0.1:{first.rtmp_port}/live;") as third,
    ):
        probes = [NginxRtmpProbe(server.stat_url) for server in (first, second, third)]

        def counts() -> list[tuple[int, int, int]]:
            streams = [probe.read().streams for probe in probes]
            return [(s.publishers, s.players, sum(c.relay for c in s.clients)) for one in streams for s in one]

        with Publisher(f"{first.rtmp_url}/talk"), Player(f"{third.rtmp_url}/talk"):
            eventually(lambda: counts() == [(1, 0, 2), (1, 0, 0), (1, 1, 0)])


def test_two_real_workers_are_both_counted(tmp_path: Path) -> None:
    with Nginx(tmp_path / "nginx", workers=2) as server:
        probe = NginxRtmpProbe(server.stat_url)
        reading = eventually(lambda: (r := probe.read()).faults and r)
        assert reading.faults[0].part == "nginx workers"
        assert reading.server.connections == 0
        probe.close()
