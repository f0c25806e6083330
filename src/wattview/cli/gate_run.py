"""``wattview gate --run SUITE``: measures the candidate, interleaved with the baseline if that is a suite too."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import click
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.cli.attach import with_daemon
from wattview.cli.run import followed
from wattview.client import Client
from wattview.config import Config
from wattview.daemon.lab.suite import load_suite
from wattview.model import RunRequest, RunResult, Scenario, ScenarioResult
from wattview.model.run_request import WrongField
from wattview.model.scenarios import MAX_NAME

BASELINE, CANDIDATE = "baseline: ", "candidate: "
"""What the names of scenarios begin with in a run of both."""


def measured(
    config: Config, arguments: list[str], baseline: RunRequest | None, candidate: RunRequest, repeat: int
) -> tuple[RunResult | None, RunResult]:
    """Both results, or the candidate's alone if there is no baseline to measure. Raises click.ClickException."""
    request = candidate if baseline is None else interleaved(baseline, candidate)
    request = replace(request, repeat=repeat)
    result = with_daemon(config, arguments, lambda client, _: _result(client, request))
    return (None, result) if baseline is None else (side(result, BASELINE), side(result, CANDIDATE))


def is_suite(word: str) -> bool:
    """Whether a word names a suite, and not a run: a TOML file, or a JSON file of a suite's form."""
    path = Path(word)
    if path.suffix == ".toml":
        return True
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        load_suite(path)
    except WrongField:
        return False
    return True


def interleaved(baseline: RunRequest, candidate: RunRequest) -> RunRequest:
    """One request with the scenarios of both in turn, every second time in reverse order, so that what drifts falls on
    both alike. The idle window and the pause are the baseline's."""
    pairs = zip_longest(_named(baseline.scenarios, BASELINE), _named(candidate.scenarios, CANDIDATE))
    return replace(baseline, alternate=True, scenarios=[one for one in chain.from_iterable(pairs) if one is not None])


def _named(scenarios: Sequence[Scenario], prefix: str) -> list[Scenario]:
    return [replace(one, name=(prefix + one.name)[:MAX_NAME]) for one in scenarios if one.type != "baseline"]


def side(result: RunResult, prefix: str) -> RunResult:
    """The scenarios of one side of a run of both, under their own names, with the idle windows of both."""
    mine = [one for one in result.scenarios if is_baseline(one.record) or one.record.name.startswith(prefix)]
    name = f"{result.id} {prefix.removesuffix(': ')}"
    return replace(result, id=name, scenarios=[_plain(one, prefix) for one in mine])


def _plain(one: ScenarioResult, prefix: str) -> ScenarioResult:
    record = one.record
    setting = None if record.setting is None else record.setting.removeprefix(prefix)
    return replace(one, record=replace(record, name=record.name.removeprefix(prefix), setting=setting))


async def _result(client: Client, request: RunRequest) -> RunResult:
    run = await followed(client, await client.start_run(request))
    if run.results_id is None or run.state != "done":
        raise click.ClickException(f"run {run.id} {run.state}: {run.error or 'it has no results'}")
    return await client.result(run.results_id)
