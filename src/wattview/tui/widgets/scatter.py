"""Quality against energy: each result a point, and the front of those that nothing beats in both."""

from __future__ import annotations

from collections.abc import Sequence

from textual_plotext import PlotextPlot

from wattview.model import ScenarioResult

Point = tuple[float, float]
"""(joules a second of video, VMAF)."""


def point_of(one: ScenarioResult) -> Point | None:
    """Mean watts and VMAF, where both are known: energy for each second of video, so that lengths do not matter."""
    if one.power_mean_watts is None or one.record.vmaf_score is None:
        return None
    return one.power_mean_watts, one.record.vmaf_score


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one equals or beats in both (less energy, more quality), in order of energy."""
    front: list[Point] = []
    for energy, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or quality > front[-1][1]:
            front.append((energy, quality))
    return front


class Scatter(PlotextPlot):
    DEFAULT_CSS = """
    Scatter { height: 1fr; width: 1fr; }
    """

    def show(self, all_results: Sequence[ScenarioResult], chosen: Sequence[ScenarioResult]) -> None:
        plot = self.plt
        plot.clear_data()
        known = [point for point in map(point_of, all_results) if point is not None]
        marked = [point for point in map(point_of, chosen) if point is not None]
        self.border_title = "VMAF against mean watts; the line is the front that nothing beats"
        if not known:
            self.border_title = "VMAF against mean watts: no result has both"
            return
        front = pareto_front(known)
        plot.plot([x for x, _ in front], [y for _, y in front], marker="braille", label="front")
        plot.scatter([x for x, _ in known], [y for _, y in known], marker="o", label="all results")
        plot.scatter([x for x, _ in marked], [y for _, y in marked], marker="#", label="compared here")
        plot.xlim(*_around([x for x, _ in known], 0.0, None))
        plot.ylim(*_around([y for _, y in known], 0.0, 100.0))
        plot.xlabel("mean W")
        plot.ylabel("VMAF")
        self.refresh()


def _around(values: Sequence[float], least: float, most: float | None) -> tuple[float, float]:
    """An axis with a little room around its values, also where they are all the same."""
    low, high = min(values), max(values)
    room = max(1.0, 0.1 * (high - low))
    return max(least, low - room), high + room if most is None else min(most, high + room)
