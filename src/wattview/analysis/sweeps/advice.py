"""The cheapest measured setting that is good enough: the Pareto front of a sweep, and advice.

Advice covers measured settings only, without repeats whose encoder fell behind real time. The best setting is picked by
the same data that then test it, so the tests are corrected for every pair it might have been: of k equal settings, the
lowest mean lies far from the highest by chance (J. W. Tukey, "The Problem of Multiple Comparisons", 1953).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.sweeps.comparison import Repeats, repeats_of
from wattview.analysis.sweeps.confidence import corrected
from wattview.analysis.sweeps.machines import of_one_machine
from wattview.analysis.windows.energy import NoData
from wattview.model import Advice, Choice, Estimate, ScenarioResult
from wattview.model.quantities import CURRENCY, QUANTITIES, counted

Meets = Literal["meets", "may meet", "does not meet"]

OBJECTIVES = {
    name: QUANTITIES[name].words
    for name in (
        "power_mean_watts", "net_watts_per_stream", "watts_per_stream", "cost_per_stream_hour",
        "carbon_grams_per_stream_hour", "joules_per_megapixel", "joules_per_execution", "cost_per_execution",
        "carbon_grams_per_execution",
    )
}  # fmt: skip
UNITS = {name: QUANTITIES[name].unit for name in OBJECTIVES if QUANTITIES[name].unit != CURRENCY}
"""Units of the objectives; a cost has its currency instead."""

WORDS = {
    "energy": "net_watts_per_stream",
    "power": "power_mean_watts",
    "cost": "cost_per_stream_hour",
    "carbon": "carbon_grams_per_stream_hour",
}
"""Short names of the objectives, on the command line and in the control API."""


OF_COMMANDS = {
    "net_watts_per_stream": "joules_per_execution",
    "cost_per_stream_hour": "cost_per_execution",
    "carbon_grams_per_stream_hour": "carbon_grams_per_execution",
}
"""What an objective of streams is where only commands that are no streams were measured."""

ABOVE_BASELINE = frozenset(("net_watts_per_stream", *OF_COMMANDS.values()))

LIMITS: Mapping[str, tuple[float, float]] = {
    "vmaf_at_least": (0.0, 100.0), "qoe_at_least": (1.0, 5.0), "streams_at_least": (1, math.inf),
    "most": (0.0, math.inf),
}  # fmt: skip


class AdviceTarget(Struct, frozen=True, kw_only=True):
    """Requirements for a setting; None requires nothing. ``most`` bounds the objective itself (a price, a power)."""

    vmaf_at_least: float | None = None
    qoe_at_least: float | None = None
    streams_at_least: int | None = None
    most: float | None = None

    def wrong(self) -> tuple[str, str] | None:
        """The field whose value is out of range, and its limits; None if all are valid."""
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                return name, f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
        return None

    def __str__(self) -> str:
        wishes = (
            ("VMAF ≥ {:g}", self.vmaf_at_least), ("QoE ≥ {:g}", self.qoe_at_least),
            ("{:g} stream or more" if self.streams_at_least == 1 else "{:g} streams or more", self.streams_at_least),
            ("at most {:g}", self.most),
        )  # fmt: skip
        return ", ".join(text.format(value) for text, value in wishes if value is not None) or "anything"


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points ``(price, worth)`` that no other point beats by a lower price and a higher worth.

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
    results: Sequence[ScenarioResult], target: AdviceTarget, objective: str = "net_watts_per_stream", machine: str = ""
) -> Advice:
    """The cheapest measured setting that meets the target, and the differences of the others from it.

    For one machine: the one named by ``machine``, else that of the first result (results come newest run first). Raises
    NoData for an objective that is not in ``OBJECTIVES``, for an unknown machine, and if the settings' power sources or
    VMAF models differ.
    """
    if objective not in OBJECTIVES:
        raise NoData(f"no such objective: {objective}; one of {', '.join(OBJECTIVES)}")
    known, left_out = of_one_machine(results, machine)
    groups = repeats_of(known)
    objective = _objective(groups, objective)
    eligible: list[tuple[float, Repeats]] = []
    rejected: list[Choice] = []
    unpriced: list[Choice] = []
    undecided: list[tuple[float, Choice, Repeats]] = []
    for repeats in groups:
        meets, reason = _meets(repeats, target, objective)
        if meets == "does not meet":
            rejected.append(Choice(label=repeats.label, meets=meets, reason=reason))
            if _lacks_only_its_price(repeats, target, objective):
                unpriced.append(rejected[-1])
            continue
        group = repeats.group()
        value = group.figures[objective].mean
        if meets == "meets":
            eligible.append((value, repeats))
        else:
            choice = Choice(label=repeats.label, value=value, meets=meets, reason=reason, remarks=group.remarks)
            undecided.append((value, choice, repeats))
    compared = [*(pair[1] for pair in eligible), *(one[2] for one in undecided)]
    sources = {source for repeats in compared for source in repeats.power_sources or {""}}
    if len(sources) > 1:
        raise NoData(
            "the settings' power came from different sources, which cannot be compared: select runs of one source"
        )
    if QUANTITIES[objective].billed and len({repeats.billed_at for repeats in compared}) > 1:
        raise NoData(
            f"{QUANTITIES[objective].words} is of the wall's energy in some runs and of the machine's in others, which"
            " cannot be compared: name the runs of one"
        )
    models = {model for repeats in groups for model in repeats.vmaf_models}
    if len(models) > 1 and (target.vmaf_at_least is not None or target.qoe_at_least is not None):
        listed = ", ".join(sorted(models))
        raise NoData(f"VMAF is of several models ({listed}), which cannot be compared: select runs of one")
    perhaps = [choice for _, choice, _ in sorted(undecided, key=lambda one: one[0])]
    advice = Advice(
        objective=objective, target=str(target), best=None, choices=[], rejected=rejected,
        verdict=_none_meets(perhaps, unpriced, target, objective) if groups else "no setting has been measured yet",
        undecided=perhaps, figure=OBJECTIVES[objective], unit=UNITS.get(objective, ""),
        machine=known[0].machine if known else None, left_out=left_out,
    )  # fmt: skip
    if not eligible:
        return advice
    eligible.sort(key=lambda pair: pair[0])
    best_value, best = eligible[0]
    choices = [Choice(label=best.label, value=best_value, above_best=0.0, remarks=best.group().remarks)]
    pairs = len(eligible) * (len(eligible) - 1) // 2
    for value, repeats in eligible[1:]:
        choices.append(
            Choice(label=repeats.label, value=value, above_best=value - best_value, remarks=repeats.group().remarks,
                   difference=corrected(repeats.less(best, objective), pairs, QUANTITIES[objective].family))
        )  # fmt: skip
    unit = unit_of(objective, best.valid[0].currency)
    verdict = _verdict(choices, target, objective, unit) + _cheaper(perhaps, best_value, unit)
    return replace(advice, best=best.label, verdict=verdict, choices=choices, unit=unit)


def _objective(groups: Sequence[Repeats], objective: str) -> str:
    other = OF_COMMANDS.get(objective)
    if other is None or any(group.estimate(objective) is not None for group in groups):
        return objective
    return other if any(group.estimate(other) is not None for group in groups) else objective


def _meets(repeats: Repeats, target: AdviceTarget, objective: str) -> tuple[Meets, str]:
    """Whether a setting meets the target, and if unknown, why."""
    if reason := _why_not(repeats, target, objective):
        return "does not meet", reason
    figures = repeats.group().figures
    found: tuple[Meets, str] = "meets", ""
    for figure, least, most, name, form in (
        ("vmaf_score", target.vmaf_at_least, None, "VMAF", ".1f"),
        ("qoe_score", target.qoe_at_least, None, "QoE", ".2f"),
        (objective, None, target.most, OBJECTIVES[objective], ".3g"),
    ):
        if least is None and most is None:
            continue
        if figure not in figures:
            return "does not meet", f"no {name} was measured"
        meets = within(figures[figure], least, most)
        if meets != "meets" and found[0] != "does not meet":
            found = meets, f"{name} {_around(figures[figure], form)}"
    return found


def within(figure: Estimate, least: float | None = None, most: float | None = None) -> Meets:
    """Whether the 95 % interval of a mean lies within a bound; for a single repeat, whether its value does."""
    low = figure.mean if figure.low is None else figure.low
    high = figure.mean if figure.high is None else figure.high
    if (least is None or low >= least) and (most is None or high <= most):
        return "meets"
    if (least is not None and high < least) or (most is not None and low > most):
        return "does not meet"
    return "may meet"


def _around(figure: Estimate, form: str) -> str:
    """``89.6``, and with repeats that vary ``89.6 (95 % interval 88.9 to 90.3)``."""
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return f"{figure.mean:{form}}"
    return f"{figure.mean:{form}} (95 % interval {figure.low:{form}} to {figure.high:{form}})"


def _none_meets(perhaps: Sequence[Choice], unpriced: Sequence[Choice], target: AdviceTarget, objective: str) -> str:
    if unpriced and not perhaps:
        known = "can be advised" if target == AdviceTarget() else f"is known to meet {target}"
        return (
            f"no measured setting {known}: the {OBJECTIVES[objective]} of"
            f" {counted(len(unpriced), 'setting')} is not known; {unpriced[0].label}: {unpriced[0].reason}"
        )
    if not perhaps:
        return f"no measured setting meets {target}"
    first = perhaps[0]
    return (
        f"no measured setting demonstrably meets {target}; {counted(len(perhaps), 'setting')} may meet it within the"
        f" 95 % interval, the cheapest is {first.label} with {first.reason}: more repeats would decide"
    )


def _cheaper(perhaps: Sequence[Choice], best: float, unit: str) -> str:
    """Cheaper settings that would qualify if more repeats showed that they meet the target."""
    first = next((choice for choice in perhaps if choice.value is not None and choice.value < best), None)
    if first is None:
        return ""
    return f"; {first.label} may meet it for {first.value:.4g} {unit}".rstrip() + f": {first.reason}"


def _why_not(repeats: Repeats, target: AdviceTarget, objective: str) -> str:
    """Why a setting cannot be compared with the target at all."""
    if not repeats.valid:
        late = "not real time: the encoders did not keep up"
        return late if all(one.record.realtime is False for one in repeats.invalid) else repeats.left_out
    if reason := _no_price(repeats, objective):
        return reason
    if target.streams_at_least is not None and (repeats.setting.streams or 0) < target.streams_at_least:
        return f"{repeats.setting.streams or 'an unknown number of'} streams"
    return ""


def _lacks_only_its_price(repeats: Repeats, target: AdviceTarget, objective: str) -> bool:
    """Whether a setting might meet the target if its price were known."""
    if not repeats.valid or not _no_price(repeats, objective):
        return False
    figures = repeats.group().figures
    wanted = (("vmaf_score", target.vmaf_at_least), ("qoe_score", target.qoe_at_least))
    return (repeats.setting.streams or 0) >= (target.streams_at_least or 0) and all(
        least is None or (name in figures and within(figures[name], least) != "does not meet") for name, least in wanted
    )


def below_idle(objective: str, value: float) -> bool:
    """Whether a figure above baseline says only that the machine was not idle during the baseline."""
    return objective in ABOVE_BASELINE and value <= 0


def _no_price(repeats: Repeats, objective: str) -> str:
    """Why the objective of a setting is not known; "" if it is."""
    figures = repeats.group().figures
    if objective not in figures:
        reasons = repeats.valid[0].reasons
        asked = (
            "energy_joules",
            *(("baseline_diff_power_watts",) if objective in ABOVE_BASELINE else ()),
            "efficiency",
        )
        none = "it is a command" if repeats.valid[0].record.command is not None else "no data"
        reason = next((reasons[name] for name in asked if name in reasons), none)
        return f"its {OBJECTIVES[objective]} is unknown: {reason}"
    if below_idle(objective, figures[objective].mean):
        return "it drew no more than its baseline: the machine was not idle during the baseline"
    if objective in ABOVE_BASELINE and not _above_noise(repeats, objective):
        unit = unit_of(objective, repeats.valid[0].currency)
        return f"its {OBJECTIVES[objective]} is not distinguishable from 0: {figures[objective].mean:.3g} {unit}"
    return ""


def _above_noise(repeats: Repeats, objective: str) -> bool:
    """Whether the repeats' interval lies above 0; for one repeat, whether its power above idle exceeds its error."""
    low = repeats.group().figures[objective].low
    if low is not None:
        return low > 0
    one = repeats.valid[0]
    if one.energy_error_joules is None or one.net_energy_joules is None:
        return True
    return one.net_energy_joules > one.energy_error_joules


def unit_of(objective: str, currency: str | None) -> str:
    """Unit of an objective's values; a cost has its currency."""
    return UNITS.get(objective) or currency or ""


def _verdict(choices: Sequence[Choice], target: AdviceTarget, objective: str, unit: str) -> str:
    best, name = choices[0], OBJECTIVES[objective]
    meets = "takes" if target == AdviceTarget() else f"meets {target} at"
    said = f"{best.label} {meets} the lowest {name}: {best.value:.4g} {unit}".rstrip()
    if len(choices) == 1:
        return f"{said}; no other measured setting does"
    second = choices[1]
    assert second.above_best is not None
    assert second.value is not None
    share = f", {100 * second.above_best / abs(second.value):.1f} % less than" if second.value else ", less than"
    said += f"{share} the next, {second.label}"
    return said if second.difference is None else f"{said}; {second.difference.verdict}"
