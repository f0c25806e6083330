"""Rates from counters, equal for all readers within the same second."""

from __future__ import annotations

from collections import deque

MIN_SPAN_SECONDS = 1.0
MAX_SPAN_SECONDS = 60.0


class Rate:
    """Converts readings of one counter to its change per second over the last ``MIN_SPAN_SECONDS`` or more.

    The span starts at the newest earlier reading that is at least a second old, so that readers close together see the
    same figure and none sees the noise of a tiny interval. None until there is such a reading; readings older than a
    minute are not used. A counter that fell was reset: earlier readings are dropped.
    """

    __slots__ = ("_past",)

    def __init__(self) -> None:
        self._past: deque[tuple[float, float]] = deque()

    def update(self, monotonic: float, value: float) -> float | None:
        past = self._past
        if past and value < past[-1][1]:
            past.clear()
        while past and monotonic - past[0][0] > MAX_SPAN_SECONDS:
            past.popleft()
        while len(past) > 1 and monotonic - past[1][0] >= MIN_SPAN_SECONDS:
            past.popleft()
        rate = None
        if past and monotonic - past[0][0] >= MIN_SPAN_SECONDS:
            rate = (value - past[0][1]) / (monotonic - past[0][0])
        past.append((monotonic, value))
        return rate


class Rates:
    """One ``Rate`` per key (a device, a container); ``forget`` drops keys that are no longer updated."""

    def __init__(self) -> None:
        self._rates: dict[str, Rate] = {}

    def update(self, key: str, monotonic: float, value: float) -> float | None:
        rate = self._rates.get(key)
        if rate is None:
            rate = self._rates[key] = Rate()
        return rate.update(monotonic, value)

    def forget(self, keep: set[str]) -> None:
        """Drops every key that is not in ``keep``."""
        for key in self._rates.keys() - keep:
            del self._rates[key]
