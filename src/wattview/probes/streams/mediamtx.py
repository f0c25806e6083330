"""MediaMTX (formerly rtsp-simple-server): its control API as a StreamsReading.

``/v3/paths/list`` has the streams with their byte counters, and one list per protocol has their connections with
addresses. Readers that are in none of these lists (HLS) are counted from the path itself. Field names changed over the
versions (``bytesReceived`` became ``inboundBytes``, ``ready`` became ``available``): both are read. The API:
https://mediamtx.org/docs/references/control-api
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from wattview.fetch import Site
from wattview.model import Fault, RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes import SourceError
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.kind import MAX_PAGES, MAX_STREAMS, PAGE, StreamServer, check_page, too_many
from wattview.probes.streams.rates import total

MAX_TOLD = 20
"""Maximum number of malformed entries that are reported individually."""
_START = "set `api: yes` in mediamtx.yml, and streams.nginx_rtmp_url to the address of its API"


class _Entity(Struct):
    type: str = ""
    id: str = ""


class _CodecProps(Struct, rename="camel"):
    width: int | None = None
    height: int | None = None
    profile: str | int | None = None
    level: str | int | None = None
    sample_rate: int | None = None
    channel_count: int | None = None


class _Track(Struct, rename="camel"):
    codec: str = ""
    codec_props: _CodecProps | None = None


class _Path(Struct, rename="camel"):
    name: str
    ready: bool = False
    available: bool = False
    online: bool | None = None
    ready_time: str | None = None
    available_time: str | None = None
    online_time: str | None = None
    source: _Entity | None = None
    tracks: list[str] | None = None
    tracks2: list[_Track] | None = None
    inbound_bytes: int | None = None
    outbound_bytes: int | None = None
    bytes_received: int | None = None
    bytes_sent: int | None = None
    readers: list[_Entity] | None = None


class _Paths(Struct, rename="camel"):
    item_count: int
    page_count: int
    items: list[msgspec.Raw] | None = None


class _Connection(Struct, rename="camel"):
    id: str = ""
    created: str | None = None
    remote_addr: str = ""
    outbound_frames_discarded: int | None = None


class _Connections(Struct, rename="camel"):
    items: list[_Connection] | None = None


class _Info(Struct):
    version: str = ""
    started: str | None = None


T = TypeVar("T")


class MediaMtxProbe(rtmp_http.ApiProbe):
    """``url`` is the API's address, ``http://127.0.0.1:9997``."""

    async def _read(self, site: Site) -> StreamsReading:
        paths: list[_Path] = []
        unread: list[str] = []
        for page in range(MAX_PAGES):
            listed = await _get(site, f"/v3/paths/list?itemsPerPage={PAGE}&page={page}", _Paths)
            check_page(site.url, len(listed.items or ()))
            for item in listed.items or ():
                _take(item, paths, unread)
            if page + 1 >= listed.page_count:
                break
        connections = [one for name in _lists_of(paths) for one in await _connections(site, name)]
        info = await _optional(site, "/v3/info", _Info) or _Info()
        reading = parse(paths, connections, info, time=time.time(), monotonic=time.monotonic(), unread=unread)
        reading = self._rates.apply(reading)
        if reading.server.unlisted_streams:
            return reading
        # The API has no server totals, and a path's totals end with the path.
        server = msgspec.structs.replace(
            reading.server,
            bandwidth_in_bytes=total(stream.bandwidth_in_bytes for stream in reading.streams),
            bandwidth_out_bytes=total(stream.bandwidth_out_bytes for stream in reading.streams),
        )
        return msgspec.structs.replace(reading, server=server)


def _take(item: msgspec.Raw, paths: list[_Path], unread: list[str]) -> None:
    """One entry of the list. A malformed entry is skipped and reported."""
    try:
        paths.append(msgspec.json.decode(item, type=_Path, strict=False))
    except (ValueError, OverflowError) as error:
        unread.append(f"{bytes(item)[:60].decode(errors='replace')}: {error}")


_LISTS = {
    "rtmpConn": "rtmpconns", "rtmpsConn": "rtmpsconns", "rtspSession": "rtspsessions", "rtspsSession": "rtspssessions",
    "srtConn": "srtconns", "webRTCSession": "webrtcsessions",
}  # fmt: skip
"""The list that an entity of each type is in. Every other type of source is fetched by the server itself."""


def _lists_of(paths: list[_Path]) -> list[str]:
    """The lists that any of these paths' publishers and readers are in."""
    types = {one.type for path in paths for one in (path.source, *(path.readers or ())) if one is not None}
    return [name for kind, name in _LISTS.items() if kind in types]


async def _connections(site: Site, name: str) -> list[_Connection]:
    listed = await _optional(site, f"/v3/{name}/list?itemsPerPage={PAGE}", _Connections)
    return ((listed and listed.items) or [])[: 2 * PAGE]


async def _optional(site: Site, path: str, kind: type[T]) -> T | None:
    """A list that this version or configuration may lack."""
    try:
        return await _get(site, path, kind)
    except SourceError:
        return None


async def _get(site: Site, path: str, kind: type[T]) -> T:
    return rtmp_http.decoded(await rtmp_http.page(site, path, _START), kind, "MediaMTX", _START)


def parse(
    paths: list[_Path],
    connections: list[_Connection],
    info: _Info,
    *,
    time: float,
    monotonic: float,
    unread: Sequence[str] = (),
) -> StreamsReading:
    """The API's lists as one reading, without rates. A path without publisher or reader is not a stream.

    ``unread`` describes malformed entries.
    """
    by_id = {connection.id: connection for connection in connections}
    streams = {path.name: _stream(path, by_id, time) for path in paths if path.source or path.readers}
    beyond = len(streams) - len(listed := tuple(streams.values())[:MAX_STREAMS])
    unlisted = beyond + len(unread)
    faults = [Fault("path", f"the API describes it in an unknown form: {one}") for one in unread[:MAX_TOLD]]
    if beyond:
        faults.append(too_many(beyond))
    return StreamsReading(
        time=time,
        monotonic=monotonic,
        faults=tuple(faults),
        server=RtmpServer(
            name=f"mediamtx {info.version.removeprefix('v')}".rstrip(),
            uptime_seconds=_age(info.started, time),
            connections=None if unlisted else sum(stream.publishers + stream.players for stream in listed),
            unlisted_streams=unlisted,
        ),
        streams=listed,
    )


_VIDEO = ("AV1", "VP9", "VP8", "H265", "H264", "MPEG-4 Video", "MPEG-1 Video", "MJPEG", "M-JPEG")
_NO_AUDIO = (*_VIDEO, "MPEG-TS", "KLV", "Generic")


def _stream(path: _Path, connections: dict[str, _Connection], now: float) -> Stream:
    # A muxer is the server's own and counts its viewers elsewhere.
    readers = [reader for reader in path.readers or () if not reader.type.endswith("Muxer")]
    clients = [_client(reader, connections.get(reader.id), False, now) for reader in readers]
    if path.source is not None:
        clients.insert(0, _client(path.source, connections.get(path.source.id), True, now))
    app, _, name = path.name.rpartition("/")
    nothing = _CodecProps()
    tracks = path.tracks2 or [_Track(codec) for codec in path.tracks or ()]
    video = _first(tracks, lambda track: track.codec in _VIDEO)
    audio = _first(tracks, lambda track: track.codec not in _NO_AUDIO)
    picture = (video and video.codec_props) or nothing
    sound = (audio and audio.codec_props) or nothing
    dropped = [client.dropped for client in clients if client.dropped is not None]
    return Stream(
        app=app,
        name=name,
        active=(path.available or path.ready) if path.online is None else path.online,
        uptime_seconds=_age(path.online_time or path.available_time or path.ready_time, now),
        bytes_in_total=path.bytes_received if path.inbound_bytes is None else path.inbound_bytes,
        bytes_out_total=path.bytes_sent if path.outbound_bytes is None else path.outbound_bytes,
        publishers=int(path.source is not None),
        players=len(readers),
        video_codec=video.codec if video else None,
        video_profile=_word(picture.profile),
        video_level=_word(picture.level),
        width=picture.width or None,
        height=picture.height or None,
        audio_codec=audio.codec if audio else None,
        audio_channels=sound.channel_count or None,
        audio_sample_rate_hertz=sound.sample_rate or None,
        dropped_frames=sum(dropped) if dropped else None,
        clients=tuple(clients),
    )


def _client(entity: _Entity, connection: _Connection | None, publishing: bool, now: float) -> StreamClient:
    return StreamClient(
        id=entity.id or entity.type,
        address=connection.remote_addr if connection else "",
        publishing=publishing,
        fetched=publishing and entity.type not in _LISTS,
        connected_seconds=_age(connection.created, now) if connection else None,
        dropped=connection.outbound_frames_discarded if connection and not publishing else None,
    )


def _first(tracks: list[_Track], wanted: Callable[[_Track], bool]) -> _Track | None:
    return next((track for track in tracks if wanted(track)), None)


def _word(value: str | int | None) -> str | None:
    return None if value is None or value == "" else str(value)


def _age(moment: str | None, now: float) -> float | None:
    """Seconds since an RFC 3339 time, for which Go writes up to nine digits of a second."""
    if not moment:
        return None
    try:
        return max(now - msgspec.convert(moment, datetime).timestamp(), 0.0)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None


SERVER = StreamServer("mediamtx", MediaMtxProbe, api="/v3", port=9997)
