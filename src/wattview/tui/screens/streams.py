"""Screen 4: the live streams, with the trend of the one under the cursor; without one, how to publish."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal
from textual.widget import Widget

from wattview.model import Snapshot
from wattview.model.quantities import counted
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.text import mbit, span
from wattview.tui.time_travel.trend_buffers import in_mbit
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.pane import Pane, Parts, entitle, fit_height, listed
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import StreamRow

GRAPH_SECONDS = 120.0


class StreamsScreen(View):
    ENTRY = Tab("4", "streams", "Streams")
    TAB = ENTRY.mode
    FILTERS = "streams"

    DEFAULT_CSS = """
    StreamsScreen {
        #streams { height: 1fr; }
        #server { height: 1; padding: 0 2; color: $muted; text-wrap: nowrap; text-overflow: ellipsis; }
        #trends { height: 1fr; min-height: 9; }
        #watts { display: none; }
        &.-middle #watts, &.-wide #watts { display: block; }
        &.-low #trends { min-height: 6; }
        PowerGraph { display: none; }
        &.-nothing PowerGraph { display: block; }
        &.-nothing #trend, &.-nothing #watts { display: none; }
        &.-nothing #server { height: auto; text-wrap: wrap; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Table(
            workload_columns.STREAMS_AND_ENCODERS, workload_columns.stream_key, opens=True, id="streams", classes="box"
        )
        yield Pane(id="server")
        with Horizontal(id="trends"):
            yield Graph("Mb/s", least=0.5, id="trend", classes="box")
            yield Graph("W", least=0.2, id="watts", classes="box")
            yield PowerGraph()

    def on_mount(self) -> None:
        self.query_one("#server", Pane).grows = True
        self.query_one("#streams").focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        table: Table[StreamRow] = self.query_one("#streams", Table)
        rows = workload_columns.stream_rows(snapshot, picture.trends) if snapshot is not None else []
        self.set_class(not rows, "-nothing")
        table.show(rows, why_empty(picture, "streams", "no stream is live; press n to run one"), tell=False)
        fit_height(table, len(rows), self.size.height * 3 // 5)
        title = workload_columns.titled("Streams", len(table.rows), len(rows))
        entitle(table, title, workload_columns.idle_sign(snapshot))
        self.query_one("#server", Pane).put(*server_parts(snapshot))
        self.query_one(PowerGraph).draw(picture)
        if rows:
            self._draw(table.row)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        self._draw(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        stream = message.row.stream
        self.dashboard.open_details("stream", stream.app, stream.name)

    def _draw(self, row: StreamRow | None) -> None:
        graph = self.query_one("#trend", Graph)
        name = f"{row.stream.app}/{row.stream.name}" if row is not None else ""
        watts = self.query_one("#watts", Graph)
        entitle(graph, f"Mbit/s into {name}" if name else "Mbit/s")
        entitle(watts, f"Power of {name}" if name else "Power")
        end = row.now if row is not None else GRAPH_SECONDS
        picture = self.dashboard.picture
        rate = in_mbit(row.trends[row.trend_key]) if row is not None else []
        power = row.trends[*row.trend_key, "power"] if row is not None else []
        for drawn, points in ((graph, rate), (watts, power)):
            drawn.show([Series(points)], end - GRAPH_SECONDS, end, step_seconds=picture.step_seconds,
                       live=picture.live, empty="")  # fmt: skip


def server_parts(snapshot: Snapshot | None) -> Parts:
    """The media server in a line; while no stream is live, also how to push one there."""
    server = snapshot.rtmp_server if snapshot is not None else None
    if snapshot is None or server is None:
        return [""]
    to = snapshot.rtmp_url
    said = (
        f"{server.name}: {counted(server.connections, 'connection')}, in {mbit(server.bandwidth_in_bytes)}, "
        f"out {mbit(server.bandwidth_out_bytes)} Mbit/s, up {span(server.uptime_seconds)}"
    )
    if snapshot.streams or not to:
        return [f"{said}{'; push to ' + to if to else ''}"]
    push = f"ffmpeg -re -i FILE -c:v libx264 -preset veryfast -c:a aac -f flv {to}/NAME"
    return [
        f"{said}\n",
        *listed([("From OBS", f"server {to}, stream key NAME")], 13),
        ("From FFmpeg  ", "$muted"),
        push,
    ]
