"""The control API of a real daemon: its calls, its errors, who may use it, and that its description is true."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import httpx
import msgspec
import pytest

from tests.support.daemon import DaemonProcess, running_daemon
from wattview.client import CallRefused, Client, DaemonUnreachable, Problem
from wattview.model import (
    Finding,
    HistorySeries,
    PowerAccount,
    PowerUse,
    RunPlan,
    RunRequest,
    Scenario,
    ScenarioPreset,
    Snapshot,
)

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("api")
    token_file = directory / "token"
    token_file.write_text(TOKEN + "\n")
    token_file.chmod(0o600)
    with running_daemon(
        directory, f"daemon.token_file={token_file}", "daemon.control_listen=127.0.0.1:0", "history.interval=500ms",
        f"docker.host=unix://{directory}/no-docker.sock", "streams.nginx_rtmp_url=http://127.0.0.1:9/stat",
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def tcp(daemon: DaemonProcess) -> Iterator[httpx.Client]:
    port = next(line for line in daemon.log.splitlines() if "control API on" in line).rpartition(":")[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client


def test_only_its_owner_may_open_the_control_socket(daemon: DaemonProcess) -> None:
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o600


def test_the_snapshot_is_complete_and_says_why_a_source_is_missing(daemon: DaemonProcess) -> None:
    snapshot = daemon.snapshot()
    assert snapshot.host is not None
    assert snapshot.host.cpus == os.cpu_count()
    assert snapshot.containers == ()
    states = {probe.probe: probe for probe in snapshot.probes}
    assert states["containers"].state == "absent"
    assert "no-docker.sock" in states["containers"].reason
    assert states["streams"].state == "absent"
    assert states["streams"].fix


async def test_live_sends_continuous_snapshots(daemon: DaemonProcess) -> None:
    async with Client(f"unix://{daemon.socket}") as client:
        times = []
        async for snapshot in client.live(0.1):
            times.append(snapshot.time)
            if len(times) == 3:
                break
    assert times == sorted(times)
    assert 0.1 < times[2] - times[0] < 2.0


async def test_a_reader_chooses_how_power_is_divided(daemon: DaemonProcess) -> None:
    """The machine here has an estimate, whose idle power is known."""
    async with Client(f"unix://{daemon.socket}") as client:
        seen: dict[str, PowerUse] = {}
        for account in get_args(PowerAccount):
            client.account = account
            async for snapshot in client.live(0.3):
                if snapshot.power_use is not None:
                    seen[account] = snapshot.power_use
                    break
    marginal, shared = seen["marginal"], seen["attributional"]
    assert (marginal.account, marginal.includes_idle, marginal.idle_method) == ("marginal", False, "estimate")
    assert (shared.account, shared.includes_idle, shared.idle_watts) == ("attributional", True, None)
    assert (shared.encoders_watts or 0.0) + (shared.unattributed_watts or 0.0) <= shared.watts * 1.001
    answer = daemon.api.get("/api/v1/live", params={"account": "mine"})
    assert (answer.status_code, answer.json()["field"]) == (422, "account")


async def test_history_gives_what_was_recorded(daemon: DaemonProcess) -> None:
    async with Client(f"unix://{daemon.socket}") as client:
        now = (await client.snapshot()).time
        series: list[HistorySeries] = []
        async for snapshot in client.live(0.2):
            series = await client.history("wattview_host_cpu_busy_seconds_total", now - 60, snapshot.time)
            if series and len(series[0].points) >= 2:
                break
        (one,) = series
        values = [value for _, value in one.points]
        assert values == sorted(values)
        assert values[0] > 0


async def test_an_invalid_call_names_the_field(daemon: DaemonProcess) -> None:
    async with Client(f"unix://{daemon.socket}") as client:
        with pytest.raises(CallRefused) as caught:
            await client.history("no series{", 0, 1)
        assert (caught.value.status, caught.value.field) == (422, "series")
        with pytest.raises(CallRefused) as caught:
            await client.run("20010101_000000")
        assert caught.value.status == 404
        with pytest.raises(CallRefused) as caught:
            await client.result("../../etc/passwd")
        assert caught.value.status == 404


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, ""),
        (b"[]", 422, ""),
        (b'{"scenarios": []}', 422, "scenarios"),
        (b'{"scenarios": [{"name": ""}]}', 422, "scenarios[0].name"),
        (b'{"scenarios": [{"name": "a", "streams": 0}]}', 422, "scenarios[0].streams"),
        (b'{"scenarios": [{"name": "a", "bitrate": "fast; rm -rf /"}]}', 422, "scenarios[0].bitrate"),
        (b'{"scenarios": [{"name": "a", "resolution": "big"}]}', 422, "scenarios[0].resolution"),
        (b'{"scenarios": [{"name": "a", "colour": "red"}]}', 422, "scenarios[0].colour"),
        (b'{"scenarios": [{"streams": 1}]}', 422, "scenarios[0].name"),
        (b'{"scenarios": [{"name": "a", "source": "../../etc/passwd"}]}', 422, "scenarios[0].source"),
        (b'{"scenarios": [{"name": "a", "source": "no-such-file.mp4"}]}', 422, "scenarios[0].source"),
        (b'{"scenarios": [{"name": "a"}], "baseline": -1}', 422, "baseline"),
        (b"\xff", 400, ""),
    ],
)
def test_an_invalid_run_is_refused_before_anything_starts(
    daemon: DaemonProcess, body: bytes, status: int, field: str
) -> None:
    answer = daemon.api.post("/api/v1/runs", content=body)
    assert answer.status_code == status
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert problem.error
    assert problem.field == field
    assert daemon.snapshot().run is None


def test_a_body_that_never_ends_is_refused(daemon: DaemonProcess) -> None:
    answer = daemon.api.post("/api/v1/runs", content=b" " * (2 * 1024 * 1024))
    assert answer.status_code == 413


async def test_a_second_run_is_refused_while_one_is_running_and_a_run_can_be_stopped(daemon: DaemonProcess) -> None:
    request = RunRequest(scenarios=[Scenario(name="idle", type="baseline", duration=60)])
    async with Client(f"unix://{daemon.socket}") as client:
        run = await client.start_run(request)
        with pytest.raises(CallRefused) as caught:
            await client.start_run(request)
        assert caught.value.status == 409
        assert run.id in str(caught.value)
        stopped = await client.stop_run(run.id)
        assert stopped.state == "aborted"
        with pytest.raises(CallRefused) as caught:
            await client.stop_run(run.id)
        assert caught.value.status == 409
        assert [one.id for one in await client.runs()] == [run.id]


def test_presets_and_the_doctor_answer(daemon: DaemonProcess) -> None:
    presets = msgspec.json.decode(daemon.api.get("/api/v1/scenarios").content, type=list[ScenarioPreset])
    assert presets[0].title == "1 stream 720p 2.5 Mbit/s"
    findings = msgspec.json.decode(daemon.api.get("/api/v1/doctor").content, type=list[Finding])
    by_source = {finding.source: finding for finding in findings}
    assert by_source["host"].state == "works"
    assert by_source["containers"].state == "absent"
    assert by_source["containers"].fix


def test_suite_files_are_offered_beside_the_presets_and_a_broken_one_says_why(daemon: DaemonProcess) -> None:
    directory = daemon.state / "suites"
    directory.mkdir(exist_ok=True)
    (directory / "night.toml").write_text('repeat = 3\nbaseline = 10\n[[scenarios]]\nname = "one"\nduration = 20\n')
    (directory / "broken.json").write_text('{"scenarios": [{"name": "x", "fps": "many"}]}')
    (directory / "notes.txt").write_text("no suite")
    presets = msgspec.json.decode(daemon.api.get("/api/v1/scenarios").content, type=list[ScenarioPreset])
    by_id = {one.id: one for one in presets}
    night = by_id["suite:night.toml"]
    assert (night.title, night.repeat, night.baseline, night.error) == ("night.toml", 3, 10.0, "")
    assert night.seconds is not None
    assert night.seconds >= 10 + 3 * 28, "the baseline, and three times warm-up, window and cool-down"
    assert by_id["suite:broken.json"].error.startswith("scenarios[0].fps: expected frames per second")
    assert "suite:notes.txt" not in by_id
    assert by_id["suite"].scenarios, "the one that comes with the product"


def test_a_plan_starts_nothing_and_names_the_field_that_is_wrong(daemon: DaemonProcess) -> None:
    asked = {"scenarios": [{"name": "one", "duration": 30, "quality": False}], "baseline": 10, "repeat": 2}
    plan = msgspec.json.decode(daemon.api.post("/api/v1/plan", json=asked).content, type=RunPlan)
    assert [one.name for one in plan.scenarios] == ["baseline", "one #1", "one #2"]
    assert plan.seconds == pytest.approx(10 + 5 + 2 * (30 + 8), abs=6)
    wrong = daemon.api.post("/api/v1/plan", json={"scenarios": [{"name": "one", "source": "film.mkv"}]})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "scenarios[0].source")
    assert daemon.api.get("/api/v1/snapshot").json()["run"] is None


def test_unknown_paths_and_methods_are_problems_too(daemon: DaemonProcess) -> None:
    assert daemon.api.get("/api/v1/nothing").status_code == 404
    answer = daemon.api.delete("/api/v1/snapshot")
    assert answer.status_code == 405
    assert msgspec.json.decode(answer.content, type=Problem).error


def test_tcp_needs_the_token_for_every_call(daemon: DaemonProcess, tcp: httpx.Client) -> None:
    for path in ("/api/v1/snapshot", "/api/v1/runs", "/openapi.json", "/nothing"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            assert tcp.get(path, headers=headers).status_code == 401
    good = tcp.get("/api/v1/snapshot", headers={"Authorization": f"Bearer {TOKEN}"})
    assert msgspec.json.decode(good.content, type=Snapshot).host is not None


def test_the_token_is_never_shown(daemon: DaemonProcess) -> None:
    assert TOKEN not in daemon.log
    assert TOKEN not in Path(f"/proc/{daemon.process.pid}/cmdline").read_text()


def test_openapi_names_every_call_with_complete_schemas(daemon: DaemonProcess) -> None:
    document = daemon.api.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    expected = {"snapshot", "live", "history", "scenarios", "plan", "runs", "runs/{id}", "results", "results/{id}",
                "result-ids", "results/{id}/report", "measurements", "side-by-side", "export", "compare", "advice",
                "exporters", "doctor", "events", "curves", "prediction", "trends", "settings/differences",
                "calibration", "wall/samples", "runs/{id}/window", "runs/{id}/command", "recordings",
                    "workloads/processes", "streams/encoder", "encoders", "gpus"}  # fmt: skip
    assert {path.removeprefix("/api/v1/") for path in document["paths"]} == expected
    references = {part["$ref"] for part in _dicts(document) if "$ref" in part}
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    assert json.dumps(document)


def _dicts(value: object) -> Iterator[dict[str, object]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _dicts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _dicts(inner)


async def test_a_missing_daemon_is_reported_with_its_fix(tmp_path: Path) -> None:
    async with Client(f"unix://{tmp_path}/none.sock") as client:
        with pytest.raises(DaemonUnreachable, match="start one with: wattview up"):
            await client.snapshot()


def test_the_doctor_says_why_there_is_no_media_server(tmp_path: Path) -> None:
    """The daemon runs on without one; what is missing is in the doctor's words, with the way out."""
    with running_daemon(tmp_path, "streams.managed=always", "streams.nginx=/nowhere/nginx") as daemon:
        findings = msgspec.json.decode(daemon.api.get("/api/v1/doctor").content, type=list[Finding])
        (server,) = [one for one in findings if one.source == "media server"]
        assert server.state == "broken"
        assert "/nowhere/nginx is not installed" in server.detail
        assert "apt-get install" in server.fix


# the past


def test_a_past_snapshot_is_what_was_recorded_then(daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + 30
    while (answer := daemon.api.get("/api/v1/snapshot", params={"time": repr(time.time())})).status_code == 404:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    assert answer.status_code == 200
    then = msgspec.json.decode(answer.content, type=Snapshot)
    assert then.recorded is not None
    assert then.recorded.first <= then.time
    assert daemon.snapshot().recorded is None


def test_a_time_outside_the_history_is_refused_with_its_range(daemon: DaemonProcess) -> None:
    answer = daemon.api.get("/api/v1/snapshot", params={"time": "5"})
    assert answer.status_code == 404
    assert answer.json()["field"] == "time"
    assert "the history" in answer.json()["error"]
    assert daemon.api.get("/api/v1/snapshot", params={"time": "noon"}).status_code == 422
