"""``wattview results plot``: a run's power over time, its settings as bars, its curves and its front, in characters.

Drawn with plotext, without colours: curves and points are marked with letters, which a legend below the plot explains.
"""

from __future__ import annotations

import os
import shutil
import string
from collections.abc import Sequence
from typing import Any

from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.analysis.sweeps.side_by_side import measurements
from wattview.analysis.windows.energy import NoData, Points
from wattview.cli import terminal as term
from wattview.cli.results.source import UnknownRun, named_runs, source_of
from wattview.config import Config
from wattview.foreign_text import one_line
from wattview.model import RunResult
from wattview.model.quantities import QUANTITIES
from wattview.report.svg import ticks

KINDS = ("power", "bars", "curves", "front")
HEIGHT = 20
LETTERS = string.ascii_uppercase + string.ascii_lowercase


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
            return _readable(_power(runs[0], curve))
    return _readable({"bars": _bars, "curves": _curves, "front": _front}[kind](runs[0]))


def _readable(text: str) -> str:
    from wattview.tui.ascii import ascii_text, needs_ascii

    return ascii_text(text) if needs_ascii(os.environ) else text


def _power(run: RunResult, curve: Points) -> str:
    if not curve:
        raise NoData("the history has no power over time for this run")
    begin = curve[0][0]
    long = curve[-1][0] - begin >= 600
    scale, unit = (60.0, "minutes") if long else (1.0, "seconds")
    times = [(time - begin) / scale for time, _ in curve]
    watts = [value for _, value in curve]
    plt = _figure(times, watts, f"{unit} since {run.test_date}", "W")
    plt.plot(times, watts, marker="braille")
    named = []
    for letter, one in zip(LETTERS, run.scenarios, strict=False):
        if one.record.start_time is None or one.record.end_time is None:
            continue
        start, end = ((moment - begin) / scale for moment in (one.record.start_time, one.record.end_time))
        for edge in (start, end):
            plt.vline(edge)
        plt.text(letter, (start + end) / 2, ticks(min(watts), max(watts))[-1])
        named.append(f"{letter}  {one.record.name}, {start:.0f} to {end:.0f} {unit}")
    return _drawn(plt, named)


def _bars(run: RunResult) -> str:
    """Mean power by setting, each with its ±."""
    import plotext as plt

    found = [
        (one.group.label, one.group.figures["power_mean_watts"])
        for one in measurements([run]).measured
        if "power_mean_watts" in one.group.figures
    ]
    if not found:
        raise NoData("no setting has a known power")
    top = ticks(0.0, max(figure.mean for _, figure in found))
    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(_width(), 3 * min(len(found), len(LETTERS)) + 4)
    names = list(LETTERS[: len(found)])
    plt.bar(names[::-1], [figure.mean for _, figure in found[: len(names)]][::-1], orientation="h", width=0.3)
    plt.xlim(0.0, top[-1])
    plt.xticks(top, [f"{mark:g}" for mark in top])
    plt.xlabel("mean power, W")
    named = []
    for name, (label, figure) in zip(names, found, strict=False):
        half = None if figure.low is None or figure.high is None else (figure.high - figure.low) / 2
        named.append(f"{name}  {term.figure(figure.mean, 2, 'W', half)}  {label}")
    return _drawn(plt, named)


def _curves(run: RunResult) -> str:
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
    every = [point for _, points in curves for point in points]
    plt = _figure([x for x, _ in every], [y for _, y in every], f"{axis.words}, {axis.unit}", found.quality.upper())
    for letter, (_, points) in zip(LETTERS, curves, strict=False):
        across, up = [x for x, _ in points], [y for _, y in points]
        plt.plot(across, up, marker="braille")
        plt.scatter(across, up, marker=letter)
    return _drawn(plt, [f"{letter}  {label}" for letter, (label, _) in zip(LETTERS, curves, strict=False)])


def _front(run: RunResult) -> str:
    """VMAF against power; the points of the Pareto front are joined."""
    found = measurements([run])
    points = [
        (one.group.figures[found.figure].mean, one.group.figures["vmaf_score"].mean, one)
        for one in found.measured
        if found.figure in one.group.figures and "vmaf_score" in one.group.figures
    ]
    if not points:
        raise NoData("no setting has both its power and its VMAF")
    plt = _figure([x for x, _, _ in points], [y for _, y, _ in points], f"{found.title}, {found.unit}", "VMAF")
    front = sorted((x, y) for x, y, one in points if one.on_front)
    plt.plot([x for x, _ in front], [y for _, y in front], marker="braille")
    named = []
    for letter, (x, y, one) in zip(LETTERS, points, strict=False):
        plt.scatter([x], [y], marker=letter)
        best = ", on the front: none is better for less" if one.on_front else ""
        named.append(f"{letter}  {x:.2f} {found.unit}, VMAF {y:.2f}  {one.group.label}{best}")
    return _drawn(plt, named)


def _figure(across: Sequence[float], up: Sequence[float], x_title: str, y_title: str) -> Any:
    """An empty plot with round ticks that span the data."""
    import plotext as plt

    width = _width()
    plt.clear_figure()
    plt.theme("clear")
    plt.plotsize(width, HEIGHT)
    for marks, limit, place in (
        (ticks(min(across), max(across), max(2, width // 14)), plt.xlim, plt.xticks),
        (ticks(min(up), max(up)), plt.ylim, plt.yticks),
    ):
        limit(marks[0], marks[-1])
        place(marks, [f"{mark:g}" for mark in marks])
    plt.xlabel(x_title)
    plt.title(y_title)
    return plt


def _drawn(plt: Any, named: Sequence[str]) -> str:
    picture = plt.uncolorize(plt.build())
    return "\n".join([*(line.rstrip() for line in picture.splitlines()), *map(one_line, named)])


def _width() -> int:
    return max(40, shutil.get_terminal_size((100, 24)).columns - 1)
