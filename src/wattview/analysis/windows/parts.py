"""Energy of the workloads and streams in a window, from the history. Pure functions.

A workload may start or end inside the window without leaving a gap: its counter starts at 0 with it, and keeps its last
value when it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from wattview.analysis.windows.energy import MAX_GAP_SECONDS, NoData, Points, integral, tolerated_gap
from wattview.exposition import parse_series
from wattview.model import HistorySeries, RecordedPart

WORKLOAD_ENERGY, STREAM_POWER = "wattview_workload_energy_joules_total", "wattview_stream_power_watts"
"""The series that are needed."""

WHAT_LABELS = ("kind", "engine", "namespace", "unit")


def recorded_parts(
    workloads: Sequence[HistorySeries], streams: Sequence[HistorySeries], start: float, end: float
) -> list[RecordedPart]:
    """Everything that used power in the window, the most energy first, what is unknown last."""
    found = []
    for series in workloads:
        labels = parse_series(series.name)[1]
        what = " ".join(labels[name] for name in WHAT_LABELS if labels.get(name) and labels[name] != labels.get("name"))
        joules = _known(counted, series.points, start, end)
        found.append(RecordedPart(kind="workload", name=labels.get("name", ""), what=what, energy_joules=joules))
    for series in streams:
        labels = parse_series(series.name)[1]
        name = f"{labels.get('app', '')}/{labels.get('stream', '')}"
        joules = _known(drawn, series.points, start, end)
        found.append(RecordedPart(kind="stream", name=name, energy_joules=joules))
    used = [part for part in found if part.energy_joules != 0.0]
    return sorted(used, key=lambda part: -1.0 if part.energy_joules is None else part.energy_joules, reverse=True)


def _known(energy: object, points: Points, start: float, end: float) -> float | None:
    try:
        return energy(points, start, end)  # type: ignore[operator,no-any-return]
    except NoData:
        return None


def counted(points: Points, start: float, end: float) -> float:
    """Increase of a workload's counter inside the window. Raises NoData if samples are missing in the middle, or the
    counter restarted with the daemon."""
    total = points[0][1] if points and start < points[0][0] <= end else 0.0
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
