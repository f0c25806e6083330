"""Trends from the history: which series store each quantity of a subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from wattview.daemon.history.protocol import History
from wattview.exposition import labels, parse_series
from wattview.model import WORKLOAD_NAMES
from wattview.model.snapshot import Trend, TrendKind, TrendQuantity


class Kept(NamedTuple):
    """The metric, and the labels that identify its subject. ``summed``: the series of one subject are added; else they
    follow each other in time, as after a change of the power source. ``rate``: of a counter, its increase in a second
    times that."""

    metric: str
    names: tuple[str, ...] = ()
    summed: bool = False
    rate: float = 0.0


KEPT: Mapping[tuple[TrendKind, TrendQuantity], Kept] = {
    ("machine", "power"): Kept("wattview_machine_power_watts"),
    ("machine", "energy"): Kept("wattview_host_energy_joules_total", ("source",)),
    ("machine", "cpu"): Kept("wattview_host_cpu_percent"),
    ("machine", "idle"): Kept("wattview_idle_power_watts"),
    ("machine", "containers"): Kept("wattview_container_power_watts", summed=True),
    ("machine", "encoders"): Kept("wattview_encoder_power_watts", summed=True),
    ("machine", "unattributed"): Kept("wattview_unattributed_power_watts"),
    ("machine", "outside"): Kept("wattview_workloads_outside_power_watts"),
    ("wall", "power"): Kept("wattview_wall_power_watts"),
    ("zone", "power"): Kept("rapl_power_watts", ("package", "zone")),
    ("gpu", "power"): Kept("wattview_gpu_power_watts", ("uuid",)),
    ("gpu", "utilization"): Kept("wattview_gpu_utilization_percent", ("uuid",)),
    ("gpu", "memory"): Kept("wattview_gpu_memory_used_bytes", ("uuid",)),
    ("gpu", "temperature"): Kept("wattview_gpu_temperature_celsius", ("uuid",)),
    ("container", "power"): Kept("wattview_container_power_watts", ("name",)),
    ("container", "cpu"): Kept("docker_container_cpu_percent", ("name",)),
    ("container", "memory"): Kept("docker_container_memory_percent", ("name",)),
    ("workload", "power"): Kept("wattview_workload_power_watts", WORKLOAD_NAMES),
    ("workload", "cpu"): Kept("wattview_workload_cpu_seconds_total", WORKLOAD_NAMES, rate=100.0),
    ("stream", "power"): Kept("wattview_stream_power_watts", ("app", "stream")),
    ("stream", "bandwidth_in"): Kept("nginx_rtmp_stream_bandwidth_in_bytes", ("app", "stream")),
}
"""What the history stores for each kind of subject."""


async def trends(
    history: History,
    kind: TrendKind,
    quantity: TrendQuantity,
    name: Sequence[str],
    start: float,
    end: float,
    step: float,
) -> list[Trend]:
    """That quantity for every subject of that kind, or for the one called ``name``. Subjects without samples are left
    out.

    Raises HistoryError as the history does, and KeyError for a quantity that this kind does not have.
    """
    kept = KEPT[kind, quantity]
    selector = kept.metric
    if name:
        selector += labels(**dict(zip(kept.names, name, strict=False)))
    if step:
        found = await history.thinned(selector, start, end, step, own_times=bool(kept.rate))
    else:
        found = await history.samples(selector, start, end)
    points: dict[tuple[str, ...], dict[float, float]] = {}
    for series in found:
        of = parse_series(series.name)[1]
        sums = points.setdefault(tuple(of.get(label, "") for label in kept.names), {})
        for at, value in series.points:
            sums[at] = sums.get(at, 0.0) + value if kept.summed else value
    return [
        Trend(kind=kind, quantity=quantity, name=subject, points=_rates(line, kept.rate) if kept.rate else line)
        for subject, sums in points.items()
        if (line := sorted(sums.items()))
    ]


def _rates(counter: Sequence[tuple[float, float]], scale: float) -> list[tuple[float, float]]:
    """A counter's increase in a second, at the end of each; nothing across its reset."""
    return [
        (at, scale * (value - was) / (at - before)) for (before, was), (at, value) in pairwise(counter) if value >= was
    ]
