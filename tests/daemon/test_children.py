# ruff: noqa: ASYNC240
"""Children, and what they start: bounded in what they say, and never there when the daemon is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.support.daemon import alive
from tests.support.ffmpeg import until
from wattview.daemon import child_log, children
from wattview.daemon.child_log import ChildLog

SHELL = ["/bin/sh", "-c"]


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def pid_in(path: Path) -> int:
    await until(lambda: path.exists() and path.read_text().strip(), f"{path.name} has a pid")
    return int(path.read_text())


WRAPPERS = {
    "without exec": "sleep 600 & echo $! > {pid}; wait",
    "in the foreground": "sh -c 'echo $$ > {pid}; exec sleep 600'; true",
    "deaf": "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {pid}; while :; do sleep 0.1; done' & wait; wait",
    "ends and leaves one": "sleep 600 & echo $! > {pid}",
    "leaves one in a session of its own": "setsid sh -c 'echo $$ > {pid}; exec sleep 600' & sleep 600",
    "ends and leaves one in a session of its own": "setsid sh -c 'echo $$ > {pid}; exec sleep 600' &",
    "starts one with neither its session nor its environment": (
        "env -i PATH=$PATH setsid sh -c 'echo $$ > {pid}; exec sleep 600' & sleep 600"
    ),
    "leaves one that holds the output": "setsid sh -c 'echo $$ > {pid}; exec sleep 600' & exit 3",
}


@pytest.mark.parametrize("text", WRAPPERS.values(), ids=WRAPPERS)
async def test_descendants_of_a_child_end_with_it(tmp_path: Path, text: str) -> None:
    pid_file = tmp_path / "pid"
    program = script(tmp_path / "wrapper", text.format(pid=pid_file))
    process = await children.spawn([program], stdout=PIPE)
    pid = await pid_in(pid_file)
    before = time.monotonic()
    await children.stop(process, patience_seconds=0.3)
    assert time.monotonic() - before < 3.0
    assert not alive(pid)
    assert process.returncode is not None


@pytest.mark.parametrize("steps", range(8))
async def test_a_cancelled_start_ends_what_the_child_has_started(tmp_path: Path, steps: int) -> None:
    """At any step of the start, by a loop that is so busy that the child has got far by then."""
    pids = tmp_path / "pids"
    start = asyncio.create_task(children.spawn([*SHELL, f"echo $$ >> {pids}; sleep 600 & echo $! >> {pids}; wait"]))
    for _ in range(steps):
        await asyncio.sleep(0)
    time.sleep(0.15)  # noqa: ASYNC251
    start.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await children.stop(await start)
    started = [int(line) for line in pids.read_text().split()] if pids.exists() else []
    assert [pid for pid in started if alive(pid)] == []


async def test_a_childs_child_may_end_in_peace(tmp_path: Path) -> None:
    """What a wrapper has started is asked too, and has the same patience: an FFmpeg closes its files."""
    inner = 'trap "sleep 0.3; echo done > {done}; exit 0" TERM; echo $$ > {pid}; while :; do sleep 0.05; done'
    text = f"sh -c '{inner}' & wait"
    done, pid_file = tmp_path / "done", tmp_path / "pid"
    process = await children.spawn([*SHELL, text.format(done=done, pid=pid_file)])
    pid = await pid_in(pid_file)
    await children.stop(process, patience_seconds=5.0)
    assert not alive(pid)
    assert done.read_text() == "done\n"


async def test_nothing_else_is_signalled(tmp_path: Path) -> None:
    """A process that the daemon's own process has started otherwise, and another child with all that it has started."""
    stranger = await asyncio.create_subprocess_exec("sleep", "600")
    pid_file = tmp_path / "pid"
    other = await children.spawn([*SHELL, f"sleep 600 & echo $! > {pid_file}; wait"])
    pid = await pid_in(pid_file)
    process = await children.spawn(["sleep", "600"])
    try:
        await children.stop(process, patience_seconds=0.2)
        assert alive(stranger.pid)
        assert alive(other.pid)
        assert alive(pid)
    finally:
        stranger.kill()
        await stranger.wait()
        await children.stop(other, patience_seconds=0.2)
    assert not alive(pid)


async def test_the_exit_of_a_child_is_seen_though_its_output_stays_open(tmp_path: Path) -> None:
    process = await children.spawn([*SHELL, "sleep 600 & exit 7"], stdout=PIPE)
    assert await children.ended(process, 5.0)
    assert process.returncode == 7
    assert await children.stop(process, patience_seconds=0.0) == 7


DAEMON = """
import asyncio, sys
from wattview.daemon import children
async def main():
    await children.spawn(["/bin/sh", "-c", sys.argv[2], sys.argv[1]])
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("text", ["sleep 600 & echo $! > $0; wait", "setsid sleep 600 & echo $! > $0; wait"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_grandchildren_end_with_a_killed_daemon(tmp_path: Path, number: signal.Signals, text: str) -> None:
    pid_file = tmp_path / "pid"
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", DAEMON, str(pid_file), text)
    pid = await pid_in(pid_file)
    daemon.send_signal(number)
    await daemon.wait()
    await until(lambda: not alive(pid), "the child's child is gone", seconds=5)


async def test_a_line_of_any_length_is_read(tmp_path: Path) -> None:
    text = "import sys; sys.stdout.write('a' * 300_000 + '\\nframe=5\\n' + 'b' * 300_000)"
    process = await children.spawn([sys.executable, "-c", text], stdout=PIPE)
    assert process.stdout is not None
    lines = [line async for line in children.lines(process.stdout)]
    await children.stop(process)
    assert [line[:7] for line in lines] == [b"aaaaaaa", b"frame=5", b"bbbbbbb"]
    assert max(len(line) for line in lines) <= children.LINE_BYTES


async def test_endless_output_of_a_child_does_not_fill_the_disk(tmp_path: Path) -> None:
    """64 MB on standard error: the command, the beginning and the last words stay."""
    text = "import sys\nfor n in range(640_000): sys.stderr.write(f'{n:099d}\\n')\nsys.stderr.write('the last word\\n')"
    log = ChildLog(tmp_path / "a.log", "# the command", "0000639999")
    process = await children.spawn([sys.executable, "-c", text], stderr=log)
    assert await children.ended(process, 60.0)
    await children.stop(process)
    content = log.path.read_bytes()
    assert len(content) <= child_log.MAX_BYTES + child_log.CHUNK_BYTES
    assert content.startswith(b"# the command\n" + b"0" * 99 + b"\n")
    assert content.endswith(b"the last word\n")
    assert b"bytes were left out" in content
    assert log.seen, "a phrase is seen though it stands in what was left out"


async def test_a_disk_that_is_full_does_not_stop_a_child() -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.fail("/dev/full is needed")
    process = await children.spawn([sys.executable, "-c", "import sys; sys.stderr.write('x' * 1_000_000)"],
                                   stderr=ChildLog(Path("/dev/full")))  # fmt: skip
    assert await children.ended(process, 10.0)
    assert await children.stop(process) == 0


async def test_a_pipe_that_a_stranger_holds_open_is_closed_here() -> None:
    """One who has left with neither the session nor the environment of its parent is not known as ours."""
    before = set(os.listdir("/proc/self/fd"))
    text = "env -i PATH=$PATH setsid sh -c 'echo $$; exec sleep 600' & exit 0"
    status, said = await children.output([*SHELL, text], seconds=10.0)
    try:
        assert status == 0
        assert alive(int(said))
        await until(lambda: set(os.listdir("/proc/self/fd")) <= before, "the pipe is closed")
    finally:
        os.kill(int(said), signal.SIGKILL)


async def test_a_command_that_never_stops_printing_or_hangs_is_ended() -> None:
    before = time.monotonic()
    status, said = await children.output(["yes"], seconds=1.0)
    assert status == -1
    assert len(said) <= children.OUTPUT_BYTES
    assert await children.output([*SHELL, "echo a; sleep 600 & exit 4"], seconds=30.0) == (4, b"a\n")
    assert await children.output(["sleep", "600"], seconds=0.3) == (-1, b"")
    assert await children.output([*SHELL, "echo hello; sleep 600"], seconds=60.0, silent_seconds=0.3) == (
        -1,
        b"hello\n",
    )
    assert time.monotonic() - before < 6.0
    assert await children.output([*SHELL, "echo a; echo b >&2; exit 4"], seconds=5.0) == (4, b"a\nb\n")
    assert await children.output([*SHELL, "echo a; echo b >&2"], seconds=5.0, errors=False) == (0, b"a\n")


async def test_a_child_is_not_taken_for_an_orphan_while_it_starts() -> None:
    """The end of one child looks for orphans, and others start meanwhile."""
    statuses = []

    async def started_and_ended() -> None:
        for _ in range(10):
            process = await children.spawn(["sleep", "0.02"])
            assert await children.ended(process, 10)
            statuses.append(await children.end(process))

    async def looked() -> None:
        while len(statuses) < 40:
            await children.output(["true"], seconds=10)

    await asyncio.gather(*(started_and_ended() for _ in range(4)), looked(), looked())
    assert statuses == [0] * 40
