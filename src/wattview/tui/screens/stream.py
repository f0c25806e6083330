"""One stream: what is in it, who sends it, who watches, and how it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.widget import Widget

from wattview.model import EncoderMatch, Snapshot, Stream, StreamClient, StreamEncoder
from wattview.model.quantities import counted
from wattview.tui.screens.details import DetailGraph, Details
from wattview.tui.text import UNKNOWN, count, gib, mbit, number, span
from wattview.tui.view import Picture
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Parts, listed
from wattview.tui.widgets.table import Table

CLIENTS: tuple[Column[StreamClient], ...] = (
    Column("Address", 20, lambda one: one.address, lambda one: one.address, left=True),
    Column("Role", 10, lambda one: role(one), lambda one: role(one), left=True),
    Column("Connected", 10, lambda one: span(one.connected_seconds), lambda one: one.connected_seconds),
    Column("Dropped", 8, lambda one: count(one.dropped), lambda one: one.dropped, rank=1),
    Column("A/V ms", 7, lambda one: count(one.avsync_ms), lambda one: one.avsync_ms, rank=2),
)


def role(one: StreamClient) -> str:
    return "relay" if one.relay else "publisher" if one.publishing else "player"


class StreamDetails(Details):
    """Its subject is the stream's app and name."""

    TAB = "streams"
    KIND = "stream"
    GONE = "no longer live"
    GRAPHS = (
        DetailGraph("power", "Power", "W", ("power",), "power", least=0.2),
        DetailGraph("rate", "Network in, line: out", "Mb/s", (), "bandwidth_in", below=("out",), least=0.5, scale=8e-6),
        DetailGraph("players", "Players", "", ("players",), least=4.0, whole=True),
    )

    _last: Stream | None = None

    def beside(self) -> Iterator[Widget]:
        yield Table(CLIENTS, lambda one: one.id, id="clients", empty="nobody is connected", classes="box")

    def on_mount(self) -> None:
        self.query_one("#clients").border_title = "Clients"

    def show(self, picture: Picture) -> None:
        super().show(picture)
        if self._last is not None:
            self.query_one("#clients", Table).show(self._last.clients)

    def part(self, snapshot: Snapshot) -> Stream | None:
        return next((one for one in snapshot.streams if (one.app, one.name) == self.subject), None)

    @property
    def called(self) -> str:
        return "/".join(self.subject)

    def age(self, now: float) -> float | None:
        return self._last.uptime_seconds if self._last is not None else None

    def facts(self, one: Stream, now: float) -> Parts:
        """Everything in the snapshot about a stream, one fact per line."""
        size = one.resolution or UNKNOWN
        video = " ".join(text for text in (one.video_codec, one.video_profile, one.video_level) if text) or UNKNOWN
        audio = " ".join(text for text in (one.audio_codec, one.audio_profile) if text) or UNKNOWN
        rate = (
            f", {one.audio_sample_rate_hertz} Hz, {counted(one.audio_channels, 'channel')}"
            if one.audio_sample_rate_hertz
            else ""
        )
        facts = [
            ("Power", f"{number(one.power_watts, 2)} W: server {number(one.server_watts, 2)}, "
                      f"encoder {number(one.encoder.watts if one.encoder is not None else None, 2)}"),
            ("Encoder", encoder_words(one.encoder)),
            ("Video", f"{video}, {size} at {number(one.fps)} fps, {mbit(one.bandwidth_video_bytes)} Mbit/s"),
            ("Audio", f"{audio}{rate}, {mbit(one.bandwidth_audio_bytes, 3)} Mbit/s"),
            ("Traffic", f"in {mbit(one.bandwidth_in_bytes)}, out {mbit(one.bandwidth_out_bytes)} Mbit/s; "
                        f"{gib(one.bytes_in_total, 2)} and {gib(one.bytes_out_total, 2)} GiB since it began"),
            ("Viewers", f"{counted(one.players, 'player')}, {counted(one.publishers, 'publisher')}, "
                        f"up {span(one.uptime_seconds)}"),
            ("Health", f"{count(one.dropped_frames)} frames dropped, audio and video {count(one.avsync_ms)} ms apart"),
        ]  # fmt: skip
        return listed(facts, 9)


MATCHES: Mapping[EncoderMatch, str] = {
    "run": "started by WattView", "socket": "by its connection", "command line": "by its command line",
    "traffic": "by its traffic", "address": "by its address",
}  # fmt: skip


def encoder_words(one: StreamEncoder | None) -> str:
    """Who encodes a stream, where, and how that was found; or why it is not known."""
    if one is None:
        return UNKNOWN
    process = f"{one.program} {one.pid or ''}".strip()
    if one.match in MATCHES:
        where = f" in {one.place}" if one.name and process else one.place
        return f"{process}{where}, found {MATCHES[one.match]}" if one.match != "run" else f"{process}{where}"
    if one.match == "remote" and one.program:
        where = f" in {one.kind} {one.name}" if one.name else ""
        return f"{process}{where} on {one.host}, as its daemon says"
    if one.match == "remote":
        return f"on {one.host}, another machine, so its power is unknown here"
    return one.reason or "the server itself fetches or relays the stream"
