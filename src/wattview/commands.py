"""What the subcommands that answer do: run, results, check and doctor. ``cli`` parses, this does and prints."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from wattview import terminal as term
from wattview.attach import answers, socket_url
from wattview.client import CallRefused, Client, ClientError
from wattview.config import Config
from wattview.model import (
    ExporterHealth,
    Finding,
    Run,
    RunRequest,
    RunResult,
    Scenario,
    ScenarioResult,
)

if TYPE_CHECKING:
    from wattview.daemon.results import Results

BASELINE_SECONDS = 20.0
POLL_SECONDS = 0.25


# run


def read_request(suite: Path | None, asked: dict[str, Any]) -> RunRequest:
    """What to run, from the options. Raises click.UsageError that names the option or the field."""
    baseline, no_quality = asked.pop("baseline"), asked.pop("no_quality")
    chosen = {name: value for name, value in asked.items() if value is not None}
    if suite is not None:
        if chosen:
            raise click.UsageError(f"--suite and --{next(iter(chosen))} cannot be used together")
        request = _read_suite(suite)
        return request if baseline is None else msgspec.structs.replace(request, baseline=baseline)
    chosen.setdefault("name", _default_name(chosen))
    if no_quality:
        chosen["quality"] = False
    tree = {"scenarios": [chosen], "baseline": BASELINE_SECONDS if baseline is None else baseline}
    try:
        return msgspec.convert(tree, RunRequest)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `")
        option = path.rstrip("`").rpartition(".")[2] or "option"
        raise click.UsageError(f"--{option}: {text.replace('`', '')}") from None


def _read_suite(path: Path) -> RunRequest:
    from wattview.daemon.suite import SuiteError, load_suite

    try:
        return load_suite(path)
    except SuiteError as error:
        raise click.UsageError(f"{path}: {error}") from None


def _default_name(chosen: dict[str, Any]) -> str:
    scenario = Scenario(name="-")
    streams = chosen.get("streams", scenario.streams)
    return f"{streams}x {chosen.get('resolution', scenario.resolution)} {chosen.get('bitrate', scenario.bitrate)}"


async def run_scenarios(client: Client, request: RunRequest, as_json: bool) -> bool:
    """Starts the run, follows it to its end, prints what it means. Ctrl-C stops the run. True where all is well."""
    try:
        run = await client.start_run(request)
    except CallRefused as error:
        raise click.ClickException(str(error)) from None
    try:
        run = await _follow(client, run)
    except asyncio.CancelledError:
        with contextlib.suppress(ClientError):
            await client.stop_run(run.id)
        click.echo(f"\nstopped run {run.id}; what it had finished is kept", err=True)
        raise
    if run.results_id is None:
        click.echo(term.bad(f"run {run.id} {run.state}: {run.error or 'it left no results'}"), err=True)
        return False
    result = await client.result(run.results_id)
    print_result(result, as_json)
    if run.error:
        click.echo(term.bad(f"run {run.id} {run.state}: {run.error}"), err=True)
    scenarios = [scenario.record for scenario in result.scenarios]
    return run.state == "done" and all(record.status in (None, "done") for record in scenarios)


async def _follow(client: Client, run: Run) -> Run:
    if sys.stderr.isatty():
        return await _follow_with_bar(client, run)
    said = None
    while run.state == "running":
        progress = run.progress
        now = (progress.scenario, progress.phase) if progress else None
        if progress and now != said:
            click.echo(f"{progress.scenario or run.id}: {progress.phase}", err=True)
            said = now
        await asyncio.sleep(POLL_SECONDS)
        run = await client.run(run.id)
    return run


async def _follow_with_bar(client: Client, run: Run) -> Run:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(run.id, total=1.0, left="")
        while run.state == "running":
            if progress := run.progress:
                left = "" if progress.remaining_seconds is None else f"{term.duration(progress.remaining_seconds)} left"
                what = f"{progress.scenario or run.id} · {progress.phase}"
                bar.update(task, completed=progress.fraction, description=what, left=left)
            await asyncio.sleep(POLL_SECONDS)
            run = await client.run(run.id)
    return run


# results


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
        click.echo(_json(everything))
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
        click.echo(_json(result))
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


COMPARED = (
    ("energy", "energy_joules", 1, "J"),
    ("mean power", "power_mean_watts", 2, "W"),
    ("max power", "power_max_watts", 2, "W"),
    ("CPU", "cpu_mean_percent", 1, "%"),
    ("QoE", "qoe_score", 2, ""),
    ("cost", "cost_total", 6, ""),
)


def print_comparison(a: RunResult, b: RunResult) -> None:
    """Scenario by scenario, by name; what stands on one side only is said."""
    left = {one.record.name: one for one in a.scenarios}
    right = {one.record.name: one for one in b.scenarios}
    rows = []
    for name in [*left, *(name for name in right if name not in left)]:
        if name not in left or name not in right:
            only = a.id if name in left else b.id
            rows.append([name, f"only in {only}", "", "", "", ""])
            continue
        for title, field, digits, unit in COMPARED:
            one, other = getattr(left[name], field), getattr(right[name], field)
            known = one is not None and other is not None
            change = term.figure(other - one if known else None, digits, unit)
            percent = term.figure((other - one) / one * 100 if known and one else None, 1, "%")
            rows.append(
                [name, title, term.figure(one, digits, unit), term.figure(other, digits, unit), change, percent]
            )
    header = ["SCENARIO", "FIGURE", a.id, b.id, "DIFFERENCE", ""]
    click.echo(term.table(header, rows, right=frozenset({2, 3, 4, 5})))


def export(everything: list[RunResult], kind: str) -> bytes:
    """Runs as json, csv, parquet or html."""
    if kind == "json":
        return _json(everything).encode() + b"\n"
    if kind == "csv":
        return _csv(everything)
    if kind == "html":
        from wattview.analysis.report import html_report

        return html_report(everything).encode()
    return _parquet(everything)


def _flat(everything: list[RunResult]) -> list[dict[str, Any]]:
    rows = []
    for result in everything:
        for one in result.scenarios:
            row = {"run": result.id, **msgspec.to_builtins(one.record), **msgspec.to_builtins(one)}
            rows.append({key: value for key, value in row.items() if not isinstance(value, list | dict)})
    return rows


def _csv(everything: list[RunResult]) -> bytes:
    import csv
    import io

    rows = _flat(everything)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(everything: list[RunResult]) -> bytes:
    import io

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise click.ClickException("parquet needs pyarrow; run: pip install 'wattview[parquet]'") from None
    data = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(_flat(everything)), data)
    return data.getvalue()


# check and doctor


async def check_exporters(config: Config, as_json: bool, timeout_seconds: float, debug: bool) -> bool:
    """Fetches every exporter; prints; True where all are healthy."""
    import httpx

    from wattview.daemon.endpoints import targets
    from wattview.daemon.health import check_all

    async with httpx.AsyncClient(trust_env=False, timeout=timeout_seconds) as http:
        checked = await check_all(http, await targets(config), timeout_seconds)
    if as_json:
        click.echo(_json(checked))
    else:
        _print_health(checked, debug)
        if not any(one.reachable for one in checked):
            click.echo("no exporter answers; start the daemon with: wattview up")
    return all(one.healthy for one in checked)


def _print_health(checked: list[ExporterHealth], debug: bool) -> None:
    def state(one: ExporterHealth) -> str:
        return "unhealthy" if not one.healthy else ("healthy" if one.has_data else "no source")

    rows = [
        [
            ("✓" if one.healthy else "✗") + " " + state(one),
            one.exporter,
            one.url,
            str(one.metric_count),
            str(one.sample_count),
            term.figure(None if one.scrape_seconds is None else one.scrape_seconds * 1000, 1, "ms"),
        ]
        for one in checked
    ]
    header = ["STATE", "EXPORTER", "URL", "FAMILIES", "SAMPLES", "TIME"]
    click.echo(term.table(header, rows, right=frozenset({3, 4, 5})))
    by_reason: dict[str, list[str]] = {}
    for one in checked:
        if one.reason and (debug or not one.healthy or not one.has_data):
            by_reason.setdefault(one.reason, []).append(one.exporter)
    for reason, names in by_reason.items():
        click.echo(term.wrap(f"{', '.join(names)}: {reason}"))


async def run_doctor(config: Config, as_json: bool) -> bool:
    """Examines every source; prints; True where none is broken or refused."""
    if answers(config):
        async with Client(socket_url(config)) as client:
            findings = await client.doctor()
    else:
        from wattview.daemon.doctor import examine_alone

        findings = await examine_alone(config)
    if as_json:
        click.echo(_json(findings))
    else:
        _print_findings(findings)
    return all(finding.state in ("works", "absent") for finding in findings)


def _print_findings(findings: list[Finding]) -> None:
    marks = {"works": "✓", "absent": "·", "not permitted": "✗", "broken": "✗"}
    width = max(len(finding.source) for finding in findings)
    for finding in findings:
        state = f"{marks[finding.state]} {finding.state}"
        style = term.good if finding.state == "works" else (term.quiet if finding.state == "absent" else term.bad)
        click.echo(f"{finding.source.ljust(width)}  {style(state.ljust(15))}  {finding.detail}")
        if finding.fix:
            click.echo(f"{' ' * width}    → {finding.fix}")


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
