"""Screen 1: everything at a glance."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Container, Horizontal
from textual.content import Content
from textual.widget import Widget

from wattview.model import PowerUse
from wattview.tui.plots.dots import PATTERNS
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.screens.container import ContainerDetails
from wattview.tui.screens.stream import StreamDetails
from wattview.tui.text import number
from wattview.tui.time_travel.trend_buffers import parts_of
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.health import HealthPane
from wattview.tui.widgets.host import Host
from wattview.tui.widgets.pane import entitle
from wattview.tui.widgets.power_now import PowerNow
from wattview.tui.widgets.run_bar import RunBar
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import ContainerRow, StreamRow

GRAPH_SECONDS = 300.0

LAYER_STYLES = ("$muted", "$primary", "$accent", "$secondary")
"""The styles of the graph's layers in its legend."""

HISTORY_STEP_SECONDS = 5.0
"""Default interval of the daemon's history, from which the graph's first points come."""


class OverviewScreen(View):
    ENTRY = Tab("1", "overview", "Overview")
    TAB = ENTRY.mode

    DEFAULT_CSS = """
    OverviewScreen {
        #top { height: 12; }
        #top PowerNow { width: 33; }
        #top Graph { width: 1fr; }
        &.-low #top { height: 6; }
        &.-low #zones, &.-low #price_parts { display: none; }
        &.-high #top { height: 16; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border-top: solid $border; }
        &.-middle #top PowerNow, &.-wide #top PowerNow { width: 42; }
        Host { padding: 0 1; }
        #tables { height: 1fr; layout: vertical; }
        #tables > Table { height: 1fr; width: 1fr; }
        &.-middle #tables, &.-wide #tables { layout: horizontal; }
        &.-middle #streams, &.-wide #streams { width: 1.25fr; }
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
                workload_columns.CONTAINERS,
                workload_columns.container_key,
                sort=workload_columns.CONTAINER_WATTS,
                descending=True,
                opens=True,
                id="containers",
                classes="box",
            )
            yield Table(workload_columns.STREAMS, workload_columns.stream_key, opens=True, id="streams", classes="box")
        yield HealthPane()

    def on_mount(self) -> None:
        self.query_one("#containers").focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        row = message.row
        if isinstance(row, ContainerRow):
            self.app.push_screen(ContainerDetails(row.container.id))
        elif isinstance(row, StreamRow):
            self.app.push_screen(StreamDetails(row.stream.app, row.stream.name))

    def show(self, picture: Picture) -> None:
        self.query_one(RunBar).show(picture)
        snapshot = picture.snapshot
        host = snapshot.host if snapshot is not None else None
        # On a narrow terminal the tabs leave no room for the host's name, which is needed with many hosts.
        self.query_one(PowerNow).show(picture, host.hostname if self.dashboard.in_fleet and host is not None else "")
        self.query_one(Host).show(picture)
        self.query_one(HealthPane).show(picture)
        graph = self.query_one(Graph)
        end = snapshot.time if snapshot is not None else GRAPH_SECONDS
        graph.show(
            power_series(picture), end - GRAPH_SECONDS, end, step_seconds=HISTORY_STEP_SECONDS, live=picture.live
        )
        entitle(graph, power_title(snapshot.power_use if snapshot is not None else None, graph.size.width))
        containers: Table[ContainerRow] = self.query_one("#containers", Table)
        streams: Table[StreamRow] = self.query_one("#streams", Table)
        containers.show(
            workload_columns.container_rows(snapshot, picture.trends) if snapshot is not None else [],
            why_empty(picture, "containers", "no container is running"),
        )
        streams.show(
            workload_columns.stream_rows(snapshot, picture.trends) if snapshot is not None else [],
            why_empty(picture, "streams", "no stream is live; press n to run one"),
        )
        for table, title, total in (
            (containers, "Containers", len(snapshot.containers) if snapshot else 0),
            (streams, "Streams", len(snapshot.streams) if snapshot else 0),
        ):
            entitle(table, workload_columns.titled(title, len(table.rows), total))


def power_title(use: PowerUse | None, width: int) -> Content:
    """The graph's title, which is its legend if attribution is known."""
    if use is None or use.idle_watts is None:
        return Content("Power, last 5 minutes")
    wide = width >= 76
    parts: list[str | tuple[str, str]] = ["Power, 5 min: " if wide else ""]
    for index, (name, watts) in enumerate(parts_of(use)):
        swatch = PATTERNS[index] * (2 if wide else 1)
        short = name if wide else name[:4] if name != "encoders" else "enc"
        parts += [(swatch, LAYER_STYLES[index]), f" {short} {number(watts, 1 if wide else 0)}{'  ' if wide else ' '}"]
    return Content.assemble(*parts, "W")


def power_series(picture: Picture) -> list[Series]:
    """The host's power as an area, and over it the attribution from when it is known. Attribution includes the GPUs
    beside the host, so from there on the area is their sum."""
    trends = picture.trends
    use = picture.snapshot.power_use if picture.snapshot is not None else None
    if use is None or use.idle_watts is None or not trends["idle",]:
        return [Series(trends["power",])]
    first = trends["idle",][0][0]
    total = [*(point for point in trends["power",] if point[0] < first), *trends["used",]]
    return [Series(total), *(Series(trends[name,], f"layer{i}") for i, (name, _) in enumerate(parts_of(use)))]
