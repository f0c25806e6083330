"""The power of a whole run for its graph: of the right source, of the right machine, each watt once."""

from __future__ import annotations

from tests.support.analysis_cases import START, evidence, flat, record
from wattview.analysis.windows.host import power_curve
from wattview.model import ScenarioResult

RESULT = ScenarioResult(record=record(), power_mean_watts=50.0)


def test_the_power_is_that_of_the_results_source() -> None:
    found = evidence(
        flat('wattview_host_power_watts{source="rapl"}', 50.0),
        flat('wattview_host_power_watts{source="battery"}', 80.0),
    )
    assert {value for _, value in power_curve(found, "rapl", [RESULT])} == {50.0}
    assert {value for _, value in power_curve(found, "battery", [RESULT])} == {80.0}
    assert power_curve(found, "hwmon", [RESULT]) == []


def test_sources_that_were_added_are_added() -> None:
    found = evidence(
        flat('wattview_host_power_watts{source="rapl"}', 50.0), flat('wattview_host_power_watts{source="nvml"}', 30.0)
    )
    assert {value for _, value in power_curve(found, "rapl+nvml", [RESULT])} == {80.0}


def test_of_several_machines_it_is_the_one_that_was_measured() -> None:
    found = evidence(
        flat('wattview_host_power_watts{instance="a",source="rapl"}', 90.0),
        flat('wattview_host_power_watts{instance="b",source="rapl"}', 51.0),
        flat('wattview_host_power_watts{instance="c",source="rapl"}', 10.0),
    )
    assert {value for _, value in power_curve(found, "rapl", [RESULT])} == {51.0}


def test_zones_of_another_program_count_each_watt_once() -> None:
    found = evidence(
        flat('rapl_power_watts{package="package-0",zone="package-0"}', 40.0),
        flat('rapl_power_watts{package="package-0",zone="core"}', 30.0),
        flat('rapl_power_watts{package="package-0",zone="dram"}', 5.0),
    )
    curve = power_curve(found, "rapl", [RESULT])
    assert {value for _, value in curve} == {45.0}
    assert curve[0][0] == START - 5


def test_without_samples_there_is_no_curve() -> None:
    assert power_curve(evidence(), "rapl", [RESULT]) == []
