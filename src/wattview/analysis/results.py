"""What a recorded scenario means: its energy, power, CPU time, cost, carbon and quality, and the difference from the
baseline of the same file. Pure functions of the record, of what a history holds for its window, and of the prices.

A figure that cannot be had is None and its reason stands in ``reasons`` under the figure's name; the others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from wattview.analysis import cost, host
from wattview.analysis.energy import MAX_GAP_SECONDS, NoData
from wattview.analysis.host import Window
from wattview.analysis.qoe import qoe
from wattview.analysis.series import Evidence
from wattview.config import Cost
from wattview.model import ScenarioRecord, ScenarioResult

T = TypeVar("T")

BASELINE_NAMES = ("baseline", "idle")
"""How other programs call an idle window: their files have no ``type``. A name that begins so is one."""

MAX_WINDOW_SECONDS = 31 * 86400.0

MEASURED_FIGURES = (
    "energy_joules", "power_mean_watts", "power_max_watts", "cpu_seconds", "cpu_mean_percent", "gpu_energy_joules",
    "cost_energy", "cost_compute", "cost_total", "carbon_grams", "baseline_diff_power_watts",
)  # fmt: skip
"""The figures that need a window and a history."""


def window_of(record: ScenarioRecord, max_gap: float = MAX_GAP_SECONDS) -> Window:
    """The measured window. Raises NoData where the record does not say when it was."""
    for name, value in (("start_time", record.start_time), ("end_time", record.end_time)):
        if value is None:
            noted = [note for note in record.notes or [] if note.startswith(f"{name}: ")]
            raise NoData(noted[0] if noted else f"{name} is missing")
    assert record.start_time is not None
    assert record.end_time is not None
    if record.end_time <= record.start_time:
        raise NoData("end_time is not after start_time")
    if record.end_time - record.start_time > MAX_WINDOW_SECONDS:
        raise NoData(f"a window of more than {MAX_WINDOW_SECONDS / 86400:.0f} days is not analysed")
    return Window(record.start_time, record.end_time, max_gap)


def analyse(
    record: ScenarioRecord, evidence: Evidence, prices: Cost, max_gap: float = MAX_GAP_SECONDS
) -> ScenarioResult:
    """One scenario by itself. ``compared_with_baseline`` adds the difference from the baseline."""
    reasons: dict[str, str] = {}

    def figure(name: str, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except NoData as reason:
            reasons[name] = reason.reason
            return None

    score, method = qoe(record.vmaf_score)
    if score is None:
        reasons["qoe_score"] = method
    result = ScenarioResult(
        record=record,
        duration_seconds=record.duration,
        qoe_score=score,
        qoe_method=method if score is not None else None,
        currency=prices.currency,
    )
    try:
        window = window_of(record, max_gap)
    except NoData as reason:
        return replace(result, reasons=reasons | dict.fromkeys(MEASURED_FIGURES, reason.reason))

    energy = figure("energy_joules", lambda: host.host_energy(evidence, window))
    cpu = figure("cpu_seconds", lambda: host.cpu_use(evidence, window))
    gpu_joules = figure("gpu_energy_joules", lambda: host.gpu_energy(evidence, window))
    cost_energy = cost_compute = carbon = largest = None
    if energy is not None:
        known = energy
        largest = figure("power_max_watts", lambda: host.largest_watts(evidence, window, known))
        cost_energy = cost.energy_cost(energy.joules, prices)
        carbon = cost.carbon_grams(energy.joules, prices)
        if carbon is None:
            reasons["carbon_grams"] = "the grid's carbon intensity is not set; set cost.carbon_g_per_kwh"
    else:
        for name in ("power_mean_watts", "power_max_watts", "cost_energy", "carbon_grams"):
            reasons[name] = reasons["energy_joules"]
    if cpu is not None:
        gpu_seconds = figure("cost_compute", lambda: _gpu_seconds(evidence, window, prices))
        if gpu_seconds is not None:
            cost_compute = cost.compute_cost(cpu.seconds, gpu_seconds, prices)
    else:
        reasons["cpu_mean_percent"] = reasons["cost_compute"] = reasons["cpu_seconds"]
    total = None
    if cost_energy is not None and cost_compute is not None:
        total = cost_energy + cost_compute
    else:
        reasons["cost_total"] = reasons["cost_energy" if cost_energy is None else "cost_compute"]
    return replace(
        result,
        duration_seconds=window.seconds,
        energy_joules=energy.joules if energy else None,
        energy_error_joules=max(energy.joules - energy.least, energy.most - energy.joules) if energy else None,
        power_mean_watts=energy.joules / window.seconds if energy else None,
        power_max_watts=largest,
        power_source=energy.source if energy else None,
        cpu_seconds=cpu.seconds if cpu else None,
        cpu_mean_percent=cpu.percent if cpu else None,
        gpu_energy_joules=gpu_joules,
        cost_energy=cost_energy,
        cost_compute=cost_compute,
        cost_total=total,
        carbon_grams=carbon,
        reasons=reasons,
    )


def _gpu_seconds(evidence: Evidence, window: Window, prices: Cost) -> float:
    return host.gpu_seconds(evidence, window) if prices.gpu_per_hour else 0.0


def is_baseline(record: ScenarioRecord) -> bool:
    """Whether a scenario is an idle window: by its type, and by its name where a file has no types."""
    if record.type is not None:
        return record.type == "baseline"
    return record.name.casefold().startswith(BASELINE_NAMES)


def compared_with_baseline(results: Sequence[ScenarioResult]) -> list[ScenarioResult]:
    """Every scenario with the baseline's name and the difference of the mean powers, its own less the baseline's.

    Of several baselines it is the last one that began before the scenario, else the first.
    """
    baselines = [result for result in results if is_baseline(result.record)]
    return [_compared(result, _baseline_for(result, baselines)) for result in results]


def _baseline_for(result: ScenarioResult, baselines: Sequence[ScenarioResult]) -> ScenarioResult | None:
    start = result.record.start_time
    earlier = [
        baseline for baseline in baselines
        if start is not None and baseline.record.start_time is not None and baseline.record.start_time <= start
    ]  # fmt: skip
    if earlier:
        return max(earlier, key=lambda baseline: baseline.record.start_time or 0.0)
    return baselines[0] if baselines else None


def _compared(result: ScenarioResult, baseline: ScenarioResult | None) -> ScenarioResult:
    reason = ""
    difference = None
    if baseline is None:
        reason = "this results file has no baseline scenario"
    elif result.power_mean_watts is None:
        reason = result.reasons.get("power_mean_watts", "its own power is unknown")
    elif baseline.power_mean_watts is None:
        reason = f"the baseline's power is unknown: {baseline.reasons.get('power_mean_watts', 'no data')}"
    elif baseline.power_source != result.power_source:
        reason = f"the baseline's power came from {baseline.power_source}, this one's from {result.power_source}"
    else:
        difference = result.power_mean_watts - baseline.power_mean_watts
    reasons = {name: text for name, text in result.reasons.items() if name != "baseline_diff_power_watts"}
    if reason:
        reasons["baseline_diff_power_watts"] = reason
    return replace(
        result,
        baseline=baseline.record.name if baseline is not None else None,
        baseline_diff_power_watts=difference,
        reasons=reasons,
    )
