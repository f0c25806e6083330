"""Two encoders' curves held against each other: BD-rate, BD-energy, BD-quality.

Bjøntegaard's mean difference: how much more rate (or energy) one encoder needs for the same quality, as a mean of the
logarithm over the qualities that both reach (VCEG-M33, 2001). Between the measured points the curve is the monotone
piecewise cubic of Fritsch and Carlson, as JVET's own sheets have it now, and not one cubic through all of them, which
bends where nothing was measured.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

from wattview.analysis.energy import NoData

MIN_POINTS = 3


class CurveDifference(Struct, frozen=True):
    """``percent`` more (or, negative, less) of the price for the same quality, between two qualities.

    ``overlap`` is the share of the two curves' whole range of quality that both cover: a mean over a small part of it
    says little about the rest.
    """

    percent: float
    quality_from: float
    quality_to: float
    overlap: float


def bd_price(
    anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]], min_points: int = MIN_POINTS
) -> CurveDifference:
    """The mean difference of ``test`` from ``anchor`` for points ``(price, quality)``.

    The price is a rate (BD-rate) or a power or an energy (BD-energy). Raises NoData where a curve has too few points,
    two points of one quality, a price that is not above 0, or where the curves have no quality in common.
    """
    first, second = _curve(anchor, "first", min_points), _curve(test, "second", min_points)
    low, high = max(first.xs[0], second.xs[0]), min(first.xs[-1], second.xs[-1])
    if not high > low:
        raise NoData("the curves have no quality in common")
    mean = (second.integral(low, high) - first.integral(low, high)) / (high - low)
    whole = max(first.xs[-1], second.xs[-1]) - min(first.xs[0], second.xs[0])
    return CurveDifference(100.0 * math.expm1(mean), low, high, (high - low) / whole)


def bd_quality(
    anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]], min_points: int = MIN_POINTS
) -> float:
    """The mean gain of quality for the same price, in the quality's unit, over the prices that both reach."""
    curves = []
    for points, which in ((anchor, "first"), (test, "second")):
        if any(not price > 0 for price, _ in points):
            raise NoData(f"the {which} curve has a price that is not above 0")
        curves.append(_Monotone.through([(math.log(price), quality) for price, quality in points], which, min_points))
    first, second = curves
    low, high = max(first.xs[0], second.xs[0]), min(first.xs[-1], second.xs[-1])
    if not high > low:
        raise NoData("the curves have no price in common")
    return (second.integral(low, high) - first.integral(low, high)) / (high - low)


def _curve(points: Sequence[tuple[float, float]], which: str, min_points: int) -> _Monotone:
    if any(not price > 0 for price, _ in points):
        raise NoData(f"the {which} curve has a price that is not above 0")
    return _Monotone.through([(quality, math.log(price)) for price, quality in points], which, min_points)


class _Monotone(Struct, frozen=True):
    """A piecewise cubic through points that overshoots none of them (Fritsch & Carlson, SIAM J. Numer. Anal. 17)."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    slopes: tuple[float, ...]

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]], which: str, min_points: int) -> _Monotone:
        ordered = sorted(points)
        if len(ordered) < min_points:
            raise NoData(f"the {which} curve has {len(ordered)} points, at least {min_points} are needed")
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
        """The curve at x, which lies within it."""
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
    """Three-point slope at an end, kept from overshooting."""
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant <= 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope
