"""Power over a range of time, from the daemon's history: the data of the power screen.

Up to an hour the history's own points are shown. The daemon thins longer ranges, and minimum and maximum are then those
of the displayed points: ``Past.step_seconds`` is their distance. The host's mean is energy divided by time if its
energy counter covers the range, never a mean of readings.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from wattview.client import Client, ClientError
from wattview.model import Gpu, Run, Snapshot
from wattview.model.power_sources import GPU_SOURCES, is_estimate
from wattview.model.snapshot import Trend
from wattview.tui.plots.plot import NamedSpan
from wattview.tui.time_travel.trend_buffers import Point

RANGES: tuple[tuple[str, float], ...] = (
    ("1 min", 60.0), ("5 min", 300.0), ("15 min", 900.0), ("1 h", 3600.0), ("6 h", 21600.0), ("24 h", 86400.0),
    ("7 days", 604800.0),
)  # fmt: skip
RAW_SECONDS = 3600.0
POINTS = 720

MAX_STEPS_APART = 5.0
"""Points further apart than this many usual steps have no daemon in between, or two."""

HOST = "host"
WALL = "wall"


class PowerLine(NamedTuple):
    """One source of power: ``key`` is ``host``, ``wall``, a zone's ``package/zone`` or a GPU's uuid."""

    key: str
    title: str
    watts: float | None
    counted: bool


class PowerRange(NamedTuple):
    """What was asked for: points by ``PowerLine.key``, the host's mean from its counter, how the points are spaced, and
    the scenarios that ran then."""

    start: float
    end: float
    step_seconds: float
    points: dict[str, list[Point]]
    host_mean_watts: float | None = None
    windows: tuple[NamedSpan, ...] = ()


def lines_of(snapshot: Snapshot) -> list[PowerLine]:
    """The host, its zones in the kernel's order, and the GPUs, whether or not they are part of the sum."""
    power, machine = snapshot.power, snapshot.machine_power
    lines = []
    added = machine.source.split("+") if machine is not None else []
    if machine is not None:
        lines.append(PowerLine(HOST, "host (ESTIMATE)" if is_estimate(machine.source) else "host", machine.watts, True))
    if snapshot.wall is not None:
        lines.append(PowerLine(WALL, f"wall ({snapshot.wall.source})", snapshot.wall.watts, False))
    if power is not None:
        for zone in power.zones:
            title = zone.zone if zone.zone == zone.package else f"  {zone.package} {zone.zone}"
            lines.append(PowerLine(f"{zone.package}/{zone.zone}", title, zone.watts, zone.counted))
    for gpu in snapshot.gpus:
        counted = gpu.source in added and gpu.draws_beside
        lines.append(PowerLine(gpu.uuid, f"GPU {gpu.index} {gpu.name}", gpu.power_watts, counted))
    return lines


def step_of(seconds: float) -> float:
    """Seconds between two points of a range; 0 for the stored ones."""
    return 0.0 if seconds <= RAW_SECONDS else seconds / POINTS


async def load(client: Client, start: float, end: float, gpus: tuple[Gpu, ...], source: str) -> PowerRange:
    """Queries the history. Raises ClientError; missing series are left out. ``source`` is what the host's power is
    summed from (``rapl+nvml``)."""
    step = step_of(end - start)
    points: dict[str, list[Point]] = {}
    for trend in await client.trends("machine", "power", start, end, step=step):
        points[HOST] = trend.points
    for trend in await client.trends("wall", "power", start, end, step=step):
        points[WALL] = trend.points
    for trend in await client.trends("zone", "power", start, end, step=step):
        points["/".join(trend.name)] = trend.points
    if gpus:
        points |= {trend.name[0]: trend.points for trend in await client.trends("gpu", "power", start, end, step=step)}
    mean = await _host_mean(client, start, end, step, source)
    return PowerRange(start, end, step or 5.0, points, mean, windows_of(await client.runs(), start, end))


def windows_of(runs: Sequence[Run], start: float, end: float) -> tuple[NamedSpan, ...]:
    """The scenarios of these runs that ran in that time, the first of them first."""
    windows = [
        NamedSpan(one.start_time, one.end_time, one.name)
        for run in runs
        for one in run.finished
        if one.start_time is not None and one.end_time is not None and one.start_time < end and one.end_time > start
    ]
    return tuple(sorted(windows))


async def _host_mean(client: Client, start: float, end: float, step: float, source: str) -> float | None:
    try:
        found = await client.trends("machine", "energy", start, end, step=step)
    except ClientError:
        return None
    return mean_of_counters(found, end - start, source)


def mean_of_counters(counters: Sequence[Trend], seconds: float, source: str) -> float | None:
    """Watts from the energy counters of the parts of ``source``, each over at least nine tenths of the range.

    A counter restarts with the daemon: the energy around that is unknown, and the mean is over the rest. None if one
    does not cover enough, or if another host source has counted too, as the source has then changed. GPUs that are not
    in the sum do not matter.
    """
    wanted = source.split("+")
    counted = [one.points for one in counters if one.name[0] in wanted or one.name[0] not in GPU_SOURCES]
    if len(counted) != len(wanted) or any(len(points) < 2 for points in counted):
        return None
    means = []
    for points in counted:
        apart = MAX_STEPS_APART * median(t1 - t0 for (t0, _), (t1, _) in pairwise(points))
        pairs = [(t1 - t0, v1 - v0) for (t0, v0), (t1, v1) in pairwise(points)]
        grown = [(length, joules) for length, joules in pairs if joules >= 0 and length <= apart]
        counted_seconds = sum(length for length, _ in grown)
        if counted_seconds < 0.9 * seconds:
            return None
        means.append(sum(joules for _, joules in grown) / counted_seconds)
    return sum(means)


class Summary(NamedTuple):
    least: float | None
    mean: float | None
    largest: float | None


def summary(points: list[Point], start: float, end: float, mean: float | None = None) -> Summary:
    """Summary of the readings in that time; ``mean`` takes precedence over theirs. Readings are samples: if the mean is
    outside of their range, so was the power."""
    values = [value for moment, value in points if start <= moment <= end]
    if not values:
        return Summary(None, mean, None)
    mean = mean if mean is not None else sum(values) / len(values)
    return Summary(min(*values, mean), mean, max(*values, mean))


def value_at(points: list[Point], moment: float, reach: float) -> Point | None:
    """The point nearest to ``moment``, if one is within ``reach`` seconds."""
    near = min(points, key=lambda point: abs(point[0] - moment), default=None)
    return near if near is not None and abs(near[0] - moment) <= reach else None
