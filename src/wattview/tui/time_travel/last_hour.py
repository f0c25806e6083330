"""One trend over the hour before the displayed moment, from the history and from snapshots since."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.client import Client, ClientError
from wattview.model.snapshot import TrendKind, TrendQuantity
from wattview.tui.time_travel.trend_buffers import Point

HOUR_SECONDS = 3600.0

AHEAD_SECONDS = 600.0
"""How far beyond a past moment data is loaded, so that single steps need no new query."""


class LastHour:
    """``wants`` says whether to query the history for a moment, ``load`` does, ``points`` returns what is known."""

    def __init__(self) -> None:
        self._points: list[Point] = []
        self._span: tuple[float, float] | None = None

    def wants(self, moment: float, past: bool) -> bool:
        """Once for the live view, whose trend continues by itself; in the past when the moment has left the loaded
        range."""
        if self._span is None:
            return True
        return past and not self._span[0] + HOUR_SECONDS <= moment <= self._span[1]

    async def load(self, client: Client, moment: float, kind: TrendKind, quantity: TrendQuantity, *name: str) -> None:
        """Loads the history; what it lacks is left out."""
        self._span = span = (moment - HOUR_SECONDS, moment + AHEAD_SECONDS)
        try:
            found = await client.trends(kind, quantity, *span, *name)
        except ClientError:
            return
        self._points = found[0].points if found else []

    def points(self, trend: Iterable[Point], moment: float) -> list[Point]:
        later = list(trend)
        first = later[0][0] if later else float("inf")
        return [*(point for point in self._points if point[0] < first and point[0] <= moment), *later]
