"""``wattview doctor``: each source on this machine, whether it works, and how to fix it."""

from __future__ import annotations

from wattview.cli import terminal as term
from wattview.cli.attach import answers, socket_url
from wattview.cli.terminal import json_text
from wattview.client import Client, ClientError
from wattview.config import Config
from wattview.config.loading import flatten
from wattview.foreign_text import one_line
from wattview.model import Finding


async def run_doctor(config: Config, as_json: bool, alone: bool) -> bool:
    """Examines every source, by the daemon that runs and its settings, or ``alone`` by these; prints; True where none
    is broken or refused."""
    if not alone and answers(config):
        async with Client(socket_url(config)) as client:
            findings = [*await _settings(client, config), *await client.doctor()]
    else:
        from wattview.daemon.doctor import examine_alone

        findings = await examine_alone(config)
    if as_json:
        term.say(json_text(findings))
    else:
        _print_findings(findings)
    return all(finding.state in ("works", "absent") for finding in findings)


async def _settings(client: Client, config: Config) -> list[Finding]:
    """Says so where the daemon, which answers for itself, has other settings than the caller."""
    try:
        keys = await client.different_settings(flatten(config))
    except ClientError:
        return []  # a daemon of another version: it is asked for what it can say
    if not keys:
        return []
    detail = f"this is by the daemon's own settings; yours differ in {', '.join(keys)}"
    return [Finding(source="settings", state="works", detail=detail, fix="wattview doctor --alone, with your settings")]


def _print_findings(findings: list[Finding]) -> None:
    marks = {"works": "✓", "absent": "·", "not permitted": "✗", "broken": "✗"}
    width = max(len(finding.source) for finding in findings)
    for finding in findings:
        state = f"{marks[finding.state]} {finding.state}"
        style = term.good if finding.state == "works" else (term.quiet if finding.state == "absent" else term.bad)
        term.say(f"{finding.source.ljust(width)}  {style(state.ljust(15))}  {one_line(finding.detail)}")
        if finding.fix:
            term.say(f"{' ' * width}    → {one_line(finding.fix)}")
