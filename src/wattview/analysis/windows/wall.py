"""Energy at the wall in a window, by a meter or a calibration."""

from __future__ import annotations

from typing import get_args

from msgspec import Struct

from wattview.analysis.windows import series as names
from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.host import Window
from wattview.analysis.windows.series import Evidence, Labelled, machines, of_one_machine
from wattview.exposition import parse_series
from wattview.model import HistorySeries, WallSource


class WallEnergy(Struct, frozen=True):
    """``error_joules`` follows from the meter's class and resolution, or from the model's interval, as if the error
    were constant; None if it was not recorded."""

    joules: float
    source: WallSource
    error_joules: float | None = None


def metered(evidence: Evidence) -> bool:
    """Whether there are data on power at the wall around this window."""
    return bool(evidence.of(names.WALL_ENERGY) or evidence.of(names.WALL_WATTS))


def wall_energy(evidence: Evidence, window: Window) -> WallEnergy:
    """By the meter if it covers the window, else by the calibration. Raises NoData if neither does."""
    failures: list[NoData] = []
    for source in get_args(WallSource):
        told = [one for one in evidence.of(names.WALL_ENERGY) if parse_series(one.name)[1].get("source") == source]
        if told:
            try:
                return _by(evidence, window, told, source)
            except NoData as reason:
                failures.append(reason)
    raise failures[0] if failures else NoData("the energy from the wall was not counted in this window")


def _by(evidence: Evidence, window: Window, told: list[HistorySeries], source: WallSource) -> WallEnergy:
    def figure(machine: str, series: list[Labelled]) -> WallEnergy:
        joules = window.increase(series[0].points, "unknown")
        return WallEnergy(joules, source, _error(evidence, window, source, machine))

    return of_one_machine(machines(told, "source"), figure, lambda energy: energy.joules)


def _error(evidence: Evidence, window: Window, source: WallSource, machine: str) -> float | None:
    told = [
        value
        for one in machines(evidence.of(names.WALL_ERROR_WATTS), "source").get(machine, [])
        if one.labels.get("source") == source
        for time, value in one.points
        if window.start - window.max_gap <= time <= window.end + window.max_gap
    ]
    return sum(told) / len(told) * window.seconds if told else None
