"""A real daemon, a real container that burns a CPU, a real encoder and a real server, on a machine with RAPL.

The RAPL is a tree of files that follows this machine's real CPU use with known watts for each busy CPU: what a part
truly drew is its CPU seconds times these.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from tests.support.daemon import DaemonProcess, knows_idle, running_daemon
from tests.support.docker_engine import Engine, docker_engine
from tests.support.powercap import simulated_rapl
from wattview.model import Container, HistorySeries, Run, Snapshot

__all__ = ["docker_engine"]

IDLE_WATTS = 20.0 * 1.15
WATTS_PER_CPU = 15.0 * 1.08
"""The simulator's package and, as parts of it, its DRAM."""

SCENARIO = {
    "name": "who", "streams": 1, "resolution": "640x360", "bitrate": "800k", "fps": 30, "duration": 12, "warmup": 4,
    "cooldown": 0, "preset": "veryfast", "quality": False,
}  # fmt: skip


def burning(snapshot: Snapshot) -> Container:
    return next(one for one in snapshot.containers if one.name == "burner")


def until_shared(daemon: DaemonProcess, containers: int = 1) -> Snapshot:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        snapshot = daemon.snapshot()
        known = [one for one in snapshot.containers if one.power_watts is not None]
        if len(known) == containers:
            return snapshot
        time.sleep(0.5)
    raise AssertionError(f"no container has watts: {snapshot.power_use}\n{daemon.log}")


@pytest.mark.slow
def test_a_container_that_burns_a_cpu_an_encoder_and_its_stream_get_their_watts(
    tmp_path: Path, docker_engine: Engine
) -> None:
    knows_idle(tmp_path / "state", IDLE_WATTS)
    burner = docker_engine.run("burner", "sh", "-c", "while :; do :; done")
    try:
        with (
            simulated_rapl(tmp_path / "sys") as sysfs,
            running_daemon(
                tmp_path, f"paths.sysfs={sysfs}", f"docker.host={docker_engine.host}", "history.interval=2s",
                command=("up", "--headless"),
            ) as daemon,
        ):  # fmt: skip
            first = until_shared(daemon)
            answer = daemon.api.post("/api/v1/runs", json={"scenarios": [SCENARIO]})
            assert answer.status_code == 201, answer.text
            run = msgspec.json.decode(answer.content, type=Run)
            during = _until_ended(daemon, run)
            last = daemon.snapshot()

            _the_container_got_what_its_cpu_drew(first, last)
            _the_encoder_and_its_stream_were_seen(during)
            _the_parts_are_the_whole(during)
            _the_exporter_and_the_history_say_it_too(daemon)
    finally:
        docker_engine.remove(burner)


def _until_ended(daemon: DaemonProcess, run: Run) -> list[Snapshot]:
    snapshots = []
    while run.state == "running":
        time.sleep(1.0)
        snapshots.append(daemon.snapshot())
        run = msgspec.json.decode(daemon.api.get(f"/api/v1/runs/{run.id}").content, type=Run)
    assert run.state == "done", run.error
    return snapshots


def _the_container_got_what_its_cpu_drew(first: Snapshot, last: Snapshot) -> None:
    before, after = burning(first), burning(last)
    assert before.cpu_seconds_total is not None
    assert after.cpu_seconds_total is not None
    assert before.energy_joules_total is not None
    assert after.energy_joules_total is not None
    truth = WATTS_PER_CPU * (after.cpu_seconds_total - before.cpu_seconds_total)
    assert after.energy_joules_total - before.energy_joules_total == pytest.approx(truth, rel=0.15)


def _the_encoder_and_its_stream_were_seen(during: list[Snapshot]) -> None:
    uses = [one.power_use for one in during if one.power_use is not None and one.power_use.encoders]
    assert uses, "no encoder was ever charged"
    most = max(use.encoders["who-1"] for use in uses)
    assert 0.2 < most < WATTS_PER_CPU * (os.cpu_count() or 1)
    seen = [
        (stream.power_watts, one.power_use.encoders["who-1"])
        for one in during
        for stream in one.streams
        if one.power_use is not None and "who-1" in one.power_use.encoders and stream.power_watts is not None
    ]
    assert seen, "the stream never had a figure"
    # The stream has its encoder's watts, and all of the server's, which serves nobody else. In the intervals in which
    # it begins and ends, its server may be seen later, or gone sooner, than its encoder.
    assert len(seen) > 4
    assert all(watts >= encoder for watts, encoder in seen[1:-1])
    assert any(watts > encoder for watts, encoder in seen), "the server was not found"


def _the_parts_are_the_whole(during: list[Snapshot]) -> None:
    for snapshot in during:
        use = snapshot.power_use
        assert use is not None
        parts = (use.idle_watts, use.containers_watts, use.encoders_watts, use.unattributed_watts)
        assert sum(part or 0.0 for part in parts) == pytest.approx(use.watts, rel=1e-3)
        assert (use.idle_method, use.idle_watts) == ("baseline", pytest.approx(IDLE_WATTS, rel=0.02))


def _the_exporter_and_the_history_say_it_too(daemon: DaemonProcess) -> None:
    text = daemon.metrics("rapl-exporter")
    for series in (
        'wattview_container_power_watts{name="burner"}', 'wattview_container_energy_joules_total{name="burner"}',
        "wattview_idle_power_watts ", "wattview_unattributed_power_watts ",
    ):  # fmt: skip
        assert f"\n{series}" in text
    promtool = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert [line for line in (promtool.stdout + promtool.stderr).splitlines() if line.startswith("wattview_")] == []
    now = time.time()
    for metric in (
        "wattview_container_power_watts", "wattview_container_energy_joules_total", "wattview_idle_power_watts",
        "wattview_stream_power_watts",
    ):  # fmt: skip
        answer = daemon.api.get("/api/v1/history", params={"series": metric, "start": now - 300, "end": now})
        (series_of,) = msgspec.json.decode(answer.content, type=list[HistorySeries])
        times = [at for at, _ in series_of.points]
        assert len(times) > 3
        assert times == sorted(set(times))
