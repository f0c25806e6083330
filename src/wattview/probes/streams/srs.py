"""SRS (Simple Realtime Server): its HTTP API as a StreamsReading.

``/api/v1/streams`` has the streams, ``/api/v1/clients`` their publishers and players, ``/api/v1/vhosts`` the totals
since the server began. Lists come in pages of 10 unless more are asked for; ids are numbers before version 4 and
texts since; ``live_ms`` is the server's clock and not the stream's age, which its publisher's ``alive`` gives.
The API: https://ossrs.io/lts/en-us/docs/v6/doc/http-api
"""

from __future__ import annotations

import time
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from wattview.model import RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes import SourceBroken, SourceError
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.families import families
from wattview.probes.streams.nginx_rtmp_stat import merge
from wattview.probes.streams.rates import StreamRates, total

__all__ = ["SrsProbe", "families", "parse"]

DEFAULT_PORT = 1985
_PAGE = 500
_MAX_PAGES = 20
_SETTLED_SECONDS = 60.0
"""``kbps`` are means over 30 seconds: from this age on, a 0 is a measurement."""
_START = "set `http_api { enabled on; }` in srs.conf, and streams.nginx_rtmp_url to the address of its API"

Id = str | int


class _Kbps(Struct):
    recv_30s: int | None = None
    send_30s: int | None = None


class _Publish(Struct):
    active: bool = False
    cid: Id = ""


class _Video(Struct):
    codec: str = ""
    profile: str = ""
    level: str = ""
    width: int = 0
    height: int = 0


class _Audio(Struct):
    codec: str = ""
    profile: str = ""
    sample_rate: int = 0
    channel: int = 0


class _SrsStream(Struct):
    id: Id
    name: str
    app: str
    clients: int = 0
    send_bytes: int | None = None
    recv_bytes: int | None = None
    kbps: _Kbps = field(default_factory=_Kbps)
    publish: _Publish = field(default_factory=_Publish)
    video: _Video | None = None
    audio: _Audio | None = None


class _SrsClient(Struct):
    id: Id
    stream: Id = ""
    ip: str = ""
    publish: bool = False
    alive: float | None = None


class _Vhost(Struct):
    send_bytes: int | None = None
    recv_bytes: int | None = None
    kbps: _Kbps = field(default_factory=_Kbps)


class _Answer(Struct):
    code: int
    pid: Id = ""


class _Streams(_Answer):
    streams: list[_SrsStream] = []


class _Clients(_Answer):
    clients: list[_SrsClient] = []


class _Vhosts(_Answer):
    vhosts: list[_Vhost] = []


class _VersionData(Struct):
    version: str = ""


class _Versions(_Answer):
    data: _VersionData = field(default_factory=_VersionData)


A = TypeVar("A", bound=_Answer)


class SrsProbe:
    """``url`` is the API's address, ``http://127.0.0.1:1985``."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = rtmp_http.make_client(url, {"Accept": "application/json"})
        self._rates = StreamRates()
        self._version = ""

    def read(self) -> StreamsReading:
        """The server and its streams. Raises SourceAbsent, SourceRefused or SourceBroken."""
        streams: list[_SrsStream] = []
        clients: list[_SrsClient] = []
        pid: Id = ""
        for page in range(_MAX_PAGES):
            listed = self._get(f"/api/v1/streams?start={page * _PAGE}&count={_PAGE}", _Streams)
            streams += listed.streams
            pid = listed.pid
            if len(listed.streams) < _PAGE:
                break
        for page in range(_MAX_PAGES):
            connected = self._get(f"/api/v1/clients?start={page * _PAGE}&count={_PAGE}", _Clients)
            clients += connected.clients
            if len(connected.clients) < _PAGE:
                break
        vhosts = self._get("/api/v1/vhosts", _Vhosts).vhosts
        if not self._version:
            self._version = self._ask_version()
        reading = parse(
            streams, clients, vhosts, version=self._version, pid=pid, time=time.time(), monotonic=time.monotonic()
        )
        return self._rates.apply(reading)

    def close(self) -> None:
        self._http.close()

    def _ask_version(self) -> str:
        try:
            return self._get("/api/v1/versions", _Versions).data.version
        except SourceError:
            return ""

    def _get(self, path: str, kind: type[A]) -> A:
        place = rtmp_http.shown(self.url + path)
        body = rtmp_http.get(self._http, self.url + path, _START)
        try:
            answer = msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SourceBroken(f"{place}: not the API of SRS: {error}", _START) from None
        if answer.code != 0:
            raise SourceBroken(f"{place}: SRS answered with error code {answer.code}")
        return answer


def parse(
    streams: list[_SrsStream],
    clients: list[_SrsClient],
    vhosts: list[_Vhost],
    *,
    version: str,
    pid: Id,
    time: float,
    monotonic: float,
) -> StreamsReading:
    """The API's lists as one reading, with the server's own means as bandwidth.

    Streams of one app and name in several virtual hosts are added up; what has neither publisher nor player has ended.
    """
    by_stream: dict[Id, list[_SrsClient]] = {}
    for client in clients:
        by_stream.setdefault(client.stream, []).append(client)
    found = [_stream(stream, by_stream.get(stream.id, [])) for stream in streams]
    merged, _ = merge(stream for stream in found if stream.publishers or stream.players)
    return StreamsReading(
        time=time,
        monotonic=monotonic,
        server=RtmpServer(
            name=f"srs {version}".rstrip(),
            pid=int(pid) if str(pid).isdigit() else None,
            uptime_seconds=None,
            connections=sum(stream.publishers + stream.players for stream in merged),
            accepted_total=None,
            bytes_in_total=total(vhost.recv_bytes for vhost in vhosts),
            bytes_out_total=total(vhost.send_bytes for vhost in vhosts),
            bandwidth_in_bytes=total(_bytes_per_second(vhost.kbps.recv_30s, None) for vhost in vhosts),
            bandwidth_out_bytes=total(_bytes_per_second(vhost.kbps.send_30s, None) for vhost in vhosts),
        ),
        streams=merged,
    )


def _stream(stream: _SrsStream, clients: list[_SrsClient]) -> Stream:
    publisher = next((client for client in clients if client.publish), None)
    publishers = int(stream.publish.active)
    age = publisher.alive if publisher else None
    video, audio = stream.video or _Video(), stream.audio or _Audio()
    return Stream(
        app=stream.app,
        name=stream.name,
        active=stream.publish.active,
        uptime_seconds=age,
        bytes_in_total=stream.recv_bytes,
        bytes_out_total=stream.send_bytes,
        bandwidth_in_bytes=_bytes_per_second(stream.kbps.recv_30s, age),
        bandwidth_out_bytes=_bytes_per_second(stream.kbps.send_30s, age),
        publishers=publishers,
        players=max(stream.clients - publishers, 0),
        video_codec=video.codec or None,
        video_profile=video.profile or None,
        video_level=video.level or None,
        width=video.width or None,
        height=video.height or None,
        audio_codec=audio.codec or None,
        audio_profile=audio.profile or None,
        audio_channels=audio.channel or None,
        audio_sample_rate_hertz=audio.sample_rate or None,
        clients=tuple(
            StreamClient(id=str(c.id), address=c.ip, publishing=c.publish, connected_seconds=c.alive) for c in clients
        ),
    )


def _bytes_per_second(kilobits: int | None, age: float | None) -> float | None:
    if kilobits is None or (kilobits == 0 and (age is None or age < _SETTLED_SECONDS)):
        return None
    return kilobits * 1000 / 8
