"""The past of one container, stream or GPU over a range: what the history has of it, and what was seen since."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from wattview.client import Client, ClientError
from wattview.model.snapshot import TrendKind, TrendQuantity
from wattview.tui.time_travel.power_range import RANGES, step_of
from wattview.tui.time_travel.trend_buffers import PART_POINTS, Point

AHEAD_SECONDS = 600.0
"""How far beyond a moment of the past is asked for as well, so that stepping on does not ask anew each time."""

LONGEST_FIT_SECONDS = 3600.0


class PartHistory:
    """``wants`` says whether to query the history again, ``load`` queries it, ``points`` has the known values."""

    def __init__(self, kind: TrendKind, quantities: Sequence[TrendQuantity]) -> None:
        self._kind = kind
        self._quantities = quantities
        self._points: dict[TrendQuantity, list[Point]] = {}
        self._span: tuple[float, float] | None = None
        self._asked = 0.0

    def forget(self) -> None:
        """It is to be of another subject, or another range."""
        self._points = {}
        self._span = None

    def wants(self, start: float, end: float, past: bool) -> bool:
        """Live: before the trend buffer has lost its oldest points. In the past: once the window is outside the
        loaded range."""
        if self._span is None:
            return True
        if not past:
            return time.monotonic() - self._asked > PART_POINTS / 2
        return not (self._span[0] <= start and end <= self._span[1])

    async def load(self, client: Client, start: float, end: float, *name: str) -> None:
        """What the history does not have, or does not answer, is not there."""
        self._span, self._asked = (start, end + AHEAD_SECONDS), time.monotonic()
        step = step_of(end - start)
        for quantity in self._quantities:
            try:
                found = await client.trends(self._kind, quantity, *self._span, *name, step=step)
            except ClientError:
                continue
            self._points[quantity] = found[0].points if found else []

    def oldest(self) -> list[float]:
        """The time of the first known value of each quantity."""
        return [points[0][0] for points in self._points.values() if points]

    def points(self, quantity: TrendQuantity, trend: Iterable[Point], moment: float) -> list[Point]:
        later = list(trend)
        first = later[0][0] if later else float("inf")
        known = self._points.get(quantity, ())
        return [*(point for point in known if point[0] < first and point[0] <= moment), *later]


def fitting_range(seconds: float | None) -> int:
    """The index of the shortest range that shows so much, an hour at most; an hour where that is not known."""
    wanted = LONGEST_FIT_SECONDS if seconds is None else min(seconds, LONGEST_FIT_SECONDS)
    return next(index for index, (_, length) in enumerate(RANGES) if length >= wanted)
