"""Figures of a recorded scenario: energy, power, CPU time, cost, carbon, quality, and the difference from the baseline
of the same file. Pure functions of the record, the history of its window, and the prices.

An unknown figure is None, with its reason in ``reasons`` under the figure's name; the others are unaffected.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from wattview.analysis.command_energy import per_execution
from wattview.analysis.efficiency import efficiency, work_of
from wattview.analysis.pricing import cost, grid, tariff
from wattview.analysis.qoe import qoe
from wattview.analysis.windows import gpus, host, wall
from wattview.analysis.windows.energy import MAX_GAP_SECONDS, NoData, percentile
from wattview.analysis.windows.host import Window
from wattview.analysis.windows.series import Evidence
from wattview.config import Cost
from wattview.model import Efficiency, GridPrices, GridSeries, ScenarioRecord, ScenarioResult

T = TypeVar("T")

BASELINE_NAMES = ("baseline", "idle")
"""How other programs name an idle window: their files have no ``type``. A name that starts with one of these is a
baseline."""

MAX_WINDOW_SECONDS = 31 * 86400.0

PERCENTILES = (5, 50, 95, 99)

_OF_POWER = (
    "energy_joules", "power_mean_watts", "power_max_watts", "power_percentile_watts", "cost_energy", "carbon_grams",
    "efficiency",
)  # fmt: skip
_OF_WALL = ("wall_energy_joules", "wall_power_mean_watts")
_OF_CPU = ("cpu_seconds", "cpu_mean_percent", "cost_compute")
_OF_WINDOW = (*_OF_POWER, *_OF_CPU, "gpu_energy_joules", "cost_total")


def window_of(record: ScenarioRecord, max_gap: float = MAX_GAP_SECONDS) -> Window:
    """The measured window. Raises NoData if the record does not say when it was."""
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


class _Findings:
    """Figures as they are computed, and the reasons for those that are unknown."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}
        self.inapplicable: dict[str, str] = {}
        self.stale: list[str] = []

    def take(self, name: str, compute: Callable[[], T]) -> T | None:
        """Records a figure, or the reason why it is unknown."""
        try:
            value = compute()
        except NoData as lack:
            self.reasons[name] = lack.reason
            return None
        self.figures[name] = value
        return value

    def lack(self, names: Iterable[str], reason: str) -> None:
        self.reasons |= dict.fromkeys(names, reason)


def analyse(
    record: ScenarioRecord,
    evidence: Evidence,
    prices: Cost,
    max_gap: float = MAX_GAP_SECONDS,
    known: GridPrices | None = None,
) -> ScenarioResult:
    """One scenario by itself. ``compared_with_baseline`` adds the difference from the baseline."""
    found = _Findings()
    found.figures["duration_seconds"] = record.duration or None
    score, method = qoe(record.vmaf_score, record.playback, record.duration)
    if score is None and is_baseline(record):
        found.inapplicable["qoe_score"] = "an idle window has no video"
    elif score is None:
        found.reasons["qoe_score"] = method
    else:
        found.figures |= {"qoe_score": score, "qoe_method": method}
    try:
        window = window_of(record, max_gap)
    except NoData as lack:
        found.lack(_OF_WINDOW, lack.reason)
    else:
        found.figures["window_seconds"] = window.seconds
        if not record.duration:
            found.figures["duration_seconds"] = window.seconds
        _wall(found, evidence, window)
        _power(found, evidence, window)
        _billed(found, evidence, window, prices, known or GridPrices())
        _cpu(found, evidence, window, prices)
        if gpus.no_gpu(evidence):
            found.inapplicable["gpu_energy_joules"] = "no GPU could be read on this machine"
        else:
            found.take("gpu_energy_joules", lambda: gpus.gpu_energy(evidence, window))
        _total(found)
        if not is_baseline(record):
            _efficiency(found, record, window, prices)
    return ScenarioResult(
        record=record, currency=prices.currency, reasons=found.reasons, inapplicable=found.inapplicable,
        remarks={"grid": f"by the last known value: {', '.join(found.stale)}"} if found.stale else {}, **found.figures
    )  # fmt: skip


def _wall(found: _Findings, evidence: Evidence, window: Window) -> None:
    """Nothing is said of it on a machine without a meter or a calibration: that is the rule."""
    try:
        if not wall.metered(evidence):
            return
        energy = wall.wall_energy(evidence, window)
    except NoData as lack:
        found.lack(_OF_WALL, lack.reason)
        return
    found.figures |= {
        "wall_energy_joules": energy.joules,
        "wall_energy_error_joules": energy.error_joules,
        "wall_power_mean_watts": energy.joules / window.seconds,
        "wall_source": energy.source,
    }


def _power(found: _Findings, evidence: Evidence, window: Window) -> None:
    try:
        energy = host.host_energy(evidence, window)
    except NoData as lack:
        found.lack(_OF_POWER, lack.reason)
        return
    found.figures |= {
        "energy_joules": energy.joules,
        "energy_error_joules": max(energy.joules - energy.least, energy.most - energy.joules),
        "power_mean_watts": energy.joules / window.seconds,
        "power_source": energy.source,
    }
    found.take("power_max_watts", lambda: host.largest_watts(evidence, window, energy))
    found.take("power_percentile_watts", lambda: _percentiles(evidence, window, energy))


def _billed(found: _Findings, evidence: Evidence, window: Window, prices: Cost, known: GridPrices) -> None:
    """Cost and carbon of what was drawn from the wall where that is known, else of what the host's source counts: the
    integral over the window where the grid's sources, or a tariff, tell values of its parts."""
    joules = found.figures.get("wall_energy_joules", found.figures.get("energy_joules"))
    if joules is None:
        return
    at_wall = "wall_energy_joules" in found.figures

    def between(start: float, end: float) -> float:
        part = Window(start, end, window.max_gap)
        return wall.wall_energy(evidence, part).joules if at_wall else host.host_energy(evidence, part).joules

    def of(series: GridSeries | None) -> float | None:
        if series is None or (told := grid.integral(series, between, window.start, window.end)) is None:
            return None
        value, current = told
        if not current:
            found.stale.append(f"{series.quantity} of {series.source}")
        return value * prices.pue

    def energy_cost() -> float:
        told = of(known.price)
        if told is not None:
            return told
        if prices.tariff:
            return tariff.energy_cost(between, window.start, window.end, prices)
        return cost.energy_cost(joules, prices)

    def carbon() -> float:
        told = of(known.carbon)
        if told is None:
            told = cost.carbon_grams(joules, prices)
        if told is None:
            raise NoData("the grid's carbon intensity is not set; set cost.carbon_g_per_kwh")
        return told

    for name, figure in (("cost_energy", energy_cost), ("carbon_grams", carbon)):
        found.reasons.pop(name, None)
        found.take(name, figure)


def _cpu(found: _Findings, evidence: Evidence, window: Window, prices: Cost) -> None:
    try:
        cpu = host.cpu_use(evidence, window)
    except NoData as lack:
        found.lack(_OF_CPU, lack.reason)
        return
    found.figures |= {"cpu_seconds": cpu.seconds, "cpu_mean_percent": cpu.percent}
    found.take("cost_compute", lambda: cost.compute_cost(cpu.seconds, _gpu_seconds(evidence, window, prices), prices))


def _total(found: _Findings) -> None:
    for part in ("cost_energy", "cost_compute"):
        if part not in found.figures:
            found.reasons["cost_total"] = found.reasons[part]
            return
    found.figures["cost_total"] = found.figures["cost_energy"] + found.figures["cost_compute"]


def _efficiency(found: _Findings, record: ScenarioRecord, window: Window, prices: Cost) -> None:
    try:
        work = work_of(record, window.seconds)
    except NoData as lack:
        found.reasons["efficiency"] = lack.reason
        return
    if work.delivered_gigabytes is not None:
        found.figures["cost_egress"] = cost.egress_cost(work.delivered_gigabytes, prices)
    joules = found.figures.get("energy_joules")
    if joules is None:
        return
    carbon, sci = found.figures.get("carbon_grams"), None
    if work.stream_hours:
        sci = cost.software_carbon_intensity(joules, window.seconds, work.stream_hours, prices, carbon)
    found.figures["efficiency"] = efficiency(
        joules, work, cost=found.figures.get("cost_total"), egress=found.figures.get("cost_egress"),
        carbon_grams=carbon, sci_grams=sci,
    )  # fmt: skip


def _percentiles(evidence: Evidence, window: Window, energy: host.HostEnergy) -> dict[str, float]:
    values = [value for _, value in host.power_readings(evidence, window, energy)]
    return {str(percent): percentile(values, percent) for percent in PERCENTILES}


def _gpu_seconds(evidence: Evidence, window: Window, prices: Cost) -> float:
    return gpus.gpu_seconds(evidence, window) if prices.gpu_per_hour else 0.0


def is_baseline(record: ScenarioRecord) -> bool:
    """Whether a scenario is an idle window: by its type, or by its name in a file without types."""
    if record.type is not None:
        return record.type == "baseline"
    return record.name.casefold().startswith(BASELINE_NAMES)


def compared_with_baseline(results: Sequence[ScenarioResult]) -> list[ScenarioResult]:
    """Adds to every scenario the baseline's name and its mean power less the baseline's.

    Of several baselines, the last one that began before the scenario counts, else the first.
    """
    baselines = [result for result in results if is_baseline(result.record)]
    begun = sorted(
        (result for result in baselines if result.record.start_time is not None),
        key=lambda result: result.record.start_time or 0.0,
    )
    starts = [result.record.start_time or 0.0 for result in begun]

    def baseline_of(result: ScenarioResult) -> ScenarioResult | None:
        start = result.record.start_time
        place = bisect_right(starts, start) if start is not None else 0
        if place:
            return begun[bisect_left(starts, starts[place - 1])]
        return baselines[0] if baselines else None

    idle: dict[str | None, list[float]] = {}
    for one in baselines:
        if one.power_mean_watts is not None:
            idle.setdefault(one.power_source, []).append(one.power_mean_watts)
    return [_compared(result, baseline_of(result), tuple(idle.get(result.power_source, ()))) for result in results]


def _compared(result: ScenarioResult, baseline: ScenarioResult | None, idle_watts: tuple[float, ...]) -> ScenarioResult:
    reason = ""
    difference = net_joules = net = subtracted = None
    if baseline is None:
        reason = "this results file has no baseline scenario"
    elif result.power_mean_watts is None:
        reason = result.reasons.get("power_mean_watts", "its power is unknown")
    elif baseline.power_mean_watts is None:
        reason = f"the baseline's power is unknown: {baseline.reasons.get('power_mean_watts', 'no data')}"
    elif baseline.power_source != result.power_source:
        reason = f"the baseline's power came from {baseline.power_source}, this scenario's from {result.power_source}"
    else:
        subtracted = baseline.power_mean_watts
        difference = result.power_mean_watts - subtracted
        net_joules = difference * (result.window_seconds or 0.0)
        if result.efficiency is not None:
            net = _net(result, net_joules)
    reasons = {name: text for name, text in result.reasons.items() if name != "baseline_diff_power_watts"}
    if reason:
        reasons["baseline_diff_power_watts"] = reason
    each, lack = per_execution(result, net_joules, baseline)
    if lack:
        reasons["joules_per_execution"] = lack
    return replace(
        result,
        per_execution=each,
        baseline=baseline.record.name if baseline is not None else None,
        baseline_watts=subtracted,
        baselines_watts=idle_watts if subtracted is not None else (),
        baseline_diff_power_watts=difference,
        net_energy_joules=net_joules,
        net_efficiency=net,
        reasons=reasons,
    )


def _net(result: ScenarioResult, net_joules: float) -> Efficiency:
    """Efficiency of the energy above baseline. It has no costs, since computing time has no part above baseline."""
    carbon = None
    if result.carbon_grams is not None and result.energy_joules:
        carbon = result.carbon_grams * net_joules / result.energy_joules
    return efficiency(net_joules, work_of(result.record, result.window_seconds or 0.0), carbon_grams=carbon)
