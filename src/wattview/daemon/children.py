"""Child processes that never outlive the daemon.

Every program that the daemon starts (FFmpeg, nginx) is started here, as an argument list without a shell, under
``setpriv --pdeathsig``: the kernel signals the child when the daemon dies, however it dies. Each is the leader of a
session and of a process group, which is ended as a whole; what leaves the group is found as ``child_groups`` says. Only
what was started here is ever signalled, every wait ends, and of what a child says no more is kept than is stated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattview.daemon import child_groups
from wattview.daemon.child_log import ChildLog

log = logging.getLogger("wattview.children")

LINE_BYTES = 1 << 16
OUTPUT_BYTES = 1 << 24
KILL_SECONDS = 5.0
"""How long a killed process may take to be gone: one that waits for a dead disk or network share does not go."""

DRAIN_SECONDS = 1.0
"""What was said before the end is read within this; a pipe that somebody else holds open stays open longer."""


class ProgramMissing(OSError):
    """A program that is not installed. The text names it and the package that brings it."""


PACKAGES = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "nginx": "libnginx-mod-rtmp nginx-light",
    "setpriv": "util-linux",
    "nice": "coreutils",
}


def find_program(name: str) -> str:
    """The path of a program, by name or path. Raises ProgramMissing with the way out."""
    found = shutil.which(name)
    if found is None:
        package = PACKAGES.get(Path(name).name)
        way_out = f"; run: sudo apt-get install {package}" if package else ""
        raise ProgramMissing(f"{name} is not installed or not executable{way_out}")
    return found


def child_command(argv: Sequence[str], *, death_signal: signal.Signals = signal.SIGKILL, nice: int = 0) -> list[str]:
    """``argv`` behind the wrappers that tie its life to ours and lower its priority. They exec: the pid is argv's."""
    program = find_program(argv[0])
    name = death_signal.name.removeprefix("SIG")
    # A daemon that was given a capability (to read RAPL's counters) does not pass it on: FFmpeg reads others' files.
    command = [find_program("setpriv"), "--pdeathsig", name, "--ambient-caps=-all", "--inh-caps=-all", "--"]
    if nice:
        command += [find_program("nice"), "-n", str(nice)]
    return [*command, program, *argv[1:]]


_running: dict[int, Process] = {}
_sessions: set[int] = set()
_logs: dict[int, asyncio.Task[None]] = {}
_guarded: list[bool] = []


async def spawn(
    argv: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    nice: int = 0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | Any = DEVNULL,
    stdout: int | Any = DEVNULL,
    stderr: int | ChildLog | Any = DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Process:
    """Starts a program. ``death_signal`` is what the kernel sends it when the daemon has died. A ``ChildLog`` takes
    what it says on standard error.

    Must be called from the main thread's event loop: the kernel ties the child to the thread that started it.
    Raises ProgramMissing, or OSError as the kernel gives it. ``stop`` must be called once, also where it has ended.
    """
    if not _guarded:
        child_groups.guard()
        _guarded.append(True)
    command = child_command(argv, death_signal=death_signal, nice=nice)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=PIPE if isinstance(stderr, ChildLog) else stderr, cwd=cwd,
        env={**(os.environ if env is None else env), **child_groups.mark()}, pass_fds=pass_fds, start_new_session=True,
    )  # fmt: skip
    _running[process.pid] = process
    _sessions.add(process.pid)
    if isinstance(stderr, ChildLog):
        assert process.stderr is not None
        _logs[process.pid] = asyncio.create_task(stderr.take(process.stderr), name=f"log {stderr.path.name}")
    return process


async def stop(process: Process, *, first: signal.Signals = signal.SIGTERM, patience_seconds: float = 5.0) -> int:
    """Ends a child that ``spawn`` returned and everything that it has started: asks with ``first``, then kills.
    Returns its exit status; -9 for one that the kernel cannot end now."""
    status = await end(process, first=first, patience_seconds=patience_seconds)
    await end_strays(patience_seconds)
    return status


async def end(process: Process, *, first: signal.Signals = signal.SIGTERM, patience_seconds: float = 5.0) -> int:
    """As ``stop``, but for what has left the child's own process or outlived it: ``end_strays`` finds that, for many
    children at once."""
    for number, seconds in ((first, patience_seconds), (signal.SIGKILL, KILL_SECONDS)):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            await ended(process, seconds)
    await heard(process)
    _running.pop(process.pid, None)
    _logs.pop(process.pid, None)
    if process.returncode is None:
        log.error("process %d was killed and is not gone after %g s", process.pid, KILL_SECONDS)
        return -signal.SIGKILL
    return process.returncode


async def end_strays(patience_seconds: float = 0.0) -> None:
    """Ends what children that are no more have left behind: asked they have been with the group, so that they are
    waited for and then killed."""
    loop = asyncio.get_running_loop()
    kill_at, give_up_at = loop.time() + patience_seconds, loop.time() + patience_seconds + KILL_SECONDS
    while left := await asyncio.to_thread(child_groups.strays, set(_running), set(_sessions)):
        if loop.time() >= give_up_at:
            log.error("processes %s were killed and are not gone", left)
            return
        if loop.time() >= kill_at:
            child_groups.kill(left)
        await asyncio.sleep(0.02)


async def ended(process: Process, seconds: float | None = None) -> bool:
    """Waits until a child has ended, whoever still holds its pipes; False where it has not in time."""
    waiting = asyncio.ensure_future(process.wait())
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    try:
        # The status is there before wait() returns in those Pythons where it waits for the pipes too.
        while process.returncode is None and (deadline is None or loop.time() < deadline):
            left = 0.25 if deadline is None else min(0.25, max(0.0, deadline - loop.time()))
            await asyncio.wait({waiting}, timeout=left)
    finally:
        waiting.cancel()
    return process.returncode is not None


async def heard(process: Process) -> None:
    """Returns when the log of a child that has ended has all that it said, or soon."""
    task = _logs.get(process.pid)
    if task is not None:
        await asyncio.wait({task}, timeout=DRAIN_SECONDS)
        if not task.done():
            task.cancel()


async def lines(stream: StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream, without their ends; of one that is longer than ``LINE_BYTES`` its beginning."""
    rest = b""
    while data := await stream.read(LINE_BYTES):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line[:LINE_BYTES]
        rest = rest[:LINE_BYTES]
    if rest:
        yield rest


async def output(
    argv: Sequence[str],
    *,
    seconds: float,
    silent_seconds: float | None = None,
    nice: int = 19,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    errors: bool = True,
) -> tuple[int, bytes]:
    """Runs a short command to its end: its exit status and what it said, with ``errors`` on standard error too; at most
    ``OUTPUT_BYTES`` from the beginning.

    The status is -1 where it did not end within ``seconds``, or was silent for ``silent_seconds`` after it had said
    something. Raises ProgramMissing, OSError.
    """
    process = await spawn(argv, nice=nice, cwd=cwd, env=env, stdout=PIPE, stderr=STDOUT if errors else DEVNULL)
    assert process.stdout is not None
    said = bytearray()
    exit_ = asyncio.create_task(ended(process))
    reading = asyncio.create_task(_read(process.stdout, said, silent_seconds))
    try:
        await asyncio.wait({exit_, reading}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if exit_.done():
            await asyncio.wait({reading}, timeout=DRAIN_SECONDS)
        elif reading.done() and reading.result():
            await asyncio.wait({exit_}, timeout=seconds)
        return (process.returncode if exit_.done() and process.returncode is not None else -1), bytes(said)
    finally:
        exit_.cancel()
        reading.cancel()
        await stop(process, patience_seconds=0.0)


async def _read(stream: StreamReader, said: bytearray, silent_seconds: float | None) -> bool:
    """Whether the stream has ended; False where it has been silent for too long."""
    patience = None
    while True:
        try:
            async with asyncio.timeout(patience):
                data = await stream.read(1 << 16)
        except TimeoutError:
            return False
        if not data:
            return True
        said += data[: OUTPUT_BYTES - len(said)]
        patience = silent_seconds
