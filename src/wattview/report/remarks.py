"""Remarks on the figures: each sentence once, with the scenarios it applies to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wattview.analysis.results import is_baseline
from wattview.model import ScenarioResult
from wattview.model.quantities import QUANTITIES, unknown_by_reason
from wattview.report.words import plain

OF_QUALITY = frozenset(name for name, quantity in QUANTITIES.items() if quantity.part == "Quality")
MOST_NAMES = 8


def grouped_remarks(scenarios: Sequence[ScenarioResult]) -> Iterator[tuple[str, str]]:
    """Sentences and the names of their scenarios, in order of first appearance."""
    found: dict[str, list[int]] = {}
    for at, scenario in enumerate(scenarios):
        for sentence in dict.fromkeys(plain(text) for text in _sentences(scenario)):
            found.setdefault(sentence, []).append(at)
    for sentence, places in found.items():
        yield sentence, _names(scenarios, places)


def _sentences(scenario: ScenarioResult) -> Iterator[str]:
    yield from scenario.remarks.values()
    reasons = scenario.reasons
    if is_baseline(scenario.record):
        reasons = {name: reason for name, reason in reasons.items() if name not in OF_QUALITY}
    yield from (f"no {', '.join(figures)}: {reason}" for reason, figures in unknown_by_reason(reasons).items())
    yield from scenario.record.notes or ()


def _names(scenarios: Sequence[ScenarioResult], places: Sequence[int]) -> str:
    """``all scenarios``, or names: that of the setting if all its repeats are concerned."""
    if len(places) == len(scenarios) > 1:
        return "all scenarios"
    chosen = set(places)
    repeats: dict[str, list[int]] = {}
    for at, scenario in enumerate(scenarios):
        repeats.setdefault(scenario.record.setting_name, []).append(at)
    names = []
    for setting, members in repeats.items():
        mine = [at for at in members if at in chosen]
        names += [setting] if len(mine) == len(members) else [scenarios[at].record.name for at in mine]
    names = list(dict.fromkeys(names))
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
