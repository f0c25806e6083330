"""What the report draws: a run's power from its own samples at full rate where they are kept, else from the history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from wattview.daemon.history.power_curves import power_curves, watts
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.lab.window_trail import HEADER, read_trail, trail_file
from wattview.model import HistorySeries, RunResult, ScenarioRecord, ScenarioResult, TrailPoint

RUN = "20260101_120000"
START, END = 1000.0, 1010.0


def result() -> RunResult:
    record = ScenarioRecord(name="one", start_time=START, end_time=END)
    scenario = ScenarioResult(record=record, power_mean_watts=40.0, power_source="rapl")
    return RunResult(id=RUN, path="", test_date="", scenarios=[scenario])


def history(watts: float) -> Callable[[str, float, float], Awaitable[list[HistorySeries]]]:
    async def samples(series: str, start: float, end: float) -> list[HistorySeries]:
        if series != "wattview_host_power_watts":
            return []
        points = [(START - 10 + 5 * at, watts) for at in range(7)]
        return [HistorySeries('wattview_host_power_watts{source="rapl"}', points)]

    return samples


async def nothing(series: str, start: float, end: float) -> list[HistorySeries]:
    raise HistoryError("the history is gone")


async def written(folder: Path, samples: list[tuple[float, float]]) -> None:
    lines = [f"{time:.6f},{joules:.6f},{joules:.6f},0.001\n" for time, joules in samples]
    await asyncio.to_thread(folder.mkdir, parents=True)
    trail_file(folder, 1).write_text(f"{HEADER}\n{''.join(lines)}")


@pytest.mark.parametrize("samples", [history(40.0), nothing])
async def test_a_window_is_drawn_at_full_rate_without_a_history(
    tmp_path: Path, make_config: ConfigFactory, samples: Callable[..., Awaitable[list[HistorySeries]]]
) -> None:
    """50 W with a peak of 90 W for a tenth of a second, which a point every 5 s cannot show."""
    config = make_config(f"paths.state={tmp_path}")
    times = [START + at / 10 for at in range(101)]
    joules = [50.0 * (time - START) + (4.0 if time > START + 5 else 0.0) for time in times]
    await written(tmp_path / "runs" / RUN, list(zip(times, joules, strict=True)))
    curve = (await power_curves(config, samples, [result()]))[RUN]
    inside = [value for time, value in curve if START < time < END]
    assert len(inside) == 100
    assert max(inside) == pytest.approx(90.0, abs=0.01)
    assert sorted(inside)[:99] == pytest.approx([50.0] * 99, abs=0.01)
    outside = [point for point in curve if not START < point[0] < END]
    assert outside == ([] if samples is nothing else [(990.0, 40.0), (995.0, 40.0), (1000.0, 40.0), (1010.0, 40.0),
                                                      (1015.0, 40.0), (1020.0, 40.0)])  # fmt: skip
    assert curve == sorted(curve)


async def test_without_samples_the_history_is_drawn(tmp_path: Path, make_config: ConfigFactory) -> None:
    curves = await power_curves(make_config(f"paths.state={tmp_path}"), history(40.0), [result()])
    assert [value for _, value in curves[RUN]] == [40.0] * 7


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense\n1,2\n", b"time,joules_total\n1000.5\n", b"time,joules_total\n1001,5\n1000,6\n", b"\xff\xfe\x00"],
)
async def test_broken_samples_only_lose_the_detail(
    tmp_path: Path, make_config: ConfigFactory, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "runs" / RUN
    folder.mkdir(parents=True)
    trail_file(folder, 1).write_bytes(content)
    curves = await power_curves(make_config(f"paths.state={tmp_path}"), history(40.0), [result()])
    assert [value for _, value in curves[RUN]] == [40.0] * 7
    assert "the report draws the history instead" in caplog.text


async def test_a_trail_of_an_earlier_version_without_bounds_is_read(tmp_path: Path) -> None:
    file = trail_file(tmp_path, 1)
    file.write_text("time,joules_total\n1000.125,0.5\n1000.25,1.75\n")
    assert read_trail(file) == [TrailPoint(1000.125, 0.5, 0.5), TrailPoint(1000.25, 1.75, 1.75)]
    assert read_trail(trail_file(tmp_path, 2)) == []


@given(st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 100.0)), min_size=1, max_size=60), st.integers(1, 80))
def test_fewer_points_have_the_same_energy(steps: list[tuple[float, float]], most: int) -> None:
    trail = [(0.0, 0.0)]
    for seconds, joules in steps:
        trail.append((trail[-1][0] + seconds, trail[-1][1] + joules))
    drawn = watts(trail, most)
    assert 1 <= len(drawn) <= most
    # Each point stands at the middle of its interval, so that the intervals follow from the points.
    edge, energy = 0.0, 0.0
    for middle, value in drawn:
        energy += value * 2 * (middle - edge)
        edge = 2 * middle - edge
    assert energy == pytest.approx(trail[-1][1], abs=1e-6)
