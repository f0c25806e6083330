"""Screen 3: whatever runs, by kind, sortable and filterable, with the trend of the one under the cursor.

All kinds share one table; with containers only, a second table adds what only their engine knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from wattview.tui.plots.graph import Graph, Series
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.text import number
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.pane import Pane, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import ContainerRow, WorkloadRow
from wattview.tui.workloads.tree import tree_rows

GRAPH_SECONDS = 120.0


TITLES = {
    "all": "Workloads", "pod": "Pods", "unit": "Units", "session": "Sessions", "process": "Processes",
    "kernel": "Kernel",
}  # fmt: skip
KINDS = ("all", "container", "pod", "unit", "session", "process", "kernel")
"""What ``v`` goes through."""


class WorkloadsScreen(View):
    ENTRY = Tab("3", "workloads", "Workloads", "Work")
    TAB = ENTRY.mode
    FILTERS = "workloads"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "kind", "Kind", id="workloads_kind"),
        Binding("b", "group", "Tree", id="workloads_group"),
        Binding("left,h", "fold(True)", "Fold a branch", show=False, key_display="← →", id="workloads_fold"),
        Binding("right,l", "fold(False)", "Unfold a branch", show=False, key_display="← →", id="workloads_unfold"),
    ]

    DEFAULT_CSS = """
    WorkloadsScreen {
        #containers, #workloads { height: 1fr; }
        #engine { height: 1; padding: 0 2; color: $muted; text-wrap: nowrap; text-overflow: ellipsis; }
        #trends { height: 1fr; min-height: 9; }
        #watts { display: none; }
        &.-middle #watts, &.-wide #watts { display: block; }
        &.-low #trends { min-height: 6; }
        PowerGraph { display: none; }
        &.-nothing PowerGraph { display: block; }
        &.-nothing #trend, &.-nothing #watts { display: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.kind = KINDS[0]
        self.in_tree = False
        self._folded: set[str] = set()

    def content(self) -> Iterator[Widget]:
        yield workload_columns.workloads_table()
        yield workload_columns.containers_table()
        yield Pane(id="engine")
        with Horizontal(id="trends"):
            yield Graph("%", least=5.0, id="trend", classes="box")
            yield Graph("W", least=0.2, id="watts", classes="box")
            yield PowerGraph()

    def on_mount(self) -> None:
        for table in self.query(Table):
            table.display = False

    @property
    def table(self) -> Table[Any]:
        """The one that is shown."""
        return self.query_one("#containers" if self._containers_only else "#workloads", Table)

    @property
    def _containers_only(self) -> bool:
        """Also if the daemon knows no other workloads."""
        snapshot = self.dashboard.picture.snapshot
        return self.kind == "container" or snapshot is None or not snapshot.workloads

    def action_kind(self) -> None:
        """The next kind, and all of them after the last."""
        self.kind = KINDS[(KINDS.index(self.kind) + 1) % len(KINDS)]
        self.show(self.dashboard.picture)

    def action_group(self) -> None:
        """A tree by pod and slice, or a list again."""
        self.in_tree = not self.in_tree
        table = self.query_one("#workloads", Table)
        table.branch_of = (lambda row: row.parent) if self.in_tree else None
        table.set_columns(workload_columns.WORKLOAD_TREE if self.in_tree else workload_columns.WORKLOADS)
        self.show(self.dashboard.picture)

    def action_fold(self, folded: bool) -> None:
        """Folds or unfolds the branch under the cursor, or the branch that contains the row under the cursor."""
        row = self.table.row
        if not self.in_tree or not isinstance(row, WorkloadRow):
            return
        branch = row.workload.id if row.parts and row.folded != folded else row.parent if folded else None
        if branch is None:
            return
        (self._folded.add if folded else self._folded.discard)(branch)
        self.table.go_to(branch)
        self.show(self.dashboard.picture)

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        shown = self.table
        if not shown.display:
            self._turn_to(shown)
        rows: list[Any] = []
        if snapshot is not None and self._containers_only:
            rows = workload_columns.container_rows(snapshot, picture.trends)
        elif snapshot is not None:
            every = workload_columns.workload_rows(snapshot, picture.trends)
            rows = [row for row in every if self.kind in ("all", row.workload.kind)]
        listed = len(rows)
        self.set_class(not rows, "-nothing")
        if self.in_tree and not self._containers_only:
            rows = tree_rows(rows, () if shown.filter else self._folded)
        nothing = "no container is running" if self._containers_only else f"no {self.kind} is running"
        shown.show(
            rows, why_empty(picture, "containers" if self._containers_only else "workloads", nothing), tell=False
        )
        fit_height(shown, len(rows), self.size.height * 3 // 5)
        name = "Containers" if self._containers_only else TITLES[self.kind]
        entitle(
            shown, workload_columns.titled(name, _found(shown, listed), listed), workload_columns.idle_sign(snapshot)
        )
        engine = snapshot.engine if snapshot is not None else None
        self.query_one("#engine", Pane).put(
            f"{engine.name} {engine.version}, cgroup v{engine.cgroup_version}: the engine itself takes "
            f"{number(engine.cpu_percent)} % of a core and {number(engine.memory_percent)} % of the memory"
            if engine is not None
            else ""
        )
        self.query_one(PowerGraph).draw(picture)
        if rows:
            self._draw(shown.row)

    def _turn_to(self, shown: Table[Any]) -> None:
        """Shows that table instead of the other, with the filter and the focus of that."""
        bar = self.query_one(FilterBar)
        bar.table_id = shown.id or ""
        shown.set_filter(bar.value)
        shown.display = True
        if self.focused is None or isinstance(self.focused, Table):
            shown.focus()
        for other in self.query(Table):
            if other is not shown:
                other.display = False

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        if message.control is self.table:
            self._draw(self.table.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        if isinstance(message.row, WorkloadRow) and message.row.parts:
            self.action_fold(not message.row.folded)
        elif message.row.container is not None:
            self.dashboard.open_details("container", message.row.container.id)
        elif isinstance(message.row, WorkloadRow):
            self.dashboard.open_details("workload", message.row.workload.id)

    def _draw(self, row: ContainerRow | WorkloadRow | None) -> None:
        graph = self.query_one("#trend", Graph)
        watts = self.query_one("#watts", Graph)
        entitle(graph, f"CPU % of {row.name}" if row is not None else "CPU %")
        entitle(watts, f"Power of {row.name}" if row is not None else "Power")
        end = row.now if row is not None else GRAPH_SECONDS
        picture = self.dashboard.picture
        use = row.trends[row.trend_key] if row is not None else []
        power = row.trends[*row.trend_key, "power"] if row is not None else []
        for drawn, points in ((graph, use), (watts, power)):
            drawn.show([Series(points)], end - GRAPH_SECONDS, end, step_seconds=picture.step_seconds,
                       live=picture.live, empty="")  # fmt: skip


def _found(table: Table[Any], listed: int) -> int:
    """How many of those listed a filter leaves, branches not counted; a folded branch hides none."""
    return sum(not (isinstance(row, WorkloadRow) and row.parts) for row in table.rows) if table.filter else listed
