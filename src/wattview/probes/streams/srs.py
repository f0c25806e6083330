"""SRS (Simple Realtime Server): its HTTP API as a StreamsReading.

``/api/v1/streams`` has the streams, ``/api/v1/clients`` their publishers and players, ``/api/v1/vhosts`` the totals
since the server started; since 2.0 a server redirects each to its name with a slash. Lists have pages of 10 by default;
ids are numbers before version 4 and texts since; ``live_ms`` is the server's clock, not the stream's age, which is its
publisher's ``alive``. Names are as the publisher wrote them, unescaped and in any encoding
(https://github.com/ossrs/srs/issues/1757): an entry that is invalid JSON for that reason is skipped and reported. The
API: https://ossrs.io/lts/en-us/docs/v6/doc/http-api
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct, field

from wattview.fetch import Fetched, Site
from wattview.model import Fault, RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes import SourceBroken, SourceError
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.kind import MAX_PAGES, MAX_STREAMS, PAGE, StreamServer, check_page, too_many
from wattview.probes.streams.nginx_rtmp_stat import merge
from wattview.probes.streams.rates import total

_SETTLED_SECONDS = 60.0
"""``kbps`` are means over 30 seconds: from this age on, a 0 is a measurement."""
_START = "set `http_api { enabled on; }` in srs.conf, and streams.nginx_rtmp_url to the address of its API"

_NAMES = "publish under names of ASCII letters and digits"
MAX_DAMAGED = 20
"""Maximum number of entries that are reported individually."""

Id = str | int


class _Kbps(Struct):
    recv_30s: int | None = None
    send_30s: int | None = None


class _Publish(Struct):
    active: bool = False


class _Video(Struct):
    codec: str | None = None
    profile: str | None = None
    level: str | None = None
    width: int | None = None
    height: int | None = None


class _Audio(Struct):
    codec: str | None = None
    profile: str | None = None
    sample_rate: int | None = None
    channel: int | None = None


class _SrsStream(Struct):
    id: Id
    name: str
    app: str
    clients: int = 0
    send_bytes: int | None = None
    recv_bytes: int | None = None
    kbps: _Kbps | None = None
    publish: _Publish | None = None
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
    kbps: _Kbps | None = None


class _Answer(Struct):
    code: int
    pid: Id = ""


class _Streams(_Answer):
    items: list[_SrsStream] = field(default_factory=list, name="streams")


class _Clients(_Answer):
    items: list[_SrsClient] = field(default_factory=list, name="clients")


class _Vhosts(_Answer):
    items: list[_Vhost] = field(default_factory=list, name="vhosts")


class _VersionData(Struct):
    version: str = ""


class _Versions(_Answer):
    data: _VersionData = field(default_factory=_VersionData)


A = TypeVar("A", bound=_Answer)
L = TypeVar("L", _Streams, _Clients, _Vhosts)


class SrsProbe(rtmp_http.ApiProbe):
    """``url`` is the API's address, ``http://127.0.0.1:1985``."""

    _version = ""

    async def _read(self, site: Site) -> StreamsReading:
        streams, damaged = await _listed(site, "streams", _Streams)
        clients, damaged_clients = await _listed(site, "clients", _Clients)
        vhosts, damaged_vhosts = _salvaged(await _get(site, "/api/v1/vhosts"), "vhosts", _Vhosts)
        self._version = self._version or await _ask_version(site)
        reading = parse(
            [one for page in streams for one in page.items],
            [one for page in clients for one in page.items],
            vhosts.items,
            version=self._version,
            pid=streams[-1].pid,
            time=time.time(),
            monotonic=time.monotonic(),
            damaged=[*damaged, *damaged_clients, *damaged_vhosts],
            damaged_streams=len(damaged),
        )
        return self._rates.apply(reading)


async def _listed(site: Site, what: str, kind: type[L]) -> tuple[list[L], list[str]]:
    """A list's pages until one is not full, and the entries that could not be read."""
    pages: list[L] = []
    damaged: list[str] = []
    for number in range(MAX_PAGES):
        answer = await _get(site, f"/api/v1/{what}?start={number * PAGE}&count={PAGE}")
        page, unread = _salvaged(answer, what, kind)
        check_page(answer.place, len(page.items))
        pages.append(page)
        damaged += unread
        if len(page.items) + len(unread) < PAGE:
            break
    return pages, damaged


async def _ask_version(site: Site) -> str:
    try:
        return _decoded(await _get(site, "/api/v1/versions"), _Versions).data.version
    except SourceError:
        return ""


async def _get(site: Site, path: str) -> Fetched:
    return await rtmp_http.page(site, path, _START)


def _decoded(answer: Fetched, kind: type[A]) -> A:
    decoded = rtmp_http.decoded(answer, kind, "SRS", _START)
    if decoded.code != 0:
        raise SourceBroken(f"{answer.place}: SRS answered with error code {decoded.code}")
    return decoded


_ENTRY = re.compile(rb'[\[,]\s{0,8}(?=\{\s{0,8}"id"\s{0,8}:)')


def _salvaged(answer: Fetched, what: str, kind: type[L]) -> tuple[L, list[str]]:
    """A list; and the starts of entries that are invalid JSON, which are skipped individually.

    Every entry starts with its id, and no other object in the list does.
    """
    try:
        return _decoded(answer, kind), []
    except SourceBroken:
        opening = re.search(rb'"%s"\s{0,8}:\s{0,8}(?=\[)' % what.encode(), answer.body[:4096])
        if opening is None:
            raise
    head, entries = answer.body[: opening.end()], answer.body[opening.end() :]
    starts: list[int] = [match.end() for match in _ENTRY.finditer(entries)]
    if not starts:
        _decoded(answer, kind)
    check_page(answer.place, len(starts))
    found = _decoded(answer._replace(body=head + b"[]}"), kind)
    damaged: list[str] = []
    for begin, end in zip(starts, [*starts[1:], len(entries)], strict=True):
        entry = entries[begin:end]
        entry = entry[: entry.rfind(b"}") + 1] if end < len(entries) else entry[: entry.rfind(b"]")].rstrip()
        one = _decoded_or_none(answer._replace(body=head + b"[" + entry + b"]}"), kind)
        if one is None:
            damaged.append(f"{what.removesuffix('s')} {_printable(entry)}")
        else:
            found.items.extend(one.items)
    return found, damaged


def _decoded_or_none(answer: Fetched, kind: type[L]) -> L | None:
    try:
        return _decoded(answer, kind)
    except SourceBroken:
        return None


def _printable(entry: bytes) -> str:
    """The start of an entry, up to the name and a little more, to identify it."""
    name = entry.find(b'"name"')
    text = entry[max(name, 0) :][:60].decode("ascii", "backslashreplace")
    return "".join(character if character.isprintable() else " " for character in text)


def parse(
    streams: list[_SrsStream],
    clients: list[_SrsClient],
    vhosts: list[_Vhost],
    *,
    version: str,
    pid: Id,
    time: float,
    monotonic: float,
    damaged: Sequence[str] = (),
    damaged_streams: int = 0,
) -> StreamsReading:
    """The API's lists as one reading, with the server's own means as bandwidth.

    Streams of one app and name in several virtual hosts are added; one with neither publisher nor player has ended.
    ``damaged`` are the unreadable entries of all lists, ``damaged_streams`` how many of them are streams.
    """
    by_stream: dict[Id, list[_SrsClient]] = {}
    for client in clients:
        by_stream.setdefault(client.stream, []).append(client)
    # Of two streams with one id, the first has its clients: they cost once.
    found = [_stream(stream, by_stream.pop(stream.id, [])) for stream in streams]
    live = [stream for stream in found if stream.publishers or stream.players]
    merged, _ = merge(live[:MAX_STREAMS])
    beyond = len(live[MAX_STREAMS:])
    faults = [
        Fault(entry.partition(" ")[0], f"SRS wrote no valid JSON for it: {entry}", _NAMES)
        for entry in damaged[:MAX_DAMAGED]
    ]
    if beyond:
        faults.append(too_many(beyond))
    return StreamsReading(
        time=time,
        monotonic=monotonic,
        faults=tuple(faults),
        server=RtmpServer(
            name=f"srs {version}".rstrip(),
            pid=int(pid) if re.fullmatch("[0-9]{1,9}", str(pid)) else None,
            connections=sum(one.publishers + one.players for one in live) if not beyond + damaged_streams else None,
            unlisted_streams=beyond + damaged_streams,
            bytes_in_total=total(vhost.recv_bytes for vhost in vhosts),
            bytes_out_total=total(vhost.send_bytes for vhost in vhosts),
            bandwidth_in_bytes=total(_bytes_per_second((vhost.kbps or _Kbps()).recv_30s, None) for vhost in vhosts),
            bandwidth_out_bytes=total(_bytes_per_second((vhost.kbps or _Kbps()).send_30s, None) for vhost in vhosts),
        ),
        streams=merged,
    )


def _stream(stream: _SrsStream, clients: list[_SrsClient]) -> Stream:
    publisher = next((client for client in clients if client.publish), None)
    published = stream.publish is not None and stream.publish.active
    publishers = int(published)
    age = publisher.alive if publisher else None
    video, audio = stream.video or _Video(), stream.audio or _Audio()
    return Stream(
        app=stream.app,
        name=stream.name,
        active=published,
        uptime_seconds=age,
        bytes_in_total=stream.recv_bytes,
        bytes_out_total=stream.send_bytes,
        bandwidth_in_bytes=_bytes_per_second((stream.kbps or _Kbps()).recv_30s, age),
        bandwidth_out_bytes=_bytes_per_second((stream.kbps or _Kbps()).send_30s, age),
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


SERVER = StreamServer("srs", SrsProbe, api="/api/v1", port=1985)
