"""How the figures ran in the minutes before a moment, from the daemon's history: what trails are made of when the
dashboard has not seen those minutes itself.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from wattview.client import Client, ClientError
from wattview.exposition import parse_series
from wattview.model import HistorySeries, Snapshot
from wattview.model.power_sources import GPU_SOURCES
from wattview.tui.time_travel.trend_buffers import Point, Trails

HOST_SECONDS = 900.0
PART_SECONDS = 150.0
"""How long before the moment the trails of the host, and those of containers, streams and GPUs, begin."""

AHEAD_SECONDS = 150.0
"""How far beyond a moment of the past is asked for as well, so that playing on does not ask anew for each picture."""

_HOST = {
    "power": "wattview_machine_power_watts",
    "joules": "wattview_host_energy_joules_total",
    "cpu": "wattview_host_cpu_percent",
    "idle": "wattview_idle_power_watts",
    "rest": "wattview_unattributed_power_watts",
    "containers": "wattview_container_power_watts",
    "encoders": "wattview_encoder_power_watts",
}
_PARTS = {
    "container": "docker_container_cpu_percent",
    "stream": "nginx_rtmp_stream_bandwidth_in_bytes",
    "gpu": "wattview_gpu_power_watts",
}

Key = tuple[str, ...]


class Courses:
    """The points of ``trails.Trails`` by key, from ``start`` to ``end``; containers are by their names."""

    def __init__(self, start: float, end: float, points: Mapping[Key, list[Point]]) -> None:
        self.start = start
        self.end = end
        self.points = points

    def cover(self, moment: float) -> bool:
        return self.start + PART_SECONDS <= moment <= self.end

    def until(self, snapshot: Snapshot) -> Trails:
        """The trails as they were at the moment of a snapshot."""
        trails = Trails()
        self.seed(trails, snapshot)
        return trails

    def seed(self, trails: Trails, snapshot: Snapshot) -> None:
        """Puts what was before a snapshot's moment into its trails; it says which container has which name."""
        names = {one.name: one.id for one in snapshot.containers}
        for key, points in self.points.items():
            if key[0] == "container":
                if key[1] not in names:
                    continue
                key = ("container", names[key[1]])
            trails.seed(key, points[: bisect_right(points, (snapshot.time, float("inf")))])


async def courses(client: Client, moment: float, ahead: float = 0.0) -> Courses:
    """Asks the history for the time before ``moment`` and ``ahead`` of it. What it does not have is not there; raises
    ClientError only where it does not answer at all."""
    end = moment + ahead
    wanted = [(metric, moment - HOST_SECONDS) for metric in _HOST.values()]
    wanted += [(metric, moment - PART_SECONDS) for metric in _PARTS.values()]
    answers = await asyncio.gather(*(client.history(metric, start, end) for metric, start in wanted))
    found = {metric: answer for (metric, _), answer in zip(wanted, answers, strict=True)}
    points: dict[Key, list[Point]] = {}
    for name, metric in _HOST.items():
        if name == "power":
            points[name,] = sorted(point for one in found[metric] for point in one.points)
        elif name == "joules":
            points[name,] = _of_the_machine(found[metric])
        else:
            points[name,] = _sums(found[metric])
    # An interval that was shared out and names no container or encoder gave them nothing.
    shared = [at for at, _ in points["idle",]]
    for name in ("containers", "encoders"):
        known = dict(points[name,])
        points[name,] = [(at, known.get(at, 0.0)) for at in shared]
    parts = [dict(points[name,]) for name in ("idle", "containers", "encoders", "rest")]
    points["used",] = [(at, sum(part[at] for part in parts)) for at in shared if all(at in part for part in parts)]
    for kind, metric in _PARTS.items():
        for series in found[metric]:
            labels = parse_series(series.name)[1]
            match kind:
                case "container":
                    points["container", labels.get("name", "")] = series.points
                case "stream":
                    points["stream", labels.get("app", ""), labels.get("stream", "")] = series.points
                case "gpu":
                    points["gpu", labels.get("uuid", "")] = series.points
    return Courses(moment - PART_SECONDS, end, {key: line for key, line in points.items() if line})


def _of_the_machine(series: Sequence[HistorySeries]) -> list[Point]:
    """The energy counter of the machine where one source counts it all. GPUs are counted beside the host at
    moments of their own."""
    if any(parse_series(one.name)[1].get("source") in GPU_SOURCES for one in series):
        return []
    return sorted(point for one in series for point in one.points)


def _sums(series: Iterable[HistorySeries]) -> list[Point]:
    """All series added up, moment by moment."""
    totals: dict[float, float] = {}
    for one in series:
        for at, value in one.points:
            totals[at] = totals.get(at, 0.0) + value
    return sorted(totals.items())


async def courses_or_none(client: Client, moment: float, ahead: float = 0.0) -> Courses | None:
    """The same; None where the history does not answer: a graph then begins with what this dashboard sees."""
    try:
        return await courses(client, moment, ahead)
    except ClientError:
        return None
