"""Health check of one exporter: scraped over HTTP as Prometheus would, parsed by Prometheus' parser, and judged.

Used by the daemon (port 9600, the dashboard, the doctor) and by ``wattview check``.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import httpx

from wattview.daemon.exporters.expected import Expected, judge
from wattview.daemon.exporters.occupant import described, get, occupant, self_report, with_process
from wattview.exposition import Family, labels
from wattview.fetch import FetchError
from wattview.model import ExporterHealth

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_PHRASE = 200
MAX_LINE_BYTES = 64 * 1024
"""The parser's time grows with the square of a line's length."""

LOOKS = 4
LOOK_AGAIN_SECONDS = 1.0
"""A source's first reading has no rates, so missing metrics are checked a few more times. Slower answers are not
checked again: their source hangs."""

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
"""Families about the exporter itself, which are not data of the thing it measures."""


class ExporterTarget(NamedTuple):
    """One exporter to check. ``key`` is its key in the settings. ``problem`` says why it is not served; ``taken``: its
    port belongs to another process. ``pid`` is that of the daemon that must serve it, 0 for any."""

    name: str
    url: str
    key: str = ""
    problem: str = ""
    taken: bool = False
    expected: Expected = Expected()
    pid: int = 0


class Content(NamedTuple):
    """Content of an answer: its size, its metrics, and the labels of failed probes."""

    families: int = 0
    samples: int = 0
    has_data: bool = False
    metrics: frozenset[str] = frozenset()
    failing: frozenset[str] = frozenset()


def content_of(families: Iterable[Family]) -> Content:
    """Of an answer of this daemon."""
    shown = [family for family in families if family.samples]
    return Content(
        families=len(shown),
        samples=sum([len(family.samples) for family in shown]),
        has_data=any(not family.name.startswith(ABOUT_ITSELF) for family in shown),
        metrics=frozenset([family.name for family in shown]),
        failing=frozenset(
            text
            for family in shown
            if family.name == "wattview_probe_success"
            for text, value in family.samples
            if value == 0
        ),
    )


def content_of_text(body: bytes) -> Content:
    """Of an answer from the network. Raises ValueError if the text is malformed.

    It is read by the line: the text of 20 containers has 14,000 lines, and took six times its size when read whole.
    """
    from prometheus_client.parser import text_fd_to_metric_families

    if max(map(len, io.BytesIO(body)), default=0) > MAX_LINE_BYTES:
        raise ValueError(f"a line of more than {MAX_LINE_BYTES // 1024} KiB")
    families = samples = 0
    data = False
    metrics: set[str] = set()
    failing: set[str] = set()
    for family in text_fd_to_metric_families(io.TextIOWrapper(io.BytesIO(body), "utf-8", newline="\n")):
        families += 1
        samples += len(family.samples)
        data = data or (bool(family.samples) and not family.name.startswith(ABOUT_ITSELF))
        metrics.update([sample.name for sample in family.samples])
        if family.name == "wattview_probe_success":
            failing.update(labels(**sample.labels) for sample in family.samples if sample.value == 0)
    return Content(families, samples, data, frozenset(metrics), frozenset(failing))


async def check_all(
    client: httpx.AsyncClient, targets: Sequence[ExporterTarget], timeout_seconds: float
) -> list[ExporterHealth]:
    """All targets concurrently, in order."""
    checked = await asyncio.gather(*(look(client, target, timeout_seconds) for target in targets))
    return [health for health, _ in checked]


async def look(
    client: httpx.AsyncClient, target: ExporterTarget, timeout_seconds: float, looks: int = LOOKS
) -> tuple[ExporterHealth, Content]:
    """One exporter, and its content. Never raises: the ``reason`` says what went wrong. Missing metrics without a
    reason are checked ``looks`` times."""
    began = time.perf_counter()
    if target.taken:
        return _taken(target, await occupant(target.url), reachable=False), Content()
    if target.problem:
        return unhealthy(target, target.problem, reachable=False), Content()
    try:
        answer, body = await get(client, f"{target.url}/metrics", timeout_seconds, MAX_BODY_BYTES)
    except (TimeoutError, httpx.TimeoutException):
        return unhealthy(target, f"no answer within {timeout_seconds:g} s", reachable=False), Content()
    except httpx.HTTPError as error:
        return unhealthy(target, f"not reachable: {error or type(error).__name__}", reachable=False), Content()
    except FetchError as error:
        return unhealthy(target, error.reason, reachable=True), Content()
    took = time.perf_counter() - began
    report = await self_report(client, target.url, timeout_seconds)
    if report is None or report.exporter != target.name or target.pid not in (0, report.pid):
        who = await with_process(described(answer, body, report, target.name), target.url)
        return _taken(target, who, reachable=True, took=took), Content()
    if answer.status_code != 200:
        said = f"answered {answer.status_code} {answer.reason_phrase[:MAX_PHRASE]}"
        return unhealthy(target, said, reachable=True, took=took), Content()
    try:
        content = await asyncio.to_thread(content_of_text, body)
    except ValueError as error:
        return unhealthy(target, f"not valid metrics: {error}", reachable=True, took=took), Content()
    missing = target.expected.missing(content.metrics)
    verdict = judge(target.expected, missing, report.probes, report.gaps)
    if verdict.unexplained and looks > 1 and took < LOOK_AGAIN_SECONDS:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return await look(client, target, timeout_seconds, looks - 1)
    health = ExporterHealth(
        exporter=target.name,
        url=target.url,
        reachable=True,
        healthy=verdict.healthy,
        has_data=content.has_data,
        metric_count=content.families,
        sample_count=content.samples,
        scrape_seconds=took,
        checked=time.time(),
        reason=verdict.reason or ("" if content.has_data else "it has no data yet"),
        missing=verdict.unexplained,
    )
    return health, content


def _taken(target: ExporterTarget, who: str, *, reachable: bool, took: float | None = None) -> ExporterHealth:
    port = httpx.URL(target.url).port
    reason = f"port {port} is taken by {who}; stop it or set endpoints.{target.key}.port"
    return unhealthy(target, reason, reachable=reachable, took=took, taken_by=who)


def unhealthy(
    target: ExporterTarget, reason: str, *, reachable: bool, took: float | None = None, taken_by: str = ""
) -> ExporterHealth:
    return ExporterHealth(
        exporter=target.name,
        url=target.url,
        reachable=reachable,
        healthy=False,
        scrape_seconds=took,
        checked=time.time(),
        reason=reason,
        taken_by=taken_by,
    )
