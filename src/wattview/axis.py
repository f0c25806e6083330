"""Ticks of an axis: round numbers, and times of day, with their labels."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

Tick = tuple[float, str]
"""A position on the axis, and its label."""

TIME_STEPS = (
    *(1, 2, 5, 10, 15, 30), *(60 * step for step in (1, 2, 5, 10, 15, 30)), *(3600 * step for step in (1, 2, 3, 6, 12)),
    *(86400 * step for step in (1, 2, 5, 10, 20, 50, 100)),
)  # fmt: skip


UNITS = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"), (0.0, 1.0, ""))
"""Minimum of the largest value, factor and suffix of each unit."""


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that span the range, at least two: steps of 1, 2 or 5 times a power of ten. ``wanted`` is the
    approximate number of steps."""
    if not high - low > 1e-6 * max(abs(low), abs(high), 1e-6):
        largest = max(abs(low), abs(high))
        room = 0.05 * largest if largest > 1e-9 else 1.0
        low, high = low - room if low else 0.0, high + room
    raw = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = 12 + max(0, -math.floor(math.log10(step)))
    return [round(at * step, digits) for at in range(first, max(last, first + 1) + 1)]


def labelled(values: Sequence[float]) -> list[Tick]:
    """Ticks with labels of equal decimals: ``0.0``, ``0.5``, ``1.0``; thousands as ``20k``; other magnitudes as
    ``1e-09``."""
    step = values[1] - values[0] if len(values) > 1 else 1.0
    largest = max(abs(value) for value in values)
    factor, sign = next((factor, sign) for least, factor, sign in UNITS if largest >= least)
    decimals = max(0, -math.floor(math.log10(step / factor) + 1e-9))
    if decimals > 6 or largest / factor >= 1e6:
        return [(value, f"{value:.3g}") for value in values]
    return [(value, f"{value / factor:.{decimals}f}{sign if value else ''}") for value in values]


def time_ticks(start: float, end: float, wanted: int) -> list[Tick]:
    """Times of day inside of [start, end] (Unix seconds), on whole steps of the local clock, at most ``wanted``."""
    span = max(1.0, end - start)
    step = next((step for step in TIME_STEPS if span / step <= max(1, wanted)), TIME_STEPS[-1])
    offset = time.localtime(start).tm_gmtoff
    first = math.ceil((start + offset) / step) * step - offset
    form = "%H:%M:%S" if step < 60 else "%a %d" if step >= 86400 else "%a %H:%M" if span > 36 * 3600 else "%H:%M"
    places = (first + at * step for at in range(int((end - first) / step) + 1))
    return [(place, time.strftime(form, time.localtime(place))) for place in places if place <= end]
