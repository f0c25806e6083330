"""The gate: a candidate run against a baseline run within bounds. Each bound is kept, exceeded or undecided.

Each bound is tested in both directions at the bound itself, as in non-inferiority trials (ICH E9, 3.3.2), on the
contrast ``candidate - (1 + share) x baseline`` (Fieller's test of a ratio of means). Each side of a 95 % interval has
2.5 %. A bound is exceeded if the near end of the interval is beyond it; near ends are Bonferroni-corrected for all
tests of the gate, so the false alarm rate is at most 2.5 %, or 5 % if the gate runs a second time with the additional
repeats that it asked for. A bound is kept if the far end is within it; far ends need no correction, as all bounds must
be kept for the gate to pass (an intersection-union test: Berger, Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.sweeps.comparison import Repeats, billed_text, in_pairs, repeats_of
from wattview.analysis.sweeps.confidence import CONFIDENCE, t_cdf, t_quantile
from wattview.analysis.sweeps.contrast import Contrast, contrast, in_turn
from wattview.analysis.sweeps.gate_bounds import bound_text
from wattview.analysis.sweeps.machines import machine_text
from wattview.model import Bound, BoundCheck, GateReport, GateVerdict, RunResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import CURRENCY, QUANTITIES, Quantity

ONE_SIDE = (1.0 - CONFIDENCE) / 2

POWER = 0.95
"""Probability of a decision with the number of repeats that the gate asks for."""

NEAREST = 0.01
"""For a bound of 0: the smallest excess to detect, as a share of the baseline's mean."""

MOST_REPEATS = 1_000_000
"""The gate never asks for more repeats than this."""

FEW_REPEATS = 5
"""With fewer repeats the noise is poorly known, and many are asked for."""

SAME_WINDOW = 0.01
"""Totals are not comparable if their windows' lengths differ by more than this share."""


class _Test(Struct, frozen=True):
    """A contrast at a bound: by how much the candidate's mean exceeds it, in the figure's unit."""

    contrast: Contrast
    excess: float
    base: float
    nearest: float
    """Smallest distance from the bound to detect."""


def gate(
    baseline: RunResult,
    candidate: RunResult,
    bounds: Sequence[Bound],
    *,
    allow_missing: bool = False,
    allow_other_machine: bool = False,
) -> GateReport:
    """The verdict on each setting and bound, and on all of them. Settings are paired as in a comparison of two runs.

    A setting that one run lacks leaves the gate undecided unless ``allow_missing``; figures that depend on the machine
    are not compared across machines unless ``allow_other_machine``.
    """
    pairs, only_baseline, only_candidate = in_pairs(repeats_of(baseline.scenarios), repeats_of(candidate.scenarios))
    asked = [(first, second, bound) for first, second in pairs for bound in bounds]
    prices = _other_prices(baseline, candidate)
    reasons = [
        _not_comparable(*one, allow_other_machine) or (prices if QUANTITIES[one[2].figure].part == "Cost" else "")
        for one in asked
    ]
    tests = [None if reason else _test(*one) for one, reason in zip(asked, reasons, strict=True)]
    count = sum(test is not None and test.contrast.gap.standard_error is not None for test in tests)
    checks = [
        _judged(first, second, bound, test, reason, count)
        for (first, second, bound), test, reason in zip(asked, tests, reasons, strict=True)
    ]
    missing = [] if allow_missing else [*only_baseline, *only_candidate]
    needed = [check.repeats_needed for check in checks if check.repeats_needed is not None]
    return GateReport(
        baseline=baseline.id or baseline.path, candidate=candidate.id or candidate.path,
        verdict=_verdict(checks, bool(missing)), checks=checks,
        only_baseline=[one.label for one in only_baseline], only_candidate=[one.label for one in only_candidate],
        tests=count, repeats_needed=max(needed, default=None), remarks=_remarks(baseline, candidate, pairs),
    )  # fmt: skip


def _verdict(checks: Sequence[BoundCheck], missing: bool) -> GateVerdict:
    found = {check.verdict for check in checks}
    if "exceeded" in found:
        return "exceeded"
    return "undecided" if missing or not found or "undecided" in found else "within"


def _not_comparable(first: Repeats, second: Repeats, bound: Bound, allow_other_machine: bool) -> str:
    """Why a figure of the baseline (``first``) and of the candidate cannot be compared; "" if it can."""
    quantity = QUANTITIES[bound.figure]
    for side, repeats in (("baseline", first), ("candidate", second)):
        if not repeats.valid:
            return f"no repeat of the {side} counts: {repeats.left_out}"
        if not repeats.values(quantity.name):
            why = next((found for one in repeats.valid if (found := _reason(one.reasons, quantity))), "")
            return f"the {side} has no {quantity.words}{f': {why}' if why else ''}"
    if quantity.of_vmaf and first.vmaf_model != second.vmaf_model:
        return f"scores of two VMAF models cannot be compared: {first.vmaf_model} and {second.vmaf_model}"
    if quantity.of_power and (first.power_source is None or first.power_source != second.power_source):
        sources = [side.power_source or "several sources" for side in (first, second)]
        return f"power of two sources cannot be compared: {sources[0]} and {sources[1]}"
    if quantity.billed and first.billed_at != second.billed_at:
        return (
            f"costs and carbon of two kinds of energy cannot be compared: {billed_text(first)}, {billed_text(second)}"
        )
    if quantity.unit == CURRENCY and _currency(first) != _currency(second):
        return f"the prices are in two currencies: {_currency(first)} and {_currency(second)}"
    machines = {first.machine, second.machine} - {None}
    if quantity.family != "quality" and len(machines) > 1 and not allow_other_machine:
        listed = " and ".join(machine_text(side.machine) for side in (first, second))
        return f"two machines cannot be compared: {listed} (--allow-other-machine)"
    return _other_window(first, second, quantity)


def _other_prices(baseline: RunResult, candidate: RunResult) -> str:
    if not baseline.prices or not candidate.prices or baseline.prices == candidate.prices:
        return ""
    return f"costs at different prices cannot be compared: {baseline.prices}; and {candidate.prices}"


def _reason(reasons: dict[str, str], quantity: Quantity) -> str:
    return reasons.get(quantity.name) or reasons.get(quantity.path.partition(".")[0], "")


def _currency(repeats: Repeats) -> str | None:
    return next((one.currency for one in repeats.valid if one.currency), None)


def _other_window(first: Repeats, second: Repeats, quantity: Quantity) -> str:
    """A live stream lasts as long as requested, so totals over unequal windows are not comparable. A command's length
    is an outcome."""
    if not quantity.total or any(one.record.type not in (None, "streams") for one in first.valid):
        return ""
    lengths = [side.values("duration_seconds") for side in (first, second)]
    if not all(lengths):
        return ""
    one, other = (fmean(values) for values in lengths)
    if abs(one - other) <= SAME_WINDOW * max(one, other):
        return ""
    return f"totals over {one:.4g} s and over {other:.4g} s do not compare; bound a rate, such as power, instead"


def _test(first: Repeats, second: Repeats, bound: Bound) -> _Test | None:
    """None if a share of the baseline's mean is meaningless."""
    name = bound.figure
    base = fmean(first.values(name))
    if bound.relative and base <= 0.0:
        return None
    factor, shift = (1.0 + bound.value, 0.0) if bound.relative else (1.0, bound.value)
    found = contrast(second, first, name, factor, shift)
    nearest = abs(bound.value) * (base if bound.relative else 1.0) or NEAREST * abs(base)
    excess = found.gap.difference if bound.side == "max" else -found.gap.difference
    return _Test(found, excess, base, nearest)


def _judged(
    first: Repeats, second: Repeats, bound: Bound, test: _Test | None, reason: str, tests: int
) -> BoundCheck:  # fmt: skip
    """The result for one bound, as one of ``tests``."""
    label = second.label if first.label == second.label else f"{first.label} → {second.label}"
    check = BoundCheck(
        setting=label, bound=bound, verdict="undecided", reason=reason, currency=_currency(second),
        baseline=first.estimate(bound.figure), candidate=second.estimate(bound.figure),
    )  # fmt: skip
    if reason:
        return check
    if test is None:
        return replace(check, reason="a share of a baseline that is not above 0 is meaningless; give an absolute bound")
    gap, share = test.contrast.gap, test.base if bound.relative else 1.0
    check = replace(check, difference=gap.difference / share + bound.value)
    if gap.standard_error is None:
        if gap.differ is None:
            return replace(check, reason=gap.verdict)
        exceeded = gap.differ and test.excess > 0
        check = replace(check, low=check.difference, high=check.difference, reason="no repeat varied",
                        verdict="exceeded" if exceeded else "within")  # fmt: skip
    else:
        check = _tested(check, test, tests, share)
    lost = len(second.invalid)
    if check.verdict == "within" and lost and not first.invalid:
        reason = f"of {lost + len(second.valid)} repeats of the candidate {second.left_out}; all of the baseline count"
        return replace(check, verdict="undecided", reason=reason)
    return check


def _tested(check: BoundCheck, test: _Test, tests: int, share: float) -> BoundCheck:
    error, freedom = test.contrast.gap.standard_error, test.contrast.gap.degrees_of_freedom
    assert error is not None
    assert freedom is not None
    near = test.excess - t_quantile(1.0 - ONE_SIDE / tests, freedom) * error
    far = test.excess + t_quantile(1.0 - ONE_SIDE, freedom) * error
    low, high = (near, far) if check.bound.side == "max" else (-far, -near)
    t = test.excess / error
    check = replace(
        check, low=low / share + check.bound.value, high=high / share + check.bound.value,
        p_exceeded=min(1.0, tests * t_cdf(-t, freedom)), p_within=t_cdf(t, freedom),
        verdict="exceeded" if near > 0.0 else "within" if far <= 0.0 else "undecided",
    )  # fmt: skip
    if check.verdict != "undecided":
        return check
    needed, nearest = _needed(test, tests, freedom)
    if needed is None:
        why = "no number of repeats would decide it: the noise is too large"
        if test.contrast.shared:
            why = "the noise of the idle windows affects every repeat: measure more idle windows (--baseline-after)"
        return replace(check, reason=why)
    distance = bound_text(check.bound, nearest / share, check.currency)
    repeats = test.contrast.repeats
    told = f"{needed} repeats of each would detect a candidate that is {distance} from the bound"
    if repeats < FEW_REPEATS:
        told += f" ({repeats} give a poor estimate of the noise: with {FEW_REPEATS} or more, far fewer may do)"
    return replace(check, repeats_needed=needed, reason=told)


def _needed(test: _Test, tests: int, freedom: float) -> tuple[int | None, float]:
    """Repeats of either side that decide the bound, and the distance that they resolve: ``nearest``, halved as often as
    needed if that many were measured already."""
    nearest, (_, repeats, spread, shared, _) = test.nearest, test.contrast
    while nearest > 0.0:
        needed = repeats_needed(nearest, spread, shared, freedom, repeats, tests)
        if needed is None or needed > repeats:
            return needed, nearest
        nearest /= 2.0
    return None, nearest


def repeats_needed(
    distance: float, spread: float, shared: float, freedom: float, measured: int, tests: int = 1
) -> int | None:
    """Least number of repeats of either side that decides, with 95 % probability, on a candidate at that distance from
    its bound; None if ``MOST_REPEATS`` are too few.

    ``spread`` is the variance of one repeat of both sides together, estimated from ``measured`` repeats with
    ``freedom`` degrees of freedom. The uncertainty of that estimate is included (Julious and Owen, Statistics in
    Medicine 25, 2006). ``shared`` is variance that more repeats do not reduce.
    """

    def tells(repeats: int) -> bool:
        later = freedom * (repeats - 1) / (measured - 1)
        limit = t_quantile(1.0 - ONE_SIDE / tests, later)
        return _power(distance / math.sqrt(spread / repeats + shared), limit, later, freedom) >= POWER

    if not spread and not shared:
        return None
    if not tells(MOST_REPEATS):
        return None
    low, high = 1, MOST_REPEATS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high


def _power(noncentrality: float, limit: float, freedom: float, known: float) -> float:
    """Probability that t exceeds ``limit``, averaged over the true noise if the noncentrality was estimated with
    ``known`` degrees of freedom. The noncentral t is approximated by a normal distribution, with the correction of
    Abramowitz and Stegun, 26.7.10."""
    centre, width = limit * (1.0 - 0.25 / freedom), math.sqrt(2.0 + limit * limit / freedom)
    return sum(
        weight * 0.5 * (1.0 + math.erf((noncentrality * ratio - centre) / width)) for ratio, weight in _ratios(known)
    )


@lru_cache(maxsize=256)
def _ratios(freedom: float) -> tuple[tuple[float, float], ...]:
    """Possible ratios of the estimated to the true standard deviation with their probabilities (chi distribution by its
    degrees of freedom)."""
    steps = 200
    top = 1.0 + 6.0 / math.sqrt(freedom)
    ratios = [top * (step + 0.5) / steps for step in range(steps)]
    logs = [(freedom - 1.0) * math.log(ratio) - freedom * ratio * ratio / 2.0 for ratio in ratios]
    most = max(logs)
    weights = [math.exp(log - most) for log in logs]
    whole = math.fsum(weights)
    return tuple((ratio, weight / whole) for ratio, weight in zip(ratios, weights, strict=True))


def _remarks(baseline: RunResult, candidate: RunResult, pairs: Sequence[tuple[Repeats, Repeats]]) -> list[str]:
    found = []
    for side, run in (("baseline", baseline), ("candidate", candidate)):
        if run.status not in (None, "done"):
            found.append(f"{side}: the run ended as {run.status}")
        found += [f"{side}: {remark}" for remark in run.remarks]
    for pair in pairs:
        for side, repeats in zip(("baseline", "candidate"), pair, strict=True):
            if repeats.invalid:
                found.append(f"{side}, {repeats.label}: left out of the repeats: {repeats.left_out}")
    if pairs and all(len(in_turn(*pair)) > 1 for pair in pairs):
        found.append("the repeats of both were measured in turn: neighbours are compared in pairs")
    if any(is_estimate(repeats.power_source) for pair in pairs for repeats in pair):
        found.append("power is an ESTIMATE from CPU use, not a measurement")
    return found
