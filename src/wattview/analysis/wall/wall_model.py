"""The estimate of a calibration for one moment, its error, and its range."""

from __future__ import annotations

import math
from typing import NamedTuple

from wattview.analysis.wall.least_squares import dot, quadratic
from wattview.analysis.wall.terms import INPUT_WORDS, INPUTS, Warmth, bounded, input_row, term_row
from wattview.model.power.calibration import WallCalibration, WallInputs

SLACK = 0.1
"""An input may exceed the calibrated range by this share of it: the windows were means, a moment is not."""

IMPORTED_FACTOR = 2.0
IMPORTED_SHARE = 0.05
"""For a calibration from another machine of the same model. Such machines differ in what the counters do not see:
supply losses, fans, boards, memory of other makers. As the difference is unknown, the interval is doubled, and at least
this share of the power."""


class WallEstimate(NamedTuple):
    """``watts`` at the wall, and half of the 95 % prediction interval: None outside of the calibrated range, where
    ``outside`` names the input."""

    watts: float
    error_watts: float | None
    outside: str


class WallModel:
    """Applies a calibration over time: it keeps the warmth."""

    def __init__(self, calibration: WallCalibration) -> None:
        self.calibration = calibration
        self._warmth = Warmth(calibration.warm_seconds) if calibration.warm_seconds else None

    def after(self, inputs: WallInputs) -> WallEstimate:
        """The estimate for that interval, which follows the previous one."""
        row = input_row(inputs, bool(self.calibration.power_source))
        warmth = self._warmth.after(inputs.seconds, row[0]) if self._warmth is not None else 0.0
        return estimate(self.calibration, row, warmth)


def estimate(calibration: WallCalibration, inputs: list[float], warmth: float) -> WallEstimate:
    """The estimate from one row of ``INPUTS`` and the warmth."""
    row = term_row(calibration.terms, inputs, warmth)
    watts = dot(calibration.coefficients, row)
    outside = _outside(calibration, inputs)
    if outside:
        return WallEstimate(watts, None, outside)
    spread = calibration.residual_watts**2 + max(0.0, quadratic(row, calibration.covariance))
    error = calibration.quantile * math.sqrt(spread)
    if calibration.imported:
        error = max(IMPORTED_FACTOR * error, IMPORTED_SHARE * watts)
    return WallEstimate(watts, error, "")


def _outside(calibration: WallCalibration, inputs: list[float]) -> str:
    for name in bounded(calibration):
        value, span = inputs[INPUTS.index(name)], calibration.spans.get(name)
        if span is None:
            continue
        slack = SLACK * max(span.high - span.low, 1.0)
        if not span.low - slack <= value <= span.high + slack:
            words, unit = INPUT_WORDS[name]
            return (
                f"outside the calibrated range: {words} {value:.1f} {unit},"
                f" calibrated from {span.low:.1f} to {span.high:.1f} {unit}"
            )
    return ""
