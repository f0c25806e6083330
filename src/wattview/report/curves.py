"""The report's sections on sweeps: RD curves, power over bitrate, Bjøntegaard differences, the power fit.

A section appears only if enough was measured for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wattview.analysis.sweeps.curve_words import PRICES
from wattview.analysis.sweeps.fit import formula
from wattview.analysis.sweeps.prediction import fits_of
from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.model import Curve, CurveComparison, CurvePair, ScenarioResult
from wattview.model.quantities import POWER, QUANTITIES
from wattview.report import svg
from wattview.report.template_data import Findings, PlotView, Sheet, SheetCell, SheetLine

PICTURES = (
    ("bitrate_bps", "Quality and bitrate"),
    ("net_watts_per_stream", "Quality and power over the bitrates"),
)
"""A price, and the title of its plot."""

MIN_POINTS = 3


def curve_pictures(scenarios: Sequence[ScenarioResult]) -> Iterator[PlotView]:
    """For the results of one machine."""
    found = compare_curves(scenarios)
    for price, title in PICTURES:
        axis = QUANTITIES[price]
        drawn = [
            svg.PlotCurve(curve.label, tuple((axis.scaled(price_of), quality) for price_of, quality in points))
            for curve in found.curves
            if len(points := _points(curve, price)) >= MIN_POINTS and all(price_of > 0 for price_of, _ in points)
        ]
        if drawn:
            yield PlotView(title, svg.curves(drawn, f"{axis.words}, {axis.unit}", found.quality.upper()))


def _points(curve: Curve, price: str) -> list[tuple[float, float]]:
    return [(point.prices[price].mean, point.quality.mean) for point in curve.points if price in point.prices]


def curve_findings(scenarios: Sequence[ScenarioResult]) -> Iterator[Findings]:
    """Figures from the curves and the loads of one machine."""
    yield from _differences(compare_curves(scenarios))
    fits = [
        f"{of}: {formula(fit)} (± {POWER.text(fit.error_watts)}, {fit.settings} loads)"
        for of, fit in fits_of(scenarios)
    ]
    if fits:
        yield Findings(
            "Power by load",
            items=tuple(fits),
            note="Least squares; ± is the root mean square error of the leave-one-out check. The fit holds between the"
            " loads that were measured.",
        )


def _differences(found: CurveComparison) -> Iterator[Findings]:
    lines = tuple(line for pair in found.pairs for line in _lines(pair))
    if lines:
        heads = ("Against", "Needs", "Of", "95 % interval", f"Over {found.quality.upper()}")
        yield Findings(
            "At equal quality",
            sentences=tuple(f"{pair.sentence}." for pair in found.pairs if pair.sentence),
            sheet=Sheet("", heads, lines, words=True),
            items=tuple(dict.fromkeys(remark for pair in found.pairs for remark in pair.remarks)),
            note="Bjøntegaard difference: the mean difference at equal quality, over the qualities that both reach."
            " An interval requires repeats of every bitrate.",
        )


def _lines(pair: CurvePair) -> Iterator[SheetLine]:
    for one in pair.differences:
        if one.percent is None:
            continue
        interval = ""
        if one.low is not None and one.high is not None:
            interval = f"{one.low:+.1f} to {one.high:+.1f} %, {one.verdict.partition(':')[0]}"
        cells = (pair.first, f"{one.percent:+.1f} %", PRICES[one.price], interval,
                 f"{one.quality_from:.2f} to {one.quality_to:.2f}")  # fmt: skip
        yield SheetLine(pair.second, tuple(SheetCell(text, "no repeats") for text in cells))
