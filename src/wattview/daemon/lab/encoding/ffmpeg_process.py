"""One running FFmpeg, monitored through ``-progress``: start, progress, cause of death, stop.

Its output goes into a file of the run's folder whose first line is the command.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path

from wattview.daemon import children
from wattview.daemon.child_log import ChildLog
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.model.runs import without_addresses

LOG_TAIL_BYTES = 4096
REASON_LINES = 4
REASON_LENGTH = 300

ENVIRONMENT = {"SVT_LOG": "1"}
"""Otherwise SVT-AV1 writes its settings into every log, as if they were warnings."""


class FfmpegDied(Exception):
    """An FFmpeg that ended by itself, or produced nothing in time. ``str()`` is the reason: its last log lines."""


class WatchedFfmpeg:
    """One FFmpeg. ``name`` is for messages. ``on_progress`` gets each report and its time (monotonic)."""

    def __init__(self, name: str, log: Path, on_progress: Callable[[float, ffmpeg_command.Progress], None]) -> None:
        self.name = name
        self.log = log
        self.exited = asyncio.Event()
        self.started = 0.0
        self._on_progress = on_progress
        self._process: Process | None = None
        self._log: ChildLog | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, command: list[str], cwd: Path, hidden: Sequence[str] = ()) -> None:
        """``hidden``: texts that do not get into the log. Raises ``children.ProgramMissing``, or OSError if the log
        cannot be written."""
        first = f"# {shlex.join(command)}"
        self._log = await asyncio.to_thread(ChildLog, self.log, first, ffmpeg_command.QUEUE_FULL, hidden)
        self.started = time.monotonic()
        self._process = await children.spawn(
            command, cwd=cwd, env={**os.environ, **ENVIRONMENT}, stdout=PIPE, stderr=self._log
        )
        self._reader = asyncio.create_task(self._watch(self._process), name=f"watch {self.name}")

    async def death(self) -> FfmpegDied:
        """Why this process, which has exited, ended."""
        status = self._process.returncode if self._process else None
        if self._process is not None:
            await children.heard(self._process)
        words = await asyncio.to_thread(last_message, self.log)
        return FfmpegDied(f"{self.name}: FFmpeg exited ({_exit_text(status)}): {words}")

    async def stop(self, patience_seconds: float) -> None:
        """Lets it close its files and its connection, and kills it after a time-out. Call ``children.end_strays``
        afterwards."""
        if self._process is not None:
            await children.end(self._process, patience_seconds=patience_seconds)
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=2 * children.DRAIN_SECONDS)
            self._reader.cancel()
        if self._process is not None:
            children.close_pipes(self._process)

    @property
    def queue_was_full(self) -> bool:
        """Whether it has dropped packets because the server was too slow."""
        return self._log is not None and self._log.seen

    async def _watch(self, process: Process) -> None:
        reading = asyncio.create_task(self._read(process), name=f"read {self.name}")
        try:
            await children.ended(process)
            # Its own children may hold its output open indefinitely.
            await asyncio.wait({reading}, timeout=children.DRAIN_SECONDS)
        finally:
            reading.cancel()
            self.exited.set()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        parser = ffmpeg_command.ProgressParser()
        async for line in children.lines(process.stdout):
            progress = parser.feed(line.decode("ascii", errors="replace"))
            if progress is not None and not progress.ended:
                self._on_progress(time.monotonic(), progress)


async def first_of(events: list[asyncio.Event], timeout_seconds: float) -> int | None:
    """The index of an event that is set within the time-out; None if there is none."""
    if not events:
        await asyncio.sleep(timeout_seconds)
        return None
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return next((index for index, event in enumerate(events) if event.is_set()), None)


def last_message(log: Path) -> str:
    """The last lines of an FFmpeg's log, joined; the file has the rest. Blocks."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    text = without_addresses(text)
    lines = [line.strip()[:REASON_LENGTH] for line in text.splitlines() if line.strip() and not line.startswith("# ")]
    return " · ".join(lines[-REASON_LINES:]) or "it said nothing"


def _exit_text(status: int | None) -> str:
    if status is None:
        return "not started"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
