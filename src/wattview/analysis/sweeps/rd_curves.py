"""RD curves of a sweep: one encoder's settings over their bitrates, and comparison of two curves.

A point is the mean of a setting's repeats; the settings of a curve differ only in bitrate (or CRF). Curves are
compared if both encode the same streams with the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from wattview.analysis.efficiency import stream_bits_per_second
from wattview.analysis.sweeps.bd_rate import bd_estimate, bd_quality
from wattview.analysis.sweeps.comparison import Repeats, repeats_of, setting_text
from wattview.analysis.sweeps.confidence import estimate
from wattview.analysis.sweeps.curve_words import NO_CURVES, NO_PAIRS, PRICES, sentence
from wattview.analysis.sweeps.machines import of_one_machine
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.remarks import UNKNOWN_MODEL, together
from wattview.model import (
    Curve,
    CurveComparison,
    CurveDifference,
    CurvePair,
    CurvePoint,
    Estimate,
    ScenarioResult,
    Setting,
)
from wattview.model.quantities import QUANTITIES

QUALITIES = {"vmaf": "vmaf_score", "psnr": "psnr_score", "ssim": "ssim_score"}
"""Short names of the quality figures, on the command line and in the control API."""

OF_POWER = ("net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour")
FEW_POINTS = 4
LITTLE_OVERLAP = 0.5


def compare_curves(
    results: Sequence[ScenarioResult], *, first: str = "", second: str = "", quality: str = "vmaf", machine: str = ""
) -> CurveComparison:
    """Every curve selected by the words in ``second`` against every curve selected by those in ``first``.

    A word selects the curves with that word in their label (``libx265``, ``slow``). Without words, curves are compared
    with the first one of the same streams and pictures. ``results`` come newest run first. Raises NoData for an unknown
    quality, and if the words match nothing.
    """
    if quality not in QUALITIES:
        raise NoData(f"quality is one of {', '.join(QUALITIES)}, not {quality!r}")
    known, left_out = of_one_machine(results, machine)
    curves = _curves(repeats_of(known), QUALITIES[quality])
    if not first and not second:
        curves = [(setting, curve) for setting, curve in curves if len(curve.points) > 1]
    firsts, seconds = _chosen(curves, first), _chosen(curves, second)
    pairs = [
        _pair(curves[at], curves[other], quality)
        for at in firsts
        if first or not _has_earlier(curves, at)
        for other in seconds
        if other != at and _task(curves[at][0]) == _task(curves[other][0])
    ]
    shown = [curve for _, curve in curves if len(curve.points) > 1]
    return CurveComparison(
        quality=quality, curves=shown, pairs=pairs, reason="" if pairs else NO_PAIRS if shown else NO_CURVES,
        machine=known[0].machine if known else None, left_out=left_out,
    )  # fmt: skip


def _curves(groups: Iterable[Repeats], figure: str) -> list[tuple[Setting, Curve]]:
    """The curves in order of first appearance; settings without that quality are left out."""
    found: dict[Setting, list[Repeats]] = {}
    for repeats in groups:
        if repeats.values(figure):
            found.setdefault(replace(repeats.setting, bitrate=None, crf=None), []).append(repeats)
    return [(setting, _curve(setting, members, figure)) for setting, members in found.items()]


def _curve(setting: Setting, members: Sequence[Repeats], figure: str) -> Curve:
    points = []
    for repeats in members:
        prices = {name: estimate(values) for name in PRICES if (values := _prices(repeats, name))}
        points.append(CurvePoint(label=repeats.label, quality=estimate(repeats.values(figure)), prices=prices))
    sources = {result.power_source for repeats in members for result in repeats.valid if result.power_source}
    billed = {repeats.billed_at for repeats in members}
    models = {repeats.vmaf_model for repeats in members if figure == "vmaf_score"}
    return Curve(
        label=setting_text(setting), points=sorted(points, key=lambda point: point.quality.mean),
        power_source=sources.pop() if len(sources) == 1 else None,
        billed_at=billed.pop() if len(billed) == 1 else None,
        vmaf_model=" and ".join(sorted(model or UNKNOWN_MODEL for model in models)) or None,
        remarks=together(result for repeats in members for result in repeats.valid),
    )  # fmt: skip


def _prices(repeats: Repeats, name: str) -> list[float]:
    if name != "bitrate_bps":
        return repeats.values(name)
    rates = (stream_bits_per_second(result.record) for result in repeats.valid)
    return [rate for rate in rates if rate is not None]


def _task(setting: Setting) -> Setting:
    """What two encoders must have in common to be compared: streams, pictures, sound, source and viewers."""
    return replace(
        setting, bitrate=None, crf=None, encoder=None, encoder_args=None, preset=None, rate_control=None,
        gop_seconds=None, buffer_seconds=None, pushed=None,
        protocol=None, bit_depth=None,
    )  # fmt: skip


def _chosen(curves: Sequence[tuple[Setting, Curve]], text: str) -> list[int]:
    words = text.casefold().split()
    found = [
        at for at, (_, curve) in enumerate(curves) if all(word in curve.label.casefold().split() for word in words)
    ]
    if words and not found:
        known = "; ".join(curve.label for _, curve in curves) or "none with this quality"
        raise NoData(f"no curve is called {text!r}; measured were: {known}")
    return found


def _has_earlier(curves: Sequence[tuple[Setting, Curve]], at: int) -> bool:
    return any(_task(setting) == _task(curves[at][0]) for setting, _ in curves[:at])


def _pair(first: tuple[Setting, Curve], second: tuple[Setting, Curve], quality: str) -> CurvePair:
    anchor, test = first[1], second[1]
    remarks = []
    if min(len(anchor.points), len(test.points)) < FEW_POINTS:
        remarks.append(f"use {FEW_POINTS} bitrates or more: with fewer, the curve between them is a guess")
    if (first[0].pushed is False) != (second[0].pushed is False):
        remarks.append("only one of the two was pushed to an RTMP server: its power includes the server")
    remarks += dict.fromkeys([*anchor.remarks.values(), *test.remarks.values()])
    differences = []
    if anchor.vmaf_model != test.vmaf_model or " and " in (anchor.vmaf_model or ""):
        reason = f"VMAF is of different models and cannot be compared: {anchor.vmaf_model}; {test.vmaf_model}"
        return CurvePair(
            first=anchor.label, second=test.label, remarks=remarks,
            differences=[CurveDifference(price=price, verdict=reason) for price in PRICES],
        )  # fmt: skip
    for price in PRICES:
        if price in OF_POWER and not (anchor.power_source and anchor.power_source == test.power_source):
            sources = [curve.power_source or "no or several sources" for curve in (anchor, test)]
            reason = f"power is not compared: it came from {sources[0]} and from {sources[1]}"
            differences.append(CurveDifference(price=price, verdict=reason))
            continue
        if QUANTITIES[price].billed and not (anchor.billed_at and anchor.billed_at == test.billed_at):
            reason = "costs are not compared: of the wall's energy in some runs, and of the machine's in others"
            differences.append(CurveDifference(price=price, verdict=reason))
            continue
        differences.append(_difference(anchor, test, price))
    unsteady = [
        PRICES[one.price] for one in differences
        if one.percent is not None and not (_rises(anchor, one.price) and _rises(test, one.price))
    ]  # fmt: skip
    if unsteady:
        remarks.append(f"{', '.join(unsteady)} falls as quality rises: noise, or a setting that is worse in every way")
    overlap = differences[0].overlap
    if overlap is not None and overlap < LITTLE_OVERLAP:
        remarks.append(
            f"the curves overlap in only {100 * overlap:.0f} % of their quality range: the mean covers only that part"
        )
    return CurvePair(
        first=anchor.label, second=test.label, differences=differences, remarks=remarks,
        sentence=sentence(anchor.label, test.label, differences, quality),
    )  # fmt: skip


def _difference(anchor: Curve, test: Curve, price: str) -> CurveDifference:
    try:
        found = bd_estimate(_points(anchor, price), _points(test, price))
    except NoData as lack:
        return CurveDifference(price=price, verdict=lack.reason)
    difference = found.difference
    return CurveDifference(
        price=price, percent=difference.percent, low=found.low, high=found.high, differ=found.differ,
        verdict=found.verdict, quality_from=difference.quality_from, quality_to=difference.quality_to,
        overlap=difference.overlap, quality_gain=_gain(anchor, test, price),
    )  # fmt: skip


def _gain(anchor: Curve, test: Curve, price: str) -> float | None:
    """None if the curves have qualities but no price in common: one of them is better throughout."""
    try:
        return bd_quality(_means(_points(anchor, price)), _means(_points(test, price)))
    except NoData:
        return None


def _points(curve: Curve, price: str) -> list[tuple[Estimate, Estimate]]:
    lacking = [point.label for point in curve.points if price not in point.prices]
    if lacking:
        raise NoData(f"{PRICES[price]} is unknown for {', '.join(lacking)}")
    return [(point.prices[price], point.quality) for point in curve.points]


def _means(points: Sequence[tuple[Estimate, Estimate]]) -> list[tuple[float, float]]:
    return [(price.mean, quality.mean) for price, quality in points]


def _rises(curve: Curve, price: str) -> bool:
    values = [point.prices[price].mean for point in curve.points]
    return values == sorted(values)
