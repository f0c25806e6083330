"""Runs as one self-contained HTML page: no scripts, no other files, no network.

Pure: a view of the results is rendered by the templates, which escape all text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from wattview.analysis.sweeps.advice import AdviceTarget
from wattview.analysis.sweeps.comparison import repeats_of
from wattview.analysis.windows.energy import Points
from wattview.model import RunResult
from wattview.model.quantities import QUANTITIES, counted
from wattview.report import svg
from wattview.report.curves import curve_findings, curve_pictures
from wattview.report.facts import estimate_text, facts
from wattview.report.remarks import grouped_remarks
from wattview.report.settings import front_picture, power_picture
from wattview.report.sheets import sheets_of
from wattview.report.template_data import MachineView, ReportView, RunView
from wattview.report.verdict import answer
from wattview.report.words import distinct, plain

if TYPE_CHECKING:
    from jinja2 import Environment


def html_report(
    runs: Sequence[RunResult], curves: Mapping[str, Points] | None = None, target: AdviceTarget | None = None
) -> str:
    """One page for these runs. ``curves`` holds power over time by the run's id, for runs whose history is available;
    ``target`` is what a setting must reach (``verdict.DEFAULT_TARGET`` if None)."""
    template = _templates().get_template("report.html.jinja")
    return template.render(report=_report(runs, curves or {}, target))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("wattview.report"), autoescape=True, undefined=StrictUndefined, finalize=_harmless,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _harmless(value: object) -> object:
    """Makes every value of the page safe; markup is kept."""
    return plain(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _report(runs: Sequence[RunResult], curves: Mapping[str, Points], target: AdviceTarget | None) -> ReportView:
    scenarios = [scenario for run in runs for scenario in run.scenarios]
    groups = repeats_of(scenarios)
    machines = dict.fromkeys(one.machine for one in scenarios)
    return ReportView(
        title=" ".join(["WattView report", *(run.id for run in runs[:1] if len(runs) == 1)]),
        counts=f"{counted(len(runs), 'run')}, {counted(len(scenarios), 'scenario')}, {counted(len(groups), 'setting')}",
        machines=tuple(_machine(machine, runs, target) for machine in machines),
        runs=tuple(_run(run, curves.get(run.id, ())) for run in runs),
        remarks=tuple(grouped_remarks(scenarios)),
    )


def _machine(machine: str | None, runs: Sequence[RunResult], target: AdviceTarget | None) -> MachineView:
    own = [run for run in runs if any(one.machine == machine for one in run.scenarios)]
    scenarios = [one for run in own for one in run.scenarios if one.machine == machine]
    groups = repeats_of(scenarios)
    parts = [part for group in groups for part in group.by_source()]
    measured = [part for part in parts if part.valid]
    names, common = distinct([group.label for group in groups])
    short = {group.label: name for group, name in zip(groups, names, strict=True)}
    return MachineView(
        name=machine or "",
        answer=answer(scenarios, groups, short, target),
        estimate=estimate_text(scenarios),
        facts=tuple(facts(own, scenarios)),
        common=f"All settings: {common}." if common else "",
        pictures=(*power_picture(measured, short), *front_picture(measured, short), *curve_pictures(scenarios)),
        findings=tuple(curve_findings(scenarios)),
        sheets=tuple(sheets_of(own, machine, parts, short)),
    )


def _run(run: RunResult, curve: Points) -> RunView:
    windows = [
        (record.start_time, record.end_time, record.name)
        for record in (scenario.record for scenario in run.scenarios)
        if record.start_time is not None and record.end_time is not None
    ]
    known = (run.test_date, run.status or "", f"history: {run.history}" if run.history else "")
    unnamed = [] if svg.names_fit(curve, windows) else [name for _, _, name in windows]
    return RunView(
        id=run.id or run.path, facts=" · ".join(fact for fact in known if fact), error=run.error or "",
        svg=svg.lines(curve, windows, f"power of the host, {QUANTITIES['power_mean_watts'].unit}"),
        windows=", ".join(unnamed), remarks=tuple(run.remarks),
    )  # fmt: skip
