"""The statistics page of nginx's RTMP module (``rtmp_stat all``): from its XML to a StreamsReading.

The format is that of ngx_rtmp_stat_module.c (arut/nginx-rtmp-module 1.2.2), and of older builds where they differ. Its
peculiarities, all handled here: ``bw_*`` are bits per second, means over fixed 10-second windows, and 0 until the first
has ended; ``<time>`` of streams and clients is milliseconds, ``<uptime>`` of the server seconds; each byte of a name
that is not printable ASCII becomes a space, so that two streams can have one name; ``<avsync>`` may be empty and is
signed; a closing tag after a large number may have lost letters (``<bytes_out>…</bytesout>``); the page covers one
worker process, including the copies that ``rtmp_auto_push`` makes of other workers' streams. Pure functions; no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from msgspec.structs import replace

from wattview.model import Fault, RtmpServer, Stream, StreamClient, StreamsReading
from wattview.probes.streams.kind import MAX_STREAMS, too_many
from wattview.probes.streams.nginx_rtmp_xml import UPDATE, read
from wattview.probes.streams.rates import total

BANDWIDTH_SETTLED_SECONDS = 21.0
"""From this age on a ``bw_*`` of 0 is a measurement: the first partial window and one whole window have ended."""

ONE_WORKER = (
    "set `worker_processes 1;` in the nginx.conf of the RTMP server (other sites can have an nginx of their own)"
)


def parse(xml: bytes, *, time: float, monotonic: float) -> StreamsReading:
    """One page of one worker. Bandwidth is the module's own; None if it has none yet.

    Raises SourceBroken if this is not such a page, or is truncated: streams that are missing from a truncated page
    would look ended.
    """
    root, found, repairs = read(xml, _Collected)
    faults = []
    if repairs:
        faults.append(Fault("statistics page", f"not well-formed XML ({repairs}); what could be read is shown", UPDATE))
    if found.unlisted:
        faults.append(too_many(found.unlisted))
    streams, same_name = merge(found.listed)
    for app, name, count in same_name:
        faults.append(
            Fault(
                f"stream {app}/{name}",
                f"{count} streams share this name (in several `server` blocks, or because the module writes a space "
                "for each byte outside ASCII); their figures are added up",
                "give streams unique names of ASCII letters and digits",
            )
        )
    server = _server(root, found)
    if any(stream.relayed or any(map(_is_copy, stream.clients)) for stream in found.listed):
        faults.append(Fault("rtmp_auto_push", "streams are copied between worker processes", ONE_WORKER))
        server = without_relays(server, streams)
    return StreamsReading(time=time, monotonic=monotonic, faults=tuple(faults), server=server, streams=streams)


class _Collected:
    """The streams of a page: the first ``MAX_STREAMS``, and the number of the others."""

    def __init__(self) -> None:
        self.listed: list[Stream] = []
        self.unlisted = 0

    def take(self, app: str, kind: str, element: Element) -> None:
        if len(self.listed) < MAX_STREAMS:
            self.listed.append(_live(app, element) if kind == "live" else _played(app, element))
        else:
            self.unlisted += 1

    def connections(self) -> int | None:
        """Publishers and players of all streams."""
        if self.unlisted:
            return None
        return sum(stream.publishers * (not stream.relayed) + stream.players for stream in self.listed)


def without_relays(server: RtmpServer, streams: Iterable[Stream]) -> RtmpServer:
    """The server's figures without copies between workers: bandwidth from the streams, no totals."""
    streams = tuple(streams)
    whole = not server.unlisted_streams
    return replace(
        server,
        accepted_total=None,
        bytes_in_total=None,
        bytes_out_total=None,
        bandwidth_in_bytes=total(stream.bandwidth_in_bytes for stream in streams) if whole else None,
        bandwidth_out_bytes=total(stream.bandwidth_out_bytes for stream in streams) if whole else None,
    )


def merge(streams: Iterable[Stream]) -> tuple[tuple[Stream, ...], list[tuple[str, str, int]]]:
    """Streams unique by app and name; and (app, name, count) of duplicates."""
    merged: dict[tuple[str, str], Stream] = {}
    counts: dict[tuple[str, str], int] = {}
    for stream in streams:
        key = stream.app, stream.name
        counts[key] = counts.get(key, 0) + 1
        merged[key] = combine(merged[key], stream) if key in merged else stream
    return tuple(merged.values()), [(*key, count) for key, count in counts.items() if count > 1]


def combine(first: Stream, second: Stream) -> Stream:
    """Two streams with the same app and name as one: additive values are added, the rest is the publisher's (or the
    first's).

    A copy that another worker holds (``relayed``) adds its viewers and their traffic, but not its input.
    """
    if first.relayed and not second.relayed:
        first, second = second, first
    if not first.publishers and second.publishers and not second.relayed:
        first, second = second, first
    inputs = [first] if second.relayed and not first.relayed else [first, second]
    return replace(
        first,
        active=first.active or second.active,
        uptime_seconds=max((s.uptime_seconds for s in (first, second) if s.uptime_seconds is not None), default=None),
        bytes_in_total=total(s.bytes_in_total for s in inputs),
        bandwidth_in_bytes=total(s.bandwidth_in_bytes for s in inputs),
        bandwidth_video_bytes=total(s.bandwidth_video_bytes for s in inputs),
        bandwidth_audio_bytes=total(s.bandwidth_audio_bytes for s in inputs),
        bytes_out_total=total((first.bytes_out_total, second.bytes_out_total)),
        bandwidth_out_bytes=total((first.bandwidth_out_bytes, second.bandwidth_out_bytes)),
        publishers=sum(s.publishers for s in inputs),
        players=first.players + second.players,
        dropped_frames=total((first.dropped_frames, second.dropped_frames)),
        clients=first.clients + second.clients,
    )


# numbers and text


def _text(element: Element | None, *path: str) -> str | None:
    """The text at the first of these paths that has any."""
    if element is not None:
        for way in path:
            text = element.findtext(way)
            if text and not text.isspace():
                return text
    return None


def _integer(element: Element | None, *path: str) -> int | None:
    text = _text(element, *path)
    if text is None or len(text) > 40:
        return None
    match = re.match(r"\s*(-?\d+)", text, re.ASCII)
    return int(match[1]) if match else None


def _counter(element: Element | None, *path: str) -> int | None:
    value = _integer(element, *path)
    return value if value is not None and 0 <= value < 2**64 else None


def _positive(element: Element | None, *path: str) -> int | None:
    return _counter(element, *path) or None


def _signed32(element: Element | None, *path: str) -> int | None:
    """Differences of 32-bit clocks, which some builds print unsigned."""
    value = _integer(element, *path)
    if value is None or not -(2**31) <= value < 2**32:
        return None
    return value - 2**32 if value >= 2**31 else value


def _bytes_per_second(element: Element, age: float | None, *path: str) -> float | None:
    bits = _counter(element, *path)
    if bits is None or (bits == 0 and (age is None or age < BANDWIDTH_SETTLED_SECONDS)):
        return None
    return bits / 8


def _dropped(element: Element) -> int | None:
    """``7``, or in old builds ``video/audio``."""
    text = _text(element, "dropped")
    if text is None:
        return None
    parts = [part.strip() for part in text.split("/")]
    good = all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts)
    return sum(int(part) for part in parts) if good else None


# elements


def _server(root: Element, found: _Collected) -> RtmpServer:
    uptime = _counter(root, "uptime")
    version = _text(root, "nginx_rtmp_version")
    return RtmpServer(
        name=f"nginx-rtmp {version.strip()}" if version else "nginx-rtmp",
        pid=_positive(root, "pid"),
        uptime_seconds=None if uptime is None else float(uptime),
        connections=found.connections(),
        unlisted_streams=found.unlisted,
        accepted_total=_counter(root, "naccepted"),
        bytes_in_total=_counter(root, "bytes_in", "in"),
        bytes_out_total=_counter(root, "bytes_out", "out"),
        bandwidth_in_bytes=_bytes_per_second(root, uptime, "bw_in", "bwin"),
        bandwidth_out_bytes=_bytes_per_second(root, uptime, "bw_out", "bwout"),
    )


def _live(app: str, element: Element) -> Stream:
    age = _age(element)
    clients = tuple(_client(client) for client in element.iterfind("client"))
    count = _counter(element, "nclients") if not clients else len(clients)
    publishers = sum(client.publishing for client in clients)
    relays = sum(client.relay and not client.publishing for client in clients)
    if not clients:
        publishers = int(element.find("publishing") is not None)
    players = max((count or 0) - publishers - relays, 0)
    publisher = next((client for client in clients if client.publishing), None)
    bytes_out = _counter(element, "bytes_out", "out")
    bandwidth_out = _bytes_per_second(element, age, "bw_out", "bwout")
    copies = sum(_is_copy(client) and not client.publishing for client in clients)
    if copies:
        others = players + relays - copies
        bytes_out = None if others else 0
        bandwidth_out = None if bandwidth_out is None else bandwidth_out * others / (others + copies)
    dropped = [client.dropped for client in clients if not client.relay or client.publishing]
    meta = element.find("meta")
    video = None if meta is None else meta.find("video")
    audio = None if meta is None else meta.find("audio")
    video_codec = _text(video, "codec") or _text(meta, "video")
    audio_codec = _text(audio, "codec") or _text(meta, "audio")
    return Stream(
        app=app,
        name=element.findtext("name") or "",
        active=element.find("active") is not None,
        uptime_seconds=age,
        bytes_in_total=_counter(element, "bytes_in", "in"),
        bytes_out_total=bytes_out,
        bandwidth_in_bytes=_bytes_per_second(element, age, "bw_in", "bwin"),
        bandwidth_out_bytes=bandwidth_out,
        publishers=publishers,
        players=players,
        video_codec=video_codec,
        video_profile=_text(video, "profile") or _text(meta, "profile"),
        video_level=_text(video, "level") or _text(meta, "level"),
        width=_positive(video, "width") or _positive(meta, "width"),
        height=_positive(video, "height") or _positive(meta, "height"),
        fps=_frames_per_second(video, meta),
        audio_codec=audio_codec,
        audio_profile=_text(audio, "profile"),
        audio_channels=_positive(audio, "channels"),
        audio_sample_rate_hertz=_positive(audio, "sample_rate"),
        dropped_frames=total(dropped) if dropped else None,
        clients=clients,
        bandwidth_video_bytes=_bytes_per_second(element, age, "bw_video"),
        bandwidth_audio_bytes=_bytes_per_second(element, age, "bw_audio"),
        # With one track only, the module subtracts from a clock that was never set.
        avsync_ms=publisher.avsync_ms if publisher and video_codec and audio_codec else None,
        relayed=publisher is not None and _is_copy(publisher),
    )


def _played(app: str, element: Element) -> Stream:
    """A file played on demand: viewers, and no figures of its own."""
    clients = tuple(_client(client) for client in element.iterfind("client"))
    players = len(clients) or _counter(element, "nclients") or 0
    return Stream(
        app=app,
        name=element.findtext("name") or "",
        active=players > 0,
        bytes_in_total=0,
        bandwidth_in_bytes=0.0,
        players=players,
        clients=clients,
    )


def _frames_per_second(video: Element | None, meta: Element | None) -> float | None:
    for text in (_text(video, "frame_rate"), _text(meta, "framerate", "frame_rate")):
        if text is not None and re.fullmatch(r"\s*\d{1,6}(\.\d{1,9})?\s*", text, re.ASCII):
            return float(text) or None
    return None


def _age(element: Element) -> float | None:
    milliseconds = _counter(element, "time")
    return None if milliseconds is None else milliseconds / 1000


RELAY_FLASHVERS = ("ngx-local-relay", "LNX.11,1,102,55")
"""The module's name for its end of a ``push`` or ``pull``, and the name it gives at the other end."""


def _client(element: Element) -> StreamClient:
    """A relay is recognised by the module's names for its two ends. What a ``pull`` or another server's ``push`` brings
    in is a normal publisher."""
    flash = _text(element, "flashver") or ""
    publishing = element.find("publishing") is not None
    copied = flash.startswith("APSH ") or _text(element, "pageurl") == "nginx-auto-push"
    return StreamClient(
        id=_text(element, "id") or "",
        address=_text(element, "address") or "",
        publishing=publishing,
        connected_seconds=_age(element),
        dropped=_dropped(element),
        avsync_ms=_signed32(element, "avsync"),
        relay=copied or (not publishing and flash in RELAY_FLASHVERS),
        fetched=publishing and flash in RELAY_FLASHVERS,
    )


def _is_copy(client: StreamClient) -> bool:
    """Whether this is an end of ``rtmp_auto_push``, which copies streams between the processes of one nginx."""
    return client.relay and (client.publishing or client.address.startswith("unix:"))
