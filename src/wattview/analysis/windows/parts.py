"""Energy of the workloads and streams in a window, from the history. Pure functions.

A workload may start or end inside the window without leaving a gap: its counter starts at 0 with it, and keeps its last
value when it ends.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, pairwise
from typing import Literal

from msgspec.structs import replace

from wattview.analysis.windows.energy import MAX_GAP_SECONDS, NoData, Points, integral, tolerated_gap
from wattview.exposition import parse_series
from wattview.model import HistorySeries, RecordedPart

WORKLOAD_ENERGY, STREAM_POWER = "wattview_workload_energy_joules_total", "wattview_stream_power_watts"
WORKLOAD_POWER, OUTSIDE_POWER = "wattview_workload_power_watts", "wattview_workloads_outside_power_watts"
"""The series that are needed. While idle power is unknown there are no counters above it, and power is marked."""

INCLUDES_IDLE = 'includes_idle="true"'

WHAT_LABELS = ("kind", "engine", "namespace", "unit")


def recorded_parts(
    workloads: Sequence[HistorySeries], streams: Sequence[HistorySeries], start: float, end: float
) -> list[RecordedPart]:
    """Everything that used power in the window, sorted by energy, unknown last. The energy of a stream whose power
    included idle power for a part of the window is unknown."""
    found = []
    ticks = sorted({time for series in workloads for time, _ in series.points})
    for series in workloads:
        earlier = bisect_left(ticks, series.points[0][0]) if series.points else 0
        unseen = ticks[earlier - 1] if earlier else None
        found.append(_part(series, _known(partial(counted, series.points, start, end, unseen))))
    for name, both in groupby(sorted(streams, key=_plain_name), key=_plain_name):
        parts = list(both)
        points = [point for one in parts if INCLUDES_IDLE not in one.name for point in one.points]
        joules = None if idle_included(parts, start, end) else _known(partial(drawn, points, start, end))
        found.append(_part(HistorySeries(name, points), joules))
    return used(found)


def parts_with_idle(series: Sequence[HistorySeries], start: float, end: float) -> dict[str, RecordedPart]:
    """The same of a window in which idle power was unknown and all power was divided, by series of power."""
    return {
        one.name: replace(_part(one, _known(partial(drawn, one.points, start, end))), includes_idle=True)
        for one in series
        if INCLUDES_IDLE in one.name
    }


def idle_included(series: Sequence[HistorySeries], start: float, end: float) -> Literal["", "partly", "always"]:
    """Whether power in the window includes idle power."""
    marked = [INCLUDES_IDLE in one.name for one in series if any(start <= time <= end for time, _ in one.points)]
    return "always" if marked and all(marked) else "partly" if any(marked) else ""


def used(parts: Sequence[RecordedPart]) -> list[RecordedPart]:
    """Those that used energy, or may have."""
    some = [part for part in parts if part.energy_joules != 0.0]
    return sorted(some, key=lambda part: -1.0 if part.energy_joules is None else part.energy_joules, reverse=True)


def _plain_name(series: HistorySeries) -> str:
    return series.name.replace(f",{INCLUDES_IDLE}", "")


def _part(series: HistorySeries, joules: float | None) -> RecordedPart:
    labels = parse_series(series.name)[1]
    if series.name.startswith(STREAM_POWER):
        name = f"{labels.get('app', '')}/{labels.get('stream', '')}"
        return RecordedPart(kind="stream", name=name, energy_joules=joules)
    what = " ".join(labels[name] for name in WHAT_LABELS if labels.get(name) and labels[name] != labels.get("name"))
    return RecordedPart(kind="workload", name=labels.get("name", ""), what=what, energy_joules=joules)


def _known(energy: Callable[[], float]) -> float | None:
    try:
        return energy()
    except NoData:
        return None


def counted(points: Points, start: float, end: float, unseen: float | None = None) -> float:
    """Increase of a workload's counter inside the window. ``unseen`` is the last time before its first sample at which
    others were sampled and it was not: it began after that, at 0.

    Raises NoData if samples are missing in the middle, if the counter restarted with the daemon, or if it may have
    begun before the window.
    """
    if points and points[0][0] > start:
        if unseen is None:
            raise NoData("nothing was recorded before its first sample: when it began is unknown")
        points = [(unseen, 0.0), *points]
    total = 0.0
    for (left, before), (right, after) in _pairs(points, start, end):
        if after < before:
            raise NoData("the counter restarted with the daemon: the energy around that is unknown")
        overlap = min(right, end) - max(left, start)
        total += (after - before) * overlap / (right - left)
    return total


def drawn(points: Points, start: float, end: float) -> float:
    """Integral of a stream's power over the part of the window in which it was there. Raises NoData as ``counted``."""
    list(_pairs(points, start, end))
    begun, gone = max(start, points[0][0]) if points else end, min(end, points[-1][0]) if points else start
    return integral(points, begun, gone) if gone > begun else 0.0


def _pairs(points: Points, start: float, end: float) -> Sequence[tuple[tuple[float, float], tuple[float, float]]]:
    """Neighbouring samples that overlap the window. Raises NoData if two are further apart than is tolerated."""
    allowed = tolerated_gap(points, MAX_GAP_SECONDS)
    pairs = [pair for pair in pairwise(points) if pair[1][0] > start and pair[0][0] < end and pair[1][0] > pair[0][0]]
    for (left, _), (right, _) in pairs:
        if right - left > allowed:
            raise NoData(f"no sample for {right - left:.0f} s")
    return pairs
