"""Past values from a Prometheus or VictoriaMetrics that scrapes the daemon.

Raw samples come through an instant query with a range selector, points of a graph through a range query; both servers
answer both (https://prometheus.io/docs/prometheus/latest/querying/api/). VictoriaMetrics answers an instant query as
of 30 seconds ago unless ``nocache=1`` is sent, which Prometheus ignores, and in a range query repeats the point of 30
seconds ago up to now (``-search.latencyOffset``): the newest points of a graph are therefore thinned here from raw
samples.
A server adds labels of its own (``job``, ``instance``), and series of other machines may match: what belongs together
is for the analyses to say.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

import httpx
import msgspec

from wattview.daemon.history.protocol import LOOKBACK_SECONDS, HistoryError, steps, thin, trimmed
from wattview.exposition import label_text, parse_series
from wattview.model import HistorySeries

CHUNK_SECONDS = 7200.0
"""The longest span that one query asks raw samples of: a server refuses an answer that would be too large."""

REACH_METRIC = "wattview_host_power_watts"
"""How far the past reaches is asked of this series: every daemon that measures has it."""

REACH_STEPS = ((400 * 86400.0, 86400.0), (2 * 86400.0, 1800.0), (3600.0, 30.0))
"""(span, step) of the range queries that find a series' first sample: to a day, to half an hour, to half a minute."""

REACH_SECONDS = 300.0
"""How long the beginning is taken for known: it moves on by the retention alone."""

UNSETTLED_SECONDS = 60.0
"""The age from which on a range query is trusted."""


class _Result(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    result: list[_Result] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


class PrometheusHistory:
    """The history that a Prometheus or VictoriaMetrics at ``url`` keeps.

    The URL may have a path (behind a proxy) and ``user:password@``, which is sent as basic authentication and appears
    in no message. Every call raises HistoryError where the server cannot be reached or refuses.
    """

    name = "prometheus"
    problem: HistoryError | None = None

    def __init__(self, url: str, lookback_seconds: float = LOOKBACK_SECONDS, timeout_seconds: float = 30.0) -> None:
        parsed = httpx.URL(url)
        user = httpx.BasicAuth(parsed.username, parsed.password) if parsed.userinfo else None
        bare = parsed.copy_with(userinfo=b"", query=None, fragment=None)
        self.url = str(bare).rstrip("/")
        self._lookback = lookback_seconds
        self._http = httpx.AsyncClient(base_url=self.url + "/", auth=user, timeout=timeout_seconds, trust_env=False)
        self._decode = msgspec.json.Decoder(_Answer, strict=False).decode
        self._first: tuple[float, float] | None = None

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        query = _promql(selector)
        found: dict[str, list[tuple[float, float]]] = {}
        for first, last in _chunks(start - self._lookback, end + self._lookback):
            span = math.ceil((last - first) * 1000)
            results = await self._ask("api/v1/query", {"query": f"{query}[{span}ms]", "time": f"{last:.3f}"})
            for result in results:
                points = found.setdefault(_key(result.metric), [])
                # Neighbouring chunks share their border.
                newest = points[-1][0] if points else -math.inf
                points.extend(point for point in _points(result) if point[0] > newest)
        cut = {key: trimmed(points, start, end) for key, points in sorted(found.items())}
        return [HistorySeries(key, points) for key, points in cut.items() if points]

    async def thinned(self, selector: str, start: float, end: float, step: float) -> list[HistorySeries]:
        times = steps(start, end, step)
        settled = [at for at in times if at < time.time() - UNSETTLED_SECONDS]
        recent = times[len(settled) :]
        points: dict[str, list[tuple[float, float]]] = {}
        for series in await self._ranged(selector, settled, step) if settled else ():
            points[series.name] = series.points
        for series in await self.samples(selector, recent[0], recent[-1]) if recent else ():
            points.setdefault(series.name, []).extend(thin(series.points, recent, self._lookback))
        return [HistorySeries(key, points[key]) for key in sorted(points) if points[key]]

    async def recent(self, metrics: Sequence[str], start: float, end: float) -> list[HistorySeries]:
        span = math.ceil((end - start) * 1000)
        query = f'{{__name__=~"{"|".join(metrics)}"}}[{span}ms]'
        results = await self._ask("api/v1/query", {"query": query, "time": f"{end:.3f}"})
        found = {_key(result.metric): list(_points(result)) for result in results}
        return [HistorySeries(key, points) for key, points in sorted(found.items()) if points]

    async def reach(self) -> tuple[float, float] | None:
        now = time.time()
        if self._first is None or not 0 <= now - self._first[0] < REACH_SECONDS:
            first = await self._first_sample(now)
            if first is None:
                return None
            self._first = (now, first)
        return self._first[1], now

    async def _first_sample(self, now: float) -> float | None:
        """When the series began, to half a minute: each range query looks into the step that the one before found."""
        end, first = now, None
        for span, step in REACH_STEPS:
            form = {
                "query": f"count(count_over_time({REACH_METRIC}[{math.ceil(step)}s]))",
                "start": f"{end - span:.3f}",
                "end": f"{end:.3f}",
                "step": f"{step:.3f}",
            }
            times = [at for result in await self._ask("api/v1/query_range", form) for at, _ in _points(result)]
            if not times:
                return first
            first = min(times) - step
            end = min(times) + step
        return first

    async def close(self) -> None:
        await self._http.aclose()

    async def _ranged(self, selector: str, times: list[float], step: float) -> list[HistorySeries]:
        results = await self._ask(
            "api/v1/query_range",
            {
                "query": _promql(selector),
                "start": f"{times[0]:.3f}",
                "end": f"{times[-1]:.3f}",
                "step": f"{step:.3f}",
                "max_lookback": f"{math.ceil(self._lookback)}s",
            },
        )
        return [HistorySeries(_key(result.metric), list(_points(result))) for result in results]

    async def _ask(self, path: str, form: Mapping[str, str]) -> list[_Result]:
        try:
            response = await self._http.post(path, data={**form, "nocache": "1"})
        except httpx.TimeoutException:
            raise HistoryError(f"{self.url} did not answer in time") from None
        except (httpx.HTTPError, RuntimeError) as error:
            reason = str(error) or type(error).__name__
            raise HistoryError(f"{self.url} cannot be reached: {reason}", "check history.prometheus_url") from None
        try:
            answer = self._decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            answer = None
        if response.status_code == 401:
            raise HistoryError(
                f"{self.url} asks for a user and password",
                "write them into history.prometheus_url: http://user:password@host/",
            )
        if response.status_code != 200 or answer is None or answer.status != "success" or answer.data is None:
            said = answer.error if answer is not None and answer.error else response.text[:200].strip()
            raise HistoryError(f"{self.url} answered {response.status_code}: {said or response.reason_phrase}")
        return answer.data.result


def _promql(selector: str) -> str:
    metric, labels = parse_series(selector)
    return metric + label_text(labels)


def _key(metric: Mapping[str, str]) -> str:
    return metric.get("__name__", "") + label_text(
        {name: metric[name] for name in sorted(metric) if name != "__name__"}
    )


def _points(result: _Result) -> Iterator[tuple[float, float]]:
    for at, text in result.values:
        value = float(text)
        # A series that has ended is marked by a NaN.
        if math.isfinite(value):
            yield at, value


def _chunks(start: float, end: float) -> Iterator[tuple[float, float]]:
    while end - start > CHUNK_SECONDS:
        yield start, start + CHUNK_SECONDS
        start += CHUNK_SECONDS
    yield start, end
