"""The interface of grid sources, and how they are queried."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from wattview.config import Config, GridSettings
from wattview.fetch import Access, Fetched, FetchError, Site, Unreachable, decode_json
from wattview.model import GridQuantity, GridSpan
from wattview.model.power.grid import grid_kind
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused, broken_if_it_fails

T = TypeVar("T")

SECONDS = 20.0
MAX_BYTES = 8 * 1024 * 1024
CARBON_BOUNDS = (0.0, 5_000.0)
"""Grams per kilowatt-hour: the worst lignite is below 1,500."""

PRICE_BOUNDS = (-1_000.0, 1_000.0)
"""Per kilowatt-hour, in any currency; day-ahead prices can be negative."""

MAX_SPANS = 250_000
"""In one answer or file: more than two years of five minutes."""

LAST_SECOND = 253_402_300_799.0
"""The end of the year 9999, the limit of calendars."""

Spans = Mapping[GridQuantity, list[GridSpan]]


class GridSource(Protocol):
    """One source. ``spans`` returns what is known from ``start`` to ``end`` (Unix seconds), possibly more or less of
    it. Raises SourceError."""

    async def spans(self, start: float, end: float) -> Spans: ...


class OnlineSource:
    """A source that is asked over HTTP, where its settings say or else its entry in ``GRIDS``."""

    def __init__(self, settings: GridSettings, config: Config) -> None:
        kind = grid_kind(settings.kind)
        assert kind is not None
        self._kind = kind
        self._settings = settings
        self._ca_file = settings.ca_file or config.http.ca_file

    def secret(self) -> str:
        """The configured key. Raises SourceRefused without one."""
        given = self._settings
        secret = os.environ.get(given.token_env, "") if given.token_env else ""
        with broken_if_it_fails():
            key = Access(secret_file=given.token_file, secret=secret).read_secret()
        if not key:
            raise SourceRefused(f"{given.kind} needs a key", "get one (docs/grid.md), and set token_file")
        return key

    async def page(self, path: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer at a path, with any status. Raises SourceAbsent or SourceBroken."""
        url, access = self._settings.url or self._kind.url, Access(self._ca_file)
        async with Site(url, access, seconds=SECONDS, max_bytes=MAX_BYTES, headers=headers, compressed=True) as site:
            try:
                return await site.fetch(path)
            except Unreachable as error:
                raise SourceAbsent(error.reason, error.fix) from None
            except FetchError as error:
                raise SourceBroken(error.reason, error.fix) from None

    def decoded(self, answer: Fetched, kind: type[T]) -> T:
        """The JSON of an answer of status 200. Raises SourceRefused or SourceBroken."""
        if answer.status in (401, 403):
            raise SourceRefused(f"{answer.place} answered {answer.status}: it rejects this key", "see token_file")
        if answer.status != 200:
            said = " ".join(answer.body[:120].decode("utf-8", "replace").split())
            raise SourceBroken(f"{answer.place} answered {answer.status}: {said}")
        with broken_if_it_fails():
            return decode_json(answer, kind, f"the answer of {self._kind.words}")


def plausible(quantity: GridQuantity, spans: Iterable[GridSpan]) -> list[GridSpan]:
    """The plausible values. Raises SourceBroken if there are none."""
    least, most = CARBON_BOUNDS if quantity == "carbon" else PRICE_BOUNDS
    given = list(spans)
    good = [span for span in given if least <= span.value <= most and is_span(span)]
    if given and not good:
        raise SourceBroken(f"{given[0].value:g} is not a possible {quantity} of a kWh ({least:g} to {most:g})")
    return good


def is_span(span: GridSpan) -> bool:
    """Whether it ends after it starts, in a year that a date can have."""
    return 0.0 <= span.start < span.end <= LAST_SECOND


def unix(text: str) -> float:
    """``2023-11-14T10:30Z`` in Unix seconds. Raises ValueError, also without an offset, as the zone would be
    unknown."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write Z or +01:00 behind it")
    return moment.timestamp()


def iso(time: float, form: str = "%Y-%m-%dT%H:%MZ") -> str:
    """Unix seconds as UTC."""
    return datetime.fromtimestamp(time, UTC).strftime(form)
