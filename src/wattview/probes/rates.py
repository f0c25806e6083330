"""A rate from a counter, the same for everyone who looks within the same second."""

from __future__ import annotations

from collections import deque

MIN_SPAN_SECONDS = 1.0
MAX_SPAN_SECONDS = 60.0


class Rate:
    """Turns readings of one growing counter into its change per second over the last ``MIN_SPAN_SECONDS`` or more.

    The span is what lies between now and the newest earlier reading that is at least a second old, so that readers
    which come close together see the same figure and none sees the noise of a microscopic interval. None until there
    is such a reading, and none older than a minute is used. A counter that fell has been reset: the past is dropped.
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
    """A ``Rate`` for each key (a device, a container); keys that were not updated are dropped by ``forget``."""

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
