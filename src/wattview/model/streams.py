"""Live streams and the RTMP server that carries them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from wattview.model.source import Reading

EncoderMatch = Literal["run", "socket", "command line", "traffic", "address", "server", "remote", "none"]
"""How a stream's encoder was found. ``run``: WattView started it. ``socket``: its connection to the server. ``command
line``: the address that it pushes to. ``traffic``: its connection carried as many bytes as the stream. ``address``: no
process, but the container with that address. ``server``: the server itself fetches or relays the stream. ``remote``: it
is on another machine. ``none``: it is on this machine, but could not be identified."""


class StreamEncoder(Struct, frozen=True, kw_only=True):
    """The encoder of a stream. ``pid`` and ``program`` are those of the publishing process; ``workload`` is the id of
    its workload, with that one's ``kind`` and ``name``. ``host`` is the address of another machine, of which the others
    are known where its daemon was asked. ``reason`` says why
    it is unknown. ``watts`` is the active power of its processes, in proportion to this stream; None if unknown, 0 if
    the server is the source."""

    match: EncoderMatch
    pid: int | None = None
    program: str = ""
    workload: str = ""
    kind: str = ""
    name: str = ""
    host: str = ""
    reason: str = ""
    watts: float | None = None

    @property
    def place(self) -> str:
        """Where it runs, in a few words."""
        if self.match == "remote":
            return f"{self.program} on {self.host}".strip()
        return f"{self.kind} {self.name}".strip() if self.name else self.program


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

    fetched: bool = False
    """The server fetches the stream from another one, a camera or a file, or another server passes it on."""


class Stream(Struct, frozen=True, kw_only=True):
    """One live stream of an RTMP server. Bandwidth is bytes per second; totals are bytes since it started.

    ``power_watts`` is its share of the server's power by traffic (``server_watts``, if the server is on this machine),
    plus its encoder's power. None if the encoder's is unknown, or on another machine; ``encoder`` says which. A stream
    without a publisher has no encoder.
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
    server_watts: float | None = None
    encoder: StreamEncoder | None = None

    @property
    def connections(self) -> int:
        """Publishers and players."""
        return self.publishers + self.players

    @property
    def resolution(self) -> str:
        """``1280x720``; "" if it is unknown."""
        return f"{self.width}x{self.height}" if self.width and self.height else ""

    @property
    def avsync_seconds(self) -> float | None:
        """How far the publisher's audio is ahead of its video."""
        return None if self.avsync_ms is None else self.avsync_ms / 1000


class RtmpServer(Struct, frozen=True, kw_only=True):
    """Figures of the RTMP server itself; ``name`` is its program and version (``nginx-rtmp 1.1.4``). Bandwidth is bytes
    per second.

    ``unlisted_streams`` counts further streams that are too many to list, or unreadable.
    """

    name: str
    pid: int | None = None
    uptime_seconds: float | None = None
    connections: int | None = None
    accepted_total: int | None = None
    bytes_in_total: int | None = None
    bytes_out_total: int | None = None
    bandwidth_in_bytes: float | None = None
    bandwidth_out_bytes: float | None = None
    unlisted_streams: int = 0


class StreamsReading(Reading, frozen=True, kw_only=True):
    """An RTMP server and its live streams."""

    server: RtmpServer
    streams: tuple[Stream, ...] = ()
