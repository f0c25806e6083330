"""``wattview results``: all runs, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wattview.analysis.results import is_baseline
from wattview.analysis.windows.remarks import NOT_IDLE, WITHIN_DRIFT
from wattview.cli import terminal as term
from wattview.model import RunResult, ScenarioResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import QUANTITIES

FLAGS = {NOT_IDLE: "not idle", WITHIN_DRIFT: "within drift"}
"""Remarks on a scenario that become a flag of its run."""

SHOWN = (QUANTITIES["power_mean_watts"], QUANTITIES["vmaf_score"])

MOST_FLAG_CELLS = 40
"""Width of the flags: beyond it the reason for an unreadable file is cut."""


def print_list(everything: list[RunResult]) -> None:
    """Newest first; one table that fits into 100 columns."""
    if not everything:
        term.say("no results yet; measure something with: wattview run")
        return
    header = ["RUN", "DATE", "TOOK", *(quantity.title.upper() for quantity in SHOWN), "SCENARIOS", "FLAGS"]
    term.say(term.table(header, [_row(run) for run in everything], right=frozenset({2, 3, 4}), shorten=5))


def _row(run: RunResult) -> list[str]:
    measured = [one for one in run.scenarios if not is_baseline(one.record)] or run.scenarios
    return [
        run.id or term.UNKNOWN,
        run.test_date[:16].replace("T", " ") or term.UNKNOWN,
        term.duration(_seconds(run.scenarios)),
        *(_span((quantity.of(one) for one in measured), 1) for quantity in SHOWN),
        _names(measured),
        term.fit(", ".join(flags(run)), MOST_FLAG_CELLS),
    ]


def flags(run: RunResult) -> list[str]:
    """Warnings about a run's figures, in a word or two each."""
    if run.error:
        return [run.error.removeprefix(f"{Path(run.path).name}: ")]
    found = [] if run.status in (None, "done") else [run.status]
    if any(is_estimate(one.power_source) for one in run.scenarios):
        found.append("ESTIMATE")
    if any(one.record.realtime is False for one in run.scenarios):
        found.append("not real time")
    found += [flag for remark, flag in FLAGS.items() if any(remark in one.remarks for one in run.scenarios)]
    if run.scenarios and all(one.power_mean_watts is None for one in run.scenarios):
        found.append("no power")
    return found


def _seconds(scenarios: Iterable[ScenarioResult]) -> float | None:
    """From the start of the first window to the end of the last."""
    records = [one.record for one in scenarios]
    windows = [(one.start_time, one.end_time) for one in records if one.start_time and one.end_time]
    return max(end for _, end in windows) - min(start for start, _ in windows) if windows else None


def _span(values: Iterable[float | None], decimals: int) -> str:
    """``50.1``, or ``50.1–61.0`` of several."""
    known = [f"{value:z.{decimals}f}" for value in sorted(value for value in values if value is not None)]
    if not known:
        return term.UNKNOWN
    return known[0] if known[0] == known[-1] else f"{known[0]}–{known[-1]}"


def _names(scenarios: Iterable[ScenarioResult]) -> str:
    return ", ".join(dict.fromkeys(one.record.setting_name for one in scenarios))
