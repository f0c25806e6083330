"""``wattview gate``: compares a candidate run with a baseline run, for CI."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.analysis.sweeps.gate import gate
from wattview.analysis.sweeps.gate_bounds import BoundError, parse_bound
from wattview.cli import terminal as term
from wattview.cli.results.results_source import ResultsSource, named_runs, source_of
from wattview.config import Config
from wattview.decoding import Explained
from wattview.foreign_text import one_line
from wattview.model import Bound, BoundCheck, GateReport, RunResult
from wattview.report.gate_summary import (
    HEADER,
    headline,
    junit_xml,
    markdown_summary,
    one_sided,
    row_of,
    way_out,
)

STATUS = {"within": 0, "exceeded": 1, "undecided": 3}
"""The exit status of each verdict."""

WRONG = 2
"""The exit status of every other error: 1 would mean that a bound is exceeded."""


def run_gate(
    config: Config,
    words: Sequence[str],
    bounds: Sequence[Bound],
    *,
    measure: Callable[[], tuple[RunResult | None, RunResult]] | None = None,
    allow_missing: bool,
    allow_other_machine: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
) -> int:
    """Prints the verdict, writes the requested files, and returns the exit status. ``words`` name the baseline and the
    candidate; ``measure`` measures what they do not name."""
    try:
        baseline, candidate = _both(config, words, measure)
        if baseline == candidate:
            raise click.UsageError("baseline and candidate are the same run")
        report = _report(baseline, candidate, bounds, allow_missing, allow_other_machine)
        for path, text in ((junit, junit_xml(report, allow_missing)), (markdown, markdown_summary(report))):
            if path is not None:
                term.write(path, text.encode())
    except (click.ClickException, Explained) as error:
        wrong = error if isinstance(error, click.ClickException) else click.ClickException(str(error))
        wrong.exit_code = WRONG  # type: ignore[misc]
        raise wrong from None
    term.say_found(report, as_json, _print)
    return STATUS[report.verdict]


def _both(
    config: Config, words: Sequence[str], measure: Callable[[], tuple[RunResult | None, RunResult]] | None
) -> tuple[RunResult, RunResult]:
    named = asyncio.run(_read(config, words)) if words else []
    if measure is None:
        return named[0], named[1]
    first, second = measure()
    return first if first is not None else named[0], second


def _report(
    baseline: RunResult, candidate: RunResult, bounds: Sequence[Bound], allow_missing: bool, allow_other_machine: bool
) -> GateReport:
    try:
        return gate(baseline, candidate, bounds, allow_missing=allow_missing, allow_other_machine=allow_other_machine)
    except OverflowError:
        raise click.ClickException("a figure is too large to be compared") from None


def bounds_of(most: Sequence[str], least: Sequence[str]) -> list[Bound]:
    """The bounds of ``--max`` and ``--min``. Raises click.UsageError if there is none, or one is invalid."""
    try:
        bounds = [parse_bound(text, "max") for text in most] + [parse_bound(text, "min") for text in least]
    except BoundError as error:
        raise click.UsageError(str(error)) from None
    if not bounds:
        raise click.UsageError("give at least one bound, such as --max energy=+1% or --min vmaf=-0.5")
    for bound in bounds:
        if sum((one.figure, one.side) == (bound.figure, bound.side) for one in bounds) > 1:
            raise click.UsageError(f"--{bound.side} {bound.figure} is given twice")
    return bounds


async def _read(config: Config, words: Sequence[str]) -> list[RunResult]:
    async with source_of(config) as source:
        runs = [await _run_of(source, config, word) for word in words]
    for word, run in zip(words, runs, strict=True):
        if run.error:
            raise click.ClickException(f"run {word}: {run.error}")
    return runs


async def _run_of(source: ResultsSource, config: Config, word: str) -> RunResult:
    """A run by the path of a file or of its folder if the word looks like one, else by its id. ``RUN:NAME`` is one
    setting of it."""
    path = Path(word)
    place, colon, name = word.rpartition(":")
    if colon and not await asyncio.to_thread(path.exists):
        return _setting(await _run_of(source, config, place), name)
    if path.name == word and path.suffix != ".json":
        return (await named_runs(source, config, [word]))[0]
    path = await asyncio.to_thread(_results_file, path)
    exported = await asyncio.to_thread(_exported, path)
    if exported is not None:
        return exported
    from wattview.daemon.results import Results

    run = await Results(config, source).of_file(path)
    if run is None:
        raise click.ClickException(f"{word}: no such file")
    if run.scenarios and all(one.energy_joules is None for one in run.scenarios):
        return replace(run, remarks=[*run.remarks, NO_ENERGY])
    return run


NO_ENERGY = (
    "a results file has no energy of its own, and neither its run's folder nor a history of its time is here; take"
    " that folder (runs/ID in the state directory), or the output of wattview results export ID, from the machine that"
    " measured it"
)


def _results_file(path: Path) -> Path:
    """The results file in a run's folder; the path itself if it is no folder. Raises click.ClickException."""
    if not path.is_dir():
        return path
    from wattview.daemon.results_files import stamped

    found = stamped(path)
    if len(found) != 1:
        raise click.ClickException(f"{path}: a run's folder has one results file, this one has {len(found)}")
    return found[0]


def _setting(run: RunResult, name: str) -> RunResult:
    """The repeats of one scenario by its name, with the idle windows. Raises click.ClickException."""
    names = dict.fromkeys(one.record.setting_name for one in run.scenarios if not is_baseline(one.record))
    if name not in names:
        raise click.ClickException(f"run {run.id} has no scenario {name!r}; it has: {', '.join(names)}")
    kept = [one for one in run.scenarios if is_baseline(one.record) or one.record.setting_name == name]
    return replace(run, id=f"{run.id or run.path}:{name}", scenarios=kept)


def _exported(path: Path) -> RunResult | None:
    """A run that was analysed where it was measured: the output of ``results show --json`` and ``results export``. None
    for other files. Raises click.ClickException for a file with several runs."""
    from wattview import whole_file
    from wattview.daemon.results_files import MAX_FILE_BYTES

    try:
        found = msgspec.json.decode(whole_file.read(path, MAX_FILE_BYTES), type=RunResult | list[RunResult])
    except (OSError, UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return None
    if isinstance(found, RunResult):
        return found
    if len(found) != 1:
        raise click.ClickException(f"{path}: holds {len(found)} runs; export only one")
    return found[0]


def _print(report: GateReport) -> None:
    said = headline(report)
    term.say({"within": term.good(said), "exceeded": term.bad(said)}.get(report.verdict, term.strong(said)))
    term.say(term.wrap(f"candidate {report.candidate} against baseline {report.baseline}", ""))
    for setting in dict.fromkeys(check.setting for check in report.checks):
        term.say(f"\n{term.strong(one_line(setting))}")
        _print_setting([check for check in report.checks if check.setting == setting])
    for label, said in one_sided(report):
        term.say(f"\n{one_line(label)}: {said}")
    if report.remarks:
        term.say()
    for remark in report.remarks:
        term.say(term.wrap(remark, ""))
    if out := way_out(report):
        term.say(f"\n{out}")


def _print_setting(checks: Sequence[BoundCheck]) -> None:
    term.say(term.table(HEADER, [row_of(check) for check in checks], right=frozenset({1, 2, 3, 4})))
    for check in checks:
        if check.reason and check.verdict != "within":
            term.say(term.wrap(f"{check.bound.text}: {check.reason}"))
