"""The ten exporters: one ASGI application, many sockets; the port that a request came in on chooses the exporter.

Each exporter has ``/metrics`` (text 0.0.4 or OpenMetrics, gzip where asked), ``/health`` and a landing page. An
exporter whose source is absent still answers 200, with ``wattview_probe_success 0`` and without samples of the source.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import html
import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from wattview import __version__
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.client import Client, ClientError
from wattview.config import Config
from wattview.daemon.exporters import results_families
from wattview.daemon.exporters.discovery import TargetGroup, target_groups
from wattview.daemon.exporters.ended_containers import LastWords
from wattview.daemon.exporters.health import Target
from wattview.daemon.exporters.run_families import hourly_families, machine_families, price_families, run_families
from wattview.daemon.machine_now import machine_now
from wattview.exposition import Family, labels, negotiate, render
from wattview.model import ContainersReading, HostReading, ProbeStatus, RunResult
from wattview.probes import SourceError
from wattview.probes.node import UnknownCollector

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from wattview.daemon.attribution.attributor import Attributor
    from wattview.daemon.exporters.health import Health
    from wattview.daemon.lab.runner import Runner
    from wattview.daemon.results import Results
    from wattview.daemon.sampler import Sampler, Source


class Exporter(NamedTuple):
    """One of the ten: its key in the settings, the name that others know it by, and what it shows."""

    key: str
    name: str
    shows: str


EXPORTERS: tuple[Exporter, ...] = (
    Exporter("rapl", "rapl-exporter", "power and energy of this machine, its packages, containers and streams"),
    Exporter("docker", "docker-stats-exporter", "CPU and memory of the container engine and its containers"),
    Exporter("node", "node-exporter", "this machine, by node_exporter's names"),
    Exporter("containers", "cadvisor", "containers, by cAdvisor's names"),
    Exporter("nginx_rtmp", "nginx-rtmp-exporter", "the RTMP server and its live streams"),
    Exporter("results", "results-exporter", "energy, power and CPU of the scenarios of the latest results file"),
    Exporter("qoe", "qoe-exporter", "quality of the scenarios of the latest results file"),
    Exporter("cost", "cost-exporter", "cost of the scenarios of the latest results file"),
    Exporter("gpu", "dcgm-exporter", "NVIDIA GPUs, by dcgm-exporter's names"),
    Exporter("health", "exporter-health-checker", "whether each of the other exporters answers, and with what"),
)

GZIP_LEVEL = 1
"""On a scrape's text level 1 is nine tenths of what level 9 saves, at a fraction of its CPU time."""

GZIP_MIN_BYTES = 1024

QUICK_SAMPLES = 2000
"""So many samples are text and zipped in about two milliseconds: as long as to hand them to a thread and to be woken
by it costs a small scrape a quarter of its CPU time. What is larger does not stand in the loop's way."""


class BadQuery(ValueError):
    """A scrape that asks for something which does not exist: 400, with the reason."""


class Endpoints:
    """The ASGI application. ``ports`` maps each bound port to the key of its exporter."""

    def __init__(
        self,
        config: Config,
        sampler: Sampler,
        attributor: Attributor,
        results: Results,
        health: Health,
        runner: Runner,
        ports: Mapping[int, str],
    ) -> None:
        self._config = config
        self._runner = runner
        self._sampler = sampler
        self._attributor = attributor
        self._results = results
        self._health = health
        self._ports = ports
        self._last_words = LastWords()
        self._by_key = {exporter.key: exporter for exporter in EXPORTERS}
        self._analysed: Mapping[str, Callable[[RunResult | None], list[Family]]] = {
            "results": results_families.results_families,
            "qoe": results_families.qoe_families,
            "cost": results_families.cost_families,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        server = scope.get("server") or ("", 0)
        key = self._ports.get(server[1] or 0)
        if key is None:
            answer: Response = PlainTextResponse("no exporter on this port\n", 404)
        elif request.method not in ("GET", "HEAD"):
            answer = PlainTextResponse("only GET and HEAD\n", 405, {"Allow": "GET, HEAD"})
        else:
            answer = await self._answer(key, request)
        await answer(scope, receive, send)

    async def _answer(self, key: str, request: Request) -> Response:
        path: str = request.scope["path"]
        if path == "/metrics":
            return await self._metrics(key, request)
        if path in ("/health", "/healthz", "/-/healthy"):
            return await self._state(key)
        if path == "/":
            return HTMLResponse(self._landing_page(key))
        if path == "/discovery" and key == "health":
            groups = await self._discovery(request)
            return Response(msgspec.json.encode(groups), media_type="application/json")
        return PlainTextResponse("not found; see / for what is here\n", 404)

    async def _metrics(self, key: str, request: Request) -> Response:
        began, query = time.perf_counter(), request.query_params.multi_items()
        try:
            families = await self.families(key, query, _scraper(request))
        except BadQuery as error:
            return PlainTextResponse(f"{error}\n", 400)
        content_type, openmetrics = negotiate(request.headers.get("accept", ""))
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        if sum([len(family.samples) for family in families]) <= QUICK_SAMPLES:
            body = _encode(families, openmetrics, zipped)
        else:
            body = await asyncio.to_thread(_encode, families, openmetrics, zipped)
        if not query:
            self._health.note(self._by_key[key].name, families, time.perf_counter() - began)
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if zipped and body[:2] == b"\x1f\x8b":
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers)

    async def families(self, key: str, query: Iterable[tuple[str, str]], scraper: str) -> list[Family]:
        """Everything that one exporter says now to this scraper."""
        if key == "health":
            return self._health.families(await self._health.check())
        if key in self._analysed:
            return await self._analysed_families(key)
        sources = self._sampler.sources_of(key)
        parts = await asyncio.gather(*(self._source_families(source, key, query, scraper) for source in sources))
        families = _merged(parts)
        if key == "rapl":
            await self._attributor.read()
            families += self._attributor.families()
            families += await self._machine_families()
            families += [build_info(), *probe_families(self._sampler.statuses()), *run_families(self._runner.list())]
        else:
            families += probe_families(source.status for source in sources)
        return families

    async def _machine_families(self) -> list[Family]:
        """What the whole machine draws and costs now, and at which prices."""
        now, prices = time.time(), self._config.cost
        machine = await machine_now(self._sampler)
        hourly = hourly_cost(machine.power, machine.host, machine.gpus, now, prices)
        return [
            *machine_families(machine.power), *hourly_families(hourly, prices.currency), *price_families(prices, now)
        ]  # fmt: skip

    async def _source_families(
        self, source: Source, key: str, query: Iterable[tuple[str, str]], scraper: str
    ) -> list[Family]:
        view = source.entry.view(key)
        assert view is not None
        try:
            if source.name == "node" and (query := list(query)):
                return view.families(await source.call(lambda probe: probe.read(*_collectors(query))))
            reading = await source.read()
            if key == "containers" and isinstance(reading, ContainersReading):
                reading = self._last_words.for_scraper(scraper, reading)
            return view.families(reading)
        except UnknownCollector as error:
            raise BadQuery(str(error)) from None
        except SourceError:
            return []

    async def _analysed_families(self, key: str) -> list[Family]:
        with_label = self._config.scenarios.exported_runs
        runs = await self._results.all(max(1, with_label))
        latest = runs[0] if runs else None
        families = [*self._analysed[key](latest), *results_families.runs_families(key, runs[:with_label])]
        return families + probe_families(self._results_statuses(latest))

    async def _state(self, key: str) -> Response:
        """200 as long as the exporter itself answers; its sources' states are in the body."""
        probes = [source.status for source in self._sampler.sources_of(key)]
        if key in self._analysed:
            probes = self._results_statuses(await self._results.latest())
        name = self._by_key[key].name
        body = {"status": "ok", "exporter": name, "version": __version__, "pid": os.getpid(), "probes": probes}
        return Response(msgspec.json.encode(body), media_type="application/json")

    def _results_statuses(self, latest: RunResult | None) -> list[ProbeStatus]:
        """The states of what the figures of results come from: the latest file, and the store where there is one."""
        store = self._sampler.sources.get("history")
        return [_results_status(latest), *([store.status] if store is not None else [])]

    async def _discovery(self, request: Request) -> list[TargetGroup]:
        """The exporters that are served now, as a Prometheus at the other end finds them."""
        host = await self._sampler.read_or_none("host", max_age=60.0)
        served = [(self._by_key[key].name, port) for port, key in self._ports.items()]
        address, encrypted = request.url.hostname or "127.0.0.1", request.url.scheme == "https"
        name = host.hostname if isinstance(host, HostReading) else None
        return [
            *target_groups(served, address, name, encrypted=encrypted),
            *target_groups(self._config.daemon.others, address, name),
        ]

    def _landing_page(self, key: str) -> str:
        exporter = self._by_key[key]
        title, shows = html.escape(exporter.name), html.escape(exporter.shows)
        discovery = '<li><a href="/discovery">Prometheus service discovery</a></li>' if key == "health" else ""
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · WattView</title>'
            f"<h1>{title}</h1><p>WattView {html.escape(__version__)}: {shows}.</p>"
            '<ul><li><a href="/metrics">Metrics</a></li><li><a href="/health">Health</a></li>'
            f"{discovery}</ul></html>"
        )


async def targets(config: Config) -> list[Target]:
    """Every exporter of these settings, for a fetch from outside the daemon.

    Only the daemon knows the port of an exporter that was given port 0: it is asked for that.
    """
    enabled = [one for one in EXPORTERS if getattr(config.endpoints, one.key).enabled]
    ports = {one.name: getattr(config.endpoints, one.key).port for one in enabled}
    known: dict[str, str] = {}
    if 0 in ports.values():
        with contextlib.suppress(ClientError):
            async with Client(f"unix://{config.daemon.control_socket}") as client:
                known = {health.exporter: health.url for health in await client.exporters()}
    found = []
    for name, port in ports.items():
        if port:
            found.append(Target(name, exporter_url(config.daemon.listen, port)))
        elif name in known:
            found.append(Target(name, known[name]))
        else:
            found.append(Target(name, "", "its port is picked by the daemon, and no daemon answers"))
    return found


def exporter_url(host: str, port: int, *, encrypted: bool = False) -> str:
    """Where this machine reaches an exporter that listens on ``host``."""
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    if ":" in reachable and not reachable.startswith("["):
        reachable = f"[{reachable}]"
    return f"{'https' if encrypted else 'http'}://{reachable}:{port}"


def _scraper(request: Request) -> str:
    """Who asks: a connection, and behind a proxy whom it speaks for."""
    address = request.client or ("", 0)
    header = request.headers.get
    return f"{address[0]} {address[1]} {header('user-agent', '')} {header('x-forwarded-for', '')}"


def _merged(parts: Sequence[list[Family]]) -> list[Family]:
    """Families of one name, from several sources, as one: the formats know each name once. One source gives it once."""
    if len(parts) == 1:
        return list(parts[0])
    found: dict[str, Family] = {}
    for family in itertools.chain.from_iterable(parts):
        known = found.get(family.name)
        if known is None:
            found[family.name] = family
        else:
            found[family.name] = Family(known.name, known.type, known.help, [*known.samples, *family.samples])
    return list(found.values())


def build_info() -> Family:
    import platform

    text = labels(version=__version__, python=platform.python_version())
    return Family("wattview_build_info", "gauge", "WattView's version, as labels; always 1.").add(1, text)


def probe_families(statuses: Iterable[ProbeStatus]) -> list[Family]:
    """``wattview_probe_success`` and its duration. A probe that nobody has asked yet has no sample."""
    success = Family(
        "wattview_probe_success", "gauge", "1 where the probe's last reading succeeded, 0 where it failed."
    )
    duration = Family(
        "wattview_probe_duration_seconds", "gauge", "Time that the probe's last reading took, in seconds."
    )
    for status in statuses:
        if status.state != "unread":
            text = labels(probe=status.probe)
            success.add(1 if status.state in ("ok", "degraded") else 0, text)
            duration.add(status.duration_seconds, text)
    return [success, duration]


def _results_status(latest: RunResult | None) -> ProbeStatus:
    """The state of the latest results file, in the words of a probe."""
    if latest is None:
        return ProbeStatus(probe="results", state="absent", reason="no results yet", fix="wattview run")
    if latest.error:
        return ProbeStatus(probe="results", state="broken", reason=latest.error)
    return ProbeStatus(probe="results", state="ok")


def _collectors(query: Iterable[tuple[str, str]]) -> tuple[set[str], set[str]]:
    collect = {value for name, value in query if name == "collect[]"}
    exclude = {value for name, value in query if name == "exclude[]"}
    if collect and exclude:
        raise BadQuery("collect[] and exclude[] cannot be used together")
    return collect, exclude


def _encode(families: Iterable[Family], openmetrics: bool, zipped: bool) -> bytes:
    body = render(families, openmetrics)
    return gzip.compress(body, GZIP_LEVEL) if zipped and len(body) >= GZIP_MIN_BYTES else body
