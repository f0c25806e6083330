"""Which series the analyses read, and which of the series that a history returns belong together.

A Prometheus adds labels of its own (``job``, ``instance``) and may hold several machines, or one machine twice. A
figure is taken from one machine: where the series of several cover the window and do not agree, there is no figure.
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
CPU_BUSY = "wattview_host_cpu_busy_seconds_total"
CPUS = "wattview_host_cpus"
GPU_MILLIJOULES = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
GPU_PERCENT = "DCGM_FI_DEV_GPU_UTIL"
NODE_CPU = "node_cpu_seconds_total"
RAPL_ENERGY = "rapl_energy_joules_total"
RAPL_WATTS = "rapl_power_watts"

FIRST = (HOST_ENERGY, HOST_WATTS, HOST_PEAK_WATTS, MACHINE_WATTS, CPU_BUSY, CPUS, GPU_MILLIJOULES, GPU_PERCENT)
INSTEAD: Mapping[str, tuple[str, ...]] = {HOST_ENERGY: (RAPL_ENERGY, RAPL_WATTS), CPU_BUSY: (NODE_CPU,)}
"""What other programs' exporters gave, asked for where our own series are not there."""

SAME_WITHIN = 0.01
"""Two answers that differ by less than this share are one machine that was scraped twice."""


class OwnPower(Struct, frozen=True):
    """The power of a window as the daemon recorded it while it measured: the trail of its ``source``. ``gpus``: the
    sources of GPUs beside it, whose energy has a counter of its own. ``reason`` says why a part of the machine was not
    known."""

    source: str
    points: Sequence[TrailPoint]
    gpus: Sequence[str] = ()
    reason: str = ""


class Evidence(Struct, frozen=True):
    """What a history holds for one window, by metric; ``failures`` says why it could not be asked for a metric.

    Of a run's own window it is what the daemon recorded beside the results, and ``own`` is its power. What a counter of
    the host shows is older than its time stamp by ``lag_seconds`` at the most, and younger by ``lead_seconds``.
    """

    series: Mapping[str, list[HistorySeries]] = {}
    failures: Mapping[str, str] = {}
    own: OwnPower | None = None
    lag_seconds: float = LAG_SECONDS
    lead_seconds: float = LEAD_SECONDS

    def of(self, metric: str) -> list[HistorySeries]:
        """The series of a metric, none where there are none. Raises NoData where the history did not answer."""
        if metric in self.failures:
            raise NoData(self.failures[metric])
        return self.series.get(metric, [])

    def also_wanted(self) -> tuple[str, ...]:
        """The metrics to ask for in place of those that are not there."""
        absent = [metric for metric in INSTEAD if metric not in self.failures and not self.series.get(metric)]
        return tuple(other for metric in absent for other in INSTEAD[metric])


class Labelled(Struct, frozen=True):
    """The points of one series with its own labels."""

    labels: Mapping[str, str]
    points: Points


def machines(series: Iterable[HistorySeries], *own: str) -> dict[str, list[Labelled]]:
    """The series by the machine they came from: by all labels that are not the metric's ``own``."""
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

    Raises NoData with the first reason where none gives it, and where several do whose figures differ in ``size``.
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
        raise NoData(f"several machines answer and differ: {', '.join(sorted(answers))}")
    return next(iter(answers.values()))
