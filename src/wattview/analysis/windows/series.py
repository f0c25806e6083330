"""The series that the analyses read, and which of the returned series belong together.

Prometheus adds labels (``job``, ``instance``) and may hold several machines, or one machine twice. A figure is taken
from one machine: if the series of several machines cover the window and disagree, there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from wattview.analysis.windows.energy import LAG_SECONDS, LEAD_SECONDS, NoData, Points
from wattview.exposition import label_text, parse_series
from wattview.model import HistorySeries, TrailPoint

T = TypeVar("T")

HOST_ENERGY = "wattview_host_energy_joules_total"
HOST_WATTS = "wattview_host_power_watts"
HOST_PEAK_WATTS = "wattview_host_power_peak_watts"
HOST_UPDATE_SECONDS = "wattview_host_energy_update_seconds"
MACHINE_WATTS = "wattview_machine_power_watts"
MACHINE_ERROR_WATTS = "wattview_machine_power_error_watts"
WALL_ENERGY = "wattview_wall_energy_joules_total"
WALL_WATTS = "wattview_wall_power_watts"
WALL_ERROR_WATTS = "wattview_wall_power_error_watts"
CPU_BUSY = "wattview_host_cpu_busy_seconds_total"
CPUS = "wattview_host_cpus"
GPU_MILLIJOULES = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
GPU_PERCENT = "DCGM_FI_DEV_GPU_UTIL"
NODE_CPU = "node_cpu_seconds_total"
RAPL_ENERGY = "rapl_energy_joules_total"
RAPL_WATTS = "rapl_power_watts"

FIRST = (
    HOST_ENERGY, HOST_WATTS, HOST_PEAK_WATTS, MACHINE_WATTS, CPU_BUSY, CPUS, GPU_MILLIJOULES, GPU_PERCENT, WALL_ENERGY,
    WALL_ERROR_WATTS,
)  # fmt: skip
INSTEAD: Mapping[str, tuple[str, ...]] = {HOST_ENERGY: (RAPL_ENERGY, RAPL_WATTS), CPU_BUSY: (NODE_CPU,)}
"""Other programs' exporters, read if our own series are missing."""

SAME_WITHIN = 0.01
"""Two results within this share of each other are one machine that was scraped twice."""


class OwnPower(Struct, frozen=True):
    """Power of a window as the daemon recorded it while measuring: the trail of its ``source``. ``gpus`` are the
    sources of GPUs beside it, which have their own energy counters. ``reason`` says why a part of the machine is
    unknown."""

    source: str
    points: Sequence[TrailPoint]
    gpus: Sequence[str] = ()
    reason: str = ""


class Evidence(Struct, frozen=True):
    """History of one window by metric; ``failures`` says why a metric could not be queried.

    For a run's own window it is what the daemon recorded with the results, and ``own`` is its power. A host counter is
    at most ``lag_seconds`` older and ``lead_seconds`` younger than its time stamp.
    """

    series: Mapping[str, list[HistorySeries]] = {}
    failures: Mapping[str, str] = {}
    own: OwnPower | None = None
    lag_seconds: float = LAG_SECONDS
    lead_seconds: float = LEAD_SECONDS

    def of(self, metric: str) -> list[HistorySeries]:
        """The series of a metric; empty if there are none. Raises NoData if the query failed."""
        if metric in self.failures:
            raise NoData(self.failures[metric])
        return self.series.get(metric, [])

    def also_wanted(self) -> tuple[str, ...]:
        """The metrics to query in place of missing ones."""
        absent = [metric for metric in INSTEAD if metric not in self.failures and not self.series.get(metric)]
        return tuple(other for metric in absent for other in INSTEAD[metric])


class Labelled(Struct, frozen=True):
    """Points of one series with its own labels."""

    labels: Mapping[str, str]
    points: Points


def machines(series: Iterable[HistorySeries], *own: str) -> dict[str, list[Labelled]]:
    """The series by machine: by all labels that do not belong to the metric itself (``own``)."""
    found: dict[str, list[Labelled]] = {}
    for one in series:
        labels = parse_series(one.name)[1]
        foreign = {name: value for name, value in sorted(labels.items()) if name not in own}
        found.setdefault(label_text(foreign), []).append(Labelled(labels, one.points))
    return found


def of_one_machine(
    groups: Mapping[str, list[Labelled]], figure: Callable[[str, list[Labelled]], T], size: Callable[[T], float]
) -> T:
    """The figure of the one machine whose samples give it.

    Raises NoData with the first reason if none does, and if several machines' figures differ in ``size``.
    """
    answers: dict[str, T] = {}
    reasons: list[NoData] = []
    for machine, series in groups.items():
        try:
            answers[machine] = figure(machine, series)
        except NoData as reason:
            reasons.append(reason)
    if not answers:
        raise reasons[0] if reasons else NoData("no samples in this window")
    sizes = [abs(size(answer)) for answer in answers.values()]
    if max(sizes) - min(sizes) > SAME_WITHIN * max(sizes):
        raise NoData(f"several machines have data and disagree: {', '.join(sorted(answers))}")
    return next(iter(answers.values()))
