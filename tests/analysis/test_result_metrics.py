"""The results, QoE and cost exporters' families: the contract's names, no unknown figure, no series twice."""

from __future__ import annotations

import shutil
import subprocess

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from wattview.daemon.exporters.results_families import (
    cost_families,
    qoe_families,
    results_families,
    runs_families,
    scenario_labels,
)
from wattview.exposition import Family, render
from wattview.model import RunResult, ScenarioRecord, ScenarioResult

FULL = ScenarioResult(
    record=ScenarioRecord(name='1 "stream"', vmaf_score=95.5, psnr_score=42.0, ssim_score=0.98),
    duration_seconds=60.0, energy_joules=3000.0, power_mean_watts=50.0, power_max_watts=58.0, cpu_seconds=120.0,
    cpu_mean_percent=25.0, gpu_energy_joules=10.0, baseline_diff_power_watts=-0.5, qoe_score=4.775, cost_energy=0.1,
    cost_compute=0.2, cost_total=0.3, carbon_grams=7.0, currency="EUR",
)  # fmt: skip
EMPTY = ScenarioResult(record=ScenarioRecord(name="empty"), currency="EUR")
RUN = RunResult(id="20250102_030405", path="/x", test_date="", history="sqlite", scenarios=[FULL, EMPTY])


def samples(families: list[Family]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(render(families).decode()):
        for sample in family.samples:
            key = (sample.name, ",".join(f"{name}={value}" for name, value in sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def test_the_results_exporter_serves_the_contracts_names() -> None:
    found = samples(results_families(RUN))
    label = 'scenario=1 "stream"'
    assert found["scenario_duration_seconds", label] == 60.0
    assert found["scenario_power_mean_watts", label] == 50.0
    assert found["scenario_power_max_watts", label] == 58.0
    assert found["scenario_energy_joules", label] == 3000.0
    assert found["scenario_cpu_mean_percent", label] == 25.0
    assert found["scenario_baseline_diff_power_watts", label] == -0.5
    assert not any("empty" in labels for _, labels in found)


def test_the_qoe_exporter_serves_the_contracts_names() -> None:
    label = 'scenario=1 "stream"'
    assert samples(qoe_families(RUN)) == {
        ("qoe_score", label): 4.775, ("quality_vmaf", label): 95.5, ("quality_psnr", label): 42.0,
        ("quality_ssim", label): 0.98,
    }  # fmt: skip


def test_the_cost_exporter_serves_its_contract_and_is_alive_without_a_run() -> None:
    found = samples(cost_families(RUN))
    label = 'scenario=1 "stream",currency=EUR'
    assert found["cost_exporter_alive", ""] == 1.0
    assert found["cost_energy_load_aware", label] == 0.1
    assert found["cost_compute_load_aware", label] == 0.2
    assert found["cost_total_load_aware", label] == 0.3
    assert samples(cost_families(None)) == {("cost_exporter_alive", ""): 1.0}
    assert samples(results_families(None)) == samples(qoe_families(None)) == {}


OLDER = msgspec.structs.replace(RUN, id="20250101_000000", scenarios=[msgspec.structs.replace(FULL, energy_joules=9.0)])


def test_runs_side_by_side_have_distinct_names() -> None:
    found = samples(runs_families("results", [RUN, OLDER]))
    label = 'scenario=1 "stream"'
    assert found["wattview_run_scenario_energy_joules", f"run=20250102_030405,{label}"] == 3000.0
    assert found["wattview_run_scenario_energy_joules", f"run=20250101_000000,{label}"] == 9.0
    assert found["wattview_run_scenario_cpu_seconds", f"run=20250102_030405,{label}"] == 120.0
    assert not any(name.startswith("scenario_") for name, _ in found), "the contract's names have one series a scenario"
    assert not any("empty" in labels for _, labels in found)


def test_the_quality_and_the_cost_have_the_run_too() -> None:
    label = 'run=20250102_030405,scenario=1 "stream"'
    assert samples(runs_families("qoe", [RUN])) == {
        ("wattview_run_scenario_qoe_score", label): 4.775, ("wattview_run_scenario_quality_vmaf", label): 95.5,
        ("wattview_run_scenario_quality_psnr", label): 42.0, ("wattview_run_scenario_quality_ssim", label): 0.98,
    }  # fmt: skip
    money = f"{label},currency=EUR"
    assert samples(runs_families("cost", [RUN])) == {
        ("wattview_run_scenario_cost", money): 0.3, ("wattview_run_scenario_energy_cost", money): 0.1,
        ("wattview_run_scenario_compute_cost", money): 0.2, ("wattview_run_scenario_carbon_grams", money): 7.0,
    }  # fmt: skip


def test_the_series_of_many_runs_are_bounded_by_whole_runs() -> None:
    big = [msgspec.structs.replace(RUN, id=f"2025010{at}_000000", scenarios=[FULL] * 200) for at in range(1, 5)]
    found = runs_families("results", big)[0].samples
    assert len(found) == 400
    assert runs_families("results", [msgspec.structs.replace(RUN, scenarios=[FULL] * 501)])[0].samples == []


def test_a_repeated_name_is_numbered_without_colliding() -> None:
    results = [ScenarioResult(record=ScenarioRecord(name=name)) for name in ("a", "a (2)", "a", "b", "a")]
    assert scenario_labels(results) == ["a", "a (2)", "a (3)", "b", "a (4)"]


@given(st.lists(st.sampled_from(["a", "a (2)", "a (3)", "a (2) (2)", "b"])))
def test_labels_are_always_different_and_a_name_keeps_its_own(names: list[str]) -> None:
    found = scenario_labels([ScenarioResult(record=ScenarioRecord(name=name)) for name in names])
    assert len(set(found)) == len(names)
    for name in set(names):
        assert found[names.index(name)] == name


def test_promtool_reports_nothing() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is not installed: apt-get install prometheus"
    by_run = [family for exporter in ("results", "qoe", "cost") for family in runs_families(exporter, [RUN, OLDER])]
    text = render([*results_families(RUN), *qoe_families(RUN), *cost_families(RUN), *by_run])
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr.decode(), done.stdout.decode()) == (0, "", "")


@pytest.mark.parametrize("families", [results_families, qoe_families, cost_families])
def test_every_family_has_a_help_text_and_is_a_gauge(families: object) -> None:
    for family in families(RUN):  # type: ignore[operator]
        assert family.type == "gauge"
        assert family.help.endswith(".")
