"""Bounds of a gate as text: ``energy=+1%``, ``vmaf=-0.5``."""

from __future__ import annotations

import math
import re
from typing import Literal

from wattview.model import Bound
from wattview.model.quantities import OF_RESULTS, QUANTITIES

WORDS = {
    "energy": "energy_joules", "power": "power_mean_watts", "vmaf": "vmaf_score", "psnr": "psnr_score",
    "xpsnr": "xpsnr_score", "ssim": "ssim_score", "qoe": "qoe_score", "cost": "cost_total", "carbon": "carbon_grams",
    "cpu": "cpu_mean_percent",
}  # fmt: skip
"""Short names of the most common figures."""

BOUNDED = tuple(quantity.name for quantity in OF_RESULTS if quantity.name != "duration_seconds")
"""The length of a window is not an outcome."""

_BOUND = re.compile(r"\s*(\w+)\s*=\s*([-+\u2212]?)\s*(\d+(?:\.\d*)?|\.\d+)\s*(%?)\s*", re.ASCII)


class BoundError(ValueError):
    """An invalid bound. ``str()`` is the reason and how to fix it."""


def parse_bound(text: str, side: Literal["max", "min"]) -> Bound:
    """``NAME=+VALUE`` in the unit in which the figure is shown, or ``NAME=+VALUE%`` of the baseline's mean.

    Raises BoundError. A number without a sign is refused: it would look like a limit of the figure itself.
    """
    found = _BOUND.fullmatch(text)
    if found is None:
        raise BoundError(f"{text!r} is not a bound; write NAME=+1% or NAME=-0.5")
    word, sign, digits, percent = found.groups()
    figure = WORDS.get(word, word)
    if figure not in BOUNDED:
        raise BoundError(f"no figure is called {word!r}; known are {', '.join(WORDS)}; and {', '.join(BOUNDED)}")
    number = float(digits)
    if not math.isfinite(number):
        raise BoundError(f"{text!r}: the number is too large")
    if number and not sign:
        raise BoundError(f"{text!r}: a bound is a difference from the baseline; write {word}=+{digits}{percent}")
    number = number if sign in ("", "+") or not number else -number
    if percent and number <= -100.0:
        raise BoundError(f"{text!r}: nothing can be 100 % below the baseline")
    value = number / 100.0 if percent else number / QUANTITIES[figure].scale
    bound = Bound(figure=figure, side=side, value=value, relative=bool(percent), text="")
    relation = "≤" if side == "max" else "≥"
    wanted = f"{QUANTITIES[figure].words} {relation} {bound_text(bound, value, signed=True)}"
    return Bound(figure=figure, side=side, value=value, relative=bool(percent), text=wanted)


def bound_text(bound: Bound, value: float, currency: str | None = None, signed: bool = False) -> str:
    """A value in the form of its bound: ``+1 %`` of the baseline, or ``-0.5 W``."""
    quantity = QUANTITIES[bound.figure]
    shown = 100.0 * value if bound.relative else quantity.scaled(value)
    unit = "%" if bound.relative else quantity.unit_in(currency).replace("%", "percentage points")
    return f"{shown:{'+' if signed else ''}.3g} {unit}".rstrip()
