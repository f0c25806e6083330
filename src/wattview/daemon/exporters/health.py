"""Whether each exporter answers, and with what: fetched over HTTP as Prometheus would, judged by its own parser.

``check_all`` is the whole judgement; the daemon (port 9600, the dashboard) and ``wattview check`` share it. The checker
itself is judged by the daemon from its ``/health``: a fetch of its own ``/metrics`` would wait for itself.

A fetch of everything costs the daemon as much as a scrape of everything, and the parser twice as much again. So a
daemon that is asked for its health time after time goes by what its exporters answered to others meanwhile
(``Health.note``), and fetches those that nobody asked, that were not well, that have got or lost their data since, or
that were last fetched long ago.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import httpx
import msgspec
from msgspec import Struct

from wattview.daemon.events import tell
from wattview.daemon.exporters.own_process import own_process_families
from wattview.exposition import TEXT, Family, labels
from wattview.fetch import FetchError, bounded_body
from wattview.model import ExporterHealth, ProbeStatus

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_LINE_BYTES = 64 * 1024
"""The parser's time grows with the square of a line's length."""

ABOUT_ITSELF = (
    "wattview_probe_",
    "wattview_build_info",
    "cost_exporter_alive",
    "node_scrape_collector_",
    "process_",
    "python_",
    "go_",
    "promhttp_",
)
"""Families that say something of the exporter and nothing of the thing it measures: they are no data."""


ANSWER_SECONDS = 30.0
"""How long an answer that somebody got stands for a fetch."""

FETCH_SECONDS = 120.0
"""How long answers may stand for fetches: whether the text is valid is seen by its parser alone."""


class Answer(NamedTuple):
    """What an exporter answered to somebody, and when (monotonic)."""

    at: float
    families: int
    samples: int
    has_data: bool
    seconds: float


class Target(NamedTuple):
    """One exporter to fetch. ``problem`` says why it cannot be fetched at all (its port was taken)."""

    name: str
    url: str
    problem: str = ""


class _HealthPage(Struct):
    """What our own ``/health`` says, as far as it is read here."""

    probes: list[ProbeStatus] = []


async def check_all(
    client: httpx.AsyncClient, targets: Sequence[Target], timeout_seconds: float
) -> list[ExporterHealth]:
    """All targets at once, in their order."""
    return list(await asyncio.gather(*(check(client, target, timeout_seconds) for target in targets)))


async def check(client: httpx.AsyncClient, target: Target, timeout_seconds: float) -> ExporterHealth:
    """One exporter. Never raises: what went wrong is the ``reason``."""
    began = time.perf_counter()
    if target.problem:
        return _unhealthy(target, target.problem, reachable=False)
    try:
        answer, body = await _get(client, f"{target.url}/metrics", timeout_seconds)
    except (TimeoutError, httpx.TimeoutException):
        return _unhealthy(target, f"no answer within {timeout_seconds:g} s", reachable=False)
    except httpx.HTTPError as error:
        return _unhealthy(target, f"not reachable: {error or type(error).__name__}", reachable=False)
    except FetchError as error:
        return _unhealthy(target, error.reason, reachable=True)
    took = time.perf_counter() - began
    if answer.status_code != 200:
        return _unhealthy(target, f"answered {answer.status_code} {answer.reason_phrase}", reachable=True, took=took)
    try:
        families, samples, data = await asyncio.to_thread(_count, body)
    except ValueError as error:
        return _unhealthy(target, f"not valid metrics: {error}", reachable=True, took=took)
    healthy, reason = (True, "") if data else await _without_data(client, target, timeout_seconds)
    return ExporterHealth(
        exporter=target.name,
        url=target.url,
        reachable=True,
        healthy=healthy,
        has_data=data,
        metric_count=families,
        sample_count=samples,
        scrape_seconds=took,
        checked=time.time(),
        reason=reason,
    )


async def _get(client: httpx.AsyncClient, url: str, timeout_seconds: float) -> tuple[httpx.Response, bytes]:
    """An answer and its body, neither of which takes longer or is larger than allowed."""
    headers = {"Accept": TEXT, "Accept-Encoding": "identity"}
    async with asyncio.timeout(timeout_seconds), client.stream("GET", url, headers=headers) as answer:
        return answer, await bounded_body(answer, url, MAX_BODY_BYTES)


async def _without_data(client: httpx.AsyncClient, target: Target, timeout_seconds: float) -> tuple[bool, str]:
    """An exporter whose source this machine does not have is well and has nothing to say; any other is not well."""
    try:
        _, body = await _get(client, f"{target.url}/health", timeout_seconds)
        page = msgspec.json.decode(body, type=_HealthPage)
    except (TimeoutError, httpx.HTTPError, FetchError, msgspec.DecodeError, RecursionError):
        return False, "it has no data"
    failing = [probe for probe in page.probes if probe.state != "ok"]
    reason = "; ".join(f"{probe.state}: {probe.reason}" if probe.reason else probe.state for probe in failing)
    well = bool(page.probes) and all(probe.state in ("absent", "ok") for probe in page.probes)
    return well, reason or "it has no data yet"


def _count(body: bytes) -> tuple[int, int, bool]:
    """(families, samples, whether any is data). Raises ValueError where the text is not the format."""
    from prometheus_client.parser import text_string_to_metric_families

    if max(map(len, body.split(b"\n"))) > MAX_LINE_BYTES:
        raise ValueError(f"a line of more than {MAX_LINE_BYTES // 1024} KiB")
    families = samples = 0
    data = False
    for family in text_string_to_metric_families(body.decode("utf-8")):
        families += 1
        samples += len(family.samples)
        data = data or (bool(family.samples) and not family.name.startswith(ABOUT_ITSELF))
    return families, samples, data


def _unhealthy(target: Target, reason: str, *, reachable: bool, took: float | None = None) -> ExporterHealth:
    return ExporterHealth(
        exporter=target.name,
        url=target.url,
        reachable=reachable,
        healthy=False,
        has_data=False,
        metric_count=0,
        sample_count=0,
        scrape_seconds=took,
        checked=time.time(),
        reason=reason,
    )


def _tell_changes(before: Iterable[ExporterHealth], now: Iterable[ExporterHealth]) -> None:
    """An exporter that fails is said once, and again when it is well."""
    well = {one.exporter: one.healthy for one in before}
    for one in now:
        if one.healthy == well.get(one.exporter, True):
            continue
        if one.healthy:
            tell("info", f"exporter {one.exporter}", f"healthy, {one.sample_count} samples")
        else:
            tell("warning", f"exporter {one.exporter}", f"not healthy: {one.reason or 'no data'}")


class Health:
    """The exporters' health, fetched when somebody asks and shared by those who ask within ``fresh_seconds``.

    ``itself`` is the exporter that shows it; it stands last in what ``check`` gives, and in its own metrics.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        itself: Target | None = None,
        timeout_seconds: float = 10.0,
        fresh_seconds: float = 4.0,
    ) -> None:
        self._targets = list(targets)
        self._itself = itself
        self._timeout = timeout_seconds
        self._fresh = fresh_seconds
        self._client: httpx.AsyncClient | None = None
        self._transport: httpx.AsyncBaseTransport | None = None
        self._latest: tuple[ExporterHealth, ...] = ()
        self._checked = float("-inf")
        self._pending: asyncio.Task[tuple[ExporterHealth, ...]] | None = None
        self._answers: dict[str, Answer] = {}
        self._fetched: dict[str, tuple[float, ExporterHealth]] = {}

    def ask_within(self, exporters: ASGIApp) -> None:
        """Asks the exporters themselves, and not over the network: there they want a password or a certificate, of
        which the daemon knows no more than how to check it."""
        self._transport = httpx.ASGITransport(exporters)

    def note(self, exporter: str, families: Iterable[Family], seconds: float) -> None:
        """What an exporter has just answered to somebody, and how long it took."""
        shown = [family for family in families if family.samples]
        self._answers[exporter] = Answer(
            at=time.monotonic(),
            families=len(shown),
            samples=sum([len(family.samples) for family in shown]),
            has_data=any(not family.name.startswith(ABOUT_ITSELF) for family in shown),
            seconds=seconds,
        )

    async def check(self) -> tuple[ExporterHealth, ...]:
        """The state now, at most ``fresh_seconds`` old."""
        if time.monotonic() - self._checked <= self._fresh:
            return self._latest
        return await asyncio.shield(self._start())

    async def fetch(self) -> tuple[ExporterHealth, ...]:
        """The same for somebody who wants every exporter fetched for it, whatever they answered to others."""
        if time.monotonic() - self._checked > self._fresh:
            self._fetched.clear()
        return await self.check()

    def latest(self, max_age: float) -> tuple[ExporterHealth, ...]:
        """The last known state, without waiting; where it is older than ``max_age`` a check begins beside the asker."""
        if time.monotonic() - self._checked > max_age:
            self._start()
        return self._latest

    def _start(self) -> asyncio.Task[tuple[ExporterHealth, ...]]:
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._check())
        return self._pending

    async def _check(self) -> tuple[ExporterHealth, ...]:
        if self._client is None:
            # Exporters are fetched by plain HTTP: the system's certificates would be loaded for nothing.
            self._client = httpx.AsyncClient(
                verify=False,  # noqa: S501
                trust_env=False,
                timeout=self._timeout,
                transport=self._transport,
            )
        others = await asyncio.gather(*(self._check_one(self._client, target) for target in self._targets))
        itself = [] if self._itself is None else [await self._check_itself(self._client, self._itself, others)]
        before, self._latest = self._latest, (*others, *itself)
        _tell_changes(before, self._latest)
        self._checked = time.monotonic()
        return self._latest

    def _by_answer(self, target: Target) -> ExporterHealth | None:
        """What an exporter answered to somebody, where that may stand for a fetch."""
        now, answer = time.monotonic(), self._answers.get(target.name)
        fetched_at, fetched = self._fetched.get(target.name, (0.0, None))
        if (
            answer is not None
            and fetched is not None
            and fetched.healthy
            and answer.has_data == fetched.has_data
            and now - answer.at < ANSWER_SECONDS
            and now - fetched_at < FETCH_SECONDS
        ):
            return msgspec.structs.replace(
                fetched,
                metric_count=answer.families,
                sample_count=answer.samples,
                scrape_seconds=answer.seconds,
                checked=time.time() - (now - answer.at),
            )
        return None

    async def _check_one(self, client: httpx.AsyncClient, target: Target) -> ExporterHealth:
        known = self._by_answer(target)
        if known is not None:
            return known
        found = await check(client, target, self._timeout)
        self._fetched[target.name] = (time.monotonic(), found)
        return found

    async def _check_itself(
        self, client: httpx.AsyncClient, target: Target, others: Sequence[ExporterHealth]
    ) -> ExporterHealth:
        if target.problem:
            return _unhealthy(target, target.problem, reachable=False)
        known = self._by_answer(target)
        if known is not None:
            return known
        began = time.perf_counter()
        try:
            answer = await client.get(f"{target.url}/health")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            return _unhealthy(target, f"not reachable: {error or type(error).__name__}", reachable=False)
        itself = ExporterHealth(
            exporter=target.name,
            url=target.url,
            reachable=True,
            healthy=True,
            has_data=True,
            metric_count=0,
            sample_count=0,
            scrape_seconds=time.perf_counter() - began,
            checked=time.time(),
        )
        shown = self.families([*others, itself])
        samples = sum(len(family.samples) for family in shown)
        found = msgspec.structs.replace(itself, metric_count=len(shown), sample_count=samples)
        self._fetched[target.name] = (time.monotonic(), found)
        return found

    async def close(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
        if self._client is not None:
            await self._client.aclose()

    def families(self, checked: Iterable[ExporterHealth]) -> list[Family]:
        """The families of port 9600: the exporters' health, and what the daemon itself takes."""
        status = Family("exporter_health_status", "gauge", "1 where the exporter answers as it should, else 0.")
        reachable = Family("exporter_reachable", "gauge", "1 where the exporter answers at all, else 0.")
        metrics = Family("exporter_metric_count", "gauge", "Metric families in the exporter's answer.")
        samples = Family("exporter_sample_count", "gauge", "Samples in the exporter's answer.")
        data = Family("exporter_has_data", "gauge", "1 where the answer holds samples of the thing measured, else 0.")
        for one in checked:
            text = labels(exporter=one.exporter)
            status.add(int(one.healthy), text)
            reachable.add(int(one.reachable), text)
            data.add(int(one.has_data), text)
            if one.reachable:
                metrics.add(one.metric_count, text)
                samples.add(one.sample_count, text)
        return [status, reachable, metrics, samples, data, *own_process_families()]
