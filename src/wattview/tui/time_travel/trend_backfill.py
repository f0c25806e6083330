"""Trends of the minutes before a moment, from the daemon's history, if the dashboard has not seen those minutes
itself."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence

from wattview.client import Client, ClientError
from wattview.model import Snapshot, workload_names
from wattview.model.snapshot import Trend, TrendKind, TrendQuantity
from wattview.tui.time_travel.trend_buffers import Point, TrendBuffers

HOST_SECONDS = 900.0
PART_SECONDS = 150.0
"""How long before the moment the trends of the host, and those of containers, streams and GPUs, start."""

AHEAD_SECONDS = 150.0
"""How far beyond a past moment data is loaded, so that playback does not query for each picture."""

_MACHINE: tuple[TrendQuantity, ...] = ("power", "energy", "cpu", "idle", "unattributed", "outside", "containers",
                                       "encoders")  # fmt: skip
_PARTS: tuple[tuple[TrendKind, TrendQuantity], ...] = (
    ("container", "cpu"), ("container", "power"), ("workload", "cpu"), ("workload", "power"),
    ("stream", "bandwidth_in"), ("stream", "power"), ("gpu", "power"),
)  # fmt: skip

Key = tuple[str, ...]

_KEYS = {"energy": "joules", "unattributed": "rest"}
"""Names of machine quantities in the buffers, where they differ."""


class TrendBackfill:
    """The points of ``TrendBuffers`` by key, from ``start`` to ``end``; containers and workloads are by name."""

    def __init__(self, start: float, end: float, points: Mapping[Key, list[Point]]) -> None:
        self.start = start
        self.end = end
        self.points = points

    def cover(self, moment: float) -> bool:
        return self.start + PART_SECONDS <= moment <= self.end

    def until(self, snapshot: Snapshot) -> TrendBuffers:
        """The trends up to the moment of a snapshot."""
        trends = TrendBuffers()
        self.seed(trends, snapshot)
        return trends

    def seed(self, trends: TrendBuffers, snapshot: Snapshot) -> None:
        """Adds the points before a snapshot's moment to its trends; the snapshot maps names to ids."""
        ids: dict[Key, Key] = {("container", one.name): ("container", one.id) for one in snapshot.containers}
        ids |= {("workload", *workload_names(one)): ("workload", one.id) for one in snapshot.workloads}
        ids |= {(*named, "power"): (*known, "power") for named, known in ids.items()}
        for key, points in self.points.items():
            seeded = ids.get(key) if key[0] in ("container", "workload") else key
            if seeded is not None:
                trends.seed(seeded, points[: bisect_right(points, (snapshot.time, float("inf")))])


async def backfill(client: Client, moment: float, ahead: float = 0.0) -> TrendBackfill:
    """Queries the history for the time before ``moment`` and ``ahead`` of it. Missing data are left out; raises
    ClientError only if the history does not answer at all."""
    end = moment + ahead
    machine, parts_of_it = await asyncio.gather(
        asyncio.gather(*(client.trends("machine", name, moment - HOST_SECONDS, end) for name in _MACHINE)),
        asyncio.gather(*(client.trends(kind, name, moment - PART_SECONDS, end) for kind, name in _PARTS)),
    )
    points: dict[Key, list[Point]] = {
        (_KEYS.get(name, name),): _of_the_machine(found) if name == "energy" else found[0].points if found else []
        for name, found in zip(_MACHINE, machine, strict=True)
    }
    # An attributed interval without a container or encoder gave it nothing; without idle power, the parts include it.
    shared = [at for at, _ in points["rest",]]
    for name in ("containers", "encoders"):
        known = dict(points[name,])
        points[name,] = [(at, known.get(at, 0.0)) for at in shared]
    outside = dict(points.pop(("outside",)))
    unattributed, points["rest",] = points["rest",], [(at, outside.get(at, watts)) for at, watts in points["rest",]]
    points["others",] = [(at, max(0.0, watts - outside[at])) for at, watts in unattributed if at in outside]
    parts = [dict(points[name,]) for name in ("idle", "containers", "encoders", "others", "rest")]
    points["used",] = [(at, sum(part.get(at, 0.0) for part in parts)) for at in shared]
    for trend in (trend for found in parts_of_it for trend in found):
        # Of all but GPUs, power is the second figure.
        second = ("power",) if trend.quantity == "power" and trend.kind != "gpu" else ()
        points[(trend.kind, *trend.name, *second)] = trend.points
    return TrendBackfill(moment - PART_SECONDS, end, {key: line for key, line in points.items() if line})


def _of_the_machine(found: Sequence[Trend]) -> list[Point]:
    """The machine's energy counter, if one source covers it all. GPUs (``nvml``) beside the host are counted at
    different moments."""
    if any(trend.name == ("nvml",) for trend in found):
        return []
    return sorted(point for trend in found for point in trend.points)


async def backfill_or_none(client: Client, moment: float, ahead: float = 0.0) -> TrendBackfill | None:
    """The same; None if the history does not answer: a graph then starts with what this dashboard sees."""
    try:
        return await backfill(client, moment, ahead)
    except ClientError:
        return None
