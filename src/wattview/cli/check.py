"""``wattview check``: scrapes every exporter once and reports its health."""

from __future__ import annotations

from functools import partial

import httpx

from wattview.cli import terminal as term
from wattview.cli.attach import socket_url
from wattview.client import Client
from wattview.config import Config
from wattview.daemon.exporters.check import check_all
from wattview.daemon.exporters.endpoints import targets
from wattview.model import ExporterHealth, grouped_reasons


async def check_exporters(config: Config, as_json: bool, timeout_seconds: float, debug: bool) -> bool:
    """Scrapes every exporter; prints; True if all are healthy.

    If they require a password or certificate, the daemon checks them instead, which needs neither.
    """
    if config.daemon.web_config_file:
        async with Client(socket_url(config)) as client:
            checked = await client.exporters()
    else:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_seconds) as http:
            checked = await check_all(http, await targets(config), timeout_seconds)
    term.say_found(checked, as_json, partial(_print_health, debug=debug))
    return all(one.healthy for one in checked)


def _print_health(checked: list[ExporterHealth], debug: bool) -> None:
    marks = {"healthy": "✓", "no source": "○", "unhealthy": "✗"}
    rows = [
        [
            f"{marks[one.state]} {one.state}",
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
    for names, reason in grouped_reasons(one for one in checked if debug or one.state != "healthy"):
        term.say(term.wrap(f"{names}: {reason}"))
    if not any(one.reachable or one.taken_by for one in checked):
        term.say("no exporter answers; start the daemon with: wattview up")
