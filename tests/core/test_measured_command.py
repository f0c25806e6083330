"""The command of ``wattview measure`` may do anything: its times are taken, and nothing of it is kept without bound."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from wattview.cli.measure.child import execute
from wattview.daemon.lab.encoding.ffmpeg_command import MAX_FIELDS, ProgressParser

REPORT = b"frame=25\\nout_time_us=1000000\\nprogress=end\\n"

FFMPEG = f"""#!{sys.executable}
import os, signal, sys, time
out = open(int(sys.argv[2].removeprefix("pipe:")), "wb", buffering=0)
WHAT
out.write(b"\\n{REPORT.decode()}")
"""


def ffmpeg(folder: Path, what: str) -> str:
    program = folder / "ffmpeg"
    program.write_text(FFMPEG.replace("WHAT", what).replace("\\\\", "\\"))
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    "what",
    [
        "for _ in range(1000): out.write(bytes(100_000))",
        "for _ in range(60): out.write(b'frame=1\\nprogress=continue\\n' * 1000)",
        "for n in range(60): out.write(b''.join(b'%d_%d=1\\n' % (n, m) for m in range(10_000)))",
    ],
    ids=("one line", "reports", "fields"),
)
async def test_endless_progress_output_takes_no_memory(tmp_path: Path, what: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = await execute([ffmpeg(tmp_path, what)])
    assert done.status == 0
    assert done.progress is not None
    assert (done.progress.frames, done.progress.out_seconds) == (25, 1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000, "kB"


@pytest.mark.parametrize(
    "child", ["time.sleep(60)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: out.write(b'frame=9\\n')"],
    ids=("silent", "deaf and talkative"),
)  # fmt: skip
async def test_a_surviving_child_does_not_delay_the_end(tmp_path: Path, child: str) -> None:
    code = f"pid = os.fork()\nif not pid:\n    open('pid', 'w').write(str(os.getpid()))\n    {child}"
    program = ffmpeg(tmp_path, code.replace("\nwhile", "\n    while").replace("'pid'", repr(str(tmp_path / "pid"))))
    began = time.monotonic()
    done = await execute([program])
    assert time.monotonic() - began < 10.0
    assert done.status == 0
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_fields_of_an_unterminated_block_are_dropped() -> None:
    parser = ProgressParser()
    for number in range(3 * MAX_FIELDS):
        parser.feed(f"field_{number}=1")
    assert len(parser._fields) <= MAX_FIELDS + 1
    assert parser.feed("progress=end") is not None


async def test_ctrl_c_is_restored_after_a_command() -> None:
    """It ends the measurement in order; Python's own handler would break off whatever runs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await execute(["true"])
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
