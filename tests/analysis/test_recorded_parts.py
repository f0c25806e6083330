"""The energy of workloads and streams in a window: of those that were there all the time, came, went, or have a gap."""

from __future__ import annotations

import pytest

from wattview.analysis.windows.parts import recorded_parts
from wattview.model import HistorySeries

START, END = 1000.0, 1060.0


def workload(name: str, points: list[tuple[float, float]], **labels: str) -> HistorySeries:
    more = "".join(f',{label}="{value}"' for label, value in labels.items())
    return HistorySeries(f'wattview_workload_energy_joules_total{{kind="unit",name="{name}"{more}}}', points)


def stream(name: str, points: list[tuple[float, float]]) -> HistorySeries:
    return HistorySeries(f'wattview_stream_power_watts{{app="live",stream="{name}"}}', points)


def counter(watts: float, begin: float, end: float, first: float = 0.0) -> list[tuple[float, float]]:
    """Every five seconds."""
    return [(begin + at, first + watts * at) for at in range(0, int(end - begin) + 1, 5)]


def energies(*series: HistorySeries) -> dict[str, float | None]:
    workloads = [one for one in series if one.name.startswith("wattview_workload")]
    streams = [one for one in series if one not in workloads]
    return {part.name: part.energy_joules for part in recorded_parts(workloads, streams, START, END)}


def test_a_running_workload_has_the_increase_of_its_counter() -> None:
    assert energies(workload("nginx.service", counter(2.0, 900, 1100, first=500.0))) == {"nginx.service": 120.0}


def test_ends_between_samples_are_interpolated() -> None:
    assert energies(workload("a", counter(2.0, 898, 1103)))["a"] == pytest.approx(120.0)


def test_a_short_workload_has_all_its_energy() -> None:
    found = energies(workload("came", [(1030.0, 0.5), *counter(2.0, 1035, 1100, first=10.0)]),
                     workload("went", counter(2.0, 900, 1020)), workload("before", counter(2.0, 900, 980)))  # fmt: skip
    assert found == {"came": 10.0 + 2.0 * 25, "went": 40.0}, "and what was over is not listed"


def test_a_gap_or_restart_makes_energy_unknown_and_never_smaller() -> None:
    gap = [*counter(2.0, 900, 1010), *counter(2.0, 1090, 1200, first=400.0)]
    restart = [*counter(2.0, 900, 1030), *counter(2.0, 1035, 1100)]
    assert energies(workload("gap", gap), workload("restart", restart)) == {"gap": None, "restart": None}


def test_a_streams_energy_is_the_integral_of_its_power_while_live() -> None:
    found = energies(stream("main", [(at, 3.0) for at in range(900, 1101, 5)]),
                     stream("late", [(at, 4.0) for at in range(1040, 1101, 5)]))  # fmt: skip
    assert found == {"live/main": pytest.approx(180.0), "live/late": pytest.approx(80.0)}


def test_workloads_are_sorted_by_energy_with_unknown_last() -> None:
    series = [workload("small", counter(1.0, 900, 1100), engine="docker"), workload("big", counter(5.0, 900, 1100)),
              workload("gap", [(900.0, 0.0), (1100.0, 9.0)])]  # fmt: skip
    parts = recorded_parts(series, [], START, END)
    assert [part.name for part in parts] == ["big", "small", "gap"]
    assert parts[1].what == "unit docker"


def test_use_before_the_window_is_excluded_even_if_first_seen_inside() -> None:
    """It began between two ticks: its first value is of the time since the one at which it was not there."""
    other = workload("other", counter(1.0, 995, 1100))
    [young] = [part for part in recorded_parts([other, workload("young", [(1000.0 + 2.5, 5.0), (1060.0, 120.0)])], [],
                                               START, END) if part.name == "young"]  # fmt: skip
    # From 1000 on others were sampled without it: all of its 5 J are after that.
    assert young.energy_joules == pytest.approx(120.0)
    late = workload("late", [(1001.0, 6.0), *counter(1.0, 1005, 1100, first=10.0)])
    ticks = workload("ticks", [(995.0, 0.0), (1001.0, 6.0), (1060.0, 65.0)])
    [found] = [part for part in recorded_parts([late, ticks], [], START, END) if part.name == "late"]
    assert found.energy_joules == pytest.approx(1.0 + 4.0 + 55.0), "a sixth of its first 6 J is inside"


def test_energy_of_a_workload_with_an_unknown_start_is_unknown() -> None:
    assert energies(workload("first", counter(2.0, 1005, 1100, first=40.0))) == {"first": None}
