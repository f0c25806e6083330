"""The terms of the wall model: which of the machine's own measurements determine the power at the wall, and why.

``watts = base + a·seen + b·gpu + c·cpu + d·seen² + e·warm``. ``seen`` is what the machine measures itself: RAPL's
packages and memory, and the GPUs. The base is what it does not see (board, disks, idle cards); the supply's losses grow
with the power and its square; CPU use represents what works beside the processor (memory without a counter, network);
``warm``, the smoothed power, represents fans, which follow temperature rather than power. A machine that measures
nothing uses CPU use in place of ``seen``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wattview.model.power.calibration import WallCalibration, WallInputs

TERMS = ("base", "seen", "gpu", "cpu", "square", "warm")

INPUTS = ("seen", "gpu", "cpu", "square")

SQUARE_WATTS = 100.0
"""Divisor of ``seen²``, so that all terms have similar magnitudes."""

WARM_SECONDS = (20.0, 60.0, 180.0)
"""The candidate time constants: from a laptop's fan to a server's heat sinks."""


class Warmth:
    """Exponentially smoothed power. It starts as if the first value had lasted forever."""

    __slots__ = ("_seconds", "_value")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._value: float | None = None

    def after(self, seconds: float, value: float) -> float:
        """The smoothed value after ``seconds`` at ``value``."""
        if self._value is None:
            self._value = value
        self._value += (1.0 - math.exp(-seconds / self._seconds)) * (value - self._value)
        return self._value


def input_row(inputs: WallInputs, measured: bool) -> list[float]:
    """The ``INPUTS`` of one interval."""
    seen = inputs.host_watts + inputs.gpu_watts if measured else inputs.cpu_percent
    return [seen, inputs.gpu_watts, inputs.cpu_percent, seen * seen / SQUARE_WATTS]


def term_row(terms: Sequence[str], inputs: Sequence[float], warmth: float) -> list[float]:
    """The values of the terms, in order."""
    known = dict(zip(INPUTS, inputs, strict=True)) | {"base": 1.0, "warm": warmth}
    return [known[term] for term in terms]


def formula(calibration: WallCalibration) -> str:
    """The model as text: ``31.20 W + 1.090 × measured power + 0.0004 × measured power²``."""
    seen = "measured power" if calibration.power_source else "CPU use"
    words = {
        "seen": seen, "gpu": "GPU power", "cpu": "CPU use", "square": f"{seen}²",
        "warm": f"mean {seen} of {calibration.warm_seconds:g} s",
    }  # fmt: skip
    parts = []
    for term, coefficient in zip(calibration.terms, calibration.coefficients, strict=True):
        if term == "base":
            parts.append(f"{coefficient:.2f} W")
        elif term == "square":
            parts.append(f"{coefficient / SQUARE_WATTS:.6f} × {words[term]}")
        else:
            parts.append(f"{coefficient:.3f} × {words[term]}")
    return " + ".join(parts).replace("+ -", "− ")


def range_text(calibration: WallCalibration) -> str:
    """``measured power 18.2 to 143.1 W, GPU power 0.0 to 0.0 W``: the calibrated range."""
    return ", ".join(
        f"{INPUT_WORDS[name][0]} {span.low:.1f} to {span.high:.1f} {INPUT_WORDS[name][1]}"
        for name, span in calibration.spans.items()
        if name in bounded(calibration) and span.high > 0.0
    )


def bounded(calibration: WallCalibration) -> tuple[str, ...]:
    """The inputs that must be inside the calibrated range."""
    if not calibration.power_source:
        return ("gpu", "cpu")
    return ("seen", "gpu", "cpu") if "cpu" in calibration.terms else ("seen", "gpu")


INPUT_WORDS = {"seen": ("measured power", "W"), "gpu": ("GPU power", "W"), "cpu": ("CPU use", "%")}
