"""The command of ``wattview measure``: a child on this terminal whose times are taken."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from wattview.cli.measure import command_line
from wattview.daemon.lab.encoding.ffmpeg_command import Progress, ProgressParser

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""A shell's exit statuses for a command that cannot be run."""

_PIECE_BYTES, _LINE_BYTES = 1 << 16, 1 << 12
_POLL_MILLISECONDS = 100
_AFTER_SECONDS = 1.0


class CommandTimes(Struct, frozen=True):
    """One execution: wall clock, CPU time including its waited-for children, a shell's exit status, and FFmpeg's last
    report, if it is FFmpeg; GPU time, or why it is unknown."""

    seconds: float
    cpu_seconds: float
    status: int
    progress: Progress | None = None
    gpu_seconds: float | None = None
    gpu_reason: str = ""


def why_not_runnable(command: Sequence[str]) -> tuple[int, str] | None:
    """The exit status and the reason if the program cannot be run; None if it can."""
    program = command[0]
    if shutil.which(program) is not None:
        return None
    if os.path.exists(program) and "/" in program:
        return NOT_EXECUTABLE, f"{program} is not executable"
    return NOT_FOUND, f"{program}: no such command"


async def execute(command: Sequence[str], started: Callable[[int], None] = lambda _: None) -> CommandTimes:
    """Runs it to its end. Ctrl-C reaches it through the terminal; SIGTERM is passed on. ``started`` gets its process
    id. Raises OSError."""
    if command_line.ffmpeg_at(command) is None or "-progress" in command:
        return await _run(command, None, started)
    reader, writer = os.pipe()
    ended = threading.Event()
    reading = asyncio.create_task(asyncio.to_thread(_last_report, reader, ended))
    try:
        done = await _run(command_line.with_progress(command, writer), writer, started)
    finally:
        ended.set()
    return CommandTimes(done.seconds, done.cpu_seconds, done.status, await reading)


def _started(command: Sequence[str], descriptor: int | None) -> subprocess.Popen[bytes]:
    """Starts it and closes our end of the descriptor, so that its exit closes the pipe. Raises OSError."""
    try:
        return subprocess.Popen(command, pass_fds=() if descriptor is None else (descriptor,))
    finally:
        if descriptor is not None:
            os.close(descriptor)


async def _run(command: Sequence[str], descriptor: int | None, tell: Callable[[int], None]) -> CommandTimes:
    loop = asyncio.get_running_loop()
    begun = time.monotonic()
    started = _started(command, descriptor)
    tell(started.pid)
    on_interrupt = signal.getsignal(signal.SIGINT)
    # A handler, not SIG_IGN, which the child would inherit.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, started.send_signal, signal.SIGTERM)
    try:
        _, status, usage = await asyncio.to_thread(os.wait4, started.pid, 0)
    finally:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
        signal.signal(signal.SIGINT, on_interrupt)  # asyncio.run's, which the loop does not put back
    seconds = time.monotonic() - begun
    code = os.waitstatus_to_exitcode(status)
    started.returncode = code  # it is reaped: Popen must not wait for it again
    return CommandTimes(seconds, usage.ru_utime + usage.ru_stime, code if code >= 0 else 128 - code)


def _last_report(reader: int, ended: threading.Event) -> Progress | None:
    """FFmpeg's last report with frames. Blocks until all writers have closed the pipe, or soon after the command has
    ended: children that it leaves behind may hold the pipe for ever."""
    parser, last, rest = ProgressParser(), None, b""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    until: float | None = None
    try:
        while until is None or time.monotonic() < until:
            if until is None and ended.is_set():
                until = time.monotonic() + _AFTER_SECONDS
            if not poll.poll(_POLL_MILLISECONDS):
                if until is not None:
                    break
                continue
            if not (data := os.read(reader, _PIECE_BYTES)):
                break
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            for line in lines:
                report = parser.feed(line.decode("ascii", "replace"))
                if report is not None and report.frames is not None:
                    last = report
    finally:
        os.close(reader)
    return last
