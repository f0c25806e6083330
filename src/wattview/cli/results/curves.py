"""``wattview results curves``: how much more one encoder needs than another at equal quality."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.analysis.sweeps.curve_words import PRICES
from wattview.analysis.sweeps.rd_curves import QUALITIES, compare_curves
from wattview.cli import terminal as term
from wattview.foreign_text import one_line
from wattview.model import Curve, CurveComparison, CurveDifference, CurvePair, CurvePoint, RunResult
from wattview.model.quantities import QUANTITIES, Quantity, unknown_differences


def print_curves(runs: Iterable[RunResult], first: str, second: str, quality: str, machine: str, as_json: bool) -> bool:
    """Prints the differences, from all scenarios of these runs. True if there is one."""
    scenarios = [scenario for run in runs for scenario in run.scenarios]
    found = compare_curves(scenarios, first=first, second=second, quality=quality, machine=machine)
    term.say_found(found, as_json, _print)
    return any(one.percent is not None for pair in found.pairs for one in pair.differences)


def _print(found: CurveComparison) -> None:
    for curve in found.curves:
        term.say(_points(curve, found.quality))
        term.say()
    for pair in found.pairs:
        _print_pair(pair, found.quality)
    if found.reason:
        term.say(term.wrap(found.reason, ""))
    if found.left_out:
        term.say(term.wrap(found.left_out, ""))


def _points(curve: Curve, quality: str) -> str:
    prices = [QUANTITIES[name] for name in ("bitrate_bps", "net_watts_per_stream", "watts_per_stream")]
    scores = QUANTITIES[QUALITIES[quality]]
    header = [*(one.words.upper() for one in (prices[0], scores, *prices[1:])), "REPEATS"]
    rows = []
    for point in curve.points:
        bitrate, *watts = (_price(point, price) for price in prices)
        rows.append([bitrate, term.figure(point.quality.mean, scores.decimals), *watts, str(point.quality.count)])
    return f"{term.strong(one_line(curve.label))}\n{term.table(header, rows, right=frozenset(range(5)))}"


def _price(point: CurvePoint, price: Quantity) -> str:
    mean = point.prices.get(price.name)
    return term.quantity(price, None if mean is None else mean.mean)


def _print_pair(pair: CurvePair, quality: str) -> None:
    term.say(term.strong(f"{one_line(pair.second)}\nagainst {one_line(pair.first)}"))
    if pair.sentence:
        term.say(term.wrap(pair.sentence))
    known = [one for one in pair.differences if one.percent is not None]
    if known:
        header = [f"FOR THE SAME {quality.upper()}", "NEEDS", "95 % INTERVAL", "", "OVER", "GAIN AT THE SAME"]
        rows = [_row(one, quality) for one in known]
        term.say(term.table(header, rows, right=frozenset({1, 2, 5})))
    for remark in (*unknown_differences(pair.differences), *pair.remarks):
        term.say(term.wrap(remark))
    term.say()


def _row(one: CurveDifference, quality: str) -> list[str]:
    digits = QUANTITIES[QUALITIES[quality]].decimals
    assert one.quality_from is not None
    assert one.quality_to is not None
    interval = f"{one.low:+.1f} to {one.high:+.1f} %" if one.low is not None and one.high is not None else term.UNKNOWN
    gain = term.UNKNOWN if one.quality_gain is None else f"{one.quality_gain:+.{digits}f} {quality.upper()}"
    return [
        PRICES[one.price],
        f"{one.percent:+.1f} %",
        interval,
        one.verdict.partition(":")[0] if one.low is not None else "",
        f"{quality.upper()} {one.quality_from:.{digits}f} to {one.quality_to:.{digits}f}"
        f" ({100 * (one.overlap or 0.0):.0f} % of both)",
        gain,
    ]
