"""Bars with their intervals over one axis, each in a line of characters: ``▄▄▄▄▒▒┼──┤``, readable without colour.

A bar fills the lower half of its line, so that a gap is left between two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wattview.axis import Tick, labelled, ticks
from wattview.tui.plots.plot import Lines
from wattview.tui.results.values import Value
from wattview.tui.text import fit

BAR, HALF, UNSURE, MEAN, LINE, END, GRID = "▄", "▖", "▒", "┼", "─", "┤", "┊"
LEAST_BAR = 12


class BarRow(NamedTuple):
    """A bar with its label, and its value in words."""

    label: str
    words: str
    value: Value
    tone: str


class BarAxis(NamedTuple):
    """From values to cells: ``low`` (0, or below it) to ``high`` over ``width`` cells."""

    low: float
    high: float
    width: int

    def at(self, value: float) -> float:
        share = (value - self.low) / max(self.high - self.low, math.ulp(self.low))
        return max(0.0, min(1.0, share)) * self.width

    @property
    def marks(self) -> list[Tick]:
        wanted = max(1, self.width // 12)
        inside = [tick for tick in ticks(self.low, self.high, wanted) if self.low <= tick <= self.high]
        return labelled(inside) if inside else []

    def head(self, unit: str = "") -> str:
        """The axis' numbers, and its unit where there is room for it."""
        row = [" "] * self.width
        for value, text in self.marks:
            text = f"{text} {unit}" if not value else text
            left = max(0, min(self.width - len(text), int(self.at(value))))
            if all(cell == " " for cell in row[max(0, left - 1) : left + len(text) + 1]):
                row[left : left + len(text)] = text
        return "".join(row)[: self.width]


def interval_bar(value: Value, axis: BarAxis) -> str:
    """From 0 to the value; the part within its interval is grey below the value and a line above it. Exactly as wide as
    the axis, with its ticks where nothing is drawn; these alone where the value is unknown.

    An interval that is narrower than three cells is not drawn: the ± beside the bar says it."""
    width = axis.width
    if width <= 0:
        return ""
    row = [" "] * width
    for mark, _ in axis.marks:
        row[min(width - 1, int(axis.at(mark)))] = GRID
    if value.value is None or not math.isfinite(value.value):
        return "".join(row)
    first, last = sorted((axis.at(0.0), axis.at(value.value)))
    left, halves = round(first), round(2 * (last - round(first)))
    drawn = BAR * (halves // 2) + HALF * (halves % 2) or HALF
    left = min(left, width - len(drawn))
    row[left : left + len(drawn)] = drawn
    half = value.half if value.half is not None and math.isfinite(value.half) else 0.0
    left, right = (min(width - 1, int(axis.at(value.value + side * half))) for side in (-1, 1))
    if right - left >= 2:
        middle = max(left + 1, min(right - 1, int(axis.at(value.value))))
        # The bar is on the side of 0; on the other side there is only the interval.
        sides = (UNSURE, LINE) if value.value >= 0 else (LINE, UNSURE)
        before = (sides[0] if value.value >= 0 else "├") + sides[0] * (middle - left - 1)
        after = sides[1] * (right - middle - 1) + (END if value.value >= 0 else sides[1])
        row[left : right + 1] = before + MEAN + after
    return "".join(row)


def draw_bars(rows: Sequence[BarRow], unit: str, width: int) -> Lines:
    """The bars below their axis, the labels before them and the values behind them."""
    low, high = extent([row.value for row in rows])
    words = max(len(row.words) for row in rows)
    names = min(max(len(row.label) for row in rows), max(8, width - words - LEAST_BAR - 4, width // 3))
    axis = BarAxis(low, high, max(LEAST_BAR, width - names - words - 4))
    lines: Lines = [[(" " * (names + 2), ""), (axis.head(unit), "scale")]]
    for row in rows:
        lines.append([(f"{fit(row.label, names):<{names}}  ", ""), (interval_bar(row.value, axis), row.tone),
                      (f"  {row.words:>{words}}", "")])  # fmt: skip
    return lines


def extent(values: Sequence[Value]) -> tuple[float, float]:
    """The range that shows all of the values with their intervals, and 0."""
    known = [(one.value, one.half or 0.0) for one in values if one.value is not None and math.isfinite(one.value)]
    if not known:
        return 0.0, 1.0
    low = min(value - half for value, half in known) if any(value < 0 for value, _ in known) else 0.0
    return min(0.0, low), max(0.0, *(value + half for value, half in known))
