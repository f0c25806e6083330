"""The client of a PromQL store: Prometheus, VictoriaMetrics, and compatible servers.

https://prometheus.io/docs/prometheus/latest/querying/api/. VictoriaMetrics evaluates an instant query 30 seconds in the
past unless ``nocache=1`` is sent, which Prometheus ignores. Replicas that scrape the same targets into one store yield
every series twice, distinguished by a replica label: they become one series here. Label names may be any text, as in
Prometheus 3.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from wattview.exposition import label_text
from wattview.fetch import MAX_BYTES, OPEN, Access, Fetched, FetchError, FetchTooLarge, NoAnswer, Site, decode_json
from wattview.gc_tuning import give_back_memory

REPLICA_LABELS = frozenset({"prometheus_replica", "replica", "__replica__", "receive_replica", "rule_replica"})
"""Replica labels of the Prometheus operator, Thanos, Mimir and VictoriaMetrics."""

MAX_STEPS = 10_000
"""Maximum number of steps per range query: Prometheus refuses more than 11,000."""

MAX_RESULTS = 100_000
"""Maximum number of series per answer."""

LARGE_BYTES = 256 * 1024
"""An answer of at least this size is decoded in a thread, and its memory released."""


_PARTIAL = "sums over a part would be too small; check that all of its storage nodes answer"


class StoreError(FetchError):
    """A query failed."""


class AccessRefused(StoreError):
    """The store requires credentials, or other ones."""


class AnswerTooLarge(StoreError):
    """The answer exceeds the size limit."""


class StoreSeries(Struct, frozen=True):
    """``labels`` with ``__name__``, and (Unix seconds, value) in order of time, without NaN. For an instant query at
    most one point."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]

    @property
    def key(self) -> str:
        """``name{label="value"}``, labels sorted by name."""
        names = sorted(name for name in self.labels if name != "__name__")
        return self.labels.get("__name__", "") + label_text({name: self.labels[name] for name in names})


class _Result(Struct):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    values: list[tuple[float, str]] = []


class _Data(Struct):
    result: list[_Result] | None = None


class _StoreAnswer(Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    partial: bool = field(default=False, name="isPartial")
    warnings: list[str] | None = None

    @property
    def missing(self) -> str:
        """Why the answer is incomplete; "" if it is complete.

        VictoriaMetrics' cluster reports it. Thanos, and Prometheus with remote storage, warn that one of their stores
        has not answered. Notes on the query, of which Prometheus 3 makes many, start with ``PromQL``.
        """
        told = next((one for one in self.warnings or () if not one.startswith("PromQL")), "")
        return told or ("one of its storage nodes is missing" if self.partial else "")


class Store:
    """The store at ``url``, which may have a path (behind a proxy; VictoriaMetrics' cluster) and ``user:password@``,
    which appears in no message. Close it with ``await close()``. Every query may raise StoreError.

    ``seconds`` limits one query, ``where`` names the setting with the address.
    """

    def __init__(self, url: str, access: Access = OPEN, *, seconds: float = 10.0, where: str = "the address") -> None:
        self._site = Site(url, access, seconds=seconds, max_bytes=MAX_BYTES, compressed=True)
        self._where = where
        self.url = self._site.url.rstrip("/")

    async def instant(self, query: str, time: float | None = None) -> list[StoreSeries]:
        """The result of the query at ``time`` (Unix seconds), or now. A range selector returns raw samples."""
        return await self._ask("/api/v1/query", {"query": query} | ({} if time is None else {"time": f"{time:.3f}"}))

    async def range(self, query: str, start: float, end: float, step: float, **more: str) -> list[StoreSeries]:
        """The result of the query every ``step`` seconds from ``start`` to ``end``, in as many requests as
        necessary."""
        found: dict[str, StoreSeries] = {}
        last = math.floor((end - start + 1e-6) / step)
        for first in range(0, last + 1, MAX_STEPS):
            begin, until = start + first * step, start + min(first + MAX_STEPS - 1, last) * step
            form = {"query": query, "start": f"{begin:.3f}", "end": f"{until:.3f}", "step": f"{step:.3f}", **more}
            for series in await self._ask("/api/v1/query_range", form):
                known = found.get(series.key)
                found[series.key] = series if known is None else replace(known, points=known.points + series.points)
        return list(found.values())

    async def close(self) -> None:
        await self._site.close()

    async def _ask(self, path: str, form: Mapping[str, str]) -> list[StoreSeries]:
        try:
            answer = await self._site.fetch(path, {**form, "nocache": "1"}, safe=True)
        except NoAnswer:
            raise StoreError(f"{self.url} did not answer in time") from None
        except FetchTooLarge as error:
            raise AnswerTooLarge(error.reason) from None
        except FetchError as error:
            raise StoreError(f"{self.url} cannot be reached: {error.reason}", error.fix or self._check) from None
        if len(answer.body) < LARGE_BYTES:
            return self._series(answer)
        try:
            return await asyncio.to_thread(self._series, answer)
        finally:
            give_back_memory()

    @property
    def _check(self) -> str:
        return f"check {self._where}"

    def _series(self, answer: Fetched) -> list[StoreSeries]:
        if answer.status in (401, 403):
            raise AccessRefused(
                f"{self.url} answered {answer.status}: it requires another user and password, or a token",
                f"write http://user:password@host/ into {self._where}, or give a file with a token",
            )
        if answer.body.count(b'"metric"') > MAX_RESULTS:
            raise AnswerTooLarge(f"{self.url} answered more than {MAX_RESULTS:,} series")
        try:
            decoded = decode_json(answer, _StoreAnswer, "a Prometheus", self._check, max_parts=MAX_BYTES)
        except FetchError:
            decoded = _StoreAnswer("")
        if answer.status != 200 or decoded.status != "success" or decoded.data is None:
            said = decoded.error or " ".join(answer.body[:200].decode("utf-8", "replace").split()) or answer.phrase
            fix = "" if decoded.error else f"is this a Prometheus? {self._check}"
            raise StoreError(f"{self.url} answered {answer.status}: {said[:200]}", fix)
        if decoded.missing:
            raise StoreError(f"{self.url} returned only a part of its data: {decoded.missing[:200]}", _PARTIAL)
        try:
            return _once(map(_read, decoded.data.result or ()))
        except ValueError as error:
            raise StoreError(f"{self.url} returned a value that is not a number: {error}", self._check) from None


def _read(result: _Result) -> StoreSeries:
    """Without replica labels. A NaN marks the end of a series."""
    given = result.values if result.value is None else [result.value]
    points = [(at, value) for at, text in given if math.isfinite(value := float(text))]
    return StoreSeries({name: text for name, text in result.metric.items() if name not in REPLICA_LABELS}, points)


def _once(series: Iterable[StoreSeries]) -> list[StoreSeries]:
    """Of the same series from several replicas, the most complete one."""
    found: dict[frozenset[tuple[str, str]], StoreSeries] = {}
    for one in series:
        key = frozenset(one.labels.items())
        known = found.get(key)
        if known is None or len(one.points) > len(known.points):
            found[key] = one
    return list(found.values())
