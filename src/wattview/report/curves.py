"""The report's part on sweeps: curves of quality over bitrate and power, Bjøntegaard's differences, the fit of power.

Pure, and escaped, as the report is. Each part is there only where enough was measured for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from wattview.analysis.sweeps.curve_words import PRICES
from wattview.analysis.sweeps.fit import formula
from wattview.analysis.sweeps.prediction import fits_of
from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.model import Curve, CurveComparison, CurvePair, ScenarioResult
from wattview.model.quantities import QUANTITIES
from wattview.report import svg

PICTURES = (
    ("bitrate_bps", "Quality and bitrate"),
    ("net_watts_per_stream", "Quality and power over the bitrates"),
)
"""A price, and the title of its picture."""

MIN_POINTS = 3


def curves_sections(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """Of the results of one machine."""
    if not scenarios:
        return []
    found = compare_curves(scenarios)
    return [*_pictures(found), *_differences(found), *_fits(scenarios)]


def _pictures(found: CurveComparison) -> list[str]:
    body = []
    for price, title in PICTURES:
        axis = QUANTITIES[price]
        traces = [
            svg.Trace(curve.label, tuple((axis.scaled(price_of), quality) for price_of, quality in points))
            for curve in found.curves
            if len(points := _points(curve, price)) >= MIN_POINTS and all(price_of > 0 for price_of, _ in points)
        ]
        if traces:
            body += [f"<h2>{title}</h2>", svg.curves(traces, f"{axis.words}, {axis.unit}", found.quality.upper())]
    return body


def _points(curve: Curve, price: str) -> list[tuple[float, float]]:
    return [(point.prices[price].mean, point.quality.mean) for point in curve.points if price in point.prices]


def _differences(found: CurveComparison) -> list[str]:
    rows = [row for pair in found.pairs for row in _rows(pair)]
    if not rows:
        return []
    remarks = dict.fromkeys(remark for pair in found.pairs for remark in pair.remarks)
    quality = found.quality.upper()
    return [
        "<h2>For the same quality</h2>",
        *(f"<p><strong>{escape(pair.sentence)}.</strong></p>" for pair in found.pairs if pair.sentence),
        '<div class="scroll"><table><thead><tr><th>Setting</th><th>against</th><th>needs</th><th>of</th>'
        f"<th>95 % interval</th><th>over {quality}</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>",
        '<p class="dim">Bjøntegaard\'s difference: the mean of what the one needs more, or less, than the other, over'
        " the qualities that both reach. Without repeats of every bitrate there is no interval.</p>",
        *([f"<ul>{''.join(f'<li>{escape(remark)}</li>' for remark in remarks)}</ul>"] if remarks else []),
    ]


def _rows(pair: CurvePair) -> list[str]:
    rows = []
    for one in pair.differences:
        if one.percent is None:
            continue
        interval = "–"
        if one.low is not None and one.high is not None:
            interval = f"{one.low:+.1f} to {one.high:+.1f} %, {escape(one.verdict.partition(':')[0])}"
        rows.append(
            f"<tr><td>{escape(pair.second)}</td><td>{escape(pair.first)}</td><td>{one.percent:+.1f} %</td>"
            f"<td>{PRICES[one.price]}</td><td>{interval}</td>"
            f"<td>{one.quality_from:.2f} to {one.quality_to:.2f}</td></tr>"
        )
    return rows


def _fits(scenarios: Sequence[ScenarioResult]) -> list[str]:
    items = [
        f"<li>{escape(of)}: {formula(fit)} (± {fit.error_watts:.2f} W, {fit.settings} loads)</li>"
        for of, fit in fits_of(scenarios)
    ]
    if not items:
        return []
    return [
        "<h2>Power by load</h2>",
        f"<ul>{''.join(items)}</ul>",
        '<p class="dim">Least squares; ± is the root mean square of the errors on loads that were left out of the fit'
        " in turn. It holds between the loads that were measured.</p>",
    ]
