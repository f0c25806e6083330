"""Plots of settings, each the mean of its repeats: power, and quality against power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from wattview.analysis.sweeps.advice import pareto_front
from wattview.analysis.sweeps.comparison import Repeats
from wattview.analysis.sweeps.side_by_side import front_figure
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import QUANTITIES
from wattview.report import svg
from wattview.report.template_data import PlotView


def power_picture(groups: Sequence[Repeats], short: Mapping[str, str]) -> Iterator[PlotView]:
    """Mean power by setting, with its interval over the repeats. ``short`` has the words that tell a label from the
    others."""
    found = []
    for repeats in groups:
        power = repeats.estimate("power_mean_watts")
        if power is not None:
            sources = {one.power_source or "" for one in repeats.valid}
            estimated = " (estimate)" if any(map(is_estimate, sources)) else ""
            count = f"{power.count} repeats" if power.count > 1 else "once"
            found.append(svg.Bar(short[repeats.label], power.mean, power.low, power.high, f"{count}{estimated}"))
    if found:
        yield PlotView(
            "Power by setting",
            svg.bars(found, QUANTITIES["power_mean_watts"].unit),
            "Mean power of the host. The whiskers are 95 % confidence intervals over the repeats, not"
            " corrected for multiple tests; a setting that was measured once has none."
            " To test a difference, use wattview results compare.",
        )


def front_picture(groups: Sequence[Repeats], short: Mapping[str, str]) -> Iterator[PlotView]:
    """Quality against power, if at least two settings have both from the same power source and VMAF model as the
    first."""
    meters = [(repeats.power_source, repeats.vmaf_model) for repeats in groups]
    groups = [repeats for repeats, meter in zip(groups, meters, strict=True) if meter == meters[0]]
    figure = front_figure([repeats.group() for repeats in groups])
    found = []
    for repeats in groups:
        power, quality = repeats.estimate(figure), repeats.estimate("vmaf_score")
        if power is not None and quality is not None and power.mean > 0:
            found.append((short[repeats.label], power.mean, quality.mean))
    if len(found) < 2:
        return
    points = [svg.PlotPoint(name, power, quality) for name, power, quality in found]
    front = pareto_front([(point.x, point.y) for point in points])
    quantity = QUANTITIES[figure]
    yield PlotView(
        "Quality and power",
        svg.scatter(points, front, f"{quantity.words}, {quantity.unit}", QUANTITIES["vmaf_score"].title),
        "Filled points are the Pareto front: no other measured setting is both better and cheaper.",
        tuple(
            (f"{label}: {power:.3g} {quantity.unit}, VMAF {quality:.2f}", at in front)
            for at, (label, power, quality) in enumerate(found)
        ),
    )
