"""The terms of the wall's model: what of the machine's own counters moves the power at the wall, and why.

``watts = base + a·seen + b·gpu + c·cpu + d·seen² + e·warm``. ``seen`` is what the machine measures of itself: RAPL's
packages and memory, and the GPUs. What it does not see (board, disks, idle cards) is the base; the supply's losses grow
with the power and with its square; CPU use stands for what works beside the processor (memory without a counter,
network); and ``warm``, the smoothed power, for fans, which follow the temperature and not the power. A machine that
measures nothing has CPU use in place of ``seen``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wattview.model.power.calibration import WallCalibration, WallInputs

TERMS = ("base", "seen", "gpu", "cpu", "square", "warm")

INPUTS = ("seen", "gpu", "cpu", "square")

SQUARE_WATTS = 100.0
"""``seen²`` is divided by this, so that all terms are of one size."""

WARM_SECONDS = (20.0, 60.0, 180.0)
"""The time constants that are tried: a laptop's fan to a server's heat sinks."""


class Warmth:
    """Power smoothed over time by an exponential mean. It begins as if the first value had been so for long."""

    __slots__ = ("_seconds", "_value")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._value: float | None = None

    def after(self, seconds: float, value: float) -> float:
        """The smoothed value after so many seconds at ``value``."""
        if self._value is None:
            self._value = value
        self._value += (1.0 - math.exp(-seconds / self._seconds)) * (value - self._value)
        return self._value


def input_row(inputs: WallInputs, measured: bool) -> list[float]:
    """The ``INPUTS`` of one interval."""
    seen = inputs.host_watts + inputs.gpu_watts if measured else inputs.cpu_percent
    return [seen, inputs.gpu_watts, inputs.cpu_percent, seen * seen / SQUARE_WATTS]


def term_row(terms: Sequence[str], inputs: Sequence[float], warmth: float) -> list[float]:
    """The values of the terms, in their order."""
    known = dict(zip(INPUTS, inputs, strict=True)) | {"base": 1.0, "warm": warmth}
    return [known[term] for term in terms]


def formula(calibration: WallCalibration) -> str:
    """The model for people: ``31.20 W + 1.090 × measured power + 0.0004 × measured power²``."""
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
    """``measured power 18.2 to 143.1 W, GPU power 0.0 to 0.0 W``: of what it may be asked."""
    return ", ".join(
        f"{INPUT_WORDS[name][0]} {span.low:.1f} to {span.high:.1f} {INPUT_WORDS[name][1]}"
        for name, span in calibration.spans.items()
        if name in bounded(calibration) and span.high > 0.0
    )


def bounded(calibration: WallCalibration) -> tuple[str, ...]:
    """The inputs that must lie in the range that was seen."""
    if not calibration.power_source:
        return ("gpu", "cpu")
    return ("seen", "gpu", "cpu") if "cpu" in calibration.terms else ("seen", "gpu")


INPUT_WORDS = {"seen": ("measured power", "W"), "gpu": ("GPU power", "W"), "cpu": ("CPU use", "%")}
