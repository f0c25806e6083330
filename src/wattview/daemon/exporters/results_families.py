"""An analysed results file as metric families: what the results, QoE and cost exporters serve.

A figure that is unknown is no sample. Two scenarios of one name in a file are told apart by their place: the second is
``name (2)``, so that no series appears twice in an answer.

The contract's families are of the newest file and know a scenario by its name alone: one series for each, whatever run
it was. ``runs_families`` are the same figures with the label ``run``, under names of our own, for the newest files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wattview.exposition import Family, labels
from wattview.model import RunResult, ScenarioResult

_RESULTS = (
    (
        "scenario_duration_seconds",
        "duration_seconds",
        "Length of the scenario by its results file, else of its window.",
    ),
    ("scenario_power_mean_watts", "power_mean_watts", "Mean power of the host: energy by duration."),
    ("scenario_power_max_watts", "power_max_watts", "Largest reading of the host's power inside the window."),
    ("scenario_energy_joules", "energy_joules", "Energy of the host, from its counter."),
    ("scenario_cpu_mean_percent", "cpu_mean_percent", "CPU use, as a share of the whole machine."),
    (
        "scenario_baseline_diff_power_watts",
        "baseline_diff_power_watts",
        "Mean power less the mean power of the baseline scenario of the same results file.",
    ),
    ("wattview_scenario_cpu_seconds", "cpu_seconds", "CPU time that was used, over all CPUs."),
    ("wattview_scenario_gpu_energy_joules", "gpu_energy_joules", "Energy of the GPUs, from their counters."),
)
_COSTS = (
    ("cost_total_load_aware", "cost_total", "Cost of the scenario: energy and computing time."),
    ("cost_energy_load_aware", "cost_energy", "Cost of the scenario's energy, with the building's overhead (PUE)."),
    ("cost_compute_load_aware", "cost_compute", "Cost of the scenario's CPU and GPU time."),
)
_QUALITY = (
    ("quality_vmaf", "vmaf_score", "VMAF of the encoded picture against its source, 0 to 100."),
    ("quality_psnr", "psnr_score", "Peak signal-to-noise ratio against the source, decibels."),
    ("quality_xpsnr", "xpsnr_score", "Perceptually weighted PSNR (XPSNR) against the source, decibels."),
    ("quality_ssim", "ssim_score", "Structural similarity with the source, 0 to 1."),
)
QOE_HELP = "Viewers' opinion on the five-point ACR scale."
CARBON_HELP = "CO2 equivalent of the scenario's energy."


def scenario_labels(scenarios: Sequence[ScenarioResult]) -> list[str]:
    """The value of the label ``scenario`` of each, all different."""
    found: list[str] = []
    used: set[str] = set()
    names = {scenario.record.name for scenario in scenarios}
    for scenario in scenarios:
        label, count = scenario.record.name, 1
        while label in used or (count > 1 and label in names):
            count += 1
            label = f"{scenario.record.name} ({count})"
        used.add(label)
        found.append(label)
    return found


def results_families(run: RunResult | None) -> list[Family]:
    """Port 9502: duration, power, energy, CPU and the difference from the baseline."""
    texts, scenarios = _of(run)
    families = [
        _family(name, help_text, texts, [getattr(scenario, figure) for scenario in scenarios])
        for name, figure, help_text in _RESULTS
    ]
    if run is not None:
        run_labels = labels(run=run.id, status=run.status or "", history=run.history)
        families.append(
            Family("wattview_results_info", "gauge", "The results file that is shown.", [(run_labels, 1.0)])
        )
    return families


def qoe_families(run: RunResult | None) -> list[Family]:
    """Port 9503: the score and the picture's quality, as the file has it."""
    texts, scenarios = _of(run)
    scores = [scenario.qoe_score for scenario in scenarios]
    return [
        _family("qoe_score", QOE_HELP, texts, scores),
        *(
            _family(name, help_text, texts, [getattr(scenario.record, field) for scenario in scenarios])
            for name, field, help_text in _QUALITY
        ),
    ]


def cost_families(run: RunResult | None) -> list[Family]:
    """Port 9504: costs in the currency of the settings, and carbon where the grid's intensity is set."""
    _, scenarios = _of(run)
    names = scenario_labels(scenarios)
    texts = [labels(scenario=name, currency=one.currency or "") for name, one in zip(names, scenarios, strict=True)]
    return [
        Family("cost_exporter_alive", "gauge", "1 while the cost exporter answers.", [("", 1.0)]),
        *(
            _family(name, help_text, texts, [getattr(scenario, figure) for scenario in scenarios])
            for name, figure, help_text in _COSTS
        ),
        _family(
            "wattview_scenario_carbon_grams",
            CARBON_HELP,
            [labels(scenario=name) for name in names],
            [scenario.carbon_grams for scenario in scenarios],
        ),
    ]


MAX_RUN_SCENARIOS = 500
"""How many scenarios ``runs_families`` show at the most, over all runs: a bound for the store that keeps the series."""

_BY_RUN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "results": (
        ("wattview_run_scenario_duration_seconds", "duration_seconds"),
        ("wattview_run_scenario_power_mean_watts", "power_mean_watts"),
        ("wattview_run_scenario_power_max_watts", "power_max_watts"),
        ("wattview_run_scenario_energy_joules", "energy_joules"),
        ("wattview_run_scenario_cpu_mean_percent", "cpu_mean_percent"),
        ("wattview_run_scenario_baseline_diff_power_watts", "baseline_diff_power_watts"),
        ("wattview_run_scenario_cpu_seconds", "cpu_seconds"),
        ("wattview_run_scenario_gpu_energy_joules", "gpu_energy_joules"),
    ),
    "qoe": (
        ("wattview_run_scenario_qoe_score", "qoe_score"),
        ("wattview_run_scenario_quality_vmaf", "vmaf_score"),
        ("wattview_run_scenario_quality_psnr", "psnr_score"),
        ("wattview_run_scenario_quality_xpsnr", "xpsnr_score"),
        ("wattview_run_scenario_quality_ssim", "ssim_score"),
    ),
    "cost": (
        ("wattview_run_scenario_cost", "cost_total"),
        ("wattview_run_scenario_energy_cost", "cost_energy"),
        ("wattview_run_scenario_compute_cost", "cost_compute"),
        ("wattview_run_scenario_carbon_grams", "carbon_grams"),
    ),
}
"""By exporter: the name and the figure of each family with the label ``run``."""

_HELP = {figure: help_text for table in (_RESULTS, _QUALITY, _COSTS) for _, figure, help_text in table}
_HELP |= {"qoe_score": QOE_HELP, "carbon_grams": CARBON_HELP}


def runs_families(exporter: str, runs: Sequence[RunResult]) -> list[Family]:
    """The figures of several runs, newest first, each by ``{run,scenario}`` (costs: and ``currency``)."""
    shown: list[tuple[str, ScenarioResult]] = []
    for run in runs:
        if len(shown) + len(run.scenarios) > MAX_RUN_SCENARIOS:
            break
        for name, one in zip(scenario_labels(run.scenarios), run.scenarios, strict=True):
            money = {"currency": one.currency or ""} if exporter == "cost" else {}
            shown.append((labels(run=run.id, scenario=name, **money), one))
    texts = [text for text, _ in shown]
    return [
        _family(name, _HELP[figure], texts, [_figure(one, figure) for _, one in shown])
        for name, figure in _BY_RUN[exporter]
    ]


def _figure(one: ScenarioResult, name: str) -> float | None:
    """Of the result, or of its record: quality stands there."""
    value: float | None = getattr(one if hasattr(one, name) else one.record, name)
    return value


def _of(run: RunResult | None) -> tuple[list[str], list[ScenarioResult]]:
    scenarios = run.scenarios if run is not None else []
    return [labels(scenario=name) for name in scenario_labels(scenarios)], scenarios


def _family(name: str, help_text: str, texts: Sequence[str], values: Sequence[float | None]) -> Family:
    family = Family(name, "gauge", help_text)
    for text, value in zip(texts, values, strict=True):
        family.add(value, text)
    return family
