"""Child processes that never outlive the daemon.

Every program that the daemon starts (FFmpeg, nginx) is started here, as an argument list without a shell, under
``setpriv --pdeathsig``: the kernel signals the child when the daemon dies for any reason. Each child leads a session
and a process group, which is ended as a whole; ``child_groups`` finds what leaves the group. Only processes started
here are ever signalled, every wait has a time-out, and the output that is kept is limited.
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
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattview.daemon import child_groups
from wattview.daemon.child_log import ChildLog

log = logging.getLogger("wattview.children")

LINE_BYTES = 1 << 16
OUTPUT_BYTES = 1 << 24
KILL_SECONDS = 5.0
"""How long a killed process may take to disappear: one that waits for a dead disk or network share does not."""

DRAIN_SECONDS = 1.0
"""How long remaining output is read after the end; a pipe held open by another process would take longer."""


class ProgramMissing(OSError):
    """A program is not installed. The text names it and its package."""


PACKAGES = {
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "nginx": "libnginx-mod-rtmp nginx-light",
    "setpriv": "util-linux",
    "nice": "coreutils",
}


def find_program(name: str) -> str:
    """The path of a program, by name or path. Raises ProgramMissing, which says how to install it."""
    found = shutil.which(name)
    if found is None:
        package = PACKAGES.get(Path(name).name)
        way_out = f"; run: sudo apt-get install {package}" if package else ""
        raise ProgramMissing(f"{name} is not installed or not executable{way_out}")
    return found


def child_command(argv: Sequence[str], *, death_signal: signal.Signals = signal.SIGKILL, nice: int = 0) -> list[str]:
    """``argv`` behind wrappers that tie its life to ours and lower its priority. They exec, so the pid is argv's."""
    program = find_program(argv[0])
    name = death_signal.name.removeprefix("SIG")
    # A capability of the daemon (to read RAPL's counters) is not inherited: FFmpeg reads other people's files.
    command = [find_program("setpriv"), "--pdeathsig", name, "--ambient-caps=-all", "--inh-caps=-all", "--"]
    if nice:
        command += [find_program("nice"), "-n", str(nice)]
    return [*command, program, *argv[1:]]


_running: dict[int, Process] = {}
_sessions: set[int] = set()
_descended: set[child_groups.Identity] = set()
_starting: set[asyncio.Future[Process]] = set()
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
) -> Process:
    """Starts a program. The kernel sends it ``death_signal`` when the daemon has died. A ``ChildLog`` receives its
    standard error.

    Must be called from the main thread's event loop: the kernel ties the child to the thread that started it. Raises
    ProgramMissing, or the kernel's OSError. ``stop`` must be called once, even if the child has ended.
    """
    if not _guarded:
        child_groups.guard()
        _guarded.append(True)
    command = child_command(argv, death_signal=death_signal, nice=nice)
    starting = asyncio.ensure_future(_registered(asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=PIPE if isinstance(stderr, ChildLog) else stderr, cwd=cwd,
        env={**(os.environ if env is None else env), **child_groups.mark()}, start_new_session=True,
    )))  # fmt: skip
    _starting.add(starting)
    starting.add_done_callback(_starting.discard)
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # asyncio alone would kill the program, and not what that has started by now.
        with contextlib.suppress(OSError):
            await stop(await starting, first=signal.SIGKILL)
        raise
    if isinstance(stderr, ChildLog):
        assert process.stderr is not None
        _logs[process.pid] = asyncio.create_task(stderr.take(process.stderr), name=f"log {stderr.path.name}")
    return process


async def _registered(start: Coroutine[Any, Any, Process]) -> Process:
    process = await start
    _running[process.pid] = process
    _sessions.add(process.pid)
    return process


async def stop(process: Process, *, first: signal.Signals = signal.SIGTERM, patience_seconds: float = 5.0) -> int:
    """Ends a child that ``spawn`` returned and everything it started: sends ``first``, then kills. Returns its exit
    status; -9 if the kernel cannot end it now."""
    status = await end(process, first=first, patience_seconds=patience_seconds)
    await end_strays(patience_seconds)
    close_pipes(process)
    return status


async def end(process: Process, *, first: signal.Signals = signal.SIGTERM, patience_seconds: float = 5.0) -> int:
    """Like ``stop``, but without processes that left the group or outlived the child: ``end_strays`` finds those, for
    many children at once. Nor are its pipes closed (``close_pipes``)."""
    _descended.intersection_update([child_groups.identity(pid) for pid, _ in _descended])
    if process.returncode is None:
        _descended.update(child_groups.descendants(process.pid))
    for number, seconds in ((first, patience_seconds), (signal.SIGKILL, KILL_SECONDS)):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
            await ended(process, seconds)
    await heard(process)
    _running.pop(process.pid, None)
    _logs.pop(process.pid, None)
    if process.returncode is None:
        log.error("process %d was killed but still exists after %g s", process.pid, KILL_SECONDS)
        return -signal.SIGKILL
    return process.returncode


def close_pipes(process: Process) -> None:
    """Closes our ends of a child's pipes: asyncio keeps them for as long as any process has the other ends open."""
    process._transport.close()  # type: ignore[attr-defined]


async def end_strays(patience_seconds: float = 0.0) -> None:
    """Ends the orphans of ended children: they were signalled with the group, so they are awaited and then killed."""
    loop = asyncio.get_running_loop()
    kill_at, give_up_at = loop.time() + patience_seconds, loop.time() + patience_seconds + KILL_SECONDS
    while left := await _strays():
        if loop.time() >= give_up_at:
            log.error("processes %s were killed but still exist", left)
            return
        if loop.time() >= kill_at:
            child_groups.kill(left)
        await asyncio.sleep(0.02)


async def _strays() -> list[int]:
    """The orphans of ended children."""
    found = await asyncio.to_thread(child_groups.marked, set(_sessions), set(_descended))
    # What was started during this look is a child of ours, and known by now or in a moment.
    loop = asyncio.get_running_loop()
    if starting := [one for one in _starting if one.get_loop() is loop]:
        await asyncio.wait(starting)
    orphans = [pid for pid, session in found.items() if pid not in _sessions and session not in _running]
    return [pid for pid in orphans if not child_groups.reaped(pid)]


async def ended(process: Process, seconds: float | None = None) -> bool:
    """Waits until a child has ended, even if its pipes are still open; False on a time-out."""
    waiting = asyncio.ensure_future(process.wait())
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    try:
        # Python versions whose wait() also waits for the pipes set the status before it returns.
        while process.returncode is None and (deadline is None or loop.time() < deadline):
            left = 0.25 if deadline is None else min(0.25, max(0.0, deadline - loop.time()))
            await asyncio.wait({waiting}, timeout=left)
    finally:
        waiting.cancel()
    return process.returncode is not None


async def heard(process: Process) -> None:
    """Returns when the log of an ended child is complete, or after a short time-out."""
    task = _logs.get(process.pid)
    if task is not None:
        await asyncio.wait({task}, timeout=DRAIN_SECONDS)
        if not task.done():
            task.cancel()


async def lines(stream: StreamReader) -> AsyncIterator[bytes]:
    """The lines of a stream, without line ends; only the start of lines longer than ``LINE_BYTES``."""
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
    """Runs a short command to its end: its exit status and output, with ``errors`` standard error too; at most the
    first ``OUTPUT_BYTES``.

    The status is -1 if it did not end within ``seconds``, or was silent for ``silent_seconds`` after some output.
    Raises ProgramMissing, OSError.
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
    """Whether the stream has ended; False if it has been silent for too long."""
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
