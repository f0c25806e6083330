"""The interface of a history: past values of the key series. No I/O.

A series is identified by its Prometheus text, ``wattview_host_energy_joules_total{source="rapl"}``; a selector is a
metric's name with any of its labels, and matches every series with these labels. ``sqlite`` and ``prometheus`` support
the same selectors.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from wattview.decoding import Explained
from wattview.model import HistorySeries

LOOKBACK_SECONDS = 60.0
"""How far outside of a window a neighbouring sample is still used for the window's ends."""

MAX_STEPS = 20_000
"""Maximum number of steps of a graph."""

MAX_POINTS = 2_000_000
"""Maximum number of samples per request: some 300 MB."""


class HistoryError(Explained):
    """A failed history operation."""


def too_many(what: str) -> HistoryError:
    """An answer would have more than ``MAX_POINTS``."""
    return HistoryError(f"{what} has more than {MAX_POINTS:,} samples", "request a shorter time")


class WindowHistory(Protocol):
    """The part of a history that is needed to analyse past windows."""

    name: str

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        """Every recorded sample from ``start`` to ``end`` (Unix seconds), and the neighbours on either side if they are
        near, so that a counter can be read at the very ends. Series without samples are left out."""
        ...


class History(WindowHistory, Protocol):
    """Queries for past values. Every call raises HistoryError, and ValueError for an invalid selector."""

    problem: HistoryError | None
    """Why the last row could not be written; None if it was, or if others write."""

    async def thinned(
        self, selector: str, start: float, end: float, step: float, own_times: bool = False
    ) -> list[HistorySeries]:
        """One point every ``step`` seconds, for a graph: the last sample at or before each, if it is near. With
        ``own_times`` each sample once, at the time it was taken: for rates, which a sample that is repeated until the
        next one would make 0 there and too large after it."""
        ...

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        """Every recorded sample from ``start`` to ``end`` of every series of these metrics, in one query. For spans of
        minutes: the values at one moment, and their rates."""
        ...

    async def reach(self) -> tuple[float, float] | None:
        """Times (Unix seconds) of the first and last sample; None if there is none."""
        ...

    async def close(self) -> None: ...


def matches(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a series has the labels of a selector. As in PromQL, "" matches a missing label."""
    return all(labels.get(name, "") == value for name, value in wanted.items())


def trimmed(points: list[tuple[float, float]], start: float, end: float) -> list[tuple[float, float]]:
    """Points in order of time, cut to the window and one neighbour on either side."""
    first = bisect_left(points, start, key=_time)
    last = bisect_right(points, end, key=_time)
    return points[max(first - 1, 0) : last + 1]


def _time(point: tuple[float, float]) -> float:
    return point[0]


def thin(points: list[tuple[float, float]], times: Iterable[float], lookback: float) -> list[tuple[float, float]]:
    """The value of the last point at or before each time, if it is no older than the lookback."""
    found = []
    for time in times:
        at = bisect_right(points, time, key=_time) - 1
        if at >= 0 and time - points[at][0] < lookback:
            found.append((time, points[at][1]))
    return found


def once(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points in order of time, one at each."""
    return list(dict(points).items())


def steps(start: float, end: float, step: float) -> list[float]:
    """Times of a graph's points. Raises ValueError if there are too many, or none."""
    if not (math.isfinite(start) and math.isfinite(end)) or end < start:
        raise ValueError("expected start and end as Unix seconds, start first")
    if not step > 0:
        raise ValueError("expected a step of more than 0 seconds")
    # Unix seconds have a resolution of a fraction of a microsecond.
    span = (end - start + 1e-6) / step
    if not span < MAX_STEPS + 1:
        raise ValueError(f"expected at most {MAX_STEPS} steps, got {span:.0f}: take a larger step")
    return [start + at * step for at in range(int(span) + 1)]
