"""A run of the real daemon on a simulated machine: its figures stand on what it recorded itself, whatever history."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from tests.conftest import free_port
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.powercap import Constant, PowercapTree, link_real_sysfs, machine, simulated_rapl
from wattview.model import RunResult

BASELINE = {"name": "idle", "type": "baseline", "duration": 4.0, "warmup": 0.0, "cooldown": 0.0}


def result_of(daemon: DaemonProcess) -> RunResult:
    """Runs an idle window of four seconds."""
    answer = daemon.api.post("/api/v1/runs", json={"scenarios": [BASELINE]})
    assert answer.status_code == 201, answer.text
    run = answer.json()["id"]
    deadline = time.monotonic() + 40.0
    while daemon.api.get(f"/api/v1/runs/{run}").json()["state"] == "running":
        assert time.monotonic() < deadline, daemon.log
        time.sleep(0.2)
    return msgspec.json.decode(daemon.api.get(f"/api/v1/results/{run}").content, type=RunResult)


def test_a_window_is_exact_with_a_store_that_does_not_answer(tmp_path: Path) -> None:
    store = f"http://127.0.0.1:{free_port()}"
    with (
        simulated_rapl(tmp_path / "sys", curve="constant:45") as sysfs,
        running_daemon(
            tmp_path, f"paths.sysfs={sysfs}", "history.backend=prometheus",
            f"history.prometheus_url={store}",
        ) as daemon,
    ):  # fmt: skip
        [one] = result_of(daemon).scenarios
    assert one.window_seconds == pytest.approx(4.0, abs=0.5)
    assert one.power_source == "rapl", one.reasons
    # 45 W and a tenth of it in DRAM; the program that plays the machine writes its counters a hundred times a second.
    assert one.power_mean_watts == pytest.approx(49.5, rel=0.02), one.reasons
    assert one.energy_joules is not None
    assert one.energy_error_joules is not None
    assert one.energy_error_joules < 0.1 * one.energy_joules
    assert one.power_max_watts is not None
    assert one.power_mean_watts is not None
    assert one.power_mean_watts <= one.power_max_watts < 100.0
    assert one.power_percentile_watts is not None
    assert one.cpu_seconds is not None, one.reasons


def test_a_package_that_cannot_be_read_from_the_start_makes_the_run_unknown(tmp_path: Path) -> None:
    sysfs = tmp_path / "sys"
    link_real_sysfs(sysfs)
    tree = PowercapTree(sysfs, machine(Constant(50.0), sockets=2))
    tree.freeze("intel-rapl:1")
    (tree.directory("intel-rapl:1") / "energy_uj").write_text("\n")
    with running_daemon(tmp_path, f"paths.sysfs={sysfs}") as daemon:
        began = time.monotonic()
        tree.write(0.1)
        answer = daemon.api.post("/api/v1/runs", json={"scenarios": [BASELINE]})
        run = answer.json()["id"]
        while daemon.api.get(f"/api/v1/runs/{run}").json()["state"] == "running":
            tree.write(time.monotonic() - began)
            time.sleep(0.01)
        found = msgspec.json.decode(daemon.api.get(f"/api/v1/results/{run}").content, type=RunResult)
    [one] = found.scenarios
    assert (one.energy_joules, one.power_mean_watts, one.cost_energy) == (None, None, None)
    assert "intel-rapl:1" in one.reasons["energy_joules"]
    assert one.cpu_seconds is not None, one.reasons
    tree.close()
