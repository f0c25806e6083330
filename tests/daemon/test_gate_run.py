"""``wattview gate --run``: both sides measured in turn, and judged; on a machine whose power follows its CPU use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from tests.support.powercap import simulated_rapl
from tests.support.scenario_results import baseline, result
from wattview.cli.gate_run import BASELINE, CANDIDATE, interleaved, is_suite, side
from wattview.model import RunRequest, RunResult, Scenario

SUITE = """
baseline = 2
[[scenarios]]
name = "tiny"
resolution = "160x90"
fps = 10
bitrate = "60k"
preset = "{preset}"
duration = 2
warmup = 1
cooldown = 0
quality = false
push = false
"""


def test_the_two_sides_take_turns() -> None:
    one = RunRequest(scenarios=[Scenario(name="a"), Scenario(name="b")], baseline=20.0)
    other = RunRequest(scenarios=[Scenario(name="idle", type="baseline"), Scenario(name="a", preset="slow")])
    found = interleaved(one, other)
    assert [scenario.name for scenario in found.scenarios] == ["baseline: a", "candidate: a", "baseline: b"]
    assert found.baseline == 20.0


def test_each_side_has_its_scenarios_and_both_share_the_idle_windows() -> None:
    run = RunResult(
        id="x", path="", test_date="",
        scenarios=[baseline(20.0), result(50.0, name="baseline: a #1", setting="baseline: a"),
                   result(60.0, name="candidate: a #1", setting="candidate: a")],
    )  # fmt: skip
    first, second = side(run, BASELINE), side(run, CANDIDATE)
    assert [(one.record.name, one.record.setting) for one in first.scenarios] == [("b", None), ("a #1", "a")]
    assert [one.power_mean_watts for one in second.scenarios] == [20.0, 60.0]
    assert first.id != second.id


def test_a_suite_and_a_run_are_distinguished(tmp_path: Path) -> None:
    suite, run = tmp_path / "suite.json", tmp_path / "run.json"
    suite.write_text('{"scenarios": [{"name": "a", "bitrate": "1M"}]}')
    run.write_text('{"test_date": "2026-01-01", "scenarios": [{"name": "a", "vmaf_score": 90}]}')
    assert is_suite(str(suite))
    assert is_suite("anything.toml")
    assert not is_suite(str(run))
    assert not is_suite("latest")


@pytest.mark.slow
def test_two_suites_are_measured_in_one_run_and_judged(tmp_path: Path) -> None:
    for name, preset in (("old", "ultrafast"), ("new", "veryfast")):
        (tmp_path / f"{name}.toml").write_text(SUITE.format(preset=preset))
    with simulated_rapl(tmp_path / "sys") as sysfs, running_daemon(tmp_path, f"paths.sysfs={sysfs}") as daemon:
        done = subprocess.run(
            [sys.executable, "-m", "wattview", "gate", "old.toml", "--run", "new.toml", "--repeat", "3", "--max",
             "power=+500%", "--json", "--set", f"daemon.control_socket={daemon.socket}", "--set",
             f"paths.state={daemon.state}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=180, env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        [run] = daemon.api.get("/api/v1/runs").json()
    assert done.returncode in (0, 3), done.stderr
    report = json.loads(done.stdout)
    assert (report["baseline"], report["candidate"]) == (f"{run['id']} baseline", f"{run['id']} candidate")
    [check] = report["checks"]
    assert check["setting"]
    names = [one["name"] for one in run["scenarios"] if one["type"] == "streams"]
    assert names[:4] == ["baseline: tiny #1", "candidate: tiny #1", "candidate: tiny #2", "baseline: tiny #2"]
