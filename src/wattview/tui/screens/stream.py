"""One stream: its contents, its publisher and its players."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.widget import Widget

from wattview.model import Snapshot, Stream, StreamClient
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import UNKNOWN, count, gib, mbit, number, span
from wattview.tui.time_travel.last_hour import HOUR_SECONDS, LastHour
from wattview.tui.time_travel.trend_buffers import in_mbit
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, entitle
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


class StreamDetails(View):
    TAB = "streams"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,h", "app.pop_screen", "Back", id="details_back"),
    ]
    DEFAULT_CSS = """
    StreamDetails {
        #facts { height: 8; }
        #rate { height: 1fr; }
        #clients { height: 1fr; }
        &.-low #facts { height: 7; border: none; border-top: solid $border-blurred; }
    }
    """

    def __init__(self, app_name: str, stream_name: str) -> None:
        super().__init__()
        self.stream_key = (app_name, stream_name)
        self._hour = LastHour()

    def content(self) -> Iterator[Widget]:
        yield Pane(id="facts", classes="box")
        with Box():
            yield Graph("Mb/s", least=0.5, id="rate", classes="box")
            yield Table(CLIENTS, lambda one: one.id, id="clients", empty="nobody is connected", classes="box")

    def on_mount(self) -> None:
        self.query_one("#rate").border_title = "Mbit/s in, last hour"
        self.query_one("#clients").border_title = "Clients"
        self.query_one("#clients").focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        if snapshot is None:
            return
        one = _find(snapshot, self.stream_key)
        gone = "" if one is not None else "! no longer live; its last figures"
        entitle(self.query_one("#facts"), "/".join(self.stream_key), gone)
        if one is not None:
            self.query_one("#facts", Pane).put(*stream_facts(one))
            self.query_one("#clients", Table).show(one.clients)
        now = snapshot.time
        points = in_mbit(self._hour.points(picture.trends["stream", *self.stream_key], now))
        self.query_one(Graph).show([Series(points)], now - HOUR_SECONDS, now, step_seconds=5.0, live=picture.live)
        if self._hour.wants(now, picture.playback is not None):
            self._load(now)

    @work(exit_on_error=False)
    async def _load(self, moment: float) -> None:
        await self._hour.load(self.dashboard.client, moment, "stream", "bandwidth_in", *self.stream_key)
        self.paint(self.dashboard.picture)


def _find(snapshot: Snapshot, key: tuple[str, str]) -> Stream | None:
    return next((one for one in snapshot.streams if (one.app, one.name) == key), None)


def stream_facts(one: Stream) -> Parts:
    """Everything in the snapshot about a stream, one fact per line."""
    size = f"{one.width}x{one.height}" if one.width and one.height else UNKNOWN
    video = " ".join(text for text in (one.video_codec, one.video_profile, one.video_level) if text) or UNKNOWN
    audio = " ".join(text for text in (one.audio_codec, one.audio_profile) if text) or UNKNOWN
    rate = (
        f", {one.audio_sample_rate_hertz} Hz, {count(one.audio_channels)} channels"
        if one.audio_sample_rate_hertz
        else ""
    )
    facts = [
        ("Power", f"{number(one.power_watts, 2)} W: its part of the server's and of its publisher's"),
        ("Video", f"{video}, {size} at {number(one.fps)} fps, {mbit(one.bandwidth_video_bytes)} Mbit/s"),
        ("Audio", f"{audio}{rate}, {mbit(one.bandwidth_audio_bytes, 3)} Mbit/s"),
        ("Traffic", f"in {mbit(one.bandwidth_in_bytes)}, out {mbit(one.bandwidth_out_bytes)} Mbit/s; "
                    f"{gib(one.bytes_in_total, 2)} and {gib(one.bytes_out_total, 2)} GiB since it began"),
        ("Viewers", f"{one.players} players, {one.publishers} publishers, up {span(one.uptime_seconds)}"),
        ("Health", f"{count(one.dropped_frames)} frames dropped, audio and video {count(one.avsync_ms)} ms apart"),
    ]  # fmt: skip
    parts: Parts = []
    for name, value in facts:
        parts += [(f"{name:<9}", "$muted"), f"{value}\n"]
    return parts
