"""A window that a client opens and closes: its turns, a client that dies, and the calls of the API."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from tests.support.daemon import running_daemon
from tests.support.powercap import simulated_rapl
from wattview.client import CallRefused, Client
from wattview.daemon.lab import client_window, recording
from wattview.daemon.lab.client_window import ClientGone, ClientWindow, WrongTurn
from wattview.model import CommandRecord, CommandReport, HistorySeries, RecordingRequest, Run

REPORT = CommandReport(command=CommandRecord(text="true", executions=1, seconds=1.0, cpu_seconds=0.5))


async def looked() -> bool:
    return False


async def test_the_window_follows_its_client() -> None:
    window = ClientWindow()
    with pytest.raises(WrongTurn, match="not open"):
        await window.close()
    opening = asyncio.create_task(window.open())
    await window.until_asked()
    assert not opening.done(), "it waits for the window"
    window.opened()
    await opening
    with pytest.raises(WrongTurn, match="not closed"):
        window.report(REPORT)
    holding = asyncio.create_task(window.hold(looked, 0.01, 60.0))
    closing = asyncio.create_task(window.close())
    assert await holding is True
    assert not closing.done(), "it waits for the end of the window"
    window.closed()
    await closing
    await window.open()  # only says that it is there
    window.report(REPORT)
    assert await window.reported() == REPORT


@pytest.mark.parametrize("turn", ["until_asked", "hold", "reported"])
async def test_a_client_that_has_died_ends_every_wait(turn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_window, "LEASE_SECONDS", 0.05)
    window = ClientWindow()
    waits = {
        "until_asked": window.until_asked, "hold": lambda: window.hold(looked, 0.01, 60.0), "reported": window.reported,
    }  # fmt: skip
    with pytest.raises(ClientGone, match="has not reported"):
        await asyncio.wait_for(waits[turn](), 5.0)


async def test_a_window_closes_after_its_maximum_length() -> None:
    assert await ClientWindow().hold(looked, 0.01, 0.05) is False


def test_a_command_is_measured_between_two_calls(tmp_path: Path) -> None:
    scenario = {"name": "job", "type": "command", "duration": 60.0, "cooldown": 0.0, "quality": False}
    with (
        simulated_rapl(tmp_path / "sys", curve="constant:45") as sysfs,
        running_daemon(tmp_path, f"paths.sysfs={sysfs}") as daemon,
    ):
        api = daemon.api
        run = api.post("/api/v1/runs", json={"scenarios": [scenario]}).json()["id"]
        deadline = time.monotonic() + 20.0
        while api.post(f"/api/v1/runs/{run}/window").status_code == 409:
            assert time.monotonic() < deadline, daemon.log
            time.sleep(0.05)
        progress = api.get(f"/api/v1/runs/{run}").json()["progress"]
        assert (progress["phase"], progress["remaining_seconds"]) == ("measuring", None)
        early = api.post(f"/api/v1/runs/{run}/command", json={"command": {"text": "x", "executions": 1, "seconds": 1}})
        assert early.status_code == 409
        time.sleep(2.0)
        assert api.delete(f"/api/v1/runs/{run}/window").status_code == 200
        wrong = api.post(f"/api/v1/runs/{run}/command", json={"command": {"text": "x", "executions": "many"}})
        assert wrong.status_code == 422
        assert "executions" in wrong.json()["error"]
        report = {"command": {"text": "job --fast", "executions": 1, "seconds": 2.0, "cpu_seconds": 0.5}}
        assert api.post(f"/api/v1/runs/{run}/command", json=report).status_code == 200
        while api.get(f"/api/v1/runs/{run}").json()["state"] == "running":
            assert time.monotonic() < deadline, daemon.log
            time.sleep(0.05)
        [one] = api.get(f"/api/v1/results/{run}").json()["scenarios"]
        assert api.delete(f"/api/v1/runs/{run}/window").status_code == 409
        assert api.post("/api/v1/runs/20000101_000000/window").status_code == 404
    assert one["record"]["command"]["text"] == "job --fast"
    assert one["record"]["status"] == "done"
    assert one["power_mean_watts"] == pytest.approx(49.5, rel=0.02)
    assert 2.0 <= one["window_seconds"] < 4.0
    assert one["per_execution"]["machine_joules"] == pytest.approx(one["energy_joules"])


async def test_a_recording_of_the_past_is_a_run_like_any_other(tmp_path: Path) -> None:
    """Of a whole day too; what is longer is refused, as no scenario may be."""
    now = time.time()
    with running_daemon(tmp_path) as daemon:
        async with Client(f"unix://{daemon.socket}") as client:
            made = await client.record_past(RecordingRequest(name="day", start=now - 86400.0, end=now))
            [one] = await client.runs()
            window = RecordingRequest(name="at once", start=now - 60.0, end=now)
            others = await asyncio.gather(*(client.record_past(window) for _ in range(8)))
            assert len({made.id, *(other.id for other in others)}) == 9, "none takes another's place"
            assert len(await client.runs()) == 9
            with pytest.raises(CallRefused, match="at most 24 hours later"):
                await client.record_past(RecordingRequest(name="days", start=now - 2 * 86400.0, end=now))
        daemon.stop()
        stored = msgspec.json.decode((daemon.state / "runs" / made.id / "run.json").read_bytes(), type=Run)
    assert made == one == stored
    assert stored.finished[0].name == "day"


async def test_setting_the_clock_back_does_not_interrupt_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LATE_SECONDS", 0.2)
    end = time.time()
    monkeypatch.setattr(time, "time", lambda: end - 3600.0)
    async with asyncio.timeout(10):
        _, lack = await recording.parts_of(_NothingYet(), end - 60.0, end)
    assert lack == ""


class _NothingYet:
    """A history that does not reach to the end of the window."""

    name = "sqlite"

    async def samples(self, selector: str, start: float, end: float) -> list[HistorySeries]:
        return [HistorySeries('wattview_workload_energy_joules_total{name="a"}', [(start, 1.0), (end - 1.0, 1.0)])]
