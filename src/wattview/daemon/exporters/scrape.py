"""One scrape of one exporter: its parameters, and how each exporter gets its families.

Six show readings of their sources, the first of them with the daemon's own figures; three show the newest results file;
one shows the health of all.
"""

from __future__ import annotations

import asyncio
import itertools
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wattview import __version__
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.config import Config
from wattview.daemon.exporters import results_families
from wattview.daemon.exporters.ended_containers import EndedContainers
from wattview.daemon.exporters.run_families import hourly_families, machine_families, price_families, run_families
from wattview.daemon.machine_now import machine_now
from wattview.exposition import Family, gauge, labels
from wattview.model import ContainersReading, GridPrices, ProbeStatus, RunResult
from wattview.probes import SourceError
from wattview.probes.meters.wall import wall_families
from wattview.probes.node import UnknownCollector

if TYPE_CHECKING:
    from wattview.daemon.attribution.attributor import Attributor
    from wattview.daemon.exporters.health import Health
    from wattview.daemon.lab.runner import Runner
    from wattview.daemon.results import Results
    from wattview.daemon.sampler import Sampler, Source
    from wattview.daemon.wall.wall import Wall


class BadQuery(ValueError):
    """A scrape with an invalid parameter: 400, with the reason."""


class Shown(NamedTuple):
    """Shared inputs of the ten exporters."""

    config: Config
    sampler: Sampler
    attributor: Attributor
    results: Results
    health: Health
    runner: Runner
    ended_containers: EndedContainers
    wall: Wall
    grid: Callable[[], GridPrices] = GridPrices


class Scrape(NamedTuple):
    """One request: the exporter's key, its query pairs, and the client."""

    shown: Shown
    key: str
    query: Sequence[tuple[str, str]] = ()
    scraper: str = ""

    def sources(self) -> list[Source]:
        return self.shown.sampler.sources_of(self.key)


async def source_families(scrape: Scrape) -> list[Family]:
    """Readings of the exporter's sources, and their states."""
    return [*await _readings(scrape), *probe_families(source.status for source in scrape.sources())]


async def power_families(scrape: Scrape) -> list[Family]:
    """Port 9500: readings, attribution, the whole machine, runs, and the states of all sources."""
    shown = scrape.shown
    families = await _readings(scrape)
    await shown.attributor.read()
    families += shown.attributor.families()
    families = _merged([families, await _whole_machine(shown)])
    return [*families, build_info(), *probe_families(shown.sampler.statuses()), *run_families(shown.runner.list())]


async def analysed_families(scrape: Scrape) -> list[Family]:
    """Ports 9502 to 9504: the newest results file, and the newest ones by run."""
    with_label = scrape.shown.config.scenarios.exported_runs
    runs = await scrape.shown.results.all(max(1, with_label))
    latest = runs[0] if runs else None
    families = [
        *results_families.FAMILIES[scrape.key](latest),
        *results_families.runs_families(scrape.key, runs[:with_label]),
    ]
    return families + probe_families(results_statuses(scrape, latest))


async def health_families(scrape: Scrape) -> list[Family]:
    """Port 9600."""
    health = scrape.shown.health
    return health.families(await health.check())


async def source_statuses(scrape: Scrape) -> list[ProbeStatus]:
    return [source.status for source in scrape.sources()]


async def analysed_statuses(scrape: Scrape) -> list[ProbeStatus]:
    return results_statuses(scrape, await scrape.shown.results.latest())


def results_statuses(scrape: Scrape, latest: RunResult | None) -> list[ProbeStatus]:
    """States of the sources of results: the latest file, and the store if there is one."""
    store = scrape.shown.sampler.sources.get("history")
    folder = scrape.shown.config.paths.results
    return [_results_status(latest, folder), *([store.status] if store is not None else [])]


def _results_status(latest: RunResult | None, folder: str) -> ProbeStatus:
    """The state of the latest results file, as for a probe."""
    if latest is None:
        return ProbeStatus(probe="results", state="absent", reason=f"no results yet in {folder}", fix="wattview run")
    if latest.error:
        return ProbeStatus(probe="results", state="broken", reason=f"{latest.id} in {folder}: {latest.error}")
    return ProbeStatus(probe="results", state="ok")


async def _readings(scrape: Scrape) -> list[Family]:
    return _merged(await asyncio.gather(*(_source(scrape, source) for source in scrape.sources())))


async def _source(scrape: Scrape, source: Source) -> list[Family]:
    view = source.entry.view(scrape.key)
    assert view is not None
    try:
        if source.name == "node" and scrape.query:
            return view.families(await source.call(lambda probe: probe.read(*_collectors(scrape.query))))
        reading = await source.read(detailed=view.detailed)
        if scrape.key == "containers" and isinstance(reading, ContainersReading):
            reading = scrape.shown.ended_containers.for_scraper(scrape.scraper, reading)
        return view.families(reading)
    except UnknownCollector as error:
        raise BadQuery(str(error)) from None
    except SourceError:
        return []


def _merged(parts: Sequence[list[Family]]) -> list[Family]:
    """Merges families with the same name from several sources: the format allows each name once."""
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


async def _whole_machine(shown: Shown) -> list[Family]:
    """Current power and cost of the whole machine, and the prices."""
    now, prices = time.time(), shown.config.cost
    machine = await machine_now(shown.sampler, shown.wall)
    at_wall, known = machine.wall, shown.grid()
    hourly = hourly_cost(machine.power, machine.host, machine.gpus, now, prices, at_wall, known)
    return [
        *(wall_families(at_wall) if at_wall is not None and at_wall.source == "calibrated" else ()),
        *machine_families(machine.power), *hourly_families(hourly, prices.currency), *price_families(prices, now, known)
    ]  # fmt: skip


def build_info() -> Family:
    text = labels(version=__version__, python=platform.python_version())
    return gauge("wattview_build_info", "WattView's version, as labels; always 1.", 1, text)


def probe_families(statuses: Iterable[ProbeStatus]) -> list[Family]:
    """``wattview_probe_success`` and its duration. A probe that was never read has no sample."""
    success = gauge("wattview_probe_success", "1 if the probe's last reading succeeded, 0 if it failed.")
    duration = gauge("wattview_probe_duration_seconds", "Time that the probe's last reading took, in seconds.")
    for status in statuses:
        if status.state != "unread":
            text = labels(probe=status.probe)
            success.add(1 if status.state in ("ok", "degraded") else 0, text)
            duration.add(status.duration_seconds, text)
    return [success, duration]


def _collectors(query: Iterable[tuple[str, str]]) -> tuple[set[str], set[str]]:
    query = list(query)
    collect = {value for name, value in query if name == "collect[]"}
    exclude = {value for name, value in query if name == "exclude[]"}
    if collect and exclude:
        raise BadQuery("collect[] and exclude[] cannot be used together")
    return collect, exclude
