"""The exporters' health, and its metrics on port 9600.

Port 9600 itself is judged by its ``/health``: a scrape of its own ``/metrics`` would wait for itself.

Scraping all exporters costs the daemon as much as a regular scrape, and parsing twice as much again. A daemon whose
health is requested repeatedly therefore uses the answers that others have received meanwhile (``Health.note``). It
scrapes only exporters that nobody else scraped, that were unhealthy, that gained or lost data, an expected metric or a
source, or whose last own scrape is long ago.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

import httpx
import msgspec

from wattview.daemon.events import tell
from wattview.daemon.exporters.check import LOOKS, Content, ExporterTarget, content_of, look, unhealthy
from wattview.daemon.exporters.own_process import own_process_families
from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.fetch import NO_TLS
from wattview.model import ExporterHealth, ExporterState, grouped_reasons

if TYPE_CHECKING:
    from starlette.types import ASGIApp


TIMEOUT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""How long an answer to another client replaces a scrape."""

FETCH_SECONDS = 120.0
"""Maximum time between own scrapes: only the parser can tell whether the text is valid."""


class _Answered(NamedTuple):
    """An exporter's answer to another client, its time (monotonic), and how long it took."""

    at: float
    content: Content
    seconds: float


class _Fetched(NamedTuple):
    """Result of our own scrape, and its time (monotonic)."""

    at: float
    health: ExporterHealth
    content: Content


class _Scraped(NamedTuple):
    """An exporter's answers to others, and the last of them: its time (Unix), its client, its bytes on the wire."""

    times: int
    at: float
    scraper: str
    size: int


_NEVER = float("-inf")

OWN_AGENT = f"wattview-health/{os.getpid()}"
"""The user agent of our own scrapes."""


def _tell_changes(before: Iterable[ExporterHealth], now: Iterable[ExporterHealth]) -> None:
    """Logs an exporter's failure once, and its recovery."""
    well = {one.exporter: one.healthy for one in before}
    changed = [one for one in now if one.healthy != well.get(one.exporter, True)]
    for one in changed:
        if one.healthy:
            tell("info", f"exporter {one.exporter}", f"{one.state}, {one.sample_count} samples")
    for names, reason in grouped_reasons(one for one in changed if not one.healthy):
        tell("warning", f"exporter {names}", f"unhealthy: {reason}")


def _alike(one: Content, other: Content, target: ExporterTarget) -> bool:
    """Whether one verdict applies to both."""
    expected = target.expected
    return (one.has_data, one.failing, expected.missing(one.metrics)) == (
        other.has_data, other.failing, expected.missing(other.metrics)
    )  # fmt: skip


class Health:
    """The exporters' health, checked on request and shared by requests within ``fresh_seconds``.

    ``itself`` is the exporter that shows it; it comes last in ``check`` and in its own metrics.
    """

    def __init__(
        self,
        targets: Iterable[ExporterTarget],
        itself: ExporterTarget | None = None,
        fresh_seconds: float = 4.0,
    ) -> None:
        self._targets = list(targets)
        self._itself = itself
        self._fresh = fresh_seconds
        self._transport: httpx.AsyncBaseTransport | None = None
        self._latest: tuple[ExporterHealth, ...] = ()
        self._checked = _NEVER
        self._pending: asyncio.Task[tuple[ExporterHealth, ...]] | None = None
        self._answers: dict[str, _Answered] = {}
        self._fetched: dict[str, _Fetched] = {}
        self._scraped: dict[str, _Scraped] = {}

    def ask_within(self, exporters: ASGIApp) -> None:
        """Calls the exporters in-process instead of over the network, where they require a password or certificate that
        the daemon can only verify."""
        self._transport = httpx.ASGITransport(exporters)

    def note(self, exporter: str, families: Iterable[Family], seconds: float) -> None:
        """Records that an exporter has answered another client, and how long it took."""
        self._answers[exporter] = _Answered(time.monotonic(), content_of(families), seconds)

    def count(self, exporter: str, agent: str, address: str, size: int) -> None:
        """Records the size of an answer and the client's user agent."""
        if agent != OWN_AGENT:
            before = self._scraped.get(exporter)
            scraper = f"{agent[:60]} at {address}" if agent else address
            self._scraped[exporter] = _Scraped(before.times + 1 if before else 1, time.time(), scraper, size)

    def _with_scrapes(self, one: ExporterHealth) -> ExporterHealth:
        known = self._scraped.get(one.exporter)
        if known is None:
            return one
        return msgspec.structs.replace(
            one, scrapes=known.times, scraped=known.at, scraper=known.scraper, scraped_bytes=known.size
        )

    async def check(self) -> tuple[ExporterHealth, ...]:
        """The current state, at most ``fresh_seconds`` old."""
        if time.monotonic() - self._checked <= self._fresh:
            return self._latest
        return await asyncio.shield(self._start())

    async def fetch(self) -> tuple[ExporterHealth, ...]:
        """The same, with a scrape of every exporter."""
        if time.monotonic() - self._checked > self._fresh:
            self._fetched.clear()
        return await self.check()

    def latest(self, max_age: float) -> tuple[ExporterHealth, ...]:
        """The last known state, without waiting; if it is older than ``max_age``, a check starts in the background."""
        if time.monotonic() - self._checked > max_age:
            self._start()
        return self._latest

    def _start(self) -> asyncio.Task[tuple[ExporterHealth, ...]]:
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._check())
        return self._pending

    async def _check(self) -> tuple[ExporterHealth, ...]:
        # A new client each time: idle connections between two checks would cost both ends, which are in this process.
        async with httpx.AsyncClient(
            verify=NO_TLS, trust_env=False, timeout=TIMEOUT_SECONDS, transport=self._transport,
            headers={"User-Agent": OWN_AGENT},
        ) as client:  # fmt: skip
            others = await asyncio.gather(*(self._check_one(client, target) for target in self._targets))
            itself = [] if self._itself is None else [await self._check_itself(client, self._itself, others)]
        before, self._latest = self._latest, tuple(map(self._with_scrapes, (*others, *itself)))
        _tell_changes(before, self._latest)
        self._checked = time.monotonic()
        return self._latest

    def _by_answer(self, target: ExporterTarget) -> ExporterHealth | None:
        """An exporter's answer to another client, if it can replace a scrape."""
        now, answer, fetched = time.monotonic(), self._answers.get(target.name), self._fetched.get(target.name)
        if (
            answer is None
            or fetched is None
            or not fetched.health.healthy
            or now - answer.at >= ANSWER_SECONDS
            or now - fetched.at >= FETCH_SECONDS
            or not _alike(answer.content, fetched.content, target)
        ):
            return None
        return msgspec.structs.replace(
            fetched.health,
            metric_count=answer.content.families,
            sample_count=answer.content.samples,
            scrape_seconds=answer.seconds,
            checked=time.time() - (now - answer.at),
        )

    async def _check_one(self, client: httpx.AsyncClient, target: ExporterTarget) -> ExporterHealth:
        known = self._by_answer(target)
        if known is not None:
            return known
        before = self._fetched.get(target.name)
        looks = 1 if before is not None and before.health.missing else LOOKS
        found, content = await look(client, target, TIMEOUT_SECONDS, looks)
        self._fetched[target.name] = _Fetched(time.monotonic(), found, content)
        return found

    async def _check_itself(
        self, client: httpx.AsyncClient, target: ExporterTarget, others: Sequence[ExporterHealth]
    ) -> ExporterHealth:
        if target.problem:
            return (await look(client, target, TIMEOUT_SECONDS))[0]
        known = self._by_answer(target)
        if known is not None:
            return known
        began = time.perf_counter()
        try:
            answer = await client.get(f"{target.url}/health")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            return unhealthy(target, f"not reachable: {error or type(error).__name__}", reachable=False)
        itself = ExporterHealth(
            exporter=target.name,
            url=target.url,
            reachable=True,
            healthy=True,
            has_data=True,
            scrape_seconds=time.perf_counter() - began,
            checked=time.time(),
        )
        shown = self.families([*others, itself])
        content = content_of(shown)
        found = msgspec.structs.replace(itself, metric_count=content.families, sample_count=content.samples)
        self._fetched[target.name] = _Fetched(time.monotonic(), found, content)
        return found

    async def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.wait([self._pending])

    def families(self, checked: Iterable[ExporterHealth]) -> list[Family]:
        """The families of port 9600: the exporters' health, and the daemon's own resource use."""
        checked = list(checked)
        states = gauge("wattview_exporter_state", "1 for the state that the exporter is in, else 0.")
        for one in checked:
            for state in get_args(ExporterState):
                states.add(int(one.state == state), labels(exporter=one.exporter, state=state))
        named = [(labels(exporter=one.exporter), one) for one in checked]
        return [*families_of(_HEALTH, named, _figure), states, *own_process_families()]


_HEALTH = rows("""
healthy exporter_health_status 1 if the exporter is healthy, else 0.
reachable exporter_reachable 1 if the exporter answers at all, else 0.
metric_count exporter_metric_count Metric families in the exporter's answer.
sample_count exporter_sample_count Samples in the exporter's answer.
has_data exporter_has_data 1 if the answer has samples of the thing measured, else 0.
""")


def _figure(one: ExporterHealth, field: str) -> int | None:
    return int(getattr(one, field)) if one.reachable or not field.endswith("_count") else None
