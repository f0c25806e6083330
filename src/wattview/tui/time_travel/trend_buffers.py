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
from itertools import pairwise
from statistics import median

from wattview.model import PowerUse, Snapshot

Point = tuple[float, float]
"""(Unix seconds, value). An unknown value is no point: the graph has a gap there."""

LATE = 1.6
"""A point that comes so many times later than others do is missed before it comes."""

HOST_POINTS = 900
PART_POINTS = 120


class TrendBuffers:
    """Trends by key: ``("power",)``, ``("joules",)``, ``("cpu",)``, ``("idle",)`` …; and of parts their chief figure,
    ``("container", id)``, ``("stream", app, name)``, ``("gpu", uuid)``, with others after it
    (``("container", id, "memory")``)."""

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
        if snapshot.power_use.unattributed_watts is not None:
            yield ("used",), snapshot.power_use.watts
        for name, watts in parts_of(snapshot.power_use):
            yield (name,), watts
    if snapshot.host is not None:
        host = snapshot.host
        yield ("cpu",), host.cpu_percent
        yield ("memory",), host.memory_used_bytes
        yield ("receive",), total(nic.receive_bytes_per_second for nic in host.nics)
        yield ("transmit",), total(nic.transmit_bytes_per_second for nic in host.nics)
    for container in snapshot.containers:
        key = ("container", container.id)
        yield key, container.cpu_percent
        yield (*key, "power"), container.power_watts
        yield (*key, "memory"), container.memory_percent
        yield (*key, "receive"), total(nic.receive_bytes_per_second for nic in container.network)
        yield (*key, "transmit"), total(nic.transmit_bytes_per_second for nic in container.network)
    for workload in snapshot.workloads:
        yield ("workload", workload.id), workload.cpu_percent
        yield ("workload", workload.id, "power"), workload.power_watts
    for stream in snapshot.streams:
        named = ("stream", stream.app, stream.name)
        yield named, stream.bandwidth_in_bytes
        yield (*named, "power"), stream.power_watts
        yield (*named, "out"), stream.bandwidth_out_bytes
        yield (*named, "players"), float(stream.players)
    for gpu in snapshot.gpus:
        of = ("gpu", gpu.uuid)
        yield of, gpu.power_watts
        yield (*of, "use"), gpu.utilization_percent
        yield (*of, "encoder"), gpu.encoder_percent
        yield (*of, "memory"), gpu.memory_used_bytes
        yield (*of, "temperature"), gpu.temperature_celsius


def total(values: Iterable[float | None]) -> float | None:
    """The sum; None where a part is not known yet, or there is none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return sum(known) if known and len(known) == len(found) else None


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


def joined(given: Iterable[Point], start: float, end: float, columns: int, step_seconds: float) -> list[float | None]:
    """The mean of each column; a gap has the value before it where points follow each other no faster: a slow clock is
    no missing data. ``step_seconds`` is how far apart they are at least; where a fast clock follows a slow one (live
    seconds after stored ones), the points around a gap say how far apart they are there."""
    points = list(given)
    values = buckets(points, start, end, columns)
    scale = columns / (end - start) if end > start else 0.0
    times = [moment for moment, _ in points]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    for index, gap in enumerate(gaps):
        first, last = int((times[index] - start) * scale), int((times[index + 1] - start) * scale)
        if last - first < 2 or last < 1 or first >= columns or times[index + 1] < start:
            continue
        if gap > LATE * step_seconds and gap > LATE * median(gaps[max(0, index - 2) : index + 3]):
            continue
        for column in range(max(0, first + 1), min(last, columns)):
            values[column] = points[index][1]
    return values


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
