"""Two or more scenarios side by side against the first of them, and all results between energy and quality."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.widget import Widget

from wattview.model import ScenarioResult
from wattview.tui.column import Column
from wattview.tui.text import UNKNOWN, number
from wattview.tui.view import Picture, View
from wattview.tui.widgets.scatter import Scatter
from wattview.tui.widgets.table import Table


class Figure(NamedTuple):
    """A line of the comparison. ``error``: how far the true value may be from the figure, where that is known."""

    title: str
    get: Callable[[ScenarioResult], float | None]
    decimals: int = 1
    error: Callable[[ScenarioResult], float | None] = lambda _: None


FIGURES: tuple[Figure, ...] = (
    Figure("Duration s", lambda one: one.duration_seconds),
    Figure("Energy J", lambda one: one.energy_joules, 1, lambda one: one.energy_error_joules),
    Figure("Mean power W", lambda one: one.power_mean_watts, 2, lambda one: _mean_error(one)),
    Figure("Max power W", lambda one: one.power_max_watts, 2),
    Figure("Over baseline W", lambda one: one.baseline_diff_power_watts, 2),
    Figure("CPU %", lambda one: one.cpu_mean_percent),
    Figure("CPU seconds", lambda one: one.cpu_seconds),
    Figure("Net energy J", lambda one: one.net_energy_joules),
    Figure("W per stream", lambda one: one.efficiency.watts_per_stream if one.efficiency else None, 2),
    Figure("J per frame", lambda one: one.efficiency.joules_per_frame if one.efficiency else None, 4),
    Figure("GPU energy J", lambda one: one.gpu_energy_joules),
    Figure("VMAF", lambda one: one.record.vmaf_score, 2),
    Figure("PSNR dB", lambda one: one.record.psnr_score, 2),
    Figure("SSIM", lambda one: one.record.ssim_score, 4),
    Figure("QoE 1 to 5", lambda one: one.qoe_score, 2),
    Figure(
        "End to end s", lambda one: one.record.playback.end_to_end_delay_seconds if one.record.playback else None, 3
    ),
    Figure("Cost", lambda one: one.cost_total, 6),
    Figure("  of energy", lambda one: one.cost_energy, 6),
    Figure("  of compute", lambda one: one.cost_compute, 6),
    Figure("  stream-hour", lambda one: one.efficiency.cost_per_stream_hour if one.efficiency else None, 6),
    Figure("Carbon g", lambda one: one.carbon_grams, 3),
)


def _mean_error(one: ScenarioResult) -> float | None:
    if one.energy_error_joules is None or not one.duration_seconds:
        return None
    return one.energy_error_joules / one.duration_seconds


def cell(figure: Figure, one: ScenarioResult, reference: ScenarioResult | None) -> str:
    """``2400.0 ±3.1  +12.5 %``: the figure, how sure it is, and how it differs from the reference."""
    value = figure.get(one)
    if value is None:
        return UNKNOWN
    error = figure.error(one)
    text = number(value, figure.decimals) + (f" ±{number(error, figure.decimals)}" if error else "")
    base = figure.get(reference) if reference is not None else None
    if base is None:
        return text
    return f"{text}  {_difference(value, base)}"


def _difference(value: float, base: float) -> str:
    if base == 0:
        return "same" if value == base else UNKNOWN
    percent = (value - base) / abs(base) * 100
    return f"{percent:+6.1f} %" if abs(percent) < 1000 else f"{value / base:5.1f} x "


class Compare(View):
    TAB = "results"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,h", "app.pop_screen", "Back", id="details_back"),
    ]
    DEFAULT_CSS = """
    Compare {
        #sheet { height: 1fr; layout: vertical; }
        #figures { height: 1fr; }
        #scatter { height: 1fr; display: none; }
        &.-tall #scatter, &.-high #scatter { display: block; }
        &.-wide #sheet { layout: horizontal; }
        &.-wide #figures { width: 2fr; }
    }
    """

    def __init__(self, chosen: list[ScenarioResult], all_results: list[ScenarioResult]) -> None:
        super().__init__()
        self.chosen = chosen
        self.all_results = all_results

    def content(self) -> Iterator[Widget]:
        first, *others = self.chosen
        columns: list[Column[Figure]] = [
            Column("Figure", 16, lambda figure: figure.title, left=True),
            Column(first.record.name, 22, lambda figure: cell(figure, first, None)),
        ]
        columns += [Column(one.record.name, 26, _cell_of(one, first)) for one in others]
        with Box(id="sheet"):
            yield Table(columns, lambda figure: figure.title, id="figures", classes="box")
            yield Scatter(id="scatter", classes="box")

    def on_mount(self) -> None:
        table: Table[Figure] = self.query_one("#figures", Table)
        table.border_title = f"Comparison of {len(self.chosen)} scenarios with the first of them"
        table.show([figure for figure in FIGURES if any(figure.get(one) is not None for one in self.chosen)])
        table.focus()
        self.query_one(Scatter).show(self.all_results, self.chosen)

    def show(self, picture: Picture) -> None:
        """Results do not change while one looks at them."""


def _cell_of(one: ScenarioResult, reference: ScenarioResult) -> Callable[[Figure], str]:
    return lambda figure: cell(figure, one, reference)
