"""``wattview measure`` on real commands, beside a real daemon on a machine whose power follows its CPU use."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.ffmpeg import vmaf_ffmpeg
from tests.support.powercap import simulated_rapl

pytestmark = pytest.mark.slow

JOULES_PER_CPU_SECOND = 16.5
"""15 W for each busy CPU, and a tenth of it in DRAM."""

BURN = "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end: pass"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    directory = tmp_path_factory.mktemp("measure")
    with simulated_rapl(directory / "sys") as sysfs, running_daemon(directory, f"paths.sysfs={sysfs}") as running:
        yield running


def measure(
    daemon: DaemonProcess, folder: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """``wattview measure …`` in a folder, and the scenarios of its result, none where it left no result."""
    answer = folder / "answer.json"
    settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]
    done = subprocess.run(
        [sys.executable, "-m", "wattview", "measure", *settings, "--json", str(answer), *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done, json.loads(answer.read_text())["scenarios"] if answer.exists() else []


def ffmpeg_version() -> str:
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2]


def test_a_commands_energy_is_its_share_by_cpu_time(daemon: DaemonProcess, tmp_path: Path) -> None:
    done, (idle, one) = measure(daemon, tmp_path, "--baseline", "3", "--name", "burn", "--", sys.executable, "-c", BURN)
    assert done.returncode == 0, done.stderr
    command, each = one["record"]["command"], one["per_execution"]
    assert command["executions"] == (2 if command["seconds"] / command["executions"] < 2 else 1)
    assert each["cpu_seconds"] == pytest.approx(1.55, abs=0.15)
    # On a machine that other work fills, the command displaces it, and the energy above the baseline is less.
    free = os.cpu_count() - idle["cpu_seconds"] / idle["window_seconds"]  # type: ignore[operator]
    if free > 1.2:
        assert each["joules"] == pytest.approx(JOULES_PER_CPU_SECOND * each["cpu_seconds"], rel=0.2)
    else:
        assert each["joules"] < 1.2 * JOULES_PER_CPU_SECOND * each["cpu_seconds"]
    assert "energy of the command" in " ".join(done.stderr.split())


def test_its_output_is_the_commands_and_so_is_its_exit_status(daemon: DaemonProcess, tmp_path: Path) -> None:
    done, [one] = measure(daemon, tmp_path, "--baseline", "0", "--repeat", "3", "--", "sh", "-c", "echo said; exit 3")
    assert (done.returncode, done.stdout) == (3, "said\n"), "a command that fails is not repeated"
    assert one["record"]["command"]["exit_status"] == 3
    assert "the command ended with exit status 3" in one["record"]["notes"]


def test_a_signal_and_a_missing_program_end_as_in_a_shell(daemon: DaemonProcess, tmp_path: Path) -> None:
    killed, [one] = measure(daemon, tmp_path, "--baseline", "0", "--", "sh", "-c", "kill -9 $$")
    assert (killed.returncode, one["record"]["command"]["exit_status"]) == (137, 137)
    (tmp_path / "answer.json").unlink()
    missing, nothing = measure(daemon, tmp_path, "--", "no-such-program", "--fast")
    assert (missing.returncode, nothing) == (127, [])
    assert "no-such-program: no such command" in missing.stderr


def test_a_custom_ffmpeg_is_parsed(daemon: DaemonProcess, tmp_path: Path) -> None:
    """29.97 frames a second and an odd length: the frames are paired by their number, not by their time."""
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001:duration=5", "-c:v", "ffv1", "film.mkv"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *source], cwd=tmp_path, check=True)
    encode = ["ffmpeg", "-loglevel", "error", "-y", "-i", "film.mkv", "-c:v", "libx264"]
    done, [one] = measure(
        daemon, tmp_path, "--baseline", "0", "--once", "--quality", "--", *encode, "-qp", "0", "out.mp4"
    )
    record = one["record"]
    assert done.returncode == 0, done.stderr
    assert record["encoders"][0]["frames"] == 150
    assert record["encoders"][0]["speed"] > 0.5
    assert record["realtime"] is None, "nobody waits for a file"
    assert record["quality_frames"] == 150
    assert record["psnr_score"] == 100.0, "it was encoded without loss"
    assert record["encoder_tool"] == f"{shutil.which('ffmpeg')} {ffmpeg_version()}"
    assert record["quality_tool"].split()[0].endswith(vmaf_ffmpeg().rpartition("/")[2])
    assert record["spatial_information"] > 0
    assert record["temporal_information_mean"] > 0
    (tmp_path / "answer.json").unlink()
    refused, nothing = measure(daemon, tmp_path, "--quality", "--vmaf-model", "vmaf_v9", "--", *encode, "out.mp4")
    assert (refused.returncode, nothing) == (2, [])
    assert "has no vmaf_v9: it has vmaf_4k_v0.6.1" in " ".join(refused.stderr.split())
    worse, [other] = measure(
        daemon, tmp_path, "--baseline", "0", "--once", "--quality", "--", *encode, "-crf", "45", "out.mp4"
    )
    assert worse.returncode == 0, worse.stderr
    assert other["record"]["vmaf_score"] < record["vmaf_score"] - 5
    halved, [third] = measure(
        daemon, tmp_path, "--baseline", "0", "--once", "--quality", "--", *encode, "-r", "15", "out.mp4"
    )
    assert halved.returncode == 0, halved.stderr
    assert any("has no partner" in note for note in third["record"]["notes"])


def test_two_commands_are_measured_in_turn_and_judged_in_pairs(daemon: DaemonProcess, tmp_path: Path) -> None:
    less, more = (f"import time\nwhile time.process_time() < {seconds}: pass" for seconds in (0.2, 0.6))
    done, scenarios = measure(
        daemon, tmp_path, "--baseline", "0", "--repeat", "3", "--once", "--name", "old", "--name", "new", "--against",
        shlex.join([sys.executable, "-c", more]), "--", sys.executable, "-c", less,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [one["record"]["setting"] for one in scenarios] == ["old", "new", "new", "old", "old", "new"]
    settings = ["--set", f"daemon.control_socket={daemon.socket}", "--set", f"paths.state={daemon.state}"]
    answer = tmp_path / "answer.json"

    def gate(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "wattview", "gate", *settings, *arguments], capture_output=True, text=True,
            timeout=60, env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "300"},
        )  # fmt: skip

    judged = gate(f"{answer}:old", f"{answer}:new", "--max", "cpu_seconds_per_execution=+20%")
    assert judged.returncode == 1, judged.stdout
    assert "in pairs" in judged.stdout
    unknown = gate(f"{answer}:old", f"{answer}:newer", "--max", "cpu_seconds_per_execution=+20%")
    assert (unknown.returncode, "it has: old, new" in unknown.stderr) == (2, True), unknown.stderr
