"""The steps of load of ``wattview calibrate``: from idle to all CPUs, with the GPU where there is one."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.cli.calibrate.load_steps import GPU_SESSIONS, MOST_SAID_BYTES, PACED_SHARE, Encoders, LoadStep, steps_of

IDLE = LoadStep()


def weight(step: LoadStep) -> float:
    return step.full + PACED_SHARE * step.paced


@given(count=st.integers(8, 60), cpus=st.integers(1, 256), gpu=st.booleans())
def test_the_steps_go_from_idle_to_all_cpus_and_back(count: int, cpus: int, gpu: bool) -> None:
    steps = steps_of(count, cpus, gpu)
    assert len(steps) == count
    assert steps[0] == IDLE
    assert steps.count(IDLE) == 2
    assert max(map(weight, steps)) == pytest.approx(cpus)
    rising = [weight(step) for step in steps[: steps.index(IDLE, 1)] if not step.on_gpu]
    assert rising == sorted(rising)
    assert [step.on_gpu for step in steps if step.on_gpu] == (list(GPU_SESSIONS) if gpu else [])


def test_a_load_step_has_a_description() -> None:
    assert IDLE.words == "idle"
    assert LoadStep(3, 2, "medium").words == "3 x medium, 2 in real time"
    assert LoadStep(on_gpu=2).words == "2 on the GPU"


def test_an_encoder_that_exits_by_itself_fails_and_a_stopped_one_does_not() -> None:
    encoders = Encoders("false", "libx264", "")
    encoders.start(LoadStep(full=1))
    while not (problem := encoders.problem()):
        continue
    assert problem == "FFmpeg ended with status 1: it said nothing"
    encoders.stop()
    assert encoders.problem() == ""


def test_endless_output_of_an_encoder_does_not_fill_the_disk(tmp_path: Path) -> None:
    """As FFmpeg does with a broken driver; and it has a child that obeys nothing."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n(trap '' TERM HUP INT; exec sleep 600) &\nexec yes 'the driver is not there' >&2\n")
    program.chmod(0o755)
    encoders = Encoders(str(program), "libx264", "")
    encoders.start(LoadStep(full=1))
    deadline = time.monotonic() + 20
    while not (problem := encoders.problem()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert problem.startswith("FFmpeg ended with status")
    assert len(problem) < 5000
    [(process, said)] = encoders._running
    assert os.fstat(said.fileno()).st_size <= MOST_SAID_BYTES
    encoders.stop()
    deadline = time.monotonic() + 60
    while _is_group(process.pid):
        assert time.monotonic() < deadline, "its child is still there"
        time.sleep(0.01)


def _is_group(group: int) -> bool:
    """Whether one of it still runs. Dead ones stay in it until their parent, perhaps this program, waits for them."""
    running = (one for one in psutil.process_iter(["status"]) if one.info["status"] != psutil.STATUS_ZOMBIE)
    for one in running:
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(one.pid) == group:
                return True
    return False
