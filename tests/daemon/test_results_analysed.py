"""Results as the API and the exporters ask for them: analysed once, kept while true, completed as data comes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from wattview.config import Config
from wattview.daemon import results as results_module
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.results import Results
from wattview.model import HistorySeries

STAMP = "20250102_030405"


class ScriptedHistory:
    """A history that answers what the test says, and counts how often it was asked."""

    name = "scripted"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = ""
        self.watts = 50.0
        self.until = float("inf")
        self.gate: asyncio.Event | None = None
        self.was_asked = asyncio.Event()

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        self.asked.append(selector)
        self.was_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        if self.failing:
            raise HistoryError(self.failing)
        times = [at for at in (start - 1, start, (start + end) / 2, end, end + 1) if at <= self.until]
        if selector == "wattview_host_energy_joules_total":
            return [HistorySeries(selector + '{source="rapl"}', [(at, self.watts * (at - start + 1)) for at in times])]
        if selector == "wattview_host_power_watts":
            return [HistorySeries(selector + '{source="rapl"}', [(at, self.watts) for at in times])]
        if selector == "wattview_host_cpu_busy_seconds_total":
            return [HistorySeries(selector, [(at, at - start + 1) for at in times])]
        if selector == "wattview_host_cpus":
            return [HistorySeries(selector, [(at, 4.0) for at in times])]
        return []

    async def thinned(self, selector: str, start: float, end: float, step: float) -> list[HistorySeries]:
        raise AssertionError("results need raw samples")

    async def close(self) -> None: ...


def put(config: Config, stamp: str = STAMP, end: float = 1_700_000_060.0, **fields: object) -> Path:
    directory = Path(config.paths.results)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"test_results_{stamp}.json"
    scenario = {"name": "one", "start_time": end - 60, "end_time": end, "vmaf_score": 80.0, **fields}
    path.write_text(json.dumps({"test_date": "2025-01-02", "scenarios": [scenario]}))
    return path


@pytest.fixture
def history() -> ScriptedHistory:
    return ScriptedHistory()


@pytest.fixture
def config(make_config: ConfigFactory) -> Config:
    return make_config()


async def test_a_run_is_analysed_from_the_history(config: Config, history: ScriptedHistory) -> None:
    put(config)
    result = await Results(config, history).get(STAMP)
    assert result is not None
    assert (result.id, result.history, result.error) == (STAMP, "scripted", None)
    [scenario] = result.scenarios
    assert scenario.energy_joules == pytest.approx(3000.0)
    assert scenario.cpu_mean_percent == pytest.approx(25.0)
    assert scenario.qoe_score == pytest.approx(4.0)


async def test_runs_are_listed_newest_first_and_no_more_than_asked_for(
    config: Config, history: ScriptedHistory
) -> None:
    for day in range(1, 6):
        put(config, f"2025010{day}_000000")
    results = Results(config, history)
    assert [run.id for run in await results.all(limit=3)] == ["20250105_000000", "20250104_000000", "20250103_000000"]
    latest = await results.latest()
    assert latest is not None
    assert latest.id == "20250105_000000"


async def test_an_empty_network_finds_nothing(config: Config, history: ScriptedHistory) -> None:
    results = Results(config, history)
    assert await results.all() == []
    assert await results.latest() is None
    assert await results.get(STAMP) is None


@pytest.mark.parametrize(
    "run_id", ["", "..", "../20250102_030405", "20250102_030405/../x", "%2e%2e", "latest", "x" * 9999]
)
async def test_an_id_from_outside_names_no_other_file(config: Config, history: ScriptedHistory, run_id: str) -> None:
    put(config)
    assert await Results(config, history).get(run_id) is None


async def test_an_analysis_is_cached_until_the_file_changes(config: Config, history: ScriptedHistory) -> None:
    path = put(config)
    results = Results(config, history)
    await results.get(STAMP)
    asked = len(history.asked)
    assert await results.get(STAMP) == (await results.all())[0]
    assert len(history.asked) == asked
    put(config, vmaf_score=100.0)
    os.utime(path, ns=(1, 1))
    changed = await results.get(STAMP)
    assert changed is not None
    assert changed.scenarios[0].qoe_score == 5.0
    assert len(history.asked) > asked


async def test_simultaneous_requests_share_one_analysis(config: Config, history: ScriptedHistory) -> None:
    put(config)
    results = Results(config, history)
    answers = await asyncio.gather(results.latest(), results.get(STAMP), results.all(), results.latest())
    assert answers[0] == answers[1] == answers[2][0] == answers[3]
    assert history.asked.count("wattview_host_energy_joules_total") == 1


async def test_cancelling_a_request_does_not_affect_the_others(config: Config, history: ScriptedHistory) -> None:
    put(config)
    results = Results(config, history)
    history.gate = asyncio.Event()
    first = asyncio.create_task(results.latest())
    second = asyncio.create_task(results.latest())
    await history.was_asked.wait()
    first.cancel()
    history.gate.set()
    answer = await second
    assert answer is not None
    assert answer.scenarios[0].energy_joules == pytest.approx(3000.0)


async def test_missing_recent_data_is_requested_again(
    config: Config, history: ScriptedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "RETRY_SECONDS", 0.0)
    end = time.time()
    history.until = end - 1
    put(config, end=end)
    results = Results(config, history)
    early = await results.get(STAMP)
    assert early is not None
    assert early.scenarios[0].energy_joules is None
    assert "no sample at or after the end" in early.scenarios[0].reasons["energy_joules"]
    history.until = float("inf")
    late = await results.get(STAMP)
    assert late is not None
    assert late.scenarios[0].energy_joules == pytest.approx(3000.0)
    asked = len(history.asked)
    await results.get(STAMP)
    assert len(history.asked) == asked


async def test_an_answer_with_missing_data_is_cached_briefly(config: Config, history: ScriptedHistory) -> None:
    put(config, end=time.time())
    history.until = 0.0
    results = Results(config, history)
    first = await results.get(STAMP)
    asked = len(history.asked)
    assert await results.get(STAMP) == first
    assert len(history.asked) == asked


async def test_missing_old_data_is_not_requested_forever(
    config: Config, history: ScriptedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "RETRY_SECONDS", 0.0)
    history.until = 0.0
    put(config)
    results = Results(config, history)
    await results.get(STAMP)
    asked = len(history.asked)
    answer = await results.get(STAMP)
    assert answer is not None
    assert answer.scenarios[0].energy_joules is None
    assert len(history.asked) == asked


async def test_a_failing_history_loses_its_figures_and_is_retried(
    config: Config, history: ScriptedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "RETRY_SECONDS", 0.0)
    history.failing = "http://127.0.0.1:1 cannot be reached"
    put(config)
    results = Results(config, history)
    answer = await results.get(STAMP)
    assert answer is not None
    [scenario] = answer.scenarios
    assert (scenario.energy_joules, scenario.cost_total) == (None, None)
    assert scenario.reasons["energy_joules"] == history.failing
    assert (scenario.qoe_score, scenario.record.vmaf_score) == (pytest.approx(4.0), 80.0)
    history.failing = ""
    again = await results.get(STAMP)
    assert again is not None
    assert again.scenarios[0].energy_joules == pytest.approx(3000.0)


async def test_a_slow_history_does_not_block_other_requests(
    config: Config, history: ScriptedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_module, "PATIENCE_SECONDS", 0.05)
    put(config)
    results = Results(config, history)
    history.gate = asyncio.Event()
    early = await results.latest()
    assert early is not None
    assert early.scenarios[0].reasons["energy_joules"] == "the history has not answered yet"
    assert early.scenarios[0].qoe_score == pytest.approx(4.0)
    monkeypatch.setattr(results_module, "PATIENCE_SECONDS", 10.0)
    history.gate.set()
    late = await results.latest()
    assert late is not None
    assert late.scenarios[0].energy_joules == pytest.approx(3000.0)
    assert history.asked.count("wattview_host_energy_joules_total") == 1


async def test_a_broken_file_is_listed_with_its_reason_and_hides_no_other(
    config: Config, history: ScriptedHistory
) -> None:
    put(config, "20250101_000000")
    put(config, "20250103_000000").write_text('{"scenarios": [')
    newest, older = await Results(config, history).all()
    assert (newest.id, newest.scenarios) == ("20250103_000000", [])
    assert newest.error is not None
    assert "not valid JSON" in newest.error
    assert older.error is None
    assert older.scenarios[0].energy_joules == pytest.approx(3000.0)


async def test_a_results_directory_that_is_a_file_is_an_answer_with_its_reason(
    make_config: ConfigFactory, tmp_path: Path, history: ScriptedHistory
) -> None:
    path = tmp_path / "file"
    path.touch()
    config = make_config(f"paths.results={path}")
    [only] = await Results(config, history).all()
    assert only.error is not None
    assert "Not a directory" in only.error


async def test_a_failed_analysis_only_loses_its_own_file(
    config: Config, history: ScriptedHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(config, "20250101_000000")
    put(config, "20250103_000000", name="explosive")
    real = results_module.analyse

    def explode(record: object, *rest: object) -> object:
        if getattr(record, "name", "") == "explosive":
            raise ZeroDivisionError
        return real(record, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(results_module, "analyse", explode)
    newest, older = await Results(config, history).all()
    assert newest.error == "test_results_20250103_000000.json: the analysis failed; the daemon's log says where"
    assert older.scenarios[0].energy_joules == pytest.approx(3000.0)


async def test_gpu_time_is_queried_only_if_it_has_a_price(make_config: ConfigFactory, history: ScriptedHistory) -> None:
    free, priced = make_config(), make_config("cost.gpu_per_hour=2")
    put(free)
    await Results(free, history).latest()
    assert "DCGM_FI_DEV_GPU_UTIL" not in history.asked
    await Results(priced, history).latest()
    assert "DCGM_FI_DEV_GPU_UTIL" in history.asked


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[SqliteHistory]:
    embedded = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    yield embedded
    await embedded.close()


async def test_a_run_is_analysed_from_the_embedded_history(config: Config, embedded: SqliteHistory) -> None:
    end = 1_700_000_060.0
    energy, watts = (f'wattview_host_{name}{{source="estimated"}}' for name in ("energy_joules_total", "power_watts"))
    for at in range(-70, 20, 5):
        await embedded.append(end + at, [(energy, 40.0 * (at + 100)), (watts, 40.0), ("unrelated", at)])
        await embedded.append(
            end + at + 0.01, [("wattview_host_cpus", 2), ("wattview_host_cpu_busy_seconds_total", at + 99)]
        )
    put(config, end=end)
    result = await Results(config, embedded).latest()
    assert result is not None
    [scenario] = result.scenarios
    assert (scenario.power_mean_watts, scenario.power_source) == (pytest.approx(40.0), "estimated")
    assert scenario.cpu_mean_percent == pytest.approx(50.0)
    assert result.history == "sqlite"
