"""Grid values at a moment and over a window. Arithmetic on series.

A moment that no span covers gets the last known value, marked as such: if a source is unavailable for an hour, that
hour's carbon is still known. Before the first span the value is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from wattview.analysis.pricing.cost import JOULES_PER_KWH
from wattview.model import GridSeries


class GridValue(NamedTuple):
    """``current`` is False for a value carried over from before."""

    value: float
    current: bool


class GridPart(NamedTuple):
    """A part of a window with one value; None: unknown."""

    start: float
    end: float
    value: GridValue | None


def value_at(series: GridSeries | None, time: float) -> GridValue | None:
    """The value then; None if unknown."""
    if series is None:
        return None
    place = bisect_right(series.spans, time, key=lambda span: span.start)
    if not place:
        return None
    span = series.spans[place - 1]
    return GridValue(span.value, time < span.end)


def parts(series: GridSeries, start: float, end: float) -> list[GridPart]:
    """The window in parts of one value each."""
    edges = {edge for span in series.spans for edge in (span.start, span.end) if start < edge < end}
    cuts = pairwise([start, *sorted(edges), end])
    return [GridPart(left, right, value_at(series, (left + right) / 2)) for left, right in cuts]


def integral(
    series: GridSeries, joules_between: Callable[[float, float], float], start: float, end: float
) -> tuple[float, bool] | None:
    """Sum over the window of each part's kilowatt-hours times its value, and whether all values are current. None if a
    part is unknown. What ``joules_between`` raises is passed on."""
    found = parts(series, start, end)
    total = 0.0
    for part in found:
        if part.value is None:
            return None
        total += joules_between(part.start, part.end) / JOULES_PER_KWH * part.value.value
    return total, all(part.value is not None and part.value.current for part in found)
