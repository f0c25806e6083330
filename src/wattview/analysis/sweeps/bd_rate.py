"""Comparison of two encoders' RD curves: BD-rate, BD-energy, BD-quality.

Bjøntegaard's mean difference: how much more rate (or energy) one encoder needs at equal quality, as the mean difference
of logarithms over the qualities that both reach (VCEG-M33, 2001). The curve between measured points is the monotone
piecewise cubic of Fritsch and Carlson, as in JVET's current spreadsheets; a single cubic through all points would
oscillate between them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from wattview.analysis.sweeps.confidence import CONFIDENCE, t_quantile
from wattview.analysis.windows.energy import NoData
from wattview.model import Estimate
from wattview.model.quantities import counted

MIN_POINTS = 3


class PriceDifference(Struct, frozen=True):
    """The price differs by ``percent`` (negative: less) at equal quality, between two qualities.

    ``overlap`` is the share of the two curves' combined quality range that both cover: a mean over a small part says
    little about the rest.
    """

    percent: float
    quality_from: float
    quality_to: float
    overlap: float


class PriceEstimate(Struct, frozen=True):
    """The difference with its 95 % interval in percent, or None with the reason in ``verdict`` if the points do not
    allow one."""

    difference: PriceDifference
    verdict: str
    low: float | None = None
    high: float | None = None
    differ: bool | None = None


def bd_price(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> PriceDifference:
    """Mean difference of ``test`` from ``anchor``, for points ``(price, quality)``.

    The price is a rate (BD-rate), a power or an energy (BD-energy). Raises NoData if a curve has too few points, two
    points of one quality or a price that is not above 0, or if the curves have no quality in common.
    """
    first, second = _curve(anchor, "first"), _curve(test, "second")
    low, high = max(first.xs[0], second.xs[0]), min(first.xs[-1], second.xs[-1])
    if not high > low:
        raise NoData(
            f"the curves have no quality in common: the first spans {first.xs[0]:.4g} to {first.xs[-1]:.4g}, the second"
            f" {second.xs[0]:.4g} to {second.xs[-1]:.4g}"
        )
    mean = (second.integral(low, high) - first.integral(low, high)) / (high - low)
    whole = max(first.xs[-1], second.xs[-1]) - min(first.xs[0], second.xs[0])
    return PriceDifference(100.0 * math.expm1(mean), low, high, (high - low) / whole)


def bd_estimate(
    anchor: Sequence[tuple[Estimate, Estimate]],
    test: Sequence[tuple[Estimate, Estimate]],
) -> PriceEstimate:
    """``bd_price`` of points that are means of repeats, with the interval that follows from their scatter.

    First-order propagation of uncertainty (JCGM 100:2008, 5.1.2, and its annex G for the degrees of freedom): each mean
    in turn is moved by its standard error, and the squared changes of the mean logarithm add up. Price and quality of a
    point are taken as independent.
    """
    curves = [[(price.mean, quality.mean) for price, quality in points] for points in (anchor, test)]
    found = bd_price(curves[0], curves[1])
    if any(one.count < 2 for points in (anchor, test) for point in points for one in point):
        return PriceEstimate(found, "not known: every bitrate of both curves needs at least two repeats")
    variance = denominator = 0.0
    try:
        for which, points in enumerate((anchor, test)):
            for at, point in enumerate(points):
                for axis, one in enumerate(point):
                    moved = _moved(curves, which, at, axis, (one.standard_deviation or 0.0) / math.sqrt(one.count))
                    variance += moved**2
                    denominator += moved**4 / (one.count - 1)
    except NoData:
        return PriceEstimate(found, "not known: the points are closer together than the scatter of their repeats")
    middle = math.log1p(found.percent / 100.0)
    half = t_quantile(0.5 + CONFIDENCE / 2, variance**2 / denominator) * math.sqrt(variance) if denominator else 0.0
    differ = abs(middle) > half
    return PriceEstimate(
        found, "significant" if differ else "not significant: the interval contains 0",
        100.0 * math.expm1(middle - half), 100.0 * math.expm1(middle + half), differ,
    )  # fmt: skip


def _moved(curves: Sequence[Sequence[tuple[float, float]]], which: int, at: int, axis: int, error: float) -> float:
    """Half the change of the mean logarithm when one coordinate moves from one standard error below to one above."""
    if error == 0.0:
        return 0.0
    ends = []
    for sign in (1.0, -1.0):
        points = [list(curve) for curve in curves]
        price, quality = points[which][at]
        points[which][at] = (price + sign * error, quality) if axis == 0 else (price, quality + sign * error)
        if not _in_order(points[which], curves[which]):
            raise NoData("the points are out of order")
        ends.append(math.log1p(bd_price(points[0], points[1]).percent / 100.0))
    return (ends[0] - ends[1]) / 2.0


def _in_order(points: Sequence[tuple[float, float]], before: Sequence[tuple[float, float]]) -> bool:
    def order(some: Sequence[tuple[float, float]]) -> list[int]:
        return sorted(range(len(some)), key=lambda at: some[at][1])

    return order(points) == order(before)


def bd_quality(anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]]) -> float:
    """Mean gain of quality at equal price, in the quality's unit, over the prices that both curves reach."""
    curves = []
    for points, which in ((anchor, "first"), (test, "second")):
        if any(not price > 0 for price, _ in points):
            raise NoData(f"the {which} curve has a price that is not above 0")
        curves.append(_Monotone.through([(math.log(price), quality) for price, quality in points], which))
    first, second = curves
    low, high = max(first.xs[0], second.xs[0]), min(first.xs[-1], second.xs[-1])
    if not high > low:
        raise NoData("the curves have no price in common")
    return (second.integral(low, high) - first.integral(low, high)) / (high - low)


def _curve(points: Sequence[tuple[float, float]], which: str) -> _Monotone:
    if any(not price > 0 for price, _ in points):
        raise NoData(f"the {which} curve has a price that is not above 0")
    return _Monotone.through([(quality, math.log(price)) for price, quality in points], which)


class _Monotone(Struct, frozen=True):
    """A monotone piecewise cubic interpolant, which does not overshoot (Fritsch & Carlson, SIAM J. Numer. Anal. 17)."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]], which: str) -> _Monotone:
        ordered = sorted(points)
        if len(ordered) < MIN_POINTS:
            raise NoData(f"the {which} curve has {counted(len(ordered), 'point')}, at least {MIN_POINTS} are needed")
        xs, ys = tuple(x for x, _ in ordered), tuple(y for _, y in ordered)
        if any(right <= left for left, right in pairwise(xs)):
            raise NoData(f"the {which} curve has two points at the same place")
        return cls(xs, ys, _slopes(xs, ys))

    def integral(self, low: float, high: float) -> float:
        total = 0.0
        for at in range(len(self.xs) - 1):
            left, right = max(low, self.xs[at]), min(high, self.xs[at + 1])
            if right > left:
                total += self._antiderivative(at, right) - self._antiderivative(at, left)
        return total

    def value(self, x: float) -> float:
        """The curve at x, which must lie within its range."""
        at = min(max(bisect_right(self.xs, x) - 1, 0), len(self.xs) - 2)
        b, c, d = self._coefficients(at)
        t = x - self.xs[at]
        return self.ys[at] + t * (b + t * (c + t * d))

    def _coefficients(self, at: int) -> tuple[float, float, float]:
        width = self.xs[at + 1] - self.xs[at]
        secant = (self.ys[at + 1] - self.ys[at]) / width
        left, right = self.slopes[at], self.slopes[at + 1]
        return left, (3 * secant - 2 * left - right) / width, (left + right - 2 * secant) / width**2

    def _antiderivative(self, at: int, x: float) -> float:
        b, c, d = self._coefficients(at)
        t = x - self.xs[at]
        return t * (self.ys[at] + t * (b / 2 + t * (c / 3 + t * d / 4)))


def _slopes(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, ...]:
    """Slopes at the points: the weighted harmonic mean of the neighbouring secants, 0 at a turning point."""
    widths = [right - left for left, right in pairwise(xs)]
    secants = [(ys[at + 1] - ys[at]) / width for at, width in enumerate(widths)]
    if len(secants) == 1:
        return secants[0], secants[0]
    slopes = [_end_slope(widths[0], widths[1], secants[0], secants[1])]
    for at in range(1, len(secants)):
        before, after = secants[at - 1], secants[at]
        if before * after <= 0:
            slopes.append(0.0)
            continue
        first, second = 2 * widths[at] + widths[at - 1], widths[at] + 2 * widths[at - 1]
        slopes.append((first + second) / (first / before + second / after))
    slopes.append(_end_slope(widths[-1], widths[-2], secants[-1], secants[-2]))
    return tuple(slopes)


def _end_slope(width: float, next_width: float, secant: float, next_secant: float) -> float:
    """Three-point slope at an end, limited to avoid overshoot."""
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope
