"""One window, three histories: SQLite, a real Prometheus and a real VictoriaMetrics answer alike, and truly."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.conftest import ConfigFactory
from tests.support.prometheus import backfilled_prometheus, prometheus, serve_metrics, victoria_metrics
from wattview.daemon.history import prometheus as history_prometheus
from wattview.daemon.history.prometheus import PrometheusHistory
from wattview.daemon.history.protocol import History, HistoryError
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.results import Results

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGIN = math.floor(time.time() / 60) * 60 - 5400.0
"""The curve begins an hour and a half ago, and is 20 minutes long."""

LENGTH = 1200
ENERGY = 'wattview_host_energy_joules_total{source="rapl"}'
ODD = 'wattview_stream_power_watts{app="live",stream="a \\"quoted\\" \\\\ ✓ {x}"}'


def joules(at: float) -> float:
    """The integral of 60 W + 25 W x sin(2 pi t / 90 s), beginning at 5000 J."""
    return 5000 + 60 * at + 25 * 90 / (2 * math.pi) * (1 - math.cos(2 * math.pi * at / 90))


def watts(at: float) -> float:
    return 60 + 25 * math.sin(2 * math.pi * at / 90)


def curve(at: float) -> list[tuple[str, float]]:
    """What the daemon would have recorded: a container that ended half way, a CPU counter that began anew."""
    found = [
        (ENERGY, joules(at)),
        ('wattview_host_power_watts{source="rapl"}', watts(at)),
        ("wattview_host_cpus", 4.0),
        ("wattview_host_cpu_busy_seconds_total", at if at < 600 else at - 600),
        (ODD, 7.5),
    ]
    return found if at > 600 else [*found, ('wattview_container_power_watts{name="short"}', 3.0)]


TICKS = [(BEGIN + at, curve(at)) for at in range(0, LENGTH, 5)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def histories(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, History]]:
    """The curve in each of the three."""
    directory = tmp_path_factory.mktemp("histories")
    sqlite = SqliteHistory(directory / "history.sqlite", 1e9)
    for at, samples in TICKS:
        await sqlite.append(at, samples)
    lines = [f"{key} {value!r} {at:.0f}" for at, samples in TICKS for key, value in samples]
    async with (
        backfilled_prometheus(directory, lines, prefix="/behind/proxy") as prometheus_url,
        victoria_metrics(directory, [], user="me", password="p@ss:word") as victoria_url,
    ):
        async with httpx.AsyncClient(auth=("me", "p@ss:word"), base_url=victoria_url, trust_env=False) as http:
            body = "\n".join(f"{key} {value!r} {at * 1000:.0f}" for at, samples in TICKS for key, value in samples)
            (await http.post("/api/v1/import/prometheus", content=body.encode())).raise_for_status()
            await http.get("/internal/force_flush")
        found = {
            "sqlite": sqlite,
            "prometheus": PrometheusHistory(prometheus_url + "/"),
            "victoria": PrometheusHistory(victoria_url.replace("http://", "http://me:p%40ss%3Aword@")),
        }
        yield found
        for history in found.values():
            await history.close()


BACKENDS = ("sqlite", "prometheus", "victoria")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_samples_are_the_ones_recorded_and_a_neighbour_on_either_side(
    histories: Mapping[str, History], backend: str
) -> None:
    [series] = await histories[backend].samples(ENERGY, BEGIN + 101, BEGIN + 149)
    assert [at - BEGIN for at, _ in series.points] == [100.0 + 5 * step for step in range(11)]
    for at, value in series.points:
        assert value == pytest.approx(joules(at - BEGIN), rel=1e-12)
    [exact] = await histories[backend].samples(ENERGY, BEGIN + 100, BEGIN + 110)
    assert [at - BEGIN for at, _ in exact.points] == [95.0, 100.0, 105.0, 110.0, 115.0]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_selectors_mean_the_same_everywhere(histories: Mapping[str, History], backend: str) -> None:
    async def names(selector: str) -> list[str]:
        return [series.name for series in await histories[backend].samples(selector, BEGIN + 100, BEGIN + 200)]

    assert await names("wattview_host_energy_joules_total") == [ENERGY]
    assert await names('wattview_host_energy_joules_total{source="hwmon"}') == []
    assert await names(ODD) == [ODD]
    assert await names('wattview_stream_power_watts{app="live",stream="other"}') == []
    assert await names('wattview_host_cpus{source=""}') == ["wattview_host_cpus"]
    assert await names("nothing_of_that_name") == []
    with pytest.raises(ValueError, match="not a series name"):
        await names("sum(wattview_host_cpus)")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_series_that_ended_is_found_only_while_it_existed(
    histories: Mapping[str, History], backend: str
) -> None:
    selector = "wattview_container_power_watts"
    [series] = await histories[backend].samples(selector, BEGIN + 590, BEGIN + 900)
    assert [at - BEGIN for at, _ in series.points] == [585.0, 590.0, 595.0, 600.0]
    assert await histories[backend].samples(selector, BEGIN + 700, BEGIN + 900) == []


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_graph_has_the_same_points_in_every_backend(histories: Mapping[str, History], backend: str) -> None:
    [series] = await histories[backend].thinned(ENERGY, BEGIN + 2, BEGIN + 1198, 46)
    assert [at - BEGIN for at, _ in series.points] == [2.0 + 46 * step for step in range(27)]
    for at, value in series.points:
        assert value == pytest.approx(joules((at - BEGIN) // 5 * 5), rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_graph_at_sample_times_has_each_sample_once(histories: Mapping[str, History], backend: str) -> None:
    [fine] = await histories[backend].thinned(ENERGY, BEGIN + 5, BEGIN + 95, 2, own_times=True)
    assert [at - BEGIN for at, _ in fine.points] == [5.0 * number for number in range(1, 20)]
    [coarse] = await histories[backend].thinned(ENERGY, BEGIN + 2, BEGIN + 1198, 46, own_times=True)
    assert [at - BEGIN for at, _ in coarse.points] == [(2 + 46 * step) // 5 * 5 for step in range(27)]
    for at, value in (*fine.points, *coarse.points):
        assert value == pytest.approx(joules(at - BEGIN), rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("steps", "step"), [(10_999, 0.1), (11_001, 0.1), (20_000, 0.059), (20_000, 0.0595)])
async def test_a_graph_of_many_points_is_complete(
    histories: Mapping[str, History], backend: str, steps: int, step: float
) -> None:
    [series] = await histories[backend].thinned(ENERGY, BEGIN, BEGIN + steps * step, step)
    assert len(series.points) == steps + 1
    times = [at for at, _ in series.points]
    assert times == pytest.approx([BEGIN + number * step for number in range(steps + 1)], rel=0, abs=0.002)
    assert series.points[-1][1] == pytest.approx(joules((steps * step + 1e-6) // 5 * 5), rel=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_graph_of_more_points_than_can_be_shown_is_refused(
    histories: Mapping[str, History], backend: str
) -> None:
    for start, end, step in ((BEGIN, BEGIN + 20_002, 1), (0, 1e300, 1e-300), (0, 1, 1e-308)):
        with pytest.raises(ValueError, match="expected at most 20000 steps"):
            await histories[backend].thinned(ENERGY, start, end, step)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_long_window_is_complete_in_one_query_or_several(
    histories: Mapping[str, History], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_prometheus, "CHUNK_SECONDS", 100.0)
    [series] = await histories[backend].samples(ENERGY, BEGIN - 86, BEGIN + LENGTH + 86)
    assert [at - BEGIN for at, _ in series.points] == [float(at) for at in range(0, LENGTH, 5)]


@pytest.mark.parametrize("backend", BACKENDS)
async def test_the_energy_of_a_window_is_the_truth_in_every_history(
    histories: Mapping[str, History], backend: str, make_config: ConfigFactory
) -> None:
    config = make_config("cost.carbon_g_per_kwh=100")
    start, end = 332.5, 652.25
    scenario = {"name": "one", "start_time": BEGIN + start, "end_time": BEGIN + end}
    put_results(config.paths.results, [scenario])
    result = await Results(config, histories[backend]).latest()
    assert result is not None
    [figures] = result.scenarios
    truth = joules(end) - joules(start)
    assert figures.energy_joules == pytest.approx(truth, rel=0.002)
    assert figures.power_mean_watts == pytest.approx(truth / (end - start), rel=0.002)
    readings = max(watts(at) for at in range(335, 655, 5))
    assert figures.power_max_watts is not None
    assert readings <= figures.power_max_watts <= 85.0, (
        "the largest reading, or mean between two, and never beyond the truth"
    )
    # One busy CPU of four, and 5 s around the counter's restart of which 0 s are known.
    assert figures.cpu_seconds == pytest.approx(end - start, abs=5.0)
    assert figures.cpu_mean_percent == pytest.approx(25.0, rel=0.02)
    assert figures.power_source == "rapl"
    assert figures.cost_energy == pytest.approx(truth / 3.6e6 * 0.12, rel=0.002)


def put_results(directory: str, scenarios: list[dict[str, object]]) -> None:
    Path(directory).mkdir(parents=True, exist_ok=True)
    path = Path(directory) / "test_results_20250102_030405.json"
    path.write_text(json.dumps({"test_date": "2025-01-02", "scenarios": scenarios}))


async def test_what_a_server_refuses_is_an_error_in_its_words(histories: Mapping[str, History]) -> None:
    for backend in ("prometheus", "victoria"):
        history = histories[backend]
        assert isinstance(history, PrometheusHistory)
        with pytest.raises(HistoryError, match=r"answered 4\d\d: .*(parse error|unparsed|missing|want)"):
            await history.recent(['up"}[5m'], BEGIN, BEGIN + 1)


async def test_a_user_and_password_are_sent_and_never_shown(histories: Mapping[str, History]) -> None:
    known = histories["victoria"]
    assert isinstance(known, PrometheusHistory)
    assert "word" not in known.url
    wrong = PrometheusHistory(known.url.replace("http://", "http://me:secret@"))
    with pytest.raises(HistoryError) as refusal:
        await wrong.samples("up", BEGIN, BEGIN + 1)
    assert "user and password" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    await wrong.close()


async def test_a_server_that_is_not_there_says_so() -> None:
    history = PrometheusHistory("http://me:secret@127.0.0.1:1/")
    for call in (history.samples("up", 0, 1), history.thinned("up", 0, 1, 1)):
        with pytest.raises(HistoryError, match=r"http://127\.0\.0\.1:1 cannot be reached") as failure:
            await call
        assert failure.value.fix == "check history.prometheus_url"
        assert "secret" not in str(failure.value)
    await history.close()
    with pytest.raises(HistoryError):
        await history.samples("up", 0, 1)


async def test_a_server_that_is_not_prometheus_or_never_answers_is_an_error() -> None:
    async with serve_metrics(lambda: "up 1\n") as other:
        history = PrometheusHistory(f"http://{other}")
        with pytest.raises(HistoryError, match="answered 200: up 1"):
            await history.samples("up", 0, 1)
        await history.close()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    history = PrometheusHistory(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds=0.1)
    with pytest.raises(HistoryError, match="did not answer in time"):
        await history.samples("up", 0, 1)
    await history.close()
    server.close()


@pytest.mark.slow
async def test_a_window_that_was_scraped_live_agrees_with_the_truth_and_with_sqlite(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    """Both servers scrape a known curve every second; its last minutes are asked for while they are still warm."""
    began = time.time()

    def live_joules(at: float) -> float:
        return 50 * (at - began) + 10 * 10 / (2 * math.pi) * (1 - math.cos(2 * math.pi * (at - began) / 10))

    def samples() -> list[tuple[str, float]]:
        at = time.time()
        return [
            (ENERGY, 1e6 + live_joules(at)),
            ('wattview_host_power_watts{source="rapl"}', 50 + 10 * math.sin(2 * math.pi * (at - began) / 10)),
            ("wattview_host_cpus", 4.0),
            ("wattview_host_cpu_busy_seconds_total", 1e5 + 2 * (at - began)),
        ]

    def text() -> str:
        return "".join(f"{key} {value!r}\n" for key, value in samples())

    sqlite = SqliteHistory(tmp_path / "history.sqlite", 1e9)

    async def record() -> None:
        while True:
            await sqlite.append(time.time(), samples())
            await asyncio.sleep(1)

    async with (
        serve_metrics(text) as target,
        prometheus(tmp_path, [target]) as prometheus_url,
        victoria_metrics(tmp_path, [target]) as victoria_url,
    ):
        recorder = asyncio.create_task(record())
        histories = [sqlite, PrometheusHistory(prometheus_url), PrometheusHistory(victoria_url)]
        for history in histories:
            await until(lambda history=history: has_sample_after(history, began))
        start = time.time()
        await asyncio.sleep(8)
        end = time.time()
        for history in histories:
            await until(lambda history=history: has_sample_after(history, end))
            [graph] = await history.thinned(ENERGY, start, end, 1.0)
            assert graph.points[-1][1] == pytest.approx(1e6 + live_joules(end), abs=2 * 60)
        config = make_config()
        put_results(config.paths.results, [{"name": "live", "start_time": start, "end_time": end}])
        truth = live_joules(end) - live_joules(start)
        for history in histories:
            result = await Results(config, history).latest()
            assert result is not None
            [figures] = result.scenarios
            assert figures.reasons.keys() <= {
                "gpu_energy_joules",
                "carbon_grams",
                "qoe_score",
                "baseline_diff_power_watts",
            }
            assert figures.energy_joules == pytest.approx(truth, rel=0.01)
            assert figures.cpu_mean_percent == pytest.approx(50.0, rel=0.01)
            await history.close()
        recorder.cancel()


async def has_sample_after(history: History, moment: float) -> bool:
    found = await history.samples(ENERGY, moment - 30, moment)
    return bool(found) and found[0].points[-1][0] > moment


async def until(condition: Callable[[], Awaitable[bool]], patience_seconds: float = 30.0) -> None:
    async with asyncio.timeout(patience_seconds):
        while not await condition():  # noqa: ASYNC110 - a server cannot be awaited
            await asyncio.sleep(0.1)
