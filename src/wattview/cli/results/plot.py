"""``wattview results plot``: a run's power over time, its settings as bars, its curves and its front, in characters.

The pictures are the dashboard's; curves and points are named below them, where that covers nothing.
"""

from __future__ import annotations

import os
import shutil
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.analysis.sweeps.side_by_side import measurements
from wattview.analysis.windows.energy import NoData, Points
from wattview.cli import terminal as term
from wattview.cli.results.results_source import UnknownRun, named_runs, source_of
from wattview.config import Config
from wattview.model import RunResult
from wattview.model.quantities import QUANTITIES

if TYPE_CHECKING:  # imported where it draws: other commands begin without it
    from wattview.tui.plots.plot import Lines

HEIGHT = 22
LETTERS = string.ascii_uppercase + string.ascii_lowercase
BARS = "power_mean_watts"
GAP_SECONDS = 60.0
"""Points of power further apart than this are not joined."""


async def plot(config: Config, word: str | None, kind: str) -> str:
    """The plot of one run, or of the latest. Raises UnknownRun, and NoData if there is nothing to draw."""
    from wattview.daemon.history.power_curves import power_curves

    async with source_of(config) as source:
        runs = await named_runs(source, config, [word] if word else (), limit=1)
        if not runs:
            raise UnknownRun("latest")
        if runs[0].error:
            raise NoData(runs[0].error)
        if kind == "power":
            curve = (await power_curves(config, source.samples, runs)).get(runs[0].id, ())
            return _text(_power(runs[0], curve))
    return _text({"bars": _bars, "curves": _curves, "front": _front}[kind](runs[0]))


def _text(lines: Lines) -> str:
    """As the terminal can show it. A tone is one of its own colours."""
    from wattview.tui.ascii import ascii_text, needs_ascii
    from wattview.tui.plots.plot import SERIES, SHADED

    plain = needs_ascii(os.environ)

    def cell(text: str, tone: str) -> str:
        text = ascii_text(text) if plain else text
        name = tone.removesuffix(SHADED)
        if name in SERIES:
            return term.of_series(text, SERIES.index(name))
        return term.quiet(text) if name in ("scale", "grid", "band") else text

    return "\n".join("".join(cell(text, tone) for text, tone in line).rstrip() for line in lines)


def _power(run: RunResult, curve: Points) -> Lines:
    from wattview.tui.plots.plot import Axis, Chart, NamedSpan, PlotLine, draw

    if not curve:
        raise NoData("the history has no power over time for this run")
    windows = [
        NamedSpan(one.record.start_time, one.record.end_time, one.record.name)
        for one in run.scenarios
        if one.record.start_time is not None and one.record.end_time is not None
    ]
    span = min(curve[0][0], *(one.start for one in windows)), max(curve[-1][0], *(one.end for one in windows))
    lettered = list(zip(LETTERS, windows, strict=False))
    named = [f"{letter}  {one.name}, {one.end - one.start:.0f} s" for letter, one in lettered]
    above = [one._replace(name=f"{letter} {one.name}") for letter, one in lettered]
    watts = Axis(QUANTITIES["power_mean_watts"].unit)
    chart = Chart(Axis(f"run {run.id}", span, times=True), watts, [PlotLine(curve, gap=GAP_SECONDS)], above)
    return _with_names(draw(chart, _width(), HEIGHT), named)


def _bars(run: RunResult) -> Lines:
    """Mean power by setting, each with its ±, and each encoder in its colour."""
    from wattview.tui.plots.bars import BarRow, draw_bars
    from wattview.tui.plots.plot import SERIES
    from wattview.tui.results.values import around, of_group, written
    from wattview.tui.text import apart

    quantity = QUANTITIES[BARS]
    groups = [one.group for one in measurements([run]).measured if BARS in one.group.figures]
    if not groups:
        raise NoData("no setting has a known power")
    encoders = sorted({group.setting.encoder or "" for group in groups})
    names = apart([group.label for group in groups])
    rows = []
    for group in groups:
        value = of_group(group, BARS)
        words = " ".join(part for part in (written(quantity, value.value), around(quantity, value.half)) if part)
        tone = SERIES[encoders.index(group.setting.encoder or "") % len(SERIES)]
        rows.append(BarRow(names[group.label], f"{words} {quantity.unit}", value, tone))
    title = f"{quantity.words}, {quantity.unit}"
    return [[(title, "scale")], *draw_bars(rows, quantity.unit, _width())]


def _curves(run: RunResult) -> Lines:
    from wattview.tui.plots.plot import SERIES, Axis, Chart, PlotLine, draw

    found = compare_curves(run.scenarios)
    axis = QUANTITIES["bitrate_bps"]
    curves = [
        (curve.label, [(axis.scaled(point.prices[axis.name].mean), point.quality.mean)
                       for point in curve.points if axis.name in point.prices])
        for curve in found.curves
    ]  # fmt: skip
    curves = [(label, points) for label, points in curves if points]
    if not curves:
        raise NoData(found.reason or "no setting was measured at several bitrates")
    traces = [PlotLine(points, SERIES[at % len(SERIES)], mark=LETTERS[at % len(LETTERS)])
              for at, (_, points) in enumerate(curves)]  # fmt: skip
    chart = Chart(Axis(f"{axis.words}, {axis.unit}"), Axis(found.quality.upper()), traces)
    named = [f"{trace.mark}  {label}" for trace, (label, _) in zip(traces, curves, strict=True)]
    return _with_names(draw(chart, _width(), HEIGHT), named)


def _front(run: RunResult) -> Lines:
    """VMAF against power; those that nothing beats are joined."""
    from wattview.tui.plots.plot import SERIES, Axis, Caption, Chart, PlotLine, draw

    found = measurements([run])
    points = [
        (one.group.figures[found.figure].mean, one.group.figures["vmaf_score"].mean, one)
        for one in found.measured
        if found.figure in one.group.figures and "vmaf_score" in one.group.figures
    ]
    if not points:
        raise NoData("no setting has both its power and its VMAF")
    fronts: dict[tuple[str | None, ...], list[tuple[float, float]]] = {}
    for x, y, one in sorted(points, key=lambda point: point[0]):
        if one.on_front:
            fronts.setdefault((one.group.power_source, one.group.vmaf_model), []).append((x, y))
    traces = [PlotLine(front, SERIES[0]) for front in fronts.values()]
    labels, named = [], []
    for letter, (x, y, one) in zip(LETTERS, points, strict=False):
        traces.append(PlotLine([(x, y)], SERIES[0] if one.on_front else "point", mark=letter, joined=False))
        labels.append(Caption(x, y, run.scenarios[one.scenarios[0]].record.setting_name))
        best = ", on the front: none is better for less" if one.on_front else ""
        named.append(f"{letter}  {x:.2f} {found.unit}, VMAF {y:.2f}  {one.group.label}{best}")
    chart = Chart(Axis(f"{found.title}, {found.unit}"), Axis(QUANTITIES["vmaf_score"].title), traces, labels=labels)
    return _with_names(draw(chart, _width(), HEIGHT), named)


def _with_names(picture: Lines, named: Sequence[str]) -> Lines:
    return [*picture, *([(line, "")] for line in named)]


def _width() -> int:
    return max(40, shutil.get_terminal_size((100, 24)).columns - 1)
