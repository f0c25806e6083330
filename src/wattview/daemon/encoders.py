"""One running FFmpeg that encodes a stream: started, watched through ``-progress``, judged, stopped.

Its log goes straight into a file of the run's folder, behind a first line with the command. Whether it kept real time
is judged over the measured window alone, from the frames that it had finished at times of our own clock.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from asyncio.subprocess import Process
from collections import deque
from io import FileIO
from pathlib import Path

from msgspec import Struct

from wattview.daemon import children, ffmpeg
from wattview.model import EncoderStatus

REALTIME_SPEED = 0.97
FRAMES_OF_GRACE = 3
"""FFmpeg reports twice a second and a report takes a moment to arrive: in a window of two seconds three frames are
within the error of looking."""

MAX_BEHIND_SECONDS = 1.0
"""An encoder that stalls and then catches up has the right frame count and has still kept every viewer waiting."""

LOG_TAIL_BYTES = 4096
REASON_LINES = 4


class EncoderDied(Exception):
    """An FFmpeg that ended by itself. ``str()`` is the reason: its last words."""


class Pace(Struct, frozen=True, kw_only=True):
    """How one encoder did in the measured window. ``speed`` is frames per second over the asked frame rate, None
    where the encoder gave no two reports; ``behind_seconds`` is the most by which it fell behind the clock."""

    speed: float | None
    behind_seconds: float
    dropped_frames: int
    duplicated_frames: int
    realtime: bool
    first_frame: int
    last_frame: int

    def complaints(self) -> list[str]:
        """What there is to say against it, each as the end of a sentence; none where it was in real time."""
        if self.realtime:
            return []
        texts = []
        if self.speed is None:
            texts.append("reported no progress in the measured window")
        elif self.speed < REALTIME_SPEED:
            texts.append(f"encoded at {self.speed:.2f} of real time over the measured window")
        if self.behind_seconds > MAX_BEHIND_SECONDS and (self.speed or 0) >= REALTIME_SPEED:
            texts.append(f"fell up to {self.behind_seconds:.1f} s behind the clock and caught up again")
        if self.dropped_frames:
            texts.append(f"dropped {self.dropped_frames} frames")
        if self.duplicated_frames:
            texts.append(f"showed {self.duplicated_frames} frames twice")
        return texts


class _Moment(Struct, frozen=True):
    monotonic: float
    progress: ffmpeg.Progress


class Encoder:
    """One FFmpeg. ``stream`` is the name it is pushed under, ``log`` the file of its messages."""

    def __init__(self, stream: str, fps: int, log: Path) -> None:
        self.stream = stream
        self.log = log
        self.exited = asyncio.Event()
        self._fps = fps
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._recent: deque[_Moment] = deque(maxlen=6)
        self._window: list[_Moment] | None = None
        self._behind = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self, command: list[str], cwd: Path) -> None:
        """Raises ``children.ProgramMissing``, or OSError where the log cannot be written."""
        log = await asyncio.to_thread(_open_log, self.log, command)
        try:
            self._process = await children.spawn(command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=log.fileno())
        finally:
            log.close()
        self._reader = asyncio.create_task(self._watch(self._process), name=f"encoder {self.stream}")

    async def encoding(self, timeout_seconds: float) -> None:
        """Returns when the first frames are encoded. Raises EncoderDied where that does not happen in time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._running.wait()
        except TimeoutError:
            raise EncoderDied(f"{self.stream}: no frame was encoded within {timeout_seconds:.0f} s") from None
        if self.exited.is_set():
            raise await self.death()

    async def death(self) -> EncoderDied:
        """Why this encoder, which has exited, did so."""
        status = self._process.returncode if self._process else None
        words = await asyncio.to_thread(last_words, self.log)
        return EncoderDied(f"{self.stream}: FFmpeg ended by itself ({_exit_text(status)}): {words}")

    def open_window(self) -> None:
        """From now on the pace is judged."""
        self._window = []
        self._behind = 0.0

    def close_window(self) -> Pace:
        """The verdict on everything since ``open_window``."""
        window, self._window = self._window or [], None
        if len(window) < 2:
            frames = (window[-1].progress.frames or 0) if window else 0
            return Pace(
                speed=None, behind_seconds=0.0, dropped_frames=0, duplicated_frames=0, realtime=False,
                first_frame=frames, last_frame=frames,
            )  # fmt: skip
        first, last = window[0], window[-1]
        start, end = first.progress.frames or 0, last.progress.frames or 0
        expected = (last.monotonic - first.monotonic) * self._fps
        missing = expected - (end - start)
        dropped = (last.progress.dropped_frames or 0) - (first.progress.dropped_frames or 0)
        duplicated = (last.progress.duplicated_frames or 0) - (first.progress.duplicated_frames or 0)
        slow = missing > max((1 - REALTIME_SPEED) * expected, FRAMES_OF_GRACE)
        return Pace(
            speed=(end - start) / expected,
            behind_seconds=self._behind,
            dropped_frames=dropped,
            duplicated_frames=duplicated,
            realtime=not (slow or dropped or duplicated or self._behind > MAX_BEHIND_SECONDS),
            first_frame=start,
            last_frame=end,
        )

    def status(self) -> EncoderStatus:
        """Its totals, and its speed over the last few reports: FFmpeg's own figure is a mean since its start, which
        hides an encoder that has just become slow."""
        if not self._recent:
            return EncoderStatus(stream=self.stream)
        first, last = self._recent[0], self._recent[-1]
        progress = last.progress
        fps = None
        if len(self._recent) > 2 and progress.frames is not None and first.progress.frames is not None:
            fps = (progress.frames - first.progress.frames) / (last.monotonic - first.monotonic)
        return EncoderStatus(
            stream=self.stream,
            frames=progress.frames,
            fps=progress.fps if fps is None else round(fps, 2),
            speed=progress.speed if fps is None else round(fps / self._fps, 3),
            dropped_frames=progress.dropped_frames,
            duplicated_frames=progress.duplicated_frames,
            bitrate_bps=progress.bitrate_bps,
        )

    async def stop(self, patience_seconds: float) -> None:
        """Lets FFmpeg close its files and its connection, and kills it where that takes too long."""
        if self._process is not None:
            await children.stop(self._process, patience_seconds=patience_seconds)
        if self._reader is not None:
            await self._reader

    async def _watch(self, process: Process) -> None:
        assert process.stdout is not None
        parser = ffmpeg.ProgressParser()
        try:
            async for line in process.stdout:
                progress = parser.feed(line.decode("ascii", errors="replace"))
                if progress is not None and not progress.ended:
                    self._note(_Moment(time.monotonic(), progress))
            await process.wait()
        finally:
            self.exited.set()
            self._running.set()

    def _note(self, moment: _Moment) -> None:
        frames = moment.progress.frames
        if not frames:
            return
        self._running.set()
        if self._recent and moment.monotonic <= self._recent[-1].monotonic:
            return
        self._recent.append(moment)
        window = self._window
        if window is None:
            return
        # Two moments are all that is kept of a window, however long it is.
        window[1:] = [moment]
        first = window[0]
        due = (moment.monotonic - first.monotonic) * self._fps
        self._behind = max(self._behind, (due - (frames - (first.progress.frames or 0))) / self._fps)


def _open_log(path: Path, command: list[str]) -> FileIO:
    file = FileIO(path, "w")
    file.write(f"# {shlex.join(command)}\n".encode())
    return file


def last_words(log: Path) -> str:
    """The last lines of an FFmpeg's log, on one line; what stands before them is in the file."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log cannot be read: {error.strerror}"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("# ")]
    return " · ".join(lines[-REASON_LINES:]) or "it said nothing"


def _exit_text(status: int | None) -> str:
    if status is None:
        return "not started"
    return f"signal {-status}" if status < 0 else f"exit status {status}"
