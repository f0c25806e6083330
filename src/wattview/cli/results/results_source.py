"""Source of the command line's results: a running daemon, else the files and the history. Also the words for a run's
id: ``latest``, and a unique prefix of one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import click
from msgspec import Struct

from wattview.cli.attach import answers, socket_url
from wattview.client import CallRefused, Client
from wattview.config import Config
from wattview.model import HistorySeries, RunResult

MOST_RUNS = 1000
"""How many runs are read by default."""

LATEST = "latest"
"""The word for the newest run."""

MOST_CANDIDATES = 5
"""How many of the ids with an ambiguous prefix are listed."""


class UnknownRun(click.ClickException):
    """A word that matches no run."""

    def __init__(self, word: str, where: str = "") -> None:
        super().__init__(f"no run {word!r}{where}; see: wattview results")


class ResultsSource(Struct):
    """Source of results: a daemon, or the files and the history ``name``."""

    name: str
    all: Callable[[int], Awaitable[list[RunResult]]]
    get: Callable[[str], Awaitable[RunResult | None]]
    ids: Callable[[], Awaitable[list[str]]]
    samples: Callable[..., Coroutine[Any, Any, list[HistorySeries]]]


async def _result_or_none(client: Client, run_id: str) -> RunResult | None:
    try:
        return await client.result(run_id)
    except CallRefused as error:
        if error.status == 404:
            return None
        raise


@contextlib.asynccontextmanager
async def source_of(config: Config) -> AsyncIterator[ResultsSource]:
    """The running daemon, else the files. Raises ClientError if the daemon fails."""
    if answers(config):
        async with Client(socket_url(config)) as client:
            get = partial(_result_or_none, client)
            yield ResultsSource(config.history.backend, client.results, get, client.result_ids, client.history)
        return
    from wattview.daemon.history.backend import open_history
    from wattview.daemon.results import Results

    history = open_history(config)
    try:
        results = Results(config, history)
        yield ResultsSource(history.name, results.all, results.get, results.ids, history.samples)
    finally:
        await history.close()


async def read_results(config: Config, ids: Sequence[str] = (), limit: int = MOST_RUNS) -> list[RunResult]:
    """The analysed runs with these ids, in that order; else the newest ones, newest first.

    Raises click.ClickException for one that does not exist.
    """
    async with source_of(config) as source:
        return await named_runs(source, config, ids, limit)


async def named_runs(
    source: ResultsSource, config: Config, ids: Sequence[str] = (), limit: int = MOST_RUNS
) -> list[RunResult]:
    """The same from an open source."""
    if not ids:
        return await source.all(limit)
    known = await source.ids()
    found = []
    for word in ids:
        run = await source.get(id_of(word, known, f" in {config.paths.results}"))
        if run is None:
            raise UnknownRun(word, f" in {config.paths.results}")
        found.append(run)
    return found


def id_of(word: str, known: Sequence[str], where: str = "") -> str:
    """The id in ``known`` (newest first) for a word: ``latest``, an id, or a unique prefix. Raises UnknownRun, and
    click.UsageError for an ambiguous prefix."""
    if word == LATEST and known:
        return known[0]
    found = [word] if word in known else [run_id for run_id in known if word and run_id.startswith(word)]
    if not found:
        raise UnknownRun(word, where)
    if len(found) > 1:
        more = f" and {len(found) - MOST_CANDIDATES} more" if len(found) > MOST_CANDIDATES else ""
        listed = ", ".join(found[:MOST_CANDIDATES])
        raise click.UsageError(f"{word!r} matches {len(found)} ids: {listed}{more}")
    return found[0]


async def read_result(config: Config, id: str | None) -> RunResult:
    """One run, or the latest. Raises click.ClickException if there is none."""
    found = await read_results(config, () if id is None else (id,), limit=1)
    if not found:
        raise click.ClickException(f"no results in {config.paths.results}; measure something with: wattview run")
    return found[0]
