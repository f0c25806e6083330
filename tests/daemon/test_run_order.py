"""Run ids are in the order of the runs, whatever the clock does; what ended is old by time that passed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.conftest import ConfigFactory
from tests.support.bench import Bench
from wattview.model import RunRequest, Scenario

IDLE = Scenario(name="idle", type="baseline", duration=0.2, warmup=0, cooldown=0)


@pytest.fixture
def bench(make_config: ConfigFactory) -> Bench:
    return Bench(make_config())


@pytest.fixture(params=["Pacific/Kiritimati", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%d_%H%M%S")


def put(results: Path, *stamps: str) -> None:
    """Results files of another program."""
    results.mkdir(parents=True)
    for one in stamps:
        (results / f"test_results_{one}.json").write_text('{"scenarios": []}')


async def test_an_id_is_the_start_in_utc_in_any_time_zone(bench: Bench, zone: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    run = await bench.run(IDLE)
    assert stamp(before) <= run.id <= stamp(datetime.now(UTC) + timedelta(seconds=1))


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=14), timedelta(days=3)])
async def test_a_run_after_the_clock_was_set_back_is_the_newest(bench: Bench, ahead: timedelta) -> None:
    early = await bench.run(IDLE)
    later = stamp(datetime.now(UTC) + ahead)
    folder = bench.folder(early).with_name(later)
    folder.mkdir()
    (folder / "run.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(early, id=later)))
    bench.runner = bench.make()
    newest = [await bench.run(IDLE) for _ in range(2)]
    assert [run.id for run in bench.runner.list()] == [newest[1].id, newest[0].id, later, early.id]


async def test_results_of_other_programs_are_ordered_by_time(bench: Bench) -> None:
    local = stamp(datetime.now(UTC) + timedelta(hours=10))
    put(Path(bench.config.paths.results), local, "99991231_235959", "20259999_999999")
    run = await bench.run(IDLE)
    assert local < run.id < stamp(datetime.now(UTC) + timedelta(days=2))


async def test_two_runs_in_one_second_have_two_ids(bench: Bench) -> None:
    ids = []
    for _ in range(3):
        run = bench.runner.start(RunRequest(scenarios=[IDLE]))
        await bench.runner.abort(run.id)
        ids.append(run.id)
    assert ids == sorted(set(ids))
