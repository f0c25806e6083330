"""``wattview record`` on a machine whose power follows its CPU use: from now on, ended early, and of the past."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.powercap import simulated_rapl

pytestmark = pytest.mark.slow

JOULES_PER_CPU_SECOND = 16.5
"""15 W for each busy CPU, and a tenth of it in DRAM."""

IDLE_WATTS = 22.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("record")
    with (
        simulated_rapl(directory / "sys") as sysfs,
        running_daemon(
            directory, f"paths.sysfs={sysfs}", f"power.idle_watts={IDLE_WATTS}", "history.interval=1s"
        ) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A program of its own name that keeps a CPU busy. Gives its pid."""
    program = tmp_path_factory.mktemp("busy") / "busy-one"
    shutil.copy("/bin/dash", program)
    with subprocess.Popen([program, "-c", "while :; do :; done"]) as process:
        yield process.pid
        process.kill()


def command(daemon: DaemonProcess, *arguments: str) -> list[str]:
    settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]
    return [sys.executable, "-m", "wattview", "record", *settings, "--json", *arguments]


def part_of(result: dict[str, Any], name: str) -> float:
    [one] = [part for part in result["scenarios"][0]["record"]["parts"] if part["name"] == name]
    return float(one["energy_joules"])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_recording_has_the_energy_of_each_program_and_so_has_the_same_window_later(
    daemon: DaemonProcess, busy: int
) -> None:
    deadline = time.monotonic() + 30
    while "busy-one" not in daemon.api.get("/api/v1/snapshot").text:
        assert time.monotonic() < deadline, [one.name for one in daemon.snapshot().workloads]
        time.sleep(0.5)
    history = {"series": "wattview_workload_energy_joules_total", "start": 0, "end": 9e9}
    while "busy-one" not in daemon.api.get("/api/v1/history", params=history).text:
        assert time.monotonic() < deadline, "the history has not begun to record it"
        time.sleep(0.5)
    before = cpu_seconds(busy)
    done = subprocess.run(
        command(daemon, "--for", "8s", "--name", "evening"), capture_output=True, text=True, timeout=60
    )
    used = cpu_seconds(busy) - before
    assert done.returncode == 0, done.stderr
    live = json.loads(done.stdout)
    [one] = live["scenarios"]
    assert (one["record"]["type"], one["record"]["name"]) == ("recording", "evening")
    assert one["window_seconds"] == pytest.approx(8.0, abs=1.0)
    per_second = used / (one["window_seconds"] + 1.0)  # the command itself took a second more
    expected = JOULES_PER_CPU_SECOND * per_second * one["window_seconds"]
    assert part_of(live, "busy-one") == pytest.approx(expected, rel=0.35)
    active = one["energy_joules"] - IDLE_WATTS * one["window_seconds"]
    workloads = [part["energy_joules"] for part in one["record"]["parts"] if part["kind"] == "workload"]
    assert sum(workloads) <= active * 1.1, "the parts are no more than the whole"

    start, end = one["record"]["start_time"], one["record"]["end_time"]
    times = [datetime.fromtimestamp(at).isoformat() for at in (start, end)]
    past = subprocess.run(
        command(daemon, "--from", times[0], "--to", times[1], "--name", "again"), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert past.returncode == 0, past.stderr
    later = json.loads(past.stdout)
    assert later["scenarios"][0]["energy_joules"] == pytest.approx(one["energy_joules"], rel=0.02)
    assert part_of(later, "busy-one") == pytest.approx(part_of(live, "busy-one"), rel=0.05)


def test_a_recording_that_is_interrupted_is_kept(daemon: DaemonProcess, busy: int) -> None:
    with subprocess.Popen(
        command(daemon, "--for", "1h", "--name", "cut"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 20
        while '"phase":"measuring"' not in daemon.api.get("/api/v1/runs").text:
            assert time.monotonic() < deadline, daemon.log
            time.sleep(0.1)
        time.sleep(2.0)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    [one] = json.loads(said)["scenarios"]
    assert 1.5 < one["window_seconds"] < 30.0
    assert one["record"]["notes"] == ["ended early on request"]
    assert one["energy_joules"] > IDLE_WATTS


def test_a_window_that_the_history_does_not_hold_is_unknown_and_says_so(daemon: DaemonProcess) -> None:
    done = subprocess.run(
        command(daemon, "--from", "2020-01-01T20:00", "--to", "2020-01-01T21:00"), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    [one] = json.loads(done.stdout)["scenarios"]
    assert one["energy_joules"] is None
    assert one["reasons"]["energy_joules"]
    assert one["record"]["parts"] == []
