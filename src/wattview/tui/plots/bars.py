"""A bar with its interval, in one line of characters: ``█████▒▒┼──┤``, readable without colour."""

from __future__ import annotations

import math

from wattview.tui.results.values import Value
from wattview.tui.text import bar

UNSURE, MEAN, LINE, END = "▒", "┼", "─", "┤"


class Scale:
    """Maps values to cells: ``low`` (0, or less) to ``high`` over ``width`` cells."""

    def __init__(self, low: float, high: float, width: int) -> None:
        self.low, self.high, self.width = low, max(high, math.nextafter(low, math.inf)), width

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return max(0.0, min(1.0, share)) * self.width


def interval_bar(value: Value, low: float, high: float, width: int) -> str:
    """From 0 to the value; the part of the bar inside the interval is grey, the interval beyond it is a line. Exactly
    ``width`` cells; blank if unknown.

    An interval narrower than three cells is not drawn: the ± beside the bar states it.
    """
    if value.value is None or not math.isfinite(value.value) or width <= 0:
        return " " * max(0, width)
    scale = Scale(low, high, width)
    zero, end = scale.at(0.0), scale.at(value.value)
    if low >= 0:
        text = bar(end / width, width).replace("░", " ")
    else:
        first, last = sorted((round(zero), round(end)))
        text = (" " * first + "█" * max(1, last - first)).ljust(width)[:width]
    half = value.half if value.half is not None and math.isfinite(value.half) else 0.0
    left, right = (min(width - 1, int(scale.at(value.value + side * half))) for side in (-1, 1))
    if right - left < 2:
        return text
    middle = max(left + 1, min(right - 1, int(end)))
    # Towards 0 lies the bar, on the other side only the interval.
    sides = (UNSURE, LINE) if value.value >= 0 else (LINE, UNSURE)
    before = (sides[0] if value.value >= 0 else "├") + sides[0] * (middle - left - 1)
    after = sides[1] * (right - middle - 1) + (END if value.value >= 0 else sides[1])
    return text[:left] + before + MEAN + after + text[right + 1 :]


def extent(values: list[Value]) -> tuple[float, float]:
    """The range of all values with their intervals, and 0."""
    known = [(one.value, one.half or 0.0) for one in values if one.value is not None and math.isfinite(one.value)]
    if not known:
        return 0.0, 1.0
    low = min(value - half for value, half in known) if any(value < 0 for value, _ in known) else 0.0
    return min(0.0, low), max(0.0, *(value + half for value, half in known))
