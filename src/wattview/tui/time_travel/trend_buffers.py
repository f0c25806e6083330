"""Recent trends of every figure that has a graph.

The daemon keeps the past; the buffers keep the minutes that the screen draws, so that a graph needs no call each
second. Trends start with the history's points (``seed``), then grow by one point per snapshot. Trends of what is gone
are dropped.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from wattview.model import Nic, PowerUse, Snapshot
from wattview.model.source import total

Point = tuple[float, float]
"""(Unix seconds, value). An unknown value is no point: the graph has a gap there."""

Key = tuple[str, ...]

LATE = 1.6
"""A gap is drawn before a point that is later than usual by this factor."""

HOST_POINTS = 900
PART_POINTS = 120


class TrendBuffers:
    """Trends by key: of the host ``("power",)``, ``("joules",)``, ``("cpu",)``, ``("idle",)`` …; of parts their chief
    figure, ``("container", id)``, ``("stream", app, name)``, ``("gpu", uuid)``, and others with a name after it
    (``("container", id, "memory")``)."""

    def __init__(self) -> None:
        self._parts: dict[Key, _PartTrends] = {}

    def __getitem__(self, key: Key) -> list[Point]:
        of, figure = _split(key)
        part = self._parts.get(of)
        return [] if part is None else part.points(figure)

    def record(self, snapshot: Snapshot) -> None:
        alive = set()
        for key, figures in _figures(snapshot):
            alive.add(key)
            part = self._parts.get(key)
            if part is None:
                part = self._parts[key] = _PartTrends(key)
            part.add(snapshot.time, figures)
        if len(alive) < len(self._parts):
            self._parts = {key: part for key, part in self._parts.items() if key in alive}

    def seed(self, key: Key, points: Iterable[Point]) -> None:
        """Adds older points before the present ones."""
        of, figure = _split(key)
        self._parts.setdefault(of, _PartTrends(of)).seeded[figure] = list(points)


class SummedTrends:
    """The trends of several parts as those of one: the sum of a figure at each time at which all that were there then
    had one."""

    def __init__(self, trends: TrendBuffers | SummedTrends, parts: Sequence[Key]) -> None:
        self._trends = trends
        self._parts = parts

    def __getitem__(self, key: Key) -> list[Point]:
        figure = _split(key)[1]
        sums: dict[float, float] = {}
        found: dict[float, int] = {}
        trends = [points for part in self._parts if (points := self._trends[(*part, figure) if figure else part])]
        for points in trends:
            for at, value in points:
                sums[at] = sums.get(at, 0.0) + value
                found[at] = found.get(at, 0) + 1
        here = sorted((points[0][0], points[-1][0]) for points in trends)
        begins, ends = [begin for begin, _ in here], sorted(end for _, end in here)
        expected = {at: bisect_right(begins, at) - bisect_left(ends, at) for at in sums}
        return [(at, sums[at]) for at in sorted(sums) if found[at] == expected[at]]


class _PartTrends:
    """All figures of the host (the empty key) or of a part of it: one tuple for each snapshot, which costs a fifth of a
    point for each figure."""

    def __init__(self, key: Key) -> None:
        self._names = FIGURES[key[0] if key else ""]
        self._recorded: deque[tuple[float | None, ...]] = deque(maxlen=PART_POINTS if key else HOST_POINTS)
        self._last = float("-inf")
        self.seeded: dict[str, list[Point]] = {}

    def add(self, now: float, figures: tuple[float | None, ...]) -> None:
        if now <= self._last:
            return
        self._last = now
        self._recorded.append((now, *figures))
        if self.seeded and len(self._recorded) == self._recorded.maxlen:
            self.seeded = {}

    def points(self, figure: str) -> list[Point]:
        at = self._names.index(figure) + 1
        points: list[Point] = [(one[0], one[at]) for one in self._recorded if one[at] is not None]  # type: ignore[misc]
        older = self.seeded.get(figure)
        if older:
            first = points[0][0] if points else float("inf")
            points = [*(point for point in older if point[0] < first), *points][-(self._recorded.maxlen or 0) :]
        return points


HOST_FIGURES = ("power", "joules", "used", "idle", "containers", "encoders", "others", "rest", "cpu", "memory",
                "receive", "transmit")  # fmt: skip
FIGURES = {
    "": HOST_FIGURES,
    "container": ("", "power", "memory", "receive", "transmit"),
    "workload": ("", "power"),
    "stream": ("", "power", "out", "players"),
    "gpu": ("", "use", "encoder", "memory", "temperature"),
    "exporter": ("",),
}
"""The names of the figures of a kind of part, in the order in which they are recorded."""


def _split(key: Key) -> tuple[Key, str]:
    """The key of a part, and the name of a figure of it."""
    if len(key) < 2:
        return (), key[0] if key else ""
    names = 3 if key[0] == "stream" else 2
    return key[:names], key[names] if len(key) > names else ""


def _figures(snapshot: Snapshot) -> Iterator[tuple[Key, tuple[float | None, ...]]]:
    """Of the host, then of each part, in the order of ``FIGURES``."""
    yield (), _host_figures(snapshot)
    for container in snapshot.containers:
        memory, network = container.memory_percent, container.network
        yield ("container", container.id), (container.cpu_percent, container.power_watts, memory, *traffic(network))
    for workload in snapshot.workloads:
        yield ("workload", workload.id), (workload.cpu_percent, workload.power_watts)
    for stream in snapshot.streams:
        rates = stream.bandwidth_in_bytes, stream.power_watts, stream.bandwidth_out_bytes
        yield ("stream", stream.app, stream.name), (*rates, float(stream.players))
    for gpu in snapshot.gpus:
        use = gpu.utilization_percent, gpu.encoder_percent
        yield ("gpu", gpu.uuid), (gpu.power_watts, *use, gpu.memory_used_bytes, gpu.temperature_celsius)
    for exporter in snapshot.exporters:
        yield ("exporter", exporter.exporter), (exporter.scrape_seconds,)


def _host_figures(snapshot: Snapshot) -> tuple[float | None, ...]:
    machine, use, host = snapshot.machine_power, snapshot.power_use, snapshot.host
    return (
        machine.watts if machine is not None else None,
        machine.joules_total if machine is not None else None,
        use.watts if use is not None and use.unattributed_watts is not None else None,
        *((watts for _, watts in parts_of(use)) if use is not None else (None,) * 5),
        *((host.cpu_percent, host.memory_used_bytes, *traffic(host.nics)) if host is not None else (None,) * 4),
    )


def traffic(nics: Sequence[Nic]) -> tuple[float | None, float | None]:
    """Received and sent bytes per second of all of them."""
    if len(nics) == 1:
        return nics[0].receive_bytes_per_second, nics[0].transmit_bytes_per_second
    return (total(nic.receive_bytes_per_second for nic in nics), total(nic.transmit_bytes_per_second for nic in nics))


def parts_of(use: PowerUse) -> tuple[tuple[str, float | None], ...]:
    """Attributed power, from the bottom of a stack to its top. The parts that are known sum to ``use.watts``."""
    others, rest = None, use.unattributed_watts
    if use.workloads_watts is not None and rest is not None:
        of_workloads = use.workloads_watts - (use.containers_watts or 0.0) - (use.encoders_watts or 0.0)
        others = min(max(of_workloads, 0.0), rest)
        rest -= others
    return (
        ("idle", use.idle_watts),
        ("containers", use.containers_watts),
        ("encoders", use.encoders_watts),
        ("others", others),
        ("rest", rest),
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
