"""Screen 3: the containers, sortable and filterable, with the trend of the one under the cursor."""

from __future__ import annotations

from collections.abc import Iterator

from textual.containers import Horizontal
from textual.widget import Widget

from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import number
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.pane import Pane, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import ContainerRow

GRAPH_SECONDS = 120.0


class ContainersScreen(View):
    ENTRY = Tab("3", "containers", "Containers", "Cont")
    TAB = ENTRY.mode
    FILTERS = "containers"

    DEFAULT_CSS = """
    ContainersScreen {
        #containers { height: 1fr; }
        #engine { height: 1; padding: 0 2; color: $muted; text-wrap: nowrap; text-overflow: ellipsis; }
        #trends { height: 1fr; min-height: 9; }
        #watts { display: none; }
        &.-middle #watts, &.-wide #watts { display: block; }
        &.-low #trends { min-height: 6; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Table(
            workload_columns.CONTAINERS,
            workload_columns.container_key,
            sort=workload_columns.CONTAINER_WATTS,
            descending=True,
            opens=True,
            id="containers",
            classes="box",
        )
        yield Pane(id="engine")
        with Horizontal(id="trends"):
            yield Graph("%", least=5.0, id="trend", classes="box")
            yield Graph("W", least=0.2, id="watts", classes="box")

    def on_mount(self) -> None:
        self.query_one("#containers").focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        table: Table[ContainerRow] = self.query_one("#containers", Table)
        rows = workload_columns.container_rows(snapshot, picture.trends) if snapshot is not None else []
        table.show(rows, why_empty(picture, "containers", "no container is running"))
        fit_height(table, len(rows), self.size.height * 3 // 5)
        title = workload_columns.titled("Containers", len(table.rows), len(rows))
        entitle(table, title, workload_columns.idle_sign(snapshot))
        engine = snapshot.engine if snapshot is not None else None
        self.query_one("#engine", Pane).put(
            f"{engine.name} {engine.version}, cgroup v{engine.cgroup_version}: the engine itself takes "
            f"{number(engine.cpu_percent)} % of a core and {number(engine.memory_percent)} % of the memory"
            if engine is not None
            else ""
        )
        self._draw(table.row)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        self._draw(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        self.dashboard.open_details("container", message.row.container.id)

    def _draw(self, row: ContainerRow | None) -> None:
        graph = self.query_one("#trend", Graph)
        watts = self.query_one("#watts", Graph)
        entitle(graph, f"CPU % of {row.container.name}" if row is not None else "CPU %")
        entitle(watts, f"Power of {row.container.name}" if row is not None else "Power")
        end = row.now if row is not None else GRAPH_SECONDS
        picture = self.dashboard.picture
        key = ("container", row.container.id, "power") if row is not None else ()
        for drawn, points in ((graph, row.trend if row is not None else []), (watts, picture.trends[key])):
            drawn.show([Series(points)], end - GRAPH_SECONDS, end, step_seconds=picture.step_seconds,
                       live=picture.live, empty="")  # fmt: skip
