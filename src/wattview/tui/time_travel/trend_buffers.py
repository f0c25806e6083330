"""Recent trends of every figure that has a graph.

The daemon keeps the past; the buffers keep the minutes that the screen draws, so that a graph needs no call each
second. Trends start with the history's points (``seed``), then grow by one point per snapshot. Trends of what is gone
are dropped.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator

from wattview.model import PowerUse, Snapshot

Point = tuple[float, float]
"""(Unix seconds, value). An unknown value is no point: the graph has a gap there."""

HOST_POINTS = 900
PART_POINTS = 120


class TrendBuffers:
    """Trends by key: ``("power",)``, ``("joules",)``, ``("cpu",)``, ``("idle",)`` …; and of parts, ``("container",
    id)``, ``("stream", app, name)``, ``("gpu", uuid)``."""

    def __init__(self) -> None:
        self._trends: dict[tuple[str, ...], deque[Point]] = {}

    def __getitem__(self, key: tuple[str, ...]) -> deque[Point]:
        return self._trends.get(key) or deque()

    def record(self, snapshot: Snapshot) -> None:
        now = snapshot.time
        alive = set()
        for key, value in _figures(snapshot):
            alive.add(key)
            trend = self._trends.get(key)
            if trend is None:
                trend = self._trends[key] = deque(maxlen=HOST_POINTS if len(key) == 1 else PART_POINTS)
            if value is not None and (not trend or now > trend[-1][0]):
                trend.append((now, value))
        for key in [key for key in self._trends if len(key) > 1 and key not in alive]:
            del self._trends[key]

    def seed(self, key: tuple[str, ...], points: Iterable[Point]) -> None:
        """Adds older points before the present ones."""
        here = self[key]
        first = here[0][0] if here else float("inf")
        older = [point for point in points if point[0] < first]
        size = HOST_POINTS if len(key) == 1 else PART_POINTS
        self._trends[key] = deque([*older, *here], maxlen=size)


def _figures(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], float | None]]:
    if snapshot.machine_power is not None:
        yield ("power",), snapshot.machine_power.watts
        yield ("joules",), snapshot.machine_power.joules_total
    if snapshot.power_use is not None:
        if snapshot.power_use.idle_watts is not None:
            yield ("used",), snapshot.power_use.watts
        for name, watts in parts_of(snapshot.power_use):
            yield (name,), watts
    if snapshot.host is not None:
        yield ("cpu",), snapshot.host.cpu_percent
    for container in snapshot.containers:
        yield ("container", container.id), container.cpu_percent
    for stream in snapshot.streams:
        yield ("stream", stream.app, stream.name), stream.bandwidth_in_bytes
    for gpu in snapshot.gpus:
        yield ("gpu", gpu.uuid), gpu.power_watts


def parts_of(use: PowerUse) -> tuple[tuple[str, float | None], ...]:
    """Attributed power, from the bottom of a stack to its top. The parts sum to ``use.watts``."""
    return (
        ("idle", use.idle_watts),
        ("containers", use.containers_watts),
        ("encoders", use.encoders_watts),
        ("rest", use.unattributed_watts),
    )


def buckets(points: Iterable[Point], start: float, end: float, columns: int) -> list[float | None]:
    """The mean of the points in each of ``columns`` equal parts of [start, end); None if there are none."""
    sums = [0.0] * columns
    counts = [0] * columns
    if end <= start or columns <= 0:
        return []
    scale = columns / (end - start)
    for moment, value in points:
        if start <= moment < end:
            index = min(columns - 1, int((moment - start) * scale))
            sums[index] += value
            counts[index] += 1
    return [total / n if n else None for total, n in zip(sums, counts, strict=True)]


def snapped(start: float, end: float, columns: int) -> tuple[float, float]:
    """The window aligned to whole columns: a value stays in its column while visible, so that the picture moves by
    columns and does not flicker."""
    width = (end - start) / columns
    last = math.floor(end / width + 1) * width
    return last - (end - start), last


def bridged(values: list[float | None], widest: int) -> list[float | None]:
    """Gaps of at most ``widest`` columns, filled with a straight line: points that are further apart than a column is
    wide are a slower clock and no missing data; a longer gap stays a gap."""
    filled = list(values)
    last: int | None = None
    before: float | None = None
    for index, value in enumerate(values):
        if value is None:
            continue
        if last is not None and before is not None and 1 < index - last <= widest + 1:
            step = (value - before) / (index - last)
            filled[last + 1 : index] = [before + step * at for at in range(1, index - last)]
        last, before = index, value
    return filled


def in_mbit(points: Iterable[Point]) -> list[Point]:
    """Bytes per second as megabits per second."""
    return [(moment, value * 8 / 1e6) for moment, value in points]


def energy_between(joules: Iterable[Point], start: float, end: float) -> float | None:
    """The increase of an energy counter over [start, end], linear between its samples; None if they do not cover it."""
    ordered = list(joules)
    first, last = _at(ordered, start), _at(ordered, end)
    return None if first is None or last is None else last - first


def _at(points: list[Point], moment: float) -> float | None:
    index = bisect_left(points, (moment, float("-inf")))
    if index < len(points) and points[index][0] == moment:
        return points[index][1]
    if index == 0 or index == len(points):
        return None
    (t0, v0), (t1, v1) = points[index - 1], points[index]
    return v0 + (v1 - v0) * (moment - t0) / (t1 - t0)
