"""Past values from a Prometheus or VictoriaMetrics that scrapes the daemon.

Raw samples come from an instant query with a range selector, points of a graph from a range query. For the last 30
seconds of a range query, VictoriaMetrics repeats an older point (``-search.latencyOffset``), so the newest points of a
graph are thinned here from raw samples. A server adds labels (``job``, ``instance``), and series of other machines may
match; the analyses decide what belongs together.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence

from wattview.daemon.history.protocol import (
    LOOKBACK_SECONDS,
    MAX_POINTS,
    HistoryError,
    once,
    steps,
    thin,
    too_many,
    trimmed,
)
from wattview.exposition import label_text, parse_series
from wattview.fetch import OPEN, Access
from wattview.model import HistorySeries
from wattview.promql import AnswerTooLarge, Store, StoreError, StoreSeries

CHUNK_SECONDS = 7200.0
"""Longest span of raw samples per query: a server refuses an answer that would be too large."""

REACH_METRIC = "wattview_host_power_watts"
"""The series that determines the history's extent: every daemon that measures has it."""

REACH_STEPS = ((400 * 86400.0, 86400.0), (2 * 86400.0, 1800.0), (3600.0, 30.0))
"""(span, step) of the range queries that find a series' first sample: to a day, to half an hour, to half a minute."""

REACH_SECONDS = 300.0
"""How long the history's start is cached: only retention moves it."""

UNSETTLED_SECONDS = 60.0
"""Minimum age at which a range query's points are reliable."""

MAX_CHUNKS = 480
"""Maximum number of spans per request: 40 days."""

HALVINGS = 4
"""How often a span with too many samples for one answer is halved."""

QUESTION_SECONDS = 30.0
"""Maximum duration of a request, over all its queries."""


class PrometheusHistory:
    """The history in a Prometheus or VictoriaMetrics at ``url``.

    Every call raises HistoryError if the server cannot be reached, refuses, or has too many samples for one answer.
    """

    name = "prometheus"
    problem: HistoryError | None = None

    def __init__(
        self,
        url: str,
        timeout_seconds: float = 10.0,
        access: Access = OPEN,
    ) -> None:
        self._store = Store(url, access, seconds=timeout_seconds, where="history.prometheus_url")
        self.url = self._store.url
        self._first: tuple[float, float] | None = None

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        query = _promql(selector)
        if (end - start) / CHUNK_SECONDS > MAX_CHUNKS:
            raise HistoryError(
                f"the samples of more than {MAX_CHUNKS / 12:.0f} days; request a shorter time, or a step"
            )
        found: dict[str, list[tuple[float, float]]] = {}
        count = 0
        async with _question():
            for first, last in _chunks(start - LOOKBACK_SECONDS, end + LOOKBACK_SECONDS):
                async for series in self._raw(query, first, last):
                    points = found.setdefault(series.key, [])
                    # Neighbouring chunks share their border.
                    newest = points[-1][0] if points else -math.inf
                    points.extend(point for point in series.points if point[0] > newest)
                    count += len(series.points)
                    if count > MAX_POINTS:
                        raise too_many(selector)
        cut = {key: trimmed(points, start, end) for key, points in sorted(found.items())}
        return [HistorySeries(key, points) for key, points in cut.items() if points]

    async def thinned(
        self, selector: str, start: float, end: float, step: float, own_times: bool = False
    ) -> list[HistorySeries]:
        times = steps(start, end, step)
        # A store has millisecond resolution; finer steps are thinned here.
        whole = abs(step * 1000 - round(step * 1000)) < 1e-6
        settled = [at for at in times if at < time.time() - UNSETTLED_SECONDS and whole]
        recent = times[len(settled) :]
        points: _Points = {}
        if settled:
            query = _promql(selector)
            async with _question():
                points = await self._at_steps(query, settled, step)
                if own_times:
                    points = _at_own_times(points, await self._at_steps(f"timestamp({query})", settled, step))
        for series in await self.samples(selector, recent[0], recent[-1]) if recent else ():
            own = [point for point in series.points if recent[0] <= point[0] <= recent[-1]]
            later = own if own_times else thin(series.points, recent, LOOKBACK_SECONDS)
            points.setdefault(series.name, []).extend(later)
        return [HistorySeries(key, once(points[key])) for key in sorted(points) if points[key]]

    async def _at_steps(self, query: str, times: Sequence[float], step: float) -> _Points:
        lookback = f"{math.ceil(LOOKBACK_SECONDS)}s"
        found = await self._store.range(query, times[0], times[-1], step, max_lookback=lookback)
        return {series.key: series.points for series in found}

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        query = f'{{__name__=~"{"|".join(metrics)}"}}'
        found: dict[str, list[tuple[float, float]]] = {}
        async with _question():
            async for series in self._raw(query, start, end):
                found.setdefault(series.key, []).extend(series.points)
        return [HistorySeries(key, points) for key, points in sorted(found.items()) if points]

    async def _raw(self, query: str, start: float, end: float, halvings: int = HALVINGS) -> AsyncIterator[StoreSeries]:
        """The raw samples of a span, in order of time; in halves if they are too many for one answer."""
        try:
            for series in await self._store.instant(f"{query}[{math.ceil((end - start) * 1000)}ms]", end):
                yield series
        except AnswerTooLarge:
            if not halvings:
                raise
            middle = (start + end) / 2
            for first, last in ((start, middle), (middle, end)):
                async for series in self._raw(query, first, last, halvings - 1):
                    yield series

    async def reach(self) -> tuple[float, float] | None:
        now = time.time()
        if self._first is None or not 0 <= now - self._first[0] < REACH_SECONDS:
            first = await self._first_sample(now)
            if first is None:
                return None
            self._first = (now, first)
        return self._first[1], now

    async def _first_sample(self, now: float) -> float | None:
        """When the series started, to half a minute: each range query searches the step that the previous one found."""
        end, first = now, None
        async with _question():
            for span, step in REACH_STEPS:
                query = f"count(count_over_time({REACH_METRIC}[{math.ceil(step)}s]))"
                found = await self._store.range(query, end - span, end, step)
                times = [at for series in found for at, _ in series.points]
                if not times:
                    return first
                first = min(times) - step
                end = min(times) + step
        return first

    async def close(self) -> None:
        await self._store.close()


@contextlib.asynccontextmanager
async def _question() -> AsyncIterator[None]:
    """Limits the duration of a request, and converts the store's errors to HistoryError."""
    try:
        async with asyncio.timeout(QUESTION_SECONDS):
            yield
    except StoreError as error:
        raise HistoryError(error.reason, error.fix) from None
    except TimeoutError:
        raise HistoryError(f"the store did not answer completely within {QUESTION_SECONDS:g} s") from None


_Points = dict[str, list[tuple[float, float]]]


def _at_own_times(series: _Points, stamps: _Points) -> _Points:
    """Points of a range query at the times that ``timestamp()`` gives for each; its series have no metric name."""
    known = {_label_part(key): dict(points) for key, points in stamps.items()}
    return {
        key: [(known.get(_label_part(key), {}).get(at, at), value) for at, value in points]
        for key, points in series.items()
    }


def _label_part(key: str) -> str:
    return key[key.index("{") :] if "{" in key else ""


def _promql(selector: str) -> str:
    metric, labels = parse_series(selector)
    return metric + label_text(labels)


def _chunks(start: float, end: float) -> Iterator[tuple[float, float]]:
    while end - start > CHUNK_SECONDS:
        yield start, start + CHUNK_SECONDS
        start += CHUNK_SECONDS
    yield start, end
