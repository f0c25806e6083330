"""Two daemons as two machines of different power, and the limit of one of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import running_daemon
from tests.support.powercap import simulated_rapl

pytestmark = pytest.mark.slow

TINY = ("--resolution", "160x90", "--fps", "10", "--bitrate", "60k", "--preset", "ultrafast", "--warmup", "1")


def wattview(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wattview", *arguments], capture_output=True, text=True, timeout=240,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200"},
    )  # fmt: skip


def test_the_machine_that_takes_less_is_named(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    with (
        simulated_rapl(small / "sys", curve="constant:20") as of_small,
        simulated_rapl(large / "sys", curve="constant:60") as of_large,
        running_daemon(small, f"paths.sysfs={of_small}") as one,
        running_daemon(large, f"paths.sysfs={of_large}") as other,
    ):
        run = ("run", "--name", "tiny", "--duration", "3", "--cooldown", "0", "--baseline", "0", "--no-quality",
               "--no-push", "--repeat", "2", *TINY)  # fmt: skip
        done = wattview(tmp_path, *run, "--on", f"unix://{one.socket}", "--on", f"unix://{other.socket}")
        assert done.returncode == 0, done.stderr
        one.process.kill()
        one.process.wait()
        failed = wattview(tmp_path, *run, "--on", f"unix://{one.socket}", "--on", f"unix://{other.socket}")
        runs = other.api.get("/api/v1/runs").json()
    # 20 and 60 W, and a tenth of it in DRAM.
    verdict = " ".join(done.stdout.partition("not pushed: ")[2].split())  # it is wrapped
    assert "has the least" in verdict
    assert re.search(r"least mean power, 4[34]\.\d+ W \(6[67] %\) less than .*, 95 % interval", verdict)
    assert verdict.index(str(one.socket)) < verdict.index(str(other.socket))
    assert failed.returncode == 1
    assert "nothing was measured anywhere" in failed.stderr
    assert {run["state"] for run in runs} == {"done", "aborted"}, "what had begun elsewhere was stopped"


def test_the_limit_is_the_last_number_that_keeps_real_time(tmp_path: Path) -> None:
    """So few streams as are tried here fit on any machine."""
    with simulated_rapl(tmp_path / "sys") as sysfs, running_daemon(tmp_path, f"paths.sysfs={sysfs}") as daemon:
        settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]
        steps = ("capacity", "--duration", "2", "--baseline", "2", "--no-push", *TINY, *settings)
        done = wattview(tmp_path, *steps, "--most", "3", "--json")
        none = wattview(
            tmp_path, "capacity", "--duration", "6", "--warmup", "1", "--baseline", "0", "--no-push", "--resolution",
            "3840x2160", "--fps", "60", "--preset", "veryslow", "--bitrate", "30M", *settings,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["streams"], [step["streams"] for step in found["steps"]]) == (3, [1, 2, 3])
    assert all(step["mean_watts"] > 15.0 for step in found["steps"])
    assert all(step["above_baseline_watts"] is not None for step in found["steps"])
    assert none.returncode == 1
    assert "not even one stream is in real time on this machine" in none.stdout
