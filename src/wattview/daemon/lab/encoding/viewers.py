"""Viewers of a stream: FFmpegs that pull and discard it, and how a player would have played what they received.

A viewer is load for the server, and measures the time to the first picture, how many of the encoded frames arrived and
how late, and when a player with a small buffer would have stalled.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.encoder_process import PaceMeter
from wattview.daemon.lab.encoding.ffmpeg_process import FfmpegDied, WatchedFfmpeg, first_of
from wattview.daemon.lab.encoding.renditions import Variant
from wattview.daemon.lab.judging.delay import Delay
from wattview.frame_rate import exact_rate
from wattview.model import Playback

PLAYER_BUFFER_SECONDS = 1.0
"""How much a player buffers before it plays, at the start and after each stall."""


class StallMeter:
    """A simulated player with a buffer: given the arrival times of the stream, it determines when playback stalls.

    No I/O, no clock of its own. Waiting at the very start is start-up delay, not a stall.
    """

    def __init__(self, buffer_seconds: float = PLAYER_BUFFER_SECONDS) -> None:
        self.stalls = 0
        self.stalled_seconds = 0.0
        self._buffer = buffer_seconds
        self._position = 0.0
        self._playing = False
        self._begun = False
        self._last: float | None = None

    def note(self, monotonic: float, received_seconds: float) -> None:
        """This many seconds of the stream had arrived by that time."""
        passed = 0.0 if self._last is None else max(0.0, monotonic - self._last)
        self._last = monotonic
        if self._playing:
            stalled = self._position + passed - received_seconds
            if stalled > 0:
                self._position = received_seconds
                self._playing = False
                self.stalls += 1
                self.stalled_seconds += stalled
            else:
                self._position += passed
        elif self._begun:
            self.stalled_seconds += passed
        if not self._playing and received_seconds - self._position >= self._buffer:
            self._playing = self._begun = True

    def forget(self) -> None:
        """Resets the counts; the player continues."""
        self.stalls, self.stalled_seconds = 0, 0.0


class Viewer:
    """One FFmpeg that pulls an encoder's output; the ``number``-th of it, from 1."""

    def __init__(self, url: str, variant: Variant, number: int, log: Path) -> None:
        self.url = url
        self.stream = variant.name
        self.number = number
        self.process = WatchedFfmpeg(f"viewer {number} of {variant.name}", log, self._note)
        self.meter = PaceMeter(variant.fps)
        self.stalls = StallMeter()
        self.start_delay_seconds: float | None = None
        self._fps = float(exact_rate(variant.fps))
        self._first_picture = 0.0
        self._seeing = asyncio.Event()

    async def seeing(self, timeout_seconds: float) -> None:
        """Returns when the first picture has arrived. Raises FfmpegDied on a time-out."""
        if await first_of([self._seeing, self.process.exited], timeout_seconds) is None:
            raise FfmpegDied(f"{self.process.name}: no picture came from the server within {timeout_seconds:.0f} s")
        if self.process.exited.is_set():
            raise await self.process.death()

    def open_window(self) -> None:
        self.meter.open_window()
        self.stalls.forget()

    def _note(self, monotonic: float, progress: ffmpeg_command.Progress) -> None:
        if not self.meter.note(monotonic, progress):
            return
        received = progress.out_seconds or 0.0
        if self.start_delay_seconds is None:
            # A report comes twice a second, and the stream in real time: its first picture arrived that much earlier.
            # It is a key frame; what arrived before it cannot be displayed.
            shown = ((progress.frames or 1) - 1) / self._fps
            self.start_delay_seconds = max(0.0, monotonic - self.process.started - shown)
            self._first_picture = received - shown
            self._seeing.set()
        self.stalls.note(monotonic, received - self._first_picture)


def with_delay(playback: Playback, delay: Delay | None) -> Playback:
    if delay is None:
        return playback
    return replace(
        playback,
        end_to_end_delay_seconds=round(delay.mean, 3),
        end_to_end_delay_percentile_95_seconds=round(delay.percentile_95, 3),
        end_to_end_delay_max_seconds=round(delay.maximum, 3),
    )


def playback(viewers: list[Viewer], encoder_speeds: list[float | None]) -> Playback | None:
    """Playback over all viewers in the window that ends now; ``encoder_speeds`` is the speed of each one's encoder in
    it, as ``Pace.speed``."""
    if not viewers:
        return None
    delays = [viewer.start_delay_seconds for viewer in viewers if viewer.start_delay_seconds is not None]
    received = [viewer.meter.close_window().speed for viewer in viewers]
    ratios = [
        # Both come from periodic reports: a ratio above 1 is their uncertainty.
        min(1.0, got / sent)
        for got, sent in zip(received, encoder_speeds, strict=True)
        if got is not None and sent
    ]
    return Playback(
        viewers=len(viewers),
        start_delay_seconds=round(sum(delays) / len(delays), 3) if delays else None,
        start_delay_max_seconds=round(max(delays), 3) if delays else None,
        stalls=sum(viewer.stalls.stalls for viewer in viewers),
        stalled_seconds=round(sum(viewer.stalls.stalled_seconds for viewer in viewers), 3),
        received_frames_ratio=round(sum(ratios) / len(ratios), 4) if ratios else None,
        buffer_seconds=PLAYER_BUFFER_SECONDS,
    )
