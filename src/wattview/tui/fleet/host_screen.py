"""One host from the store's data: its power over the last hour, and its streams and containers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import time as wall_clock
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from wattview.fleet import ContainerUse, FleetError, FleetStore, HostDetails, HostStreamUse
from wattview.tui.fleet import columns as fleet_columns
from wattview.tui.fleet.hosts_screen import FleetPage, FleetPicture
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import count, mbit, number
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, entitle
from wattview.tui.widgets.table import Table

GRAPH_SECONDS = 3600.0
GRAPH_STEP_SECONDS = 15.0
REFRESH_SECONDS = 10.0

STREAMS: tuple[Column[HostStreamUse], ...] = (
    Column("Stream", 18, lambda one: f"{one.app}/{one.stream}", lambda one: f"{one.app}/{one.stream}", left=True),
    Column("W", 7, lambda one: number(one.power_watts), lambda one: one.power_watts),
    Column("Players", 7, lambda one: count(one.players), lambda one: one.players, rank=1),
    Column("Mbit/s", 7, lambda one: mbit(one.bandwidth_in_bytes), lambda one: one.bandwidth_in_bytes, rank=2),
)
CONTAINERS: tuple[Column[ContainerUse], ...] = (
    Column("Container", 18, lambda one: one.name, lambda one: one.name.casefold(), left=True),
    Column("W", 7, lambda one: number(one.power_watts), lambda one: one.power_watts),
    Column("CPU %", 7, lambda one: number(one.cpu_percent), lambda one: one.cpu_percent),
)


class StoreHost(FleetPage):
    """``key`` is the host's name in the store."""

    TAB = "fleet-host"
    FILTERS = "containers"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,h,0", "app.pop_screen", "Back", id="details_back"),
    ]
    DEFAULT_CSS = """
    StoreHost {
        #facts { height: 3; padding: 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
        #trend { height: 1fr; max-height: 18; }
        #tables { height: 1fr; layout: vertical; }
        #tables > Table { height: 1fr; width: 1fr; }
        &.-middle #tables, &.-wide #tables { layout: horizontal; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border-top: solid $border; }
    }
    """

    def __init__(self, store: FleetStore, key: str) -> None:
        super().__init__()
        self.store = store
        self.key = key
        self.details: HostDetails | None = None
        self.reason = ""
        self._asked_at = wall_clock()

    @property
    def head_name(self) -> str:
        return "Host"

    def content(self) -> Iterator[Widget]:
        yield Pane(id="facts")
        yield Graph("W", least=10.0, id="trend", classes="box")
        with Container(id="tables"):
            yield Table(STREAMS, lambda one: (one.app, one.stream), id="streams", classes="box")
            yield Table(CONTAINERS, lambda one: one.name, sort=1, descending=True, id="containers", classes="box")

    def on_mount(self) -> None:
        self.query_one("#containers").focus()
        self._load()

    @work(name="feed", exit_on_error=False)
    async def _load(self) -> None:
        """Queries the store while the page is open."""
        while True:
            now = wall_clock()
            try:
                self.details = await self.store.details(self.key, now - GRAPH_SECONDS, now, GRAPH_STEP_SECONDS)
                self._asked_at, self.reason = now, ""
            except FleetError as error:
                self.reason = str(error)
            self.paint(self.fleet_app.picture)
            await asyncio.sleep(REFRESH_SECONDS)

    def show(self, picture: FleetPicture) -> None:
        host = next((one for one in picture.hosts if one.key == self.key), None)
        if host is None:
            self.query_one("#facts", Pane).put((self.key, "bold"), "  the store no longer has it")
        else:
            self.query_one("#facts", Pane).put(*fleet_columns.facts(host), "\n", *fleet_columns.figures(host.row))
        details = self.details
        graph = self.query_one("#trend", Graph)
        entitle(graph, "Power, last hour")
        waiting = self.reason or "waiting for the store"
        graph.show(
            [Series(details.power)] if details is not None else [],
            self._asked_at - GRAPH_SECONDS,
            self._asked_at,
            step_seconds=GRAPH_STEP_SECONDS,
            empty=waiting if details is None else "the store has no power of this host from the last hour",
        )
        self._fill("#streams", "Streams", details.streams if details else [], "no stream is live", waiting)
        self._fill("#containers", "Containers", details.containers if details else [], "no container runs", waiting)

    def _fill(
        self, where: str, title: str, rows: list[HostStreamUse] | list[ContainerUse], none: str, wait: str
    ) -> None:
        table = self.query_one(where, Table)
        table.show(rows, wait if self.details is None else f"the store has none: {none}, or nothing reports it")
        entitle(table, workload_columns.titled(title, len(table.rows), len(rows)))
