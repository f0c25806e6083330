"""Past values of the key series: what a history answers, whichever it is. Pure but for the protocol.

A series is named by its Prometheus text, ``wattview_host_energy_joules_total{source="rapl"}``; a selector is a metric's
name with any of its labels, and matches every series that has these. The same selectors are answered by
``sqlite`` and by ``prometheus``.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from wattview.model import HistorySeries

LOOKBACK_SECONDS = 60.0
"""How far outside a window a neighbouring sample still says something about the window's ends."""

MAX_STEPS = 20_000
"""The most steps of a graph."""


class HistoryError(Exception):
    """A history that could not do what was asked. ``reason`` is for people; ``fix`` is the way out, or ""."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(f"{reason}; {fix}" if fix else reason)
        self.reason = reason
        self.fix = fix


class WindowHistory(Protocol):
    """The part of a history that windows of the past are analysed from."""

    name: str

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        """Every recorded sample from ``start`` to ``end`` (Unix seconds), and one neighbour on either side where one
        is near, so that a counter can be read at the very ends. A series without a sample is not in the answer."""
        ...


class History(WindowHistory, Protocol):
    """Answers for past values. Every call raises HistoryError, and ValueError for what is no selector."""

    problem: HistoryError | None
    """Why the last row could not be written, None where it was, or where others write."""

    async def thinned(self, selector: str, start: float, end: float, step: float) -> list[HistorySeries]:
        """One point every ``step`` seconds, for a graph: the last sample at or before each, where one is near."""
        ...

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        """Every recorded sample from ``start`` to ``end`` of every series of these metrics, in one question. No more
        than some minutes are meant: what stood at one moment, and how it moved there."""
        ...

    async def reach(self) -> tuple[float, float] | None:
        """From when to when there are samples (Unix seconds); None where there is none."""
        ...

    async def close(self) -> None: ...


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a series has the labels of a selector. As in PromQL, "" stands for a label that is not there."""
    return all(labels.get(name, "") == value for name, value in wanted.items())


def trimmed(points: list[tuple[float, float]], start: float, end: float) -> list[tuple[float, float]]:
    """Points in order of time, cut to the window and one neighbour on either side."""
    first = bisect_left(points, start, key=_time)
    last = bisect_right(points, end, key=_time)
    return points[max(first - 1, 0) : last + 1]


def _time(point: tuple[float, float]) -> float:
    return point[0]


def thin(points: list[tuple[float, float]], times: Iterable[float], lookback: float) -> list[tuple[float, float]]:
    """For each time the value of the last point at or before it, where one is no older than the lookback."""
    found = []
    for time in times:
        at = bisect_right(points, time, key=_time) - 1
        if at >= 0 and time - points[at][0] < lookback:
            found.append((time, points[at][1]))
    return found


def steps(start: float, end: float, step: float) -> list[float]:
    """The times of a graph's points. Raises ValueError where there would be too many, or none."""
    if not (math.isfinite(start) and math.isfinite(end)) or end < start:
        raise ValueError("expected start and end as Unix seconds, start first")
    if not step > 0:
        raise ValueError("expected a step of more than 0 seconds")
    # Unix seconds are known to a fraction of a microsecond.
    span = (end - start + 1e-6) / step
    if not span < MAX_STEPS + 1:
        raise ValueError(f"expected at most {MAX_STEPS} steps, got {span:.0f}: take a larger step")
    return [start + at * step for at in range(int(span) + 1)]
