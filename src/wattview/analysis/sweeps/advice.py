"""Which measured setting is cheapest and still good enough: the Pareto front of a sweep, and advice.

Nothing is advised that was not measured. A repeat whose encoder fell behind real time counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.sweeps.comparison import Repeats, repeats_of
from wattview.analysis.sweeps.confidence import difference, judged_together
from wattview.analysis.sweeps.machines import of_one_machine
from wattview.analysis.windows.energy import NoData
from wattview.model import Advice, Choice, ScenarioResult
from wattview.model.quantities import CURRENCY, QUANTITIES

OBJECTIVES = {
    name: QUANTITIES[name].words
    for name in (
        "power_mean_watts", "net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour",
        "carbon_grams_per_stream_hour", "joules_per_megapixel",
    )
}  # fmt: skip
UNITS = {name: QUANTITIES[name].unit for name in OBJECTIVES if QUANTITIES[name].unit != CURRENCY}
"""Of the objectives; a cost has its currency."""

WORDS = {
    "energy": "net_watts_per_stream",
    "power": "power_mean_watts",
    "cost": "cost_per_stream_hour",
    "carbon": "carbon_grams_per_stream_hour",
}
"""What people call the objectives, on the command line and in the control API."""


class Target(Struct, frozen=True, kw_only=True):
    """What a setting must reach. None asks for nothing. ``most`` bounds the objective itself (a price, a power)."""

    vmaf_at_least: float | None = None
    qoe_at_least: float | None = None
    streams_at_least: int | None = None
    most: float | None = None

    def __str__(self) -> str:
        wishes = (
            ("VMAF ≥ {:g}", self.vmaf_at_least), ("QoE ≥ {:g}", self.qoe_at_least),
            ("{:g} stream or more" if self.streams_at_least == 1 else "{:g} streams or more", self.streams_at_least),
            ("at most {:g}", self.most),
        )  # fmt: skip
        return ", ".join(text.format(value) for text, value in wishes if value is not None) or "anything"


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of the points that no other beats: ``(price, worth)``, a lower price and a higher worth being better.

    In order of price. Of equal points the first one stays.
    """
    front: list[int] = []
    best = float("-inf")
    for at in sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1], at)):
        if points[at][1] > best:
            front.append(at)
            best = points[at][1]
    return front


def advise(
    results: Sequence[ScenarioResult], target: Target, objective: str = "net_watts_per_stream", machine: str = ""
) -> Advice:
    """The cheapest setting that was measured to meet the target, and how far the others are from it.

    Of one machine alone: the one that ``machine`` names, else that of the first result (results come newest run first).
    Raises NoData for an objective that is not one of ``OBJECTIVES``, for a machine that is not among them, and where
    the power of the settings, or their VMAF, is not of one kind.
    """
    if objective not in OBJECTIVES:
        raise NoData(f"no such objective: {objective}; one of {', '.join(OBJECTIVES)}")
    known, left_out = of_one_machine(results, machine)
    groups = repeats_of(known)
    eligible: list[tuple[float, Repeats]] = []
    rejected: list[Choice] = []
    for repeats in groups:
        reason = _why_not(repeats, target, objective)
        if reason:
            rejected.append(Choice(label=repeats.label, reason=reason))
        else:
            eligible.append((repeats.group().figures[objective].mean, repeats))
    sources = {repeats.group().power_source for _, repeats in eligible}
    if len(sources) > 1:
        raise NoData(
            "the settings' power came from different sources, which do not compare: name the runs of one source"
        )
    models = {repeats.vmaf_model for repeats in groups if repeats.vmaf_model}
    if len(models) > 1 and (target.vmaf_at_least is not None or target.qoe_at_least is not None):
        listed = ", ".join(sorted(models))
        raise NoData(f"VMAF is of several models ({listed}), which do not compare: name the runs of one")
    advice = Advice(
        objective=objective, target=str(target), best=None, verdict=f"no measured setting meets {target}", choices=[],
        rejected=rejected, figure=OBJECTIVES[objective], unit=UNITS.get(objective, ""),
        machine=known[0].machine if known else None, left_out=left_out,
    )  # fmt: skip
    if not eligible:
        return advice
    eligible.sort(key=lambda pair: pair[0])
    best_value, best = eligible[0]
    choices = [Choice(label=best.label, value=best_value, above_best=0.0, remarks=best.group().remarks)]
    for value, repeats in eligible[1:]:
        gap = difference(repeats.values(objective), best.values(objective))
        choices.append(
            Choice(label=repeats.label, value=value, above_best=value - best_value, difference=gap,
                   remarks=repeats.group().remarks)
        )  # fmt: skip
    choices = _judged(choices)
    unit = unit_of(objective, best.valid[0].currency)
    verdict = _verdict(choices, target, objective, unit)
    return replace(advice, best=best.label, verdict=verdict, choices=choices, unit=unit)


def _judged(choices: Sequence[Choice]) -> list[Choice]:
    """All that are held against the best are judged together."""
    asked = [(at, choice.difference) for at, choice in enumerate(choices) if choice.difference is not None]
    answers = dict(zip((at for at, _ in asked), judged_together(asked), strict=True))
    return [replace(choice, difference=answers.get(at)) for at, choice in enumerate(choices)]


def _why_not(repeats: Repeats, target: Target, objective: str) -> str:
    if not repeats.valid:
        return "not real time: the encoders did not keep up"
    figures = repeats.group().figures
    if objective not in figures:
        reasons = repeats.valid[0].reasons
        asked = (
            "energy_joules",
            *(("baseline_diff_power_watts",) if objective.startswith("net") else ()),
            "efficiency",
        )
        reason = next((reasons[name] for name in asked if name in reasons), "no data")
        return f"its {OBJECTIVES[objective]} is unknown: {reason}"
    if objective.startswith("net") and figures[objective].mean <= 0:
        return "it drew no more than its baseline: the machine was not idle then"
    if objective.startswith("net") and not _above_noise(repeats, objective):
        return f"its {OBJECTIVES[objective]} cannot be told from 0: {figures[objective].mean:.3g} W"
    if target.streams_at_least is not None and (repeats.setting.streams or 0) < target.streams_at_least:
        return f"{repeats.setting.streams or 'an unknown number of'} streams"
    for figure, wanted, name in (
        ("vmaf_score", target.vmaf_at_least, "VMAF"),
        ("qoe_score", target.qoe_at_least, "QoE"),
    ):
        if wanted is None:
            continue
        if figure not in figures:
            return f"no {name} was measured"
        if figures[figure].mean < wanted:
            return f"{name} {figures[figure].mean:.1f}"
    if target.most is not None and figures[objective].mean > target.most:
        return f"{OBJECTIVES[objective]} {figures[objective].mean:.3g}"
    return ""


def _above_noise(repeats: Repeats, objective: str) -> bool:
    """Whether the repeats' interval lies above 0; of one repeat, whether its power is surer than it is above idle."""
    low = repeats.group().figures[objective].low
    if low is not None:
        return low > 0
    one = repeats.valid[0]
    if one.energy_error_joules is None or one.net_energy_joules is None:
        return True
    return one.net_energy_joules > one.energy_error_joules


def unit_of(objective: str, currency: str | None) -> str:
    """The unit of an objective's values; a cost's is its currency."""
    return UNITS.get(objective) or currency or ""


def _verdict(choices: Sequence[Choice], target: Target, objective: str, unit: str) -> str:
    best, name = choices[0], OBJECTIVES[objective]
    said = f"{best.label} meets {target} at the lowest {name}: {best.value:.4g} {unit}".rstrip()
    if len(choices) == 1:
        return f"{said}; no other measured setting does"
    second = choices[1]
    assert second.above_best is not None
    assert second.value is not None
    share = f", {100 * second.above_best / abs(second.value):.1f} % less than" if second.value else ", less than"
    said += f"{share} the next, {second.label}"
    if second.difference is None or second.difference.differ is None:
        return f"{said}; with one repeat nobody can say whether that is chance"
    return f"{said}; {second.difference.verdict}"
