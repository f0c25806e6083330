"""Screen 1: everything at one glance."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Container, Horizontal
from textual.widget import Widget

from wattview.tui import columns
from wattview.tui.columns import ContainerRow, StreamRow
from wattview.tui.screens.container import ContainerDetails
from wattview.tui.screens.stream import StreamDetails
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets.graph import Graph, Series
from wattview.tui.widgets.health import Health
from wattview.tui.widgets.host import Host
from wattview.tui.widgets.power_now import PowerNow
from wattview.tui.widgets.run_bar import RunBar
from wattview.tui.widgets.table import Table

GRAPH_SECONDS = 300.0

HISTORY_STEP_SECONDS = 5.0
"""How far apart the daemon's history keeps its points by default; the graph begins with these."""


class Overview(View):
    TAB = "overview"

    DEFAULT_CSS = """
    Overview {
        #top { height: 11; }
        #top PowerNow { width: 33; }
        #top Graph { width: 1fr; }
        &.-low #top { height: 6; }
        &.-low #zones { display: none; }
        &.-high #top { height: 16; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border-top: solid $border; }
        &.-middle #top PowerNow, &.-wide #top PowerNow { width: 42; }
        Host { padding: 0 1; }
        #tables { height: 1fr; layout: vertical; }
        #tables > Table { height: 1fr; width: 1fr; }
        &.-middle #tables, &.-wide #tables { layout: horizontal; }
        &.-middle #streams, &.-wide #streams { width: 1.15fr; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield RunBar()
        with Horizontal(id="top"):
            yield PowerNow(classes="box")
            yield Graph("W", least=10.0, id="watts", classes="box")
        yield Host()
        with Container(id="tables"):
            yield Table(
                columns.CONTAINERS, columns.container_key, sort=1, descending=True, id="containers", classes="box"
            )
            yield Table(columns.STREAMS, columns.stream_key, id="streams", classes="box")
        yield Health()

    def on_mount(self) -> None:
        self.query_one("#watts").border_title = "Power, last 5 minutes"
        self.query_one("#containers").focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        row = message.row
        if isinstance(row, ContainerRow):
            self.dashboard.push_screen(ContainerDetails(row.container.id))
        elif isinstance(row, StreamRow):
            self.dashboard.push_screen(StreamDetails(row.stream.app, row.stream.name))

    def show(self, picture: Picture) -> None:
        self.query_one(RunBar).show(picture)
        self.query_one(PowerNow).show(picture)
        self.query_one(Host).show(picture)
        self.query_one(Health).show(picture)
        snapshot = picture.snapshot
        graph = self.query_one(Graph)
        end = snapshot.time if snapshot is not None else GRAPH_SECONDS
        graph.show([Series(picture.trails["power",])], end - GRAPH_SECONDS, end, step_seconds=HISTORY_STEP_SECONDS)
        containers: Table[ContainerRow] = self.query_one("#containers", Table)
        streams: Table[StreamRow] = self.query_one("#streams", Table)
        containers.show(
            columns.container_rows(snapshot, picture.trails) if snapshot is not None else [],
            why_empty(picture, "containers", "no container is running"),
        )
        streams.show(
            columns.stream_rows(snapshot, picture.trails) if snapshot is not None else [],
            why_empty(picture, "streams", "no stream is live; press n to run one"),
        )
        containers.border_title = columns.titled(
            "Containers", len(containers.rows), len(snapshot.containers) if snapshot else 0
        )
        streams.border_title = columns.titled("Streams", len(streams.rows), len(snapshot.streams) if snapshot else 0)
