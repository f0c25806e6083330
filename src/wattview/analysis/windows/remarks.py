"""Remarks on how far a run's figures can be trusted: a baseline that was not idle, or that drifted.

A remark has a short name, for a table column, and a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.confidence import estimate
from wattview.model import Estimate, ScenarioResult

IDLE_PERCENT = 5.0
"""Most CPU time, in percent, that an idle window may use."""

NOT_IDLE, BASELINE_NOT_IDLE, WITHIN_DRIFT = "not idle", "baseline not idle", "within drift"

IN_GENERAL: Mapping[str, str] = {
    BASELINE_NOT_IDLE: "its baselines were not idle: the increase over baseline is underestimated",
    WITHIN_DRIFT: "the increase over baseline of some of it is not meaningful: the baselines of its run differ by more",
}
"""Sentences for remarks on several scenarios, whose own sentences differ in their figures."""


class NoiseFloor(Struct, frozen=True):
    """Stability of the machine: the mean power of a file's baselines, and how far they disagree.

    Differences from the baseline below ``spread_watts`` are not meaningful. ``drift_watts`` is the last baseline less
    the first: the effect of warming up or of another program during the run.
    """

    mean_watts: Estimate
    spread_watts: float
    drift_watts: float


UNKNOWN_MODEL = "an unknown model"


def noise_floor(results: Iterable[ScenarioResult]) -> NoiseFloor | None:
    """From the baselines of one results file; None with fewer than two."""
    watts = [
        result.power_mean_watts for result in results
        if is_baseline(result.record) and result.power_mean_watts is not None
    ]  # fmt: skip
    if len(watts) < 2:
        return None
    return NoiseFloor(estimate(watts), max(watts) - min(watts), watts[-1] - watts[0])


def noise_text(floor: NoiseFloor) -> str:
    return (
        f"{floor.mean_watts.count} baselines: {floor.mean_watts.mean:.2f} W, differing by {floor.spread_watts:.2f} W;"
        f" from the first to the last {floor.drift_watts:+.2f} W"
    )


def vmaf_models(results: Iterable[ScenarioResult]) -> set[str]:
    """The models of all VMAF scores, as text."""
    return {one.record.vmaf_model or UNKNOWN_MODEL for one in results if one.record.vmaf_score is not None}


def run_remarks(results: Iterable[ScenarioResult]) -> list[str]:
    """Remarks on one results file as a whole."""
    results = list(results)
    floor = noise_floor(results)
    models = vmaf_models(results)
    said = [] if floor is None else [noise_text(floor)]
    if len(models) > 1:
        said.append(f"VMAF is of several models ({', '.join(sorted(models))}): their scores cannot be compared")
    return said


def remarked(results: Sequence[ScenarioResult]) -> list[ScenarioResult]:
    """The scenarios of one results file, compared with their baselines, with their remarks."""
    floor = noise_floor(results)
    busy = {one.record.name for one in results if _busy(one)}
    return [replace(one, remarks={**one.remarks, **_remarks(one, one.baseline in busy, floor)}) for one in results]


def _remarks(one: ScenarioResult, baseline_busy: bool, floor: NoiseFloor | None) -> dict[str, str]:
    if is_baseline(one.record):
        if not _busy(one):
            return {}
        used = f"{one.cpu_mean_percent:.1f} % of its CPU time was used"
        return {NOT_IDLE: f"the machine was NOT IDLE: {used}; the increase over this baseline is underestimated"}
    above = one.baseline_diff_power_watts
    if above is None:
        return {}
    found = {}
    if baseline_busy:
        found[BASELINE_NOT_IDLE] = f"its baseline ({one.baseline}) was not idle: the increase over it is underestimated"
    if floor is not None and abs(above) <= floor.spread_watts:
        found[WITHIN_DRIFT] = (
            f"its increase over baseline is not meaningful: the baselines of the run differ by"
            f" {floor.spread_watts:.2f} W, which is more"
        )
    return found


def _busy(one: ScenarioResult) -> bool:
    """Whether the machine had other work during a baseline: the increase over it is then underestimated."""
    return is_baseline(one.record) and one.cpu_mean_percent is not None and one.cpu_mean_percent > IDLE_PERCENT


def together(results: Iterable[ScenarioResult]) -> dict[str, str]:
    """The remarks on any of these, in general words if their figures differ."""
    found: dict[str, str] = {}
    for one in results:
        for name, text in one.remarks.items():
            found[name] = text if found.get(name, text) == text else IN_GENERAL.get(name, text)
    return found
