"""Screen 7: what all the scenarios of all the runs took, and what they looked like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from wattview.client import ClientError
from wattview.model import RunResult, ScenarioResult
from wattview.tui.column import Column
from wattview.tui.text import UNKNOWN, money, number, signed, span
from wattview.tui.view import Picture, View
from wattview.tui.widgets.pane import Pane, Parts
from wattview.tui.widgets.table import Table


class Row(NamedTuple):
    run: RunResult
    number: int
    result: ScenarioResult | None
    """None: the run's file itself could not be read; ``run.error`` says why."""


def rows_of(runs: list[RunResult]) -> list[Row]:
    rows = []
    for run in runs:
        if run.error is not None and not run.scenarios:
            rows.append(Row(run, 0, None))
        rows += [Row(run, index, one) for index, one in enumerate(run.scenarios)]
    return rows


def row_key(row: Row) -> tuple[str, int]:
    return row.run.id, row.number


def _name(row: Row) -> str:
    if row.result is None:
        return "(unreadable file)"
    return f"! {row.result.record.name}" if row.result.record.realtime is False else row.result.record.name


def _figure(
    title: str,
    width: int,
    get: Callable[[ScenarioResult], float | None],
    decimals: int,
    rank: int,
    estimate: bool = False,
) -> Column[Row]:
    """``estimate``: the figure stands on the power source, and bears a ``~`` where that is an estimate."""

    def value(row: Row) -> float | None:
        return get(row.result) if row.result is not None else None

    def text(row: Row) -> str:
        known = value(row)
        guess = estimate and known is not None and row.result is not None and row.result.power_source == "estimated"
        return f"~{number(known, decimals)}" if guess else number(known, decimals)

    return Column(title, width, text, value, rank=rank)


def notes(row: Row) -> str:
    """What must be known before the figures are believed, in short words."""
    if row.result is None:
        return "error"
    words = []
    if row.result.power_source == "estimated":
        words.append("estimated")
    if row.result.record.realtime is False:
        words.append("not real time")
    if row.run.status not in (None, "done"):
        words.append(row.run.status or "")
    return ", ".join(words)


COLUMNS: tuple[Column[Row], ...] = (
    Column("Scenario", 20, _name, lambda row: _name(row).casefold(), left=True),
    Column("Run", 15, lambda row: row.run.id, lambda row: row.run.id, left=True, rank=8),
    Column("Length", 7, lambda row: span(row.result.duration_seconds if row.result else None), rank=9),
    _figure("Energy J", 9, lambda one: one.energy_joules, 1, 0, estimate=True),
    _figure("Mean W", 7, lambda one: one.power_mean_watts, 1, 0, estimate=True),
    _figure("Max W", 7, lambda one: one.power_max_watts, 1, 5, estimate=True),
    Column("Δ base W", 8, lambda row: signed(_difference(row)), lambda row: _difference(row), rank=1),
    _figure("CPU %", 6, lambda one: one.cpu_mean_percent, 1, 7),
    _figure("VMAF", 6, lambda one: one.record.vmaf_score, 1, 2),
    _figure("PSNR", 6, lambda one: one.record.psnr_score, 1, 6),
    _figure("SSIM", 6, lambda one: one.record.ssim_score, 3, 6),
    _figure("QoE", 5, lambda one: one.qoe_score, 2, 3),
    Column("Cost", 9, lambda row: money(row.result.cost_total if row.result else None, 6),
           lambda row: row.result.cost_total if row.result else None, rank=4),
    Column("Notes", 24, notes, notes, left=True, rank=10, tone=lambda row: "warn" if notes(row) else ""),
)  # fmt: skip


def _difference(row: Row) -> float | None:
    return row.result.baseline_diff_power_watts if row.result is not None else None


class Results(View):
    TAB = "results"
    FILTERS = "runs"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", id="results_mark"),
        Binding("c", "compare", "Compare", id="results_compare"),
        Binding("r", "load", "Refresh", show=False, id="results_refresh"),
    ]
    DEFAULT_CSS = """
    Results {
        #runs { height: 1fr; }
        #details { height: 8; }
        &.-low #details { height: 7; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border: none; border-top: solid $border; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Table(COLUMNS, row_key, empty="reading the results …", id="runs", classes="box")
        yield Pane(id="details", classes="box")

    def on_mount(self) -> None:
        self.query_one("#runs").border_title = "Results"
        self.query_one("#runs").focus()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.load()

    def show(self, picture: Picture) -> None:
        """Results come when they are asked for; a run that ends asks (``run_ended``)."""

    def run_ended(self) -> None:
        self.load()

    def action_load(self) -> None:
        self.dashboard.action_retry()
        self.load()

    def action_mark(self) -> None:
        self.query_one("#runs", Table).toggle_mark()

    def action_compare(self) -> None:
        """The marked scenarios, in the order of the table; with fewer than two, the one under the cursor as well."""
        table: Table[Row] = self.query_one("#runs", Table)
        keys = set(table.marked)
        if len(keys) < 2 and table.row is not None:
            keys.add(row_key(table.row))
        chosen = [row.result for row in table.rows if row_key(row) in keys and row.result is not None]
        if len(chosen) < 2:
            self.notify("Mark two or more with space, then press c.", title="Nothing to compare yet")
            return
        from wattview.tui.screens.compare import Compare  # brings plotext, which nothing else needs

        everything = [row.result for row in table.rows if row.result is not None]
        self.dashboard.push_screen(Compare(chosen, everything))

    def on_table_opened(self) -> None:
        self.action_compare()

    @work(exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        table: Table[Row] = self.query_one("#runs", Table)
        try:
            runs = await self.dashboard.client.results()
        except ClientError as error:
            if table.rows:
                self.notify(str(error), title="The results could not be read again", severity="warning")
            else:
                table.show([], str(error))
            return
        table.show(rows_of(runs), "no results yet; press n to run a scenario")
        table.border_title = f"Results {len(table.rows)}" if table.rows else "Results"

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        self.query_one("#details", Pane).put(*details(message.row))


def details(row: Row | None) -> Parts:
    """Everything about the row under the cursor, with the reason for every figure that it lacks."""
    if row is None:
        return [""]
    if row.result is None:
        return [(f"{row.run.path}: ", "bold"), (row.run.error or "it could not be read", "$text-error")]
    one, record = row.result, row.result.record
    source = "ESTIMATE from CPU use" if one.power_source == "estimated" else one.power_source or UNKNOWN
    setting = " ".join(
        text
        for text in (
            f"{record.streams} x" if record.streams else "",
            record.resolution or "",
            f"at {number(record.fps, 0)} fps" if record.fps else "",
            record.bitrate or "",
            f"x264 {record.preset}" if record.preset else "",
            f"from {record.source}" if record.source else "",
        )
        if text
    )
    parts: Parts = [
        (record.name, "bold $primary"), f"  {setting}" if setting else "",
        ("  ! not real time", "bold $text-warning") if record.realtime is False else "", "\n",
        ("Energy ", "$muted"), f"{number(one.energy_joules, 1)} J in {span(one.duration_seconds)}, mean ",
        f"{number(one.power_mean_watts)} W, max {number(one.power_max_watts)} W, ",
        (source, "bold $text-warning" if one.power_source == "estimated" else ""),
        f"; {signed(one.baseline_diff_power_watts)} W against {one.baseline}" if one.baseline else "", "\n",
        ("Cost ", "$muted"),
        f"{money(one.cost_total, 6)} {one.currency or ''} (energy {money(one.cost_energy, 6)},"
        f" compute {money(one.cost_compute, 6)}), {number(one.carbon_grams, 2)} g CO₂", "\n",
        ("Quality ", "$muted"),
        f"VMAF {number(record.vmaf_score, 2)}  PSNR {number(record.psnr_score, 2)} dB  "
        f"SSIM {number(record.ssim_score, 4)}  QoE {number(one.qoe_score, 2)} of 5", "\n",
    ]  # fmt: skip
    if one.reasons:
        parts += [("Missing ", "$muted"), (_reasons(one.reasons), "$text-warning")]
    elif record.notes:
        parts += [("Notes ", "$muted"), "; ".join(record.notes)]
    return parts


FIGURE_NAMES = {
    "duration_seconds": "length", "energy_joules": "energy", "energy_error_joules": "its error",
    "power_mean_watts": "mean power", "power_max_watts": "max power", "cpu_seconds": "CPU time",
    "cpu_mean_percent": "CPU %", "gpu_energy_joules": "GPU energy", "baseline_diff_power_watts": "Δ base",
    "qoe_score": "QoE", "vmaf_score": "VMAF", "psnr_score": "PSNR", "ssim_score": "SSIM", "cost_energy": "energy cost",
    "cost_compute": "compute cost", "cost_total": "cost", "carbon_grams": "carbon",
}  # fmt: skip


def _reasons(reasons: dict[str, str]) -> str:
    """``VMAF, QoE: no FFmpeg with libvmaf``: figures that miss for the same reason are named together."""
    by_reason: dict[str, list[str]] = {}
    for figure, reason in reasons.items():
        by_reason.setdefault(reason, []).append(FIGURE_NAMES.get(figure, figure.replace("_", " ")))
    return "; ".join(f"{', '.join(figures)}: {reason}" for reason, figures in by_reason.items())
