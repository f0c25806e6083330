"""The ten exporters: one ASGI application for many sockets; the port of a request selects the exporter.

Each exporter has ``/metrics`` (text 0.0.4 or OpenMetrics, gzip on request), ``/health`` and a landing page. An exporter
whose source is absent still answers 200, with ``wattview_probe_success 0`` and without samples of the source.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from wattview import __version__
from wattview.client import Client, ClientError
from wattview.config import Config
from wattview.daemon import state_directory
from wattview.daemon.exporters.check import ExporterTarget
from wattview.daemon.exporters.discovery import TargetGroup, target_groups
from wattview.daemon.exporters.entries import EXPORTERS, Exporter
from wattview.daemon.exporters.expected import SelfReport, state_by_sources
from wattview.daemon.exporters.scrape import BadQuery, Scrape, Shown
from wattview.exposition import accepts_gzip, negotiate, render, render_zipped
from wattview.foreign_text import wire_json
from wattview.model import HostReading

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

GZIP_MIN_SAMPLES = 20

QUICK_SAMPLES = 4000
"""This many samples are rendered and compressed in about two milliseconds. A thread would cost a small scrape a quarter
of its CPU time for the hand-over; larger ones use one, to keep the event loop free."""


class Endpoints:
    """The ASGI application. ``ports`` maps each bound port to the key of its exporter."""

    def __init__(self, shown: Shown, ports: Mapping[int, str]) -> None:
        self._shown = shown
        self._ports = ports
        self._by_key = {exporter.key: exporter for exporter in EXPORTERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        server = scope.get("server") or ("", 0)
        exporter = self._by_key.get(self._ports.get(server[1] or 0, ""))
        if exporter is None:
            answer: Response = PlainTextResponse("no exporter on this port\n", 404)
        elif request.method not in ("GET", "HEAD"):
            answer = PlainTextResponse("only GET and HEAD\n", 405, {"Allow": "GET, HEAD"})
        else:
            answer = await self._answer(exporter, request)
        await answer(scope, receive, send)

    async def _answer(self, exporter: Exporter, request: Request) -> Response:
        path: str = request.scope["path"]
        if path == "/metrics":
            return await self._metrics(exporter, request)
        if path in ("/health", "/healthz", "/-/healthy"):
            return await self._state(exporter)
        if path == "/":
            return HTMLResponse(_landing_page(exporter))
        if path == "/discovery" and exporter.key == "health":
            groups = await self._discovery(request)
            return Response(wire_json(groups), media_type="application/json")
        return PlainTextResponse("not found; see / for what is here\n", 404)

    async def _metrics(self, exporter: Exporter, request: Request) -> Response:
        began, query = time.perf_counter(), request.query_params.multi_items()
        try:
            families = await exporter.families(Scrape(self._shown, exporter.key, query, _scraper(request)))
        except BadQuery as error:
            return PlainTextResponse(f"{error}\n", 400)
        content_type, openmetrics = negotiate(request.headers.get("accept", ""))
        count = sum([len(family.samples) for family in families])
        zipped = count >= GZIP_MIN_SAMPLES and accepts_gzip(request.headers.get("accept-encoding", ""))
        encode = render_zipped if zipped else render
        if count <= QUICK_SAMPLES:
            body = encode(families, openmetrics)
        else:
            body = await asyncio.to_thread(encode, families, openmetrics)
        if not query:
            self._shown.health.note(exporter.name, families, time.perf_counter() - began)
        address = request.client.host if request.client is not None else "a local client"
        self._shown.health.count(exporter.name, request.headers.get("user-agent", ""), address, len(body))
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if zipped:
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)

    async def _state(self, exporter: Exporter) -> Response:
        """200 if the exporter itself works; its sources' states are in the body."""
        scrape = Scrape(self._shown, exporter.key)
        statuses, gaps = await asyncio.gather(exporter.statuses(scrape), exporter.gaps(scrape))
        probes = tuple(statuses)
        report = SelfReport(
            exporter=exporter.name,
            version=__version__,
            pid=os.getpid(),
            status=state_by_sources(exporter.expected, probes),
            probes=probes,
            gaps=gaps,
        )
        return Response(wire_json(report), media_type="application/json")

    async def _discovery(self, request: Request) -> list[TargetGroup]:
        """The served exporters, at the address that the Prometheus used."""
        host = await self._shown.sampler.read_or_none("host", max_age=60.0)
        served = [(self._by_key[key].name, port) for port, key in self._ports.items()]
        address, encrypted = request.url.hostname or "127.0.0.1", request.url.scheme == "https"
        name = host.hostname if isinstance(host, HostReading) else None
        return [
            *target_groups(served, address, name, encrypted=encrypted),
            *target_groups(self._shown.config.daemon.others, address, name),
        ]


def _landing_page(exporter: Exporter) -> str:
    title, shows = html.escape(exporter.name), html.escape(exporter.shows)
    discovery = '<li><a href="/discovery">Prometheus service discovery</a></li>' if exporter.key == "health" else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · WattView</title>'
        f"<h1>{title}</h1><p>WattView {html.escape(__version__)}: {shows}.</p>"
        '<ul><li><a href="/metrics">Metrics</a></li><li><a href="/health">Health</a></li>'
        f"{discovery}</ul></html>"
    )


async def targets(config: Config) -> list[ExporterTarget]:
    """Every exporter of these settings, for a check from outside the daemon.

    Only the daemon knows the actual port of an exporter with port 0, so it is queried.
    """
    served = enabled(config)
    known: dict[str, str] = {}
    if any(port == 0 for _, port in served):
        with contextlib.suppress(ClientError):
            async with Client(f"unix://{config.daemon.control_socket}") as client:
                known = {health.exporter: health.url for health in await client.exporters()}
    holder = state_directory.holder(Path(config.paths.state))
    pid = holder.pid if holder is not None else 0
    found = []
    for exporter, port in served:
        url = exporter_url(config.daemon.listen, port) if port else known.get(exporter.name, "")
        problem = "" if url else "its port is chosen by the daemon, and no daemon answers"
        found.append(ExporterTarget(exporter.name, url, exporter.key, problem, expected=exporter.expected, pid=pid))
    return found


def enabled(config: Config) -> list[tuple[Exporter, int]]:
    """The enabled exporters of these settings, and their ports."""
    settings = [(exporter, getattr(config.endpoints, exporter.key)) for exporter in EXPORTERS]
    return [(exporter, one.port) for exporter, one in settings if one.enabled]


def exporter_url(host: str, port: int, *, encrypted: bool = False) -> str:
    """The URL under which this machine reaches an exporter that listens on ``host``."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    if ":" in reachable and not reachable.startswith("["):
        reachable = f"[{reachable}]"
    return f"{'https' if encrypted else 'http'}://{reachable}:{port}"


def _scraper(request: Request) -> str:
    """The client: a connection, and behind a proxy the forwarded client."""
    address = request.client or ("", 0)
    header = request.headers.get
    return f"{address[0]} {address[1]} {header('user-agent', '')} {header('x-forwarded-for', '')}"
