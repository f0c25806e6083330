"""The grid's data in the daemon: asked for only where configured, kept on disk, used on while its source is away."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.meter_server import Asked, MeterServer, Told
from wattview.analysis.pricing.grid import value_at
from wattview.config import Config, GridSettings, load
from wattview.daemon.doctor import examine_alone
from wattview.daemon.grid import grid_store as module
from wattview.daemon.grid.cache import GridCache
from wattview.daemon.grid.grid_store import GridStore
from wattview.model import GridSpan
from wattview.model.power.grid import grid_kind

HALF = 1800.0


def config_with(tmp_path: Path, url: str) -> Config:
    file = tmp_path / "wattview.toml"
    file.write_text(f'[[cost.grid]]\nkind = "uk-carbon-intensity"\nurl = "{url}"\n')
    return load(file, [f"paths.state={tmp_path}"], environ={"HOME": str(tmp_path)})


def answer(now: float, value: float) -> Told:
    """The half hours from yesterday until an hour from now."""
    first = now // HALF * HALF - 86400
    halves = [first + HALF * place for place in range(50)]

    def text(moment: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(moment))

    return Told({"data": [{"from": text(at), "to": text(at + HALF), "intensity": {"actual": value}} for at in halves]})


@asynccontextmanager
async def followed(config: Config) -> AsyncIterator[GridStore]:
    store = GridStore(config)
    await store.start()
    try:
        yield store
    finally:
        await store.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - a thread of the store's has no event to wait for
            await asyncio.sleep(0.01)


async def test_values_outlive_their_source_and_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    now = time.time()
    with MeterServer(lambda asked: answer(now, 250)) as server:
        config = config_with(tmp_path, server.url)
        async with followed(config) as store:
            await until(lambda: store.known().carbon is not None)
            found = value_at(store.known().carbon, now)
            assert found == (250, True)
            assert [finding.state for finding in store.findings()] == ["works"]
            await until(lambda: any((tmp_path / "grid").glob("*.csv")))
    async with followed(config) as store:  # nobody answers there any more
        assert value_at(store.known().carbon, now) == (250, True), "by the disk, at once"
        assert value_at(store.known().carbon, now + 86400) == (250, False), "the last known value, and marked"
        await until(lambda: store.findings()[0].state == "broken")
        assert "known until" in store.findings()[0].detail
        assert store.known().carbon is not None


async def test_no_source_is_queried_unless_one_is_configured(make_config: ConfigFactory) -> None:
    async with followed(make_config()) as store:
        assert store.findings() == []
        assert (store.known().carbon, store.known().price) == (None, None)


async def test_malformed_answers_lose_no_known_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    now = time.time()
    answers = [
        answer(now, 250),
        Told(b"<html>"),
        Told({"data": [{"from": "x", "to": "y", "intensity": {"forecast": 5}}]}),
        Told([]),
    ]
    asked: list[Asked] = []

    def respond(one: Asked) -> Told:
        asked.append(one)
        return answers[min(len(asked), len(answers)) - 1]

    with MeterServer(respond) as server:
        config = config_with(tmp_path, server.url)
        async with followed(config) as store:
            await until(lambda: store.known().carbon is not None)
        async with followed(config) as store:
            await until(lambda: len(asked) > len(answers))
            assert value_at(store.known().carbon, now) == (250, True)
            assert store.findings()[0].state == "broken"


def test_a_damaged_file_counts_as_missing(tmp_path: Path) -> None:
    config = config_with(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "grid").mkdir()
    for damage in (b"\xff\xfe", b"start,end,value\n1,2\n", b"start,end,value\na,b,c\n", b""):
        (tmp_path / "grid" / "uk-carbon-intensity-carbon.csv").write_bytes(damage)
        assert GridCache(config).load().carbon is None


TELLING = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8), st.integers(1, 900)), min_size=1, max_size=8)


@given(st.lists(TELLING, min_size=1, max_size=5))
def test_spans_never_overlap_and_the_newest_word_counts(tellings: list[list[tuple[int, int, int]]]) -> None:
    source = GridSettings(kind="uk-carbon-intensity")
    config = load(sets=["paths.state=/nonexistent"], environ={"HOME": "/nonexistent"})
    cache = GridCache(config)
    for rows in tellings:
        cache.add(source, "carbon", [GridSpan(start, start + wide, value) for start, wide, value in rows])
    kept = cache._series[source.title, "carbon"].spans
    assert all(left.end <= right.start for left, right in pairwise(kept))
    assert all(span.start < span.end for span in kept)
    newest = max(tellings[-1])
    found = value_at(cache._series[source.title, "carbon"], newest[0] + 0.5)
    assert found is not None
    assert found.value in {value for start, _, value in tellings[-1] if start <= newest[0] + 0.5}


def test_a_row_removed_from_the_file_is_forgotten() -> None:
    cache = GridCache(load(sets=["paths.state=/nonexistent"], environ={"HOME": "/nonexistent"}))
    file = GridSettings(kind="csv", file="grid.csv")
    assert cache.add(file, "price", [GridSpan(0, 10, 1.0), GridSpan(10, 20, 99.0)])
    assert cache.add(file, "price", [GridSpan(10, 20, 2.0)])
    assert cache._series[file.title, "price"].spans == (GridSpan(10, 20, 2.0),)
    assert not cache.add(file, "price", [GridSpan(10, 20, 2.0)])


def test_an_unreadable_file_is_reported_and_counts_as_missing(tmp_path: Path) -> None:
    config = config_with(tmp_path, "http://127.0.0.1:9")
    (tmp_path / "grid").mkdir()
    file = tmp_path / "grid" / "uk-carbon-intensity-carbon.csv"
    for row in ("nan,2,3", "1,inf,3", "1,1e308,3", "-5,2,3", "2,1,3", "1,2," + "9" * 200_000, '"' + "x" * 200_000):
        file.write_text(f"start,end,value\n{row}\n")
        cache = GridCache(config)
        assert cache.load().carbon is None or row.startswith("1,2,"), row[:20]
        assert GridStore(config).findings()[0].detail
    file.unlink()
    os.mkfifo(file)
    assert GridCache(config).load().carbon is None


async def test_a_hostile_answer_does_not_block_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years of half hours, and the same again a second later: what is known is compared with what is new."""
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "grid_kind", lambda name: grid_kind(name)._replace(seconds=0.01))
    answers = [half_hours(9e8 + late, 30_000) for late in range(3)]
    asked: list[Asked] = []

    def respond(one: Asked) -> Told:
        asked.append(one)
        return answers[min(len(asked), 3) - 1]

    with MeterServer(respond) as server:
        async with followed(config_with(tmp_path, server.url)) as store:
            worst = await longest_pause(lambda: len(asked) > 2 and store.known().carbon is not None)
    assert worst < 2.0, f"the loop stood still for {worst:.1f} s"


def half_hours(start: float, count: int) -> Told:
    times = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + HALF * place)) for place in range(count + 1)]
    return Told({"data": [{"from": a, "to": b, "intensity": {"actual": 5}} for a, b in pairwise(times)]})


async def longest_pause(done: Callable[[], bool], seconds: float = 60.0) -> float:
    """How long the loop let somebody wait, at most, until then."""
    worst, before = 0.0, time.monotonic()
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            worst, before = max(worst, now - before - 0.005), now
    return worst


async def test_a_doctor_without_a_daemon_asks_every_source_and_keeps_nothing(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("time,price_per_kwh\n1700000000,0.3\n")
    with MeterServer(lambda asked: Told(b"<html>")) as server:
        file = tmp_path / "wattview.toml"
        file.write_text(
            f'[[cost.grid]]\nkind = "csv"\nfile = "{prices}"\n'
            f'[[cost.grid]]\nkind = "uk-carbon-intensity"\nurl = "{server.url}"\n'
        )
        sets = [f"paths.state={tmp_path / 'state'}", "docker.host=unix:///nonexistent"]
        found = await examine_alone(load(file, sets, environ={"HOME": str(tmp_path)}))
    states = {one.source: one.state for one in found if one.source.startswith("grid ")}
    assert states == {"grid csv": "works", "grid uk-carbon-intensity": "broken"}
    assert not (tmp_path / "state").exists()
