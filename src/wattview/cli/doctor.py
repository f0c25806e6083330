"""``wattview doctor``: each source on this machine, whether it works, and how to fix it."""

from __future__ import annotations

import click

from wattview.cli import terminal as term
from wattview.cli.attach import answers, socket_url
from wattview.client import Client, ClientError
from wattview.config import Config
from wattview.config.loading import flatten
from wattview.foreign_text import one_line
from wattview.model import Finding


async def run_doctor(config: Config, as_json: bool, alone: bool, meters: str | None = None) -> bool:
    """Examines every source, through the running daemon with its settings, or ``alone`` with these; prints; True if
    none is broken or refused. With ``meters`` it only searches that network for meters."""
    if meters:
        findings = await _find_meters(meters)
    elif not alone and answers(config):
        async with Client(socket_url(config)) as client:
            findings = [*await _settings(client, config), *await client.doctor()]
    else:
        from wattview.daemon.doctor import examine_alone

        findings = await examine_alone(config)
    term.say_found(findings, as_json, _print_findings)
    return all(finding.state in ("works", "absent") for finding in findings)


async def _settings(client: Client, config: Config) -> list[Finding]:
    """Notes if the daemon, which reports on itself, has other settings than the caller."""
    try:
        keys = await client.different_settings(flatten(config))
    except ClientError:
        return []  # a daemon of another version: report what it can
    if not keys:
        return []
    detail = f"this uses the daemon's own settings; yours differ in {', '.join(keys)}"
    return [Finding(source="settings", state="works", detail=detail, fix="wattview doctor --alone, with your settings")]


async def _find_meters(network: str) -> list[Finding]:
    """Searches with a progress bar. Raises click.BadParameter."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from wattview.probes.meters.meter_search import find_meters, hosts_of

    try:
        hosts, _ = hosts_of(network)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--meters") from None
    columns = (TextColumn("looking for meters"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(hosts))
        found = [meter async for meter in find_meters(network, lambda: bar.advance(task))]
    if not found:
        return [Finding(source="meters", state="absent", detail=f"no Shelly, Tasmota or Redfish answers in {network}")]
    return [
        Finding(
            source="meter", state="works", detail=f"{one.url}: {one.words}",
            fix=f'[[power.meters]] kind = "{one.kind}", url = "{one.url}"',
        )
        for one in sorted(found, key=lambda one: one.url)
    ]  # fmt: skip


def _print_findings(findings: list[Finding]) -> None:
    marks = {"works": "✓", "absent": "○", "not permitted": "✗", "broken": "✗"}
    width = max(len(finding.source) for finding in findings)
    for finding in findings:
        state = f"{marks[finding.state]} {finding.state}"
        style = term.good if finding.state == "works" else (term.quiet if finding.state == "absent" else term.bad)
        term.say(f"{finding.source.ljust(width)}  {style(state.ljust(15))}  {one_line(finding.detail)}")
        if finding.fix:
            term.say(f"{' ' * width}    → {one_line(finding.fix)}")
