"""Screen 1: everything at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.containers import Container, Horizontal
from textual.widget import Widget

from wattview.tui.screens.details import event_parts
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.screens.scenarios import run_parts
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.health import HealthPane
from wattview.tui.widgets.host import Host
from wattview.tui.widgets.machine import MachinePanes
from wattview.tui.widgets.pane import Pane, Parts, entitle, fit_height
from wattview.tui.widgets.power_now import PowerNow
from wattview.tui.widgets.run_bar import RunBar
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import ContainerRow, StreamRow, WorkloadRow

EVENTS = 7
TABLES_SHARE = 0.45
"""Largest share of the screen's height for the tables; the graphs get the rest."""


class OverviewScreen(View):
    ENTRY = Tab("1", "overview", "Overview")
    TAB = ENTRY.mode

    DEFAULT_CSS = """
    OverviewScreen {
        #top { height: 12; }
        #top PowerNow { width: 33; }
        #top PowerGraph { width: 1fr; }
        &.-middle #top, &.-wide #top { height: 1fr; min-height: 12; }
        &.-low #top { height: 6; min-height: 6; }
        &.-low #zones, &.-low #price_parts { display: none; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border-top: solid $border; }
        &.-middle #top PowerNow, &.-wide #top PowerNow { width: 42; }
        Host { padding: 0 1; }
        #tables { height: 1fr; layout: vertical; }
        #tables > Table { height: 1fr; width: 1fr; }
        #workloads { display: none; }
        &.-middle #tables, &.-wide #tables { layout: horizontal; }
        &.-middle #streams, &.-wide #streams { width: 1.25fr; }
        #bottom { height: auto; }
        MachinePanes, #run, #events { display: none; }
        &.-wide.-high {
            MachinePanes, #run, #events { display: block; }
            Host, RunBar.-there { display: none; }
            #bottom { height: 9; }
            #run, #events, HealthPane { height: 100%; width: 1fr; }
        }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield RunBar()
        with Horizontal(id="top"):
            yield PowerNow(classes="box")
            yield PowerGraph(id="watts")
        yield Host()
        yield MachinePanes()
        with Container(id="tables"):
            yield workload_columns.workloads_table()
            yield workload_columns.containers_table()
            yield Table(workload_columns.STREAMS, workload_columns.stream_key, opens=True, id="streams", classes="box")
        with Horizontal(id="bottom"):
            yield Pane(id="run", classes="box")
            yield Pane(id="events", classes="box")
            yield HealthPane()

    def on_mount(self) -> None:
        self.query_one("#run").border_title = "Run"
        self.query_one("#events").border_title = "Events"
        self.query_one(HealthPane).border_title = "Health"
        self.query_one("#containers").focus()

    def on_table_opened(self, message: Table.Opened) -> None:
        row = message.row
        if isinstance(row, StreamRow):
            self.dashboard.open_details("stream", row.stream.app, row.stream.name)
        elif row.container is not None:
            self.dashboard.open_details("container", row.container.id)
        elif isinstance(row, WorkloadRow):
            self.dashboard.open_details("workload", row.workload.id)

    def show(self, picture: Picture) -> None:
        self.query_one(RunBar).show(picture)
        snapshot = picture.snapshot
        host = snapshot.host if snapshot is not None else None
        # On a narrow terminal the tabs leave no room for the host's name, which is needed with many hosts.
        self.query_one(PowerNow).show(picture, host.hostname if self.dashboard.in_fleet and host is not None else "")
        roomy = self.has_class("-wide") and self.has_class("-high")
        if roomy:
            self.query_one(MachinePanes).show(picture)
            self._show_run(picture)
            self.query_one("#events", Pane).put(*self._events(picture))
        else:
            self.query_one(Host).show(picture)
        health = self.query_one(HealthPane)
        health.set_class(roomy, "box")
        health.show(picture)
        self.query_one(PowerGraph).draw(picture)
        running, title, total = self._show_running(picture)
        streams: Table[StreamRow] = self.query_one("#streams", Table)
        streams.show(
            workload_columns.stream_rows(snapshot, picture.trends) if snapshot is not None else [],
            why_empty(picture, "streams", "no stream is live; press n to run one"),
        )
        for table, name, count in (
            (running, title, total),
            (streams, "Streams", len(snapshot.streams) if snapshot else 0),
        ):
            entitle(table, workload_columns.titled(name, len(table.rows), count), workload_columns.idle_sign(snapshot))
        tables = self.query_one("#tables")
        if self.has_class("-low") or self.has_class("-narrow"):
            tables.styles.clear_rule("height")
        else:
            fit_height(tables, max(len(running.rows), len(streams.rows)), int(self.size.height * TABLES_SHARE))

    def _show_running(self, picture: Picture) -> tuple[Table[Any], str, int]:
        """Shows all workloads, or containers alone if the daemon knows no others: the table, what it is called, and how
        many there are."""
        snapshot = picture.snapshot
        workloads: Table[WorkloadRow] = self.query_one("#workloads", Table)
        containers: Table[ContainerRow] = self.query_one("#containers", Table)
        known = snapshot is not None and bool(snapshot.workloads)
        if workloads.display != known:
            workloads.display, containers.display = known, not known
            if self.focused in (workloads, containers):
                (workloads if known else containers).focus()
        if snapshot is not None and known:
            workloads.show(workload_columns.workload_rows(snapshot, picture.trends), "")
            return workloads, "Workloads", len(snapshot.workloads)
        containers.show(
            workload_columns.container_rows(snapshot, picture.trends) if snapshot is not None else [],
            why_empty(picture, "containers", "no container is running"),
        )
        return containers, "Containers", len(snapshot.containers) if snapshot is not None else 0

    def _show_run(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        run = snapshot.run if snapshot is not None else None
        pane = self.query_one("#run", Pane)
        if snapshot is None or run is None:
            pane.put(("Nothing runs; n starts a run.", "$muted"))
        else:
            pane.put(*run_parts(run, snapshot, picture.trends, max(20, pane.content_size.width)))

    def _events(self, picture: Picture) -> Parts:
        snapshot = picture.snapshot
        until = snapshot.time if snapshot is not None and picture.playback is not None else float("inf")
        return event_parts([line for line in self.dashboard.events if line.event.time <= until], EVENTS, about=True)
