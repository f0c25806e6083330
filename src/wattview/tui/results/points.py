"""Quality against power: each setting a point, and the front of those that nothing measured beats."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

from wattview.model import Measurements
from wattview.model.quantities import QUANTITIES
from wattview.tui.plots.panel import Plot
from wattview.tui.plots.plot import SERIES, Axis, Caption, Chart, PlotLine
from wattview.tui.results.rows import ResultRow, name_of
from wattview.tui.widgets.pane import entitle
from wattview.tui.widgets.table import Table

FRONT, BEATEN, MARKED = "●", "○", "■"
_POWER = QUANTITIES["power_mean_watts"]
UNMEASURED = Measurements(measured=[], figure=_POWER.name, title=_POWER.words, unit=_POWER.unit)
EMPTY = "no setting has both VMAF and power: run a scenario with quality on (n), and see the doctor (8)"


def draw_points(scatter: Plot, table: Table[ResultRow], measured: Measurements) -> None:
    """The settings of a table, with the one under its cursor."""
    legend = f"{FRONT} on the front, nothing beats it   {BEATEN} beaten   {MARKED} marked"
    entitle(scatter, f"VMAF against {measured.title}", legend)
    scatter.show(points_chart(table.rows, measured, table.row, table.marked))


def points_chart(
    rows: Sequence[ResultRow], measured: Measurements, here: ResultRow | None, marked: Collection[Hashable]
) -> Chart:
    """A front for each machine, power source and VMAF model, joined from its least power to its most."""
    points = [
        (x, y, row) for row in rows if row.group is not None
        and (x := row.value(measured.figure).value) is not None and (y := row.value("vmaf_score").value) is not None
    ]  # fmt: skip
    points.sort(key=lambda point: point[0])
    fronts: dict[str, list[tuple[float, float]]] = {}
    for x, y, row in points:
        if row.on_front and row.group is not None:
            name = f"{row.group.machine} by {row.group.power_source}, {row.group.vmaf_model or 'VMAF'}"
            fronts.setdefault(name, []).append((x, y))
    traces = [PlotLine(front, SERIES[at % len(SERIES)], name if len(fronts) > 1 else "", mark=FRONT)
              for at, (name, front) in enumerate(fronts.items())]  # fmt: skip
    for mark, tone, chosen in (
        (BEATEN, "point", [(x, y) for x, y, row in points if not row.on_front]),
        (MARKED, "marked", [(x, y) for x, y, row in points if row.key in marked]),
    ):
        traces.append(PlotLine(chosen, tone, mark=mark, joined=False))
    labels = [Caption(x, y, name_of(row), strong=here is not None and row.key == here.key) for x, y, row in points]
    across = Axis(f"{measured.title}, {measured.unit}")
    return Chart(across, Axis(QUANTITIES["vmaf_score"].title), traces, labels=labels, empty=EMPTY)
