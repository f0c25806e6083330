"""One encoder process, and whether it kept real time.

That is judged over the measured window, from the frames finished at times of our own clock: FFmpeg's own speed is
a mean since its start, which hides an encoder that has just become slow.
"""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

from msgspec import Struct

from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.ffmpeg_process import FfmpegDied, WatchedFfmpeg, first_of
from wattview.daemon.lab.encoding.renditions import EncodedStream
from wattview.frame_rate import exact_rate
from wattview.model import REALTIME_SPEED, EncoderStatus

FRAMES_OF_GRACE = 3
"""FFmpeg reports twice a second with some latency: in a window of two seconds, three frames are within the
uncertainty."""

MAX_BEHIND_SECONDS = 1.0
"""An encoder that stalls and then catches up has the right frame count but has kept every viewer waiting. So, in the
end, does one that is slightly slow."""


class Pace(Struct, frozen=True, kw_only=True):
    """How one encoder performed in the measured window. ``speed`` is its frame rate over the requested frame rate, None
    without two reports; ``behind_seconds`` is the most by which it fell behind the clock."""

    speed: float | None
    behind_seconds: float
    dropped_frames: int
    duplicated_frames: int
    realtime: bool
    first_frame: int
    last_frame: int

    def complaints(self) -> list[str]:
        """What was wrong, each as the end of a sentence; empty if it was in real time."""
        if self.realtime:
            return []
        texts = []
        if self.speed is None:
            texts.append("reported no progress in the measured window")
        elif self.speed < REALTIME_SPEED:
            texts.append(f"encoded at {self.speed:.2f} of real time over the measured window")
        if self.behind_seconds > MAX_BEHIND_SECONDS and (self.speed or 0) >= REALTIME_SPEED:
            texts.append(f"fell up to {self.behind_seconds:.1f} s behind the clock")
        if self.dropped_frames:
            texts.append(f"dropped {self.dropped_frames} frames")
        if self.duplicated_frames:
            texts.append(f"duplicated {self.duplicated_frames} frames")
        return texts


class PaceMeter:
    """Assesses one encoder's reports over a window. No I/O, no clock of its own.

    ``still_seconds``: the source may pause for that long and then deliver all pictures at once. An encoder that waits
    for its source is not behind.
    """

    def __init__(self, fps: float, still_seconds: float = 0.0) -> None:
        self._fps = float(exact_rate(fps))
        self._still_seconds = still_seconds
        self._recent: deque[tuple[float, ffmpeg_command.Progress]] = deque(maxlen=6)
        self._window: list[tuple[float, ffmpeg_command.Progress]] | None = None
        self._behind = 0.0

    def note(self, monotonic: float, progress: ffmpeg_command.Progress) -> bool:
        """Takes a report; True if frames have been encoded."""
        frames = progress.frames
        if not frames:
            return False
        if self._recent and monotonic <= self._recent[-1][0]:
            return True
        self._recent.append((monotonic, progress))
        if self._window is not None:
            # Two reports per window are enough, however long it is.
            self._window[1:] = [(monotonic, progress)]
            since, first = self._window[0]
            due = (monotonic - since) * self._fps
            self._behind = max(self._behind, (due - (frames - (first.frames or 0))) / self._fps)
        return True

    def open_window(self) -> None:
        self._window = []
        self._behind = 0.0

    def close_window(self) -> Pace:
        """The result since ``open_window``."""
        window, self._window = self._window or [], None
        if len(window) < 2:
            frames = (window[-1][1].frames or 0) if window else 0
            return Pace(
                speed=None, behind_seconds=0.0, dropped_frames=0, duplicated_frames=0, realtime=False,
                first_frame=frames, last_frame=frames,
            )  # fmt: skip
        (since, first), (until, last) = window
        start, end = first.frames or 0, last.frames or 0
        expected = (until - since) * self._fps
        missing = expected - (end - start)
        dropped = (last.dropped_frames or 0) - (first.dropped_frames or 0)
        duplicated = (last.duplicated_frames or 0) - (first.duplicated_frames or 0)
        slow = missing > max((1 - REALTIME_SPEED) * expected, FRAMES_OF_GRACE) + self._still_seconds * self._fps
        late = self._behind > MAX_BEHIND_SECONDS + self._still_seconds
        return Pace(
            speed=(end - start) / expected,
            behind_seconds=self._behind,
            dropped_frames=dropped,
            duplicated_frames=duplicated,
            realtime=not (slow or dropped or duplicated or late),
            first_frame=start,
            last_frame=end,
        )

    def status(self, stream: str) -> EncoderStatus:
        """The totals, and the speed over the last few reports."""
        if not self._recent:
            return EncoderStatus(stream=stream)
        since, first = self._recent[0]
        until, last = self._recent[-1]
        fps = None
        if len(self._recent) > 2 and last.frames is not None and first.frames is not None:
            fps = (last.frames - first.frames) / (until - since)
        return EncoderStatus(
            stream=stream,
            frames=last.frames,
            fps=last.fps if fps is None else round(fps, 2),
            speed=last.speed if fps is None else round(fps / self._fps, 3),
            dropped_frames=last.dropped_frames,
            duplicated_frames=last.duplicated_frames,
            bitrate_bps=last.bitrate_bps,
        )


class Encoder:
    """One FFmpeg that encodes a stream. Its frames are counted at its first output."""

    def __init__(self, stream: EncodedStream, log: Path, still_seconds: float = 0.0) -> None:
        self.stream = stream
        self.process = WatchedFfmpeg(stream.name, log, self._note)
        self.meter = PaceMeter(stream.variants[0].fps, still_seconds)
        self._encoding = asyncio.Event()

    @property
    def name(self) -> str:
        return self.stream.name

    async def encoding(self, timeout_seconds: float) -> None:
        """Returns when the first frames are encoded. Raises FfmpegDied on a time-out."""
        if await first_of([self._encoding, self.process.exited], timeout_seconds) is None:
            raise FfmpegDied(f"{self.name}: no frame was encoded within {timeout_seconds:.0f} s")
        if self.process.exited.is_set():
            raise await self.process.death()

    def status(self) -> EncoderStatus:
        return self.meter.status(self.name)

    def _note(self, monotonic: float, progress: ffmpeg_command.Progress) -> None:
        if self.meter.note(monotonic, progress):
            self._encoding.set()
