"""The verdict of a report: which measured setting meets the target at the lowest price, by how much, and with what
confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wattview.analysis.sweeps.advice import AdviceTarget, advise
from wattview.analysis.sweeps.comparison import Repeats
from wattview.analysis.windows.energy import NoData
from wattview.model import Advice, Choice, Estimate, ScenarioResult
from wattview.model.quantities import QUANTITIES
from wattview.report.template_data import Sheet, SheetCell, SheetLine, VerdictView
from wattview.report.words import mean_text

DEFAULT_TARGET = AdviceTarget(vmaf_at_least=90.0)
"""Default target of a report."""

ANYTHING = AdviceTarget()

OBJECTIVES = ("net_watts_per_stream", "joules_per_execution", "watts_per_stream", "power_mean_watts")
"""Objectives, in order of preference. Power above baseline separates settings best, if the baseline was idle."""


def answer(
    scenarios: Sequence[ScenarioResult],
    groups: Sequence[Repeats],
    short: Mapping[str, str],
    target: AdviceTarget | None,
) -> VerdictView | None:
    """For the results of one machine; None if no setting was measured. ``short`` has the words that tell a label from
    the others."""
    behind, groups = groups, [group for group in groups if group.valid]
    if not groups and behind:
        which = f"All {len(behind)} settings" if len(behind) > 1 else "The only setting"
        text = f"{which} fell behind real time: this machine cannot encode that much live, so its power does not count."
        return VerdictView("", f"No verdict. {text}", "Measure less at once, or on an idle machine.")
    if not groups:
        return None
    judged = any(one.record.vmaf_score is not None for group in groups for one in group.valid)
    wanted = target or (DEFAULT_TARGET if judged else ANYTHING)
    note = _target_text(wanted, given=target is not None)
    try:
        advice = _advice(scenarios, groups, wanted)
    except NoData as lack:
        return VerdictView("", f"No verdict: {lack.reason}.", note)
    known = {group.label: group for group in groups}
    weighed = _weighed(advice, known, short)
    if advice.best is None:
        return VerdictView("", f"{advice.verdict[:1].upper()}{advice.verdict[1:]}.", note, weighed)
    text = advice.verdict.removeprefix(advice.best)
    notes = [_measured(known[advice.best], advice.objective, advice.unit), note]
    if advice.objective != OBJECTIVES[0] and all(group.estimate(OBJECTIVES[0]) is not None for group in groups):
        notes.append(f"The {QUANTITIES[OBJECTIVES[0]].words} is not used here: it is not significantly above 0.")
    return VerdictView(advice.best, f"{text}.", " ".join(notes), weighed)


def _advice(scenarios: Sequence[ScenarioResult], groups: Sequence[Repeats], target: AdviceTarget) -> Advice:
    """By the first objective that every setting has, or any has, and that gives a result. Raises NoData."""
    known = {name: sum(group.estimate(name) is not None for group in groups) for name in OBJECTIVES}
    tried = [name for name in OBJECTIVES if known[name] == max(known.values())]
    found = [advise(scenarios, target, name) for name in tried]
    return next((one for one in found if one.best or one.undecided), found[0])


def _measured(group: Repeats, figure: str, unit: str) -> str:
    """Confidence of one setting's own figures."""
    count = len(group.valid)
    if count == 1:
        return "It was measured once, so it has no confidence interval."
    power, quality = group.estimate(figure), group.estimate("vmaf_score")
    listed = [_around(power, unit)] if power is not None else []
    listed += [f"VMAF {_around(quality, '')}"] if quality is not None else []
    return f"Mean of {count} measurements: {', '.join(listed)}."


def _around(found: Estimate, unit: str) -> str:
    return mean_text(found.mean, found.low, found.high, unit)


def _target_text(target: AdviceTarget, *, given: bool) -> str:
    if target == ANYTHING:
        return "No quality was measured, so none is required: the setting with the lowest power may look poor."
    return f"Target: {target}." if given else f"Target: {target} (the default; --vmaf sets another)."


def _weighed(advice: Advice, known: Mapping[str, Repeats], short: Mapping[str, str]) -> Sheet | None:
    """Every setting that was compared with the target, the best first."""
    if len(advice.choices) + len(advice.undecided) + len(advice.rejected) < 2:
        return None
    said = [
        *((one, _verdict(one) or "best") for one in advice.choices),
        *((one, f"may meet it: {one.reason}") for one in advice.undecided),
        *((one, f"does not meet it: {one.reason}") for one in advice.rejected),
    ]
    lines = []
    for choice, verdict in said:
        found = known[choice.label].estimate(advice.objective) if choice.label in known else None
        value = "" if found is None else _around(found, advice.unit)
        cells = (value, _above(choice, advice.unit), verdict)
        lines.append(SheetLine(short[choice.label], tuple(map(SheetCell, cells)), warnings=tuple(choice.remarks)))
    title = advice.figure[:1].upper() + advice.figure[1:]
    return Sheet("", (title, "More than the best", "Verdict"), tuple(lines), words=True)


def _verdict(choice: Choice) -> str:
    return choice.difference.verdict if choice.difference is not None else ""


def _above(choice: Choice, unit: str) -> str:
    """``+4 W (+3.68 to +4.32, 98.3 %)``; "" for the best, and if unknown."""
    if not choice.above_best:
        return ""
    gap = choice.difference
    text = f"{choice.above_best:+.3g} {unit}".rstrip()
    if gap is None or gap.low is None or gap.high is None:
        return text
    return f"{text} ({gap.low:+.3g} to {gap.high:+.3g}, {100 * gap.confidence:.3g} %)"
