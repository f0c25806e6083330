"""Means of repeats with 95 % confidence intervals, and differences with significance tests.

Student's t for the mean of a few repeats; Welch's t for the difference of two means with unequal variances, with
Welch-Satterthwaite degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 and 1.3.5.3). With
unequal numbers of repeats the pooled variance is used if it is larger: Welch's test of 2 repeats against 10 has twice
its nominal false alarm rate. Noise that all repeats of a mean share (of a baseline that was subtracted from each) is a
separate component of the variance. Tests that are read together are Bonferroni-corrected, and the interval has the
corrected level, so that interval and verdict always agree. The t distribution is computed from the regularised
incomplete beta function (NIST DLMF 8.17.22).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from functools import lru_cache
from statistics import NormalDist, fmean
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.windows.energy import NoData
from wattview.model import Difference, Estimate

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""Values with a smaller relative difference are equal: they were computed in a different order."""

SAME_TEST = 0.05
"""Two figures whose t differ by less than this, absolutely or relatively, are one quantity in two units (power, and
energy per second)."""

TOO_FEW_REPEATS = "too few repeats: each side needs at least two"


class Component(Struct, frozen=True):
    """A component of a mean's variance, and the degrees of freedom of its estimate."""

    variance: float
    freedom: float


def estimate(values: Sequence[float], confidence: float = CONFIDENCE, shared: Component | None = None) -> Estimate:
    """Mean of repeats with its interval; a single value has no interval. ``shared`` is the variance that is common to
    all repeats. Raises NoData without values."""
    if not values:
        raise NoData("no repeats with this figure")
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean=mean, count=1)
    spread = variance(values)
    error, freedom = _combined([Component(spread / len(values), len(values) - 1), *([shared] if shared else [])])
    half = t_quantile(0.5 + confidence / 2, freedom) * error if error else 0.0
    return Estimate(
        mean=mean, count=len(values), low=mean - half, high=mean + half, standard_deviation=math.sqrt(spread)
    )


def difference(
    values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE, shared: Component | None = None
) -> Difference:
    """Mean of ``values`` less mean of ``others``, with its interval and verdict.

    ``shared`` is the variance of the difference besides that of the repeats.
    """
    if not values or not others:
        raise NoData("no repeats with this figure")
    gap = fmean(values) - fmean(others)
    if len(values) < 2 or len(others) < 2:
        return Difference(difference=gap, differ=None, verdict=TOO_FEW_REPEATS)
    parts = [Component(variance(side) / len(side), len(side) - 1) for side in (values, others)]
    error, freedom = _combined([*parts, *([shared] if shared else [])])
    if len(values) != len(others):
        pooled = sum(
            part.variance * len(side) * part.freedom for part, side in zip(parts, (values, others), strict=True)
        )
        pooled *= (1 / len(values) + 1 / len(others)) / (len(values) + len(others) - 2)
        error = max(error, math.sqrt(pooled + (shared.variance if shared else 0.0)))
    return _judged(gap, error, freedom, max(map(abs, (*values, *others))), confidence)


def paired_difference(
    gaps: Sequence[float], size: float, confidence: float = CONFIDENCE, shared: Component | None = None
) -> Difference:
    """Mean of the differences of pairs, tested by their own spread (the paired t-test). ``size`` is that of the values
    that were subtracted."""
    if len(gaps) < 2:
        return Difference(difference=fmean(gaps), differ=None, verdict=TOO_FEW_REPEATS)
    error, freedom = _combined([Component(variance(gaps) / len(gaps), len(gaps) - 1), *([shared] if shared else [])])
    return _judged(fmean(gaps), error, freedom, size, confidence)


def _judged(gap: float, error: float, freedom: float, size: float, confidence: float) -> Difference:
    if error <= ROUNDING * size:
        differ = abs(gap) > ROUNDING * size
        verdict = "different: no repeat varied" if differ else "equal: no repeat varied"
        return Difference(difference=gap, low=gap, high=gap, differ=differ, verdict=verdict)
    return _tested(
        Difference(difference=gap, differ=None, verdict="", degrees_of_freedom=freedom, standard_error=error,
                   p_value=_two_tails(gap / error, freedom)),
        1.0 - confidence,
    )  # fmt: skip


def variance(values: Sequence[float]) -> float:
    """Variance of two or more values: ``statistics.variance``, thirty times as fast."""
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _combined(parts: Sequence[Component]) -> tuple[float, float]:
    """Standard error of a sum of independent components, and its degrees of freedom (Welch and Satterthwaite)."""
    whole = sum(part.variance for part in parts)
    if not whole:
        return 0.0, math.inf
    return math.sqrt(whole), 1.0 / sum((part.variance / whole) ** 2 / part.freedom for part in parts if part.variance)


def _tested(gap: Difference, alpha: float, tests: int = 1, family: str = "") -> Difference:
    """Test and interval of a difference that is one of ``tests`` at a joint level ``alpha``."""
    assert gap.standard_error is not None
    assert gap.degrees_of_freedom is not None
    assert gap.p_value is not None
    level = alpha / tests
    half = t_quantile(1.0 - level / 2, gap.degrees_of_freedom) * gap.standard_error
    low, high = gap.difference - half, gap.difference + half
    differ = not low <= 0.0 <= high
    p_adjusted = min(1.0, gap.p_value * tests)
    corrected = f", Bonferroni-corrected for {tests_text(tests)}" if tests > 1 else ""
    said = "significant" if differ else "not significant"
    return replace(
        gap, low=low, high=high, differ=differ, confidence=1.0 - level, p_adjusted=p_adjusted, judged_together=tests,
        family=family, verdict=f"{said}: {p_text(p_adjusted)}{corrected}",
    )  # fmt: skip


def corrected(gap: Difference, tests: int, family: str = "", confidence: float = CONFIDENCE) -> Difference:
    """A difference with its test and interval corrected for that many tests (Bonferroni)."""
    return replace(gap, family=family) if gap.standard_error is None else _tested(gap, 1.0 - confidence, tests, family)


def p_text(p_value: float) -> str:
    """``p = 0.012``, ``p < 0.0001``."""
    return "p < 0.0001" if p_value < 1e-4 else f"p = {p_value:.2g}" if p_value < 0.01 else f"p = {p_value:.2f}"


def tests_text(tests: int) -> str:
    return "1 test" if tests == 1 else f"{tests} tests"


def level_text(confidence: float) -> str:
    """``95 %``, ``99.2 %``, ``99.983 %``: to two digits of the complement."""
    digits = max(0, 1 - math.floor(math.log10(100.0 * (1.0 - confidence)))) if confidence < 1.0 else 0
    return f"{100.0 * confidence:.{digits}f}".rstrip("0").rstrip(".") + " %"


class AskedTest(NamedTuple):
    """A difference that is read together with others: its family (``power``) and its subject. One quantity of one
    subject counts as one test, however many units it is shown in."""

    family: str
    of: Hashable
    gap: Difference


def judged_together(asked: Sequence[AskedTest], confidence: float = CONFIDENCE, together: int = 1) -> list[Difference]:
    """Differences that are read together, in order, with corrected tests and intervals. ``together`` is how many such
    groups are read at the same time.

    The chance of any false alarm among all of them is at most ``1 - confidence``. It is divided equally among the
    families, and within a family among its tests (Bonferroni). A difference that needs no test (no repeat varied, too
    few repeats) does not count.
    """
    tests: dict[str, int] = {}
    for family in dict.fromkeys(one.family for one in asked if one.gap.standard_error is not None):
        tests[family] = _count(one for one in asked if one.family == family)
    return [
        corrected(one.gap, together * len(tests) * tests.get(one.family, 1), one.family, confidence) for one in asked
    ]


def _count(family: Iterable[AskedTest]) -> int:
    """Number of quantities tested."""
    known: dict[Hashable, list[tuple[float, float]]] = {}
    for one in family:
        error, freedom = one.gap.standard_error, one.gap.degrees_of_freedom
        if error is None or freedom is None:
            continue
        t, there = one.gap.difference / error, known.setdefault(one.of, [])
        near = SAME_TEST * max(1.0, abs(t))
        if not any(abs(abs(t) - abs(other)) <= near and abs(freedom - df) <= 0.1 * df for other, df in there):
            there.append((t, freedom))
    return sum(map(len, known.values()))


def t_cdf(t: float, freedom: float) -> float:
    """Cumulative probability of Student's t."""
    tail = 0.5 * _two_tails(t, freedom)
    return 1.0 - tail if t > 0 else tail


def _two_tails(t: float, freedom: float) -> float:
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t. ``probability`` is above 0.5."""
    if not 0.5 < probability < 1.0 or not freedom > 0:
        raise ValueError("expected a probability between 0.5 and 1 and more than 0 degrees of freedom")
    tail = 2.0 * (1.0 - probability)
    low, high, t = 0.0, math.inf, NormalDist().inv_cdf(probability)
    for _ in range(100):
        found = _two_tails(t, freedom)
        low, high = (t, high) if found > tail else (low, t)
        # Newton's step on logarithms, on which the tail is nearly linear; bisection if it leaves the bracket.
        step = math.log(found / tail) * found / (2.0 * t * _density(t, freedom))
        following = t * math.exp(min(step, 1.0))
        if not low < following < high:
            following = 2.0 * t if high == math.inf else (low + high) / 2.0
        if abs(following - t) <= 1e-13 * t:
            break
        t = following
    return t


def _density(t: float, freedom: float) -> float:
    front = math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0) - 0.5 * math.log(freedom * math.pi)
    return math.exp(front - (freedom + 1.0) / 2.0 * math.log1p(t * t / freedom))


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function by its continued fraction (Lentz's method)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(1.0 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    ) / a  # fmt: skip
    tiny = 1e-300
    c, d, fraction = 1.0, 0.0, 1.0
    for step in range(500):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 + term * d
        d = 1.0 / (d if abs(d) > tiny else tiny)
        c = 1.0 + term / (c if abs(c) > tiny else tiny)
        fraction *= c * d
        if abs(1.0 - c * d) < 1e-15:
            break
    return front * (fraction - 1.0)
