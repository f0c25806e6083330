"""Live streams and the RTMP server that carries them."""

from __future__ import annotations

from msgspec import Struct

from wattview.model.source import Reading


class StreamClient(Struct, frozen=True, kw_only=True):
    """One connection to a stream: its publisher or a player."""

    id: str
    address: str
    publishing: bool
    connected_seconds: float | None = None
    dropped: int | None = None
    avsync_ms: int | None = None
    relay: bool = False
    """A copy for another server, or for another process of this one; not a viewer."""


class Stream(Struct, frozen=True, kw_only=True):
    """One live stream of an RTMP server. Bandwidth is bytes per second; totals are bytes since it started.

    ``power_watts`` is the known part of its power: its share of the server's power by traffic, and its publisher's if
    that is a container or an encoder of this machine.
    """

    app: str
    name: str
    active: bool
    uptime_seconds: float | None = None
    bytes_in_total: int | None = None
    bytes_out_total: int | None = None
    bandwidth_in_bytes: float | None = None
    bandwidth_out_bytes: float | None = None
    publishers: int = 0
    players: int = 0
    video_codec: str | None = None
    video_profile: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    audio_codec: str | None = None
    dropped_frames: int | None = None
    clients: tuple[StreamClient, ...] = ()
    bandwidth_video_bytes: float | None = None
    bandwidth_audio_bytes: float | None = None
    video_level: str | None = None
    audio_profile: str | None = None
    audio_channels: int | None = None
    audio_sample_rate_hertz: int | None = None
    avsync_ms: int | None = None
    relayed: bool = False
    """This process relays another's stream: its input is counted there."""

    power_watts: float | None = None


class RtmpServer(Struct, frozen=True, kw_only=True):
    """Figures of the RTMP server itself; ``name`` is its program and version (``nginx-rtmp 1.1.4``). Bandwidth is bytes
    per second.

    ``unlisted_streams`` counts further streams that are too many to list, or unreadable.
    """

    name: str
    pid: int | None
    uptime_seconds: float | None
    connections: int | None
    accepted_total: int | None
    bytes_in_total: int | None
    bytes_out_total: int | None
    bandwidth_in_bytes: float | None
    bandwidth_out_bytes: float | None
    unlisted_streams: int = 0


class StreamsReading(Reading, frozen=True, kw_only=True):
    """An RTMP server and its live streams."""

    server: RtmpServer
    streams: tuple[Stream, ...] = ()
