"""``wattview results``: analysed runs, from the daemon where one runs, else from their files and the history."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

import click

from wattview.analysis.efficiency_figures import EfficiencyLine, known, lines_of
from wattview.analysis.provenance import made_by
from wattview.analysis.qoe import seen
from wattview.cli import terminal as term
from wattview.cli.attach import answers, socket_url
from wattview.cli.terminal import json_text
from wattview.client import CallRefused, Client, ClientError
from wattview.config import Config
from wattview.foreign_text import one_line
from wattview.model import HistorySeries, RunResult, ScenarioResult
from wattview.model.quantities import EFFICIENCY, EFFICIENCY_PRICES, QUANTITIES, Quantity

if TYPE_CHECKING:
    from wattview.daemon.history.protocol import History
    from wattview.daemon.results import Results

MOST_RUNS = 1000
"""How many runs are read where none is named."""


class ResultsSource(Protocol):
    """Where results come from: a daemon, or the files and the history themselves."""

    async def all(self, limit: int) -> list[RunResult]: ...

    async def get(self, run_id: str) -> RunResult | None: ...

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]: ...


class _DaemonResults:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.all = client.results
        self.samples = client.history

    async def get(self, run_id: str) -> RunResult | None:
        try:
            return await self._client.result(run_id)
        except CallRefused as error:
            if error.status == 404:
                return None
            raise


class _Files:
    def __init__(self, results: Results, history: History) -> None:
        self.all = results.all
        self.get = results.get
        self.samples = history.samples


@contextlib.asynccontextmanager
async def source_of(config: Config) -> AsyncIterator[ResultsSource]:
    """The daemon where one runs, else the files. Raises click.ClickException where the daemon fails."""
    if answers(config):
        async with Client(socket_url(config)) as client:
            try:
                yield _DaemonResults(client)
            except ClientError as error:
                raise click.ClickException(str(error)) from None
        return
    from wattview.daemon.history.backend import open_history
    from wattview.daemon.results import Results

    history = open_history(config)
    try:
        yield _Files(Results(config, history), history)
    finally:
        await history.close()


async def read_results(config: Config, ids: Sequence[str] = (), limit: int = MOST_RUNS) -> list[RunResult]:
    """The analysed runs that are named, in that order; else the newest ones, newest first.

    Raises click.ClickException for one that does not exist.
    """
    async with source_of(config) as source:
        return await named_runs(source, config, ids, limit)


async def named_runs(
    source: ResultsSource, config: Config, ids: Sequence[str] = (), limit: int = MOST_RUNS
) -> list[RunResult]:
    """The same from a source that is open."""
    if not ids:
        return await source.all(limit)
    found = []
    for run_id in ids:
        run = await source.get(run_id)
        if run is None:
            raise click.ClickException(f"no run {run_id!r} in {config.paths.results}; see: wattview results")
        found.append(run)
    return found


async def read_result(config: Config, id: str | None) -> RunResult:
    """One run, or the latest. Raises click.ClickException where there is none."""
    found = await read_results(config, () if id is None else (id,), limit=1)
    if not found:
        raise click.ClickException(f"no results in {config.paths.results}; measure something with: wattview run")
    return found[0]


def print_list(everything: list[RunResult], as_json: bool) -> None:
    if as_json:
        term.say(json_text(everything))
        return
    if not everything:
        term.say("no results yet; measure something with: wattview run")
        return
    rows = [
        [
            result.id,
            result.error or result.status or term.UNKNOWN,
            str(len(result.scenarios)),
            ", ".join(scenario.record.name for scenario in result.scenarios),
        ]
        for result in everything
    ]
    term.say(term.table(["RUN", "STATUS", "SCENARIOS", "NAMES"], rows, right=frozenset({2})))


COLUMNS = (
    "energy_joules", "power_mean_watts", "power_max_watts", "baseline_diff_power_watts", "cpu_mean_percent",
    "vmaf_score", "psnr_score", "ssim_score", "qoe_score", "cost_total",
)  # fmt: skip
"""The quantities of ``wattview results show``."""


def print_result(result: RunResult, as_json: bool) -> None:
    if as_json:
        term.say(json_text(result))
        return
    term.say(one_line(f"run {result.id} · {result.test_date} · {result.status or 'status unknown'}"))
    if result.error:
        term.say(term.bad(result.error))
        return
    header = ["SCENARIO", *(QUANTITIES[name].words.upper() for name in COLUMNS)]
    term.say(term.table(header, [_row(one) for one in result.scenarios], right=frozenset(range(1, len(header)))))
    lines = list(lines_of(result.scenarios))
    for columns in (known(EFFICIENCY, lines), known(EFFICIENCY_PRICES, lines)):
        if columns:
            term.say(f"\n{_efficiency(columns, lines)}")
    if any(one.energy_error_joules for one in result.scenarios):
        term.say(term.quiet("± is how far the truth may lie from a figure: the window's ends lie between two samples"))
    for remark in result.remarks:
        term.say(term.wrap(remark, ""))
    said: dict[str, list[str]] = {}
    for one in result.scenarios:
        for remark in _remarks(one):
            said.setdefault(remark, []).append(one.record.name)
    for remark, names in said.items():
        who = "every scenario" if len(names) == len(result.scenarios) > 1 else ", ".join(names)
        term.say(term.wrap(f"{who}: {remark}"))


def _row(one: ScenarioResult) -> list[str]:
    quantities = [QUANTITIES[name] for name in COLUMNS]
    return [
        one.record.name,
        *(term.quantity(quantity, quantity.of(one), quantity.error_of(one), one.currency) for quantity in quantities),
    ]


def _efficiency(columns: Sequence[Quantity], lines: Sequence[EfficiencyLine]) -> str:
    """Up to two lines a scenario: of all power, and of that above the baseline."""
    rows = [
        ["  above baseline" if line.net else line.scenario.record.name]
        + [
            term.figure(line.value(column), column.decimals, column.unit_in(line.scenario.currency), line.error(column))
            for column in columns
        ]
        for line in lines
        if line.has(columns)
    ]
    header = ["", *(column.words.upper() for column in columns)]
    return term.table(header, rows, right=frozenset(range(1, len(header))))


def _remarks(one: ScenarioResult) -> list[str]:
    """What a reader must know beside the figures: an estimate, an encoder that fell behind, and every dash's reason."""
    remarks = []
    if one.power_source and "estimated" in one.power_source:
        remarks.append("power is an ESTIMATE from CPU use: this machine has no counter")
    if one.record.realtime is False:
        remarks.append("NOT REAL TIME: the encoder fell behind, its efficiency is not valid")
    remarks += one.remarks.values()
    remarks += [seen(one.record.playback)] if one.record.playback is not None else []
    remarks += one.record.notes or []
    remarks += [made] if (made := made_by(one.record)) else []
    by_reason: dict[str, list[str]] = {}
    for name, reason in one.reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return remarks + [f"no {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
