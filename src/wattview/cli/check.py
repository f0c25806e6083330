"""``wattview check``: every exporter is fetched once, and it is said which is healthy."""

from __future__ import annotations

import click

from wattview.cli import terminal as term
from wattview.cli.terminal import json_text
from wattview.config import Config
from wattview.model import ExporterHealth


async def check_exporters(config: Config, as_json: bool, timeout_seconds: float, debug: bool) -> bool:
    """Fetches every exporter; prints; True where all are healthy.

    Where they want a password or a certificate, the daemon is asked, which needs neither.
    """
    import httpx

    from wattview.daemon.exporters.endpoints import targets
    from wattview.daemon.exporters.health import check_all

    if config.daemon.web_config_file:
        checked = await _asked(config)
    else:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_seconds) as http:
            checked = await check_all(http, await targets(config), timeout_seconds)
    if as_json:
        term.say(json_text(checked))
    else:
        _print_health(checked, debug)
        if not any(one.reachable for one in checked):
            term.say("no exporter answers; start the daemon with: wattview up")
    return all(one.healthy for one in checked)


async def _asked(config: Config) -> list[ExporterHealth]:
    from wattview.cli.attach import socket_url
    from wattview.client import Client, ClientError

    try:
        async with Client(socket_url(config)) as client:
            return await client.exporters()
    except ClientError as error:
        raise click.ClickException(str(error)) from None


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
    term.say(term.table(header, rows, right=frozenset({3, 4, 5})))
    by_reason: dict[str, list[str]] = {}
    for one in checked:
        if one.reason and (debug or not one.healthy or not one.has_data):
            by_reason.setdefault(one.reason, []).append(one.exporter)
    for reason, names in by_reason.items():
        term.say(term.wrap(f"{', '.join(names)}: {reason}"))
