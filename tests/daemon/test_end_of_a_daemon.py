"""A daemon that ends while a run is under way leaves no process and a run that says what became of it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, alive, running_daemon, wait_gone

WRAPPERS = {
    "with a child": ('sleep 600 & ffmpeg "$@"', signal.SIGKILL),
    "with children in sessions of their own": ('setsid sleep 600 & setsid ffmpeg "$@" & wait $!', signal.SIGTERM),
    "deaf": ("trap '' TERM; (while :; do sleep 0.2; done) & ffmpeg \"$@\"", signal.SIGTERM),
}
"""What stands in FFmpeg's place, and how the daemon is ended."""

SCENARIO = {
    "name": "long", "streams": 2, "resolution": "320x180", "preset": "ultrafast", "duration": 600, "warmup": 0.2,
    "quality": False,
}  # fmt: skip


def started(daemon: DaemonProcess) -> set[int]:
    """All that a run has started, once it measures."""
    answer = daemon.api.post("/api/v1/runs", json={"scenarios": [SCENARIO]})
    assert answer.status_code == 201, answer.text
    end = time.monotonic() + 30
    while True:
        run = daemon.snapshot().run
        if run is not None and run.progress is not None and run.progress.phase == "measuring":
            return daemon.children()
        assert time.monotonic() < end, daemon.log
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("wrapper", "number"), WRAPPERS.values(), ids=WRAPPERS)
def test_nothing_is_left_of_a_run_behind_a_wrapper(tmp_path: Path, wrapper: str, number: signal.Signals) -> None:
    program = tmp_path / "my-ffmpeg"
    program.write_text(f"#!/bin/sh\n{wrapper}\n", "utf-8")
    program.chmod(0o755)
    setting = f"scenarios.ffmpeg={program}"
    with running_daemon(tmp_path, setting) as daemon:
        processes = started(daemon)
        assert len(processes) >= 4, "each stream is a wrapper and an ffmpeg"
        before = time.monotonic()
        daemon.process.send_signal(number)
        daemon.process.wait(20)
        assert time.monotonic() - before < 12
        assert wait_gone(processes, 5) == set()
        (journal,) = (daemon.state / "runs").glob("*/run.json")
    with running_daemon(tmp_path, setting) as again:
        (run,) = again.api.get("/api/v1/runs").json()
        assert run["state"] == "interrupted"
        assert json.loads(journal.read_text())["state"] == "interrupted"
        assert not [pid for pid in processes if alive(pid)]
