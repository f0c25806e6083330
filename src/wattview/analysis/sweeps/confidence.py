"""How sure a figure is: means of repeats with their 95 % confidence intervals, and differences that may be chance.

Student's t for the mean of a few repeats; Welch's t for the difference of two means whose variances may differ, with
the degrees of freedom of Welch and Satterthwaite (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 and
1.3.5.3). The t distribution is computed from the regularised incomplete beta function (NIST DLMF 8.17.22).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from statistics import fmean, variance

from msgspec.structs import replace

from wattview.analysis.windows.energy import NoData
from wattview.model import Difference, Estimate

CONFIDENCE = 0.95


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of repeats with its interval. One value has no interval. Raises NoData where there are none."""
    if not values:
        raise NoData("no repeats with this figure")
    mean = fmean(values)
    if len(values) == 1:
        return Estimate(mean=mean, count=1)
    spread = math.sqrt(variance(values))
    half = t_quantile(0.5 + confidence / 2, len(values) - 1) * spread / math.sqrt(len(values))
    return Estimate(mean=mean, count=len(values), low=mean - half, high=mean + half, standard_deviation=spread)


def difference(values: Sequence[float], others: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """The mean of ``values`` less the mean of ``others``, with its interval (Welch) and what may be said of it."""
    first, second = estimate(values, confidence), estimate(others, confidence)
    gap = first.mean - second.mean
    if first.count < 2 or second.count < 2:
        return Difference(difference=gap, differ=None, verdict="not known: each side needs at least two repeats")
    first_error, second_error = variance(values) / first.count, variance(others) / second.count
    error = first_error + second_error
    if error == 0.0:
        differ = gap != 0.0
        verdict = "they differ: no repeat varied at all" if differ else "they are equal in every repeat"
        return Difference(difference=gap, low=gap, high=gap, differ=differ, verdict=verdict)
    freedom = error**2 / (first_error**2 / (first.count - 1) + second_error**2 / (second.count - 1))
    half = t_quantile(0.5 + confidence / 2, freedom) * math.sqrt(error)
    low, high = gap - half, gap + half
    differ = not low <= 0.0 <= high
    verdict = "they differ" if differ else "no difference is shown: the interval holds 0"
    return Difference(
        difference=gap, low=low, high=high, degrees_of_freedom=freedom, differ=differ,
        p_value=_two_tails(gap / math.sqrt(error), freedom), verdict=verdict,
    )  # fmt: skip


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that allow for how many there are, in their order: where those below a level are believed, the chance of
    a single false alarm among all is below it too (S. Holm, Scandinavian Journal of Statistics 6, 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def judged_together(found: Sequence[tuple[Hashable, Difference]], confidence: float = CONFIDENCE) -> list[Difference]:
    """Differences that are read at once, each with the question that it answers, judged by Holm's p-values.

    Answers to one question (a power, and the same as energy) count once, by the least certain of them.
    """
    worst: dict[Hashable, float] = {}
    for question, gap in found:
        if gap.differ is not None:
            p_value = gap.p_value if gap.p_value is not None else float(not gap.differ)
            worst[question] = max(worst.get(question, 0.0), p_value)
    adjusted = dict(zip(worst, holm(list(worst.values())), strict=True))
    return [_judged(gap, adjusted[question], len(worst), confidence) if gap.differ is not None else gap
            for question, gap in found]  # fmt: skip


def _judged(gap: Difference, p_adjusted: float, count: int, confidence: float) -> Difference:
    differ = p_adjusted <= 1.0 - confidence
    verdict = gap.verdict
    if gap.differ and not differ:
        verdict = f"may be chance: {count} questions were asked at once"
    return replace(gap, differ=differ, verdict=verdict, p_adjusted=p_adjusted, judged_together=count)


def t_cdf(t: float, freedom: float) -> float:
    """The probability that Student's t of that many degrees of freedom is below ``t``."""
    tail = 0.5 * _two_tails(t, freedom)
    return 1.0 - tail if t > 0 else tail


def _two_tails(t: float, freedom: float) -> float:
    return _incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)


@lru_cache(maxsize=1024)
def t_quantile(probability: float, freedom: float) -> float:
    """The t below which that share of the distribution lies. ``probability`` is above a half."""
    if not 0.5 < probability < 1.0 or not freedom > 0:
        raise ValueError("expected a probability between 0.5 and 1 and more than 0 degrees of freedom")
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < probability:
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if t_cdf(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


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
