"""``wattview results advise``: the cheapest measured setting that is good enough."""

from __future__ import annotations

from collections.abc import Iterable

from wattview.analysis.sweeps.advice import AdviceTarget, advise
from wattview.analysis.sweeps.confidence import level_text
from wattview.cli import terminal as term
from wattview.model import Advice, Choice, RunResult

MOST_REJECTED = 12
"""How many of the ineligible settings are listed."""


def print_advice(runs: Iterable[RunResult], target: AdviceTarget, objective: str, machine: str, as_json: bool) -> bool:
    """Prints the advice from all scenarios of these runs. True if a measured setting meets the target."""
    scenarios = [scenario for run in runs for scenario in run.scenarios]
    advice = advise(scenarios, target, objective, machine)
    if as_json:
        term.say(term.json_text(advice))
        return advice.best is not None
    term.say(term.wrap(advice.verdict, ""))
    if advice.choices:
        term.say()
        _print_choices(advice)
    if advice.undecided:
        term.say("\nmay meet the target, its 95 % interval contains it; more repeats decide:")
        for choice in advice.undecided:
            term.say(term.wrap(f"{choice.label}: {choice.reason}"))
    if advice.rejected:
        term.say("\nnot eligible:")
        for choice in advice.rejected[:MOST_REJECTED]:
            term.say(term.wrap(f"{choice.label}: {choice.reason}"))
        if len(advice.rejected) > MOST_REJECTED:
            term.say(f"    and {len(advice.rejected) - MOST_REJECTED} more; all are in --json")
    if advice.left_out:
        term.say(term.wrap(advice.left_out, ""))
    return advice.best is not None


def _print_choices(advice: Advice) -> None:
    best = advice.choices[0].value or 0.0
    rows = [_row(choice, best, advice.unit) for choice in advice.choices]
    header = ["SETTING", "MEASURED", "ABOVE THE BEST", "", "INTERVAL", ""]
    term.say(term.table(header, rows, right=frozenset({1, 2, 3, 4})))
    tested = next((gap for choice in advice.choices if (gap := choice.difference) and gap.p_value is not None), None)
    if tested is not None and tested.judged_together > 1:
        said = (
            f"the best was chosen by these data: tests and intervals are Bonferroni-corrected for all"
            f" {tested.judged_together} pairs ({level_text(tested.confidence)} intervals)"
        )
        term.say(term.quiet(term.wrap(said, "")))


def _row(choice: Choice, best: float, unit: str) -> list[str]:
    gap = choice.difference
    above = choice.above_best or 0.0
    interval = term.UNKNOWN
    if gap is not None and gap.low is not None and gap.high is not None:
        interval = f"{gap.low:+.3g} to {gap.high:+.3g}"
    return [
        choice.label,
        f"{choice.value:.4g} {unit}".rstrip(),
        f"+{above:.3g} {unit}".rstrip() if gap is not None else "best",
        f"+{100 * above / abs(best):.1f} %" if gap is not None and best else "",
        interval if gap is not None else "",
        gap.verdict.partition(":")[0] if gap is not None else "",
    ]
