"""One running FFmpeg that is watched through ``-progress``: started, heard, asked why it died, stopped.

Its log goes straight into a file of the run's folder, behind a first line with the command.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from wattview.daemon import children
from wattview.daemon.lab.encoding import ffmpeg_command

LOG_TAIL_BYTES = 4096
REASON_LINES = 4

ENVIRONMENT = {"SVT_LOG": "1"}
"""SVT-AV1 would write its settings into every log, as if they were warnings."""


class FfmpegDied(Exception):
    """An FFmpeg that ended by itself, or gave nothing in time. ``str()`` is the reason: its last words."""


class WatchedFfmpeg:
    """One FFmpeg. ``name`` says which to people. ``on_progress`` hears each report and when it came (monotonic)."""

    def __init__(self, name: str, log: Path, on_progress: Callable[[float, ffmpeg_command.Progress], None]) -> None:
        self.name = name
        self.log = log
        self.exited = asyncio.Event()
        self.started = 0.0
        self._on_progress = on_progress
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, command: list[str], cwd: Path) -> None:
        """Raises ``children.ProgramMissing``, or OSError where the log cannot be written."""
        log = await asyncio.to_thread(_open_log, self.log, command)
        self.started = time.monotonic()
        try:
            self._process = await children.spawn(
                command, cwd=cwd, env={**os.environ, **ENVIRONMENT}, stdout=asyncio.subprocess.PIPE, stderr=log.fileno()
            )
        finally:
            log.close()
        self._reader = asyncio.create_task(self._watch(self._process), name=f"watch {self.name}")

    async def death(self) -> FfmpegDied:
        """Why this one, which has exited, did so."""
        status = self._process.returncode if self._process else None
        words = await asyncio.to_thread(last_words, self.log)
        return FfmpegDied(f"{self.name}: FFmpeg ended by itself ({_exit_text(status)}): {words}")

    async def stop(self, patience_seconds: float) -> None:
        """Lets it close its files and its connection, and kills it where that takes too long."""
        if self._process is not None:
            await children.stop(self._process, patience_seconds=patience_seconds)
        if self._reader is not None:
            await self._reader

    async def _watch(self, process: Process) -> None:
        assert process.stdout is not None
        parser = ffmpeg_command.ProgressParser()
        try:
            async for line in process.stdout:
                progress = parser.feed(line.decode("ascii", errors="replace"))
                if progress is not None and not progress.ended:
                    self._on_progress(time.monotonic(), progress)
            await process.wait()
        finally:
            self.exited.set()


async def first_of(events: list[asyncio.Event], timeout_seconds: float) -> int | None:
    """The index of an event that is set within the time, None where there is none."""
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


def last_words(log: Path) -> str:
    """The last lines of an FFmpeg's log, on one line; what stands before them is in the file. Blocks."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("# ")]
    return " · ".join(lines[-REASON_LINES:]) or "it said nothing"


def _open_log(path: Path, command: list[str]) -> FileIO:
    file = FileIO(path, "w")
    file.write(f"# {shlex.join(command)}\n".encode())
    return file


def _exit_text(status: int | None) -> str:
    if status is None:
        return "not started"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
