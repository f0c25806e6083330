"""``wattview results``: analysed runs, from the daemon where one runs, else from their files and the history."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import click

from wattview import terminal as term
from wattview.attach import answers, socket_url
from wattview.client import CallRefused, Client
from wattview.config import Config
from wattview.model import RunResult, ScenarioResult
from wattview.terminal import json_text

if TYPE_CHECKING:
    from wattview.daemon.results import Results


async def read_results(config: Config, ids: Sequence[str] = ()) -> list[RunResult]:
    """Analysed results, newest first: from the daemon where one runs, else from the files and the history directly."""
    if ids:
        return [await read_result(config, one) for one in ids]
    if answers(config):
        async with Client(socket_url(config)) as client:
            return await client.results()
    async with _offline(config) as results:
        return await results.all(1000)


@contextlib.asynccontextmanager
async def _offline(config: Config) -> AsyncIterator[Results]:
    """Results without a daemon."""
    from wattview.daemon.history import open_history
    from wattview.daemon.results import Results

    history = open_history(config)
    try:
        yield Results(config, history)
    finally:
        await history.close()


async def read_result(config: Config, id: str | None) -> RunResult:
    """One run, or the latest. Raises click.ClickException where there is none."""
    if id is None:
        everything = await read_results(config)
        if not everything:
            raise click.ClickException(f"no results in {config.paths.results}; measure something with: wattview run")
        return everything[0]
    found: RunResult | None = None
    if answers(config):
        async with Client(socket_url(config)) as client:
            with contextlib.suppress(CallRefused):
                found = await client.result(id)
    else:
        async with _offline(config) as results:
            found = await results.get(id)
    if found is None:
        raise click.ClickException(f"no run {id!r} in {config.paths.results}; see: wattview results")
    return found


def print_list(everything: list[RunResult], as_json: bool) -> None:
    if as_json:
        click.echo(json_text(everything))
        return
    if not everything:
        click.echo("no results yet; measure something with: wattview run")
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
    click.echo(term.table(["RUN", "STATUS", "SCENARIOS", "NAMES"], rows, right=frozenset({2})))


HEADER = ["SCENARIO", "ENERGY", "MEAN", "MAX", "ΔBASELINE", "CPU", "VMAF", "PSNR", "SSIM", "QOE", "COST"]


def print_result(result: RunResult, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(result))
        return
    click.echo(f"run {result.id} · {result.test_date} · {result.status or 'status unknown'}")
    if result.error:
        click.echo(term.bad(result.error))
        return
    click.echo(term.table(HEADER, [_row(one) for one in result.scenarios], right=frozenset(range(1, len(HEADER)))))
    for one in result.scenarios:
        for remark in _remarks(one):
            click.echo(term.wrap(f"{one.record.name}: {remark}"))


def _row(one: ScenarioResult) -> list[str]:
    record = one.record
    return [
        record.name,
        term.figure(one.energy_joules, 1, "J"),
        term.figure(one.power_mean_watts, 2, "W"),
        term.figure(one.power_max_watts, 2, "W"),
        term.figure(one.baseline_diff_power_watts, 2, "W"),
        term.figure(one.cpu_mean_percent, 1, "%"),
        term.figure(record.vmaf_score, 2),
        term.figure(record.psnr_score, 2, "dB"),
        term.figure(record.ssim_score, 4),
        term.figure(one.qoe_score, 2),
        term.money(one.cost_total, one.currency),
    ]


def _remarks(one: ScenarioResult) -> list[str]:
    """What a reader must know beside the figures: an estimate, an encoder that fell behind, and every dash's reason."""
    remarks = []
    if one.power_source and "estimated" in one.power_source:
        remarks.append("power is an ESTIMATE from CPU use: this machine has no counter")
    if one.record.realtime is False:
        remarks.append("NOT REAL TIME: the encoder fell behind, its efficiency is not valid")
    remarks += one.record.notes or []
    by_reason: dict[str, list[str]] = {}
    for name, reason in one.reasons.items():
        by_reason.setdefault(reason, []).append(name)
    return remarks + [f"no {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
