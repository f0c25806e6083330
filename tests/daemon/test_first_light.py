"""One stream measured the whole way, on real parts: nginx-rtmp, FFmpeg, Prometheus, and a machine with RAPL.

The machine's RAPL is a tree of files whose counters follow this machine's real CPU use, so that encoding truly draws
more than idling. A real Prometheus scrapes all ten exporters meanwhile; what the embedded history says of the window
and what that Prometheus says must agree.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import ConfigFactory
from tests.support.daemon import DaemonProcess, running_daemon, wait_gone
from tests.support.powercap import simulated_rapl
from tests.support.prometheus import prometheus
from wattview.daemon.history.prometheus import PrometheusHistory
from wattview.daemon.results import Results
from wattview.model import Run, RunResult, ScenarioResult, Snapshot

SCENARIO = {
    "name": "first light", "streams": 1, "resolution": "640x360", "bitrate": "800k", "fps": 30, "duration": 15,
    "warmup": 3, "cooldown": 1, "preset": "veryfast",
}  # fmt: skip
BASELINE_SECONDS = 6


async def _call(daemon: DaemonProcess, method: str, path: str, kind: Any, **arguments: Any) -> Any:
    answer = await asyncio.to_thread(daemon.api.request, method, path, **arguments)
    assert answer.status_code < 400, answer.text
    return msgspec.json.decode(answer.content, type=kind)


async def _follow(daemon: DaemonProcess, run: Run) -> list[Snapshot]:
    """The snapshots of a run, one each half second, until it has ended."""
    snapshots = []
    while run.state == "running":
        await asyncio.sleep(0.5)
        snapshots.append(await _call(daemon, "GET", "/api/v1/snapshot", Snapshot))
        run = await _call(daemon, "GET", f"/api/v1/runs/{run.id}", Run)
    assert run.state == "done", run.error
    return snapshots


def _agree(ours: ScenarioResult, theirs: ScenarioResult, relative: float) -> None:
    for figure in ("energy_joules", "power_mean_watts", "cpu_seconds", "cpu_mean_percent", "cost_total", "cost_energy"):
        mine, other = getattr(ours, figure), getattr(theirs, figure)
        assert mine is not None, (ours.record.name, figure, ours.reasons)
        assert other is not None, (theirs.record.name, figure, theirs.reasons)
        assert other == pytest.approx(mine, rel=relative), (ours.record.name, figure)


@pytest.mark.slow
async def test_one_stream_is_measured_the_whole_way(tmp_path: Path, make_config: ConfigFactory) -> None:
    with (
        simulated_rapl(tmp_path / "sys") as sysfs,
        running_daemon(
            tmp_path,
            f"paths.sysfs={sysfs}",
            "scenarios.quality_seconds=3",
            "cost.carbon_g_per_kwh=300",
            "cost.pue=1.4",
            command=("up", "--headless"),
        ) as daemon,
    ):
        targets = [one.url.removeprefix("http://") for one in daemon.exporters().values()]
        assert len(targets) == 10
        (tmp_path / "prometheus").mkdir()
        async with prometheus(tmp_path / "prometheus", targets, "250ms") as url:
            await _scraped_once(url, len(targets))
            request = {"scenarios": [SCENARIO], "baseline": BASELINE_SECONDS}
            run = await _call(daemon, "POST", "/api/v1/runs", Run, json=request)
            snapshots = await _follow(daemon, run)
            result = await _call(daemon, "GET", f"/api/v1/results/{run.id}", RunResult)

            _the_stream_was_seen(snapshots)
            _the_figures_are_whole(result)
            _the_exporters_say_the_same(daemon, result)

            settings = make_config(f"paths.results={daemon.state / 'results'}", "cost.pue=1.4")
            history = PrometheusHistory(url)
            try:
                other = await Results(settings, history).get(run.id)
            finally:
                await history.close()
            assert other is not None
            # An encoder starts right behind the baseline: between two scrapes nobody knows when power rose.
            for ours, theirs, relative in zip(result.scenarios, other.scenarios, (0.05, 0.01), strict=True):
                _agree(ours, theirs, relative)
            await _every_target_is_up(url, len(targets))
        children = daemon.children()
        assert daemon.stop() == 0
        assert wait_gone(children) == set()


def _the_stream_was_seen(snapshots: list[Snapshot]) -> None:
    seen = [stream for snapshot in snapshots for stream in snapshot.streams if stream.publishers]
    assert seen, "the stream never appeared"
    rates = [stream.bandwidth_in_bytes for stream in seen if stream.bandwidth_in_bytes]
    assert rates
    # 800 kbit/s of video and 128 kbit/s of audio are 116,000 bytes a second.
    assert 60_000 < max(rates) < 200_000
    assert (seen[-1].width, seen[-1].height, seen[-1].video_codec) == (640, 360, "H264")
    phases = {snapshot.run.progress.phase for snapshot in snapshots if snapshot.run and snapshot.run.progress}
    assert {"warmup", "measuring", "quality"} <= phases


def _the_figures_are_whole(result: RunResult) -> None:
    baseline, scenario = result.scenarios
    assert result.error is None
    assert set(scenario.reasons) <= {"gpu_energy_joules"}, "only a GPU that is not here may be missing"
    assert scenario.power_source == "rapl"
    assert baseline.power_mean_watts is not None
    assert scenario.power_mean_watts is not None
    assert scenario.window_seconds is not None
    assert scenario.energy_joules == pytest.approx(scenario.power_mean_watts * scenario.window_seconds, rel=1e-6)
    for mean in (baseline.power_mean_watts, scenario.power_mean_watts):
        assert 20 < mean < 20 + 15 * (os.cpu_count() or 1) + 20
    assert scenario.power_max_watts is not None
    assert scenario.power_max_watts >= scenario.power_mean_watts
    assert scenario.baseline_diff_power_watts == pytest.approx(
        scenario.power_mean_watts - baseline.power_mean_watts, rel=1e-9
    )
    record = scenario.record
    assert record.pushed
    assert record.vmaf_score is not None
    assert 50 < record.vmaf_score <= 100
    assert record.psnr_score is not None
    assert record.psnr_score > 25
    assert record.ssim_score is not None
    assert 0.8 < record.ssim_score <= 1
    joules, cpu_seconds = scenario.energy_joules, scenario.cpu_seconds
    assert joules is not None
    assert cpu_seconds is not None
    assert scenario.cost_energy == pytest.approx(joules / 3.6e6 * 0.12 * 1.4, rel=1e-9)
    assert scenario.cost_compute == pytest.approx(cpu_seconds / 3600 * 0.50, rel=1e-9)


def _the_exporters_say_the_same(daemon: DaemonProcess, result: RunResult) -> None:
    scenario = result.scenarios[1]
    label = '{scenario="first light"}'
    samples = _samples(daemon.metrics("results-exporter"))
    assert samples[f"scenario_energy_joules{label}"] == scenario.energy_joules
    assert samples[f"scenario_power_max_watts{label}"] == scenario.power_max_watts
    assert samples[f"scenario_baseline_diff_power_watts{label}"] == scenario.baseline_diff_power_watts
    quality = _samples(daemon.metrics("qoe-exporter"))
    assert quality[f"quality_vmaf{label}"] == scenario.record.vmaf_score
    assert quality[f"qoe_score{label}"] == scenario.qoe_score
    costs = _samples(daemon.metrics("cost-exporter"))
    assert costs['cost_total_load_aware{scenario="first light",currency="USD"}'] == scenario.cost_total


def _samples(text: str) -> dict[str, float]:
    pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def _scraped_once(url: str, count: int) -> None:
    """Waits until Prometheus holds a sample of every exporter: what came before its first scrape it cannot know."""
    async with httpx.AsyncClient(trust_env=False) as http:
        while True:
            answer = (await http.get(f"{url}/api/v1/query", params={"query": "sum(up)"})).json()
            found = answer["data"]["result"]
            if found and float(found[0]["value"][1]) == count:
                return
            await asyncio.sleep(0.25)


async def _every_target_is_up(url: str, count: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = (await http.get(f"{url}/api/v1/targets")).json()
    targets = answer["data"]["activeTargets"]
    assert len(targets) == count
    assert [(target["scrapeUrl"], target["lastError"]) for target in targets if target["health"] != "up"] == []
