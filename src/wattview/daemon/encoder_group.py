"""The encoders of one scenario together: started, held for a time, judged over the measured window, stopped.

The first of them also leaves a copy of what it encoded in the run's folder, for the measurement of quality.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from wattview.daemon import ffmpeg
from wattview.daemon.encoders import Encoder, Pace
from wattview.model import EncoderStatus, Scenario

FIRST_FRAME_SECONDS = 30.0
COPY_SLACK_SECONDS = FIRST_FRAME_SECONDS + 15.0
"""How much more than warm-up and compared window the kept segment of the copy holds: the first encoder runs while the
others are still being started."""


class EncoderGroup:
    """All streams of one scenario. ``stem`` begins the names of the files in ``folder`` that belong to it.

    ``copy_seconds`` is how much of the measured window must be in the copy; None makes no copy.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        program: str,
        folder: Path,
        stem: str,
        media: Path | None,
        rtmp_url: str | None,
        copy_seconds: float | None,
    ) -> None:
        self.scenario = scenario
        self.media = media
        self._program = program
        self._folder = folder
        self._stem = stem
        self._rtmp_url = rtmp_url
        self._copies = copy_seconds is not None
        self._segment_seconds = scenario.warmup + (copy_seconds or 0.0) + COPY_SLACK_SECONDS
        names = [ffmpeg.stream_name(scenario.name, number) for number in range(scenario.streams)]
        self.encoders = [
            Encoder(name, scenario.fps, folder / f"{stem}-encoder-{number + 1}.log")
            for number, name in enumerate(names)
        ]
        self.paces: list[Pace] = []

    @property
    def copy(self) -> Path:
        """The segment of the copy that holds the beginning of the measured window."""
        return self._folder / f"{self._stem}-copy-000.nut"

    async def start(self) -> None:
        """Returns when every encoder has encoded its first frames. Raises EncoderDied, or OSError from the start."""
        for number, encoder in enumerate(self.encoders):
            command = ffmpeg.encode_command(
                self._program,
                self.scenario,
                media=self.media,
                push_url=f"{self._rtmp_url.rstrip('/')}/{encoder.stream}" if self._rtmp_url else None,
                copy=f"{self._stem}-copy-%03d.nut" if self._copies and number == 0 else None,
                copy_seconds=self._segment_seconds,
            )
            await encoder.start(command, self._folder)
        for encoder in self.encoders:
            await encoder.encoding(FIRST_FRAME_SECONDS)

    async def hold(self, seconds: float) -> None:
        """Lets them run. Raises EncoderDied as soon as one has ended."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await self._watch(min(left, self._segment_seconds))
            if self._copies and left > self._segment_seconds:
                await asyncio.to_thread(self._drop_later_segments, keep_newest=True)

    def open_window(self) -> None:
        for encoder in self.encoders:
            encoder.open_window()

    def close_window(self) -> None:
        self.paces = [encoder.close_window() for encoder in self.encoders]

    async def stop(self, patience_seconds: float) -> None:
        await asyncio.gather(*(encoder.stop(patience_seconds) for encoder in self.encoders))

    @property
    def statuses(self) -> list[EncoderStatus]:
        """What each has done in the measured window once that is over, and what it is doing before."""
        if not self.paces:
            return [encoder.status() for encoder in self.encoders]
        return [
            EncoderStatus(
                stream=encoder.stream,
                frames=pace.last_frame - pace.first_frame,
                fps=None if pace.speed is None else round(pace.speed * self.scenario.fps, 3),
                speed=None if pace.speed is None else round(pace.speed, 4),
                dropped_frames=pace.dropped_frames,
                duplicated_frames=pace.duplicated_frames,
                bitrate_bps=encoder.status().bitrate_bps,
            )
            for encoder, pace in zip(self.encoders, self.paces, strict=True)
        ]

    def verdict(self) -> tuple[bool, list[str]]:
        """Whether everything was in real time over the measured window, and what there is to say against it. Blocks."""
        notes = [
            f"not real time: {encoder.stream} {text}"
            for encoder, pace in zip(self.encoders, self.paces, strict=True)
            for text in pace.complaints()
        ]
        if self._rtmp_url is not None:
            notes += [
                f"not real time: the RTMP server took {encoder.stream} too slowly, packets to it were dropped"
                for encoder in self.encoders
                if _mentions(encoder.log, ffmpeg.QUEUE_FULL)
            ]
        return not notes, notes

    def delete_copy(self) -> None:
        """Blocks."""
        self.copy.unlink(missing_ok=True)
        self._drop_later_segments(keep_newest=False)

    def _drop_later_segments(self, *, keep_newest: bool) -> None:
        segments = sorted(self._folder.glob(f"{self._stem}-copy-*.nut"), key=lambda path: (len(path.name), path.name))
        for path in segments[1:-1] if keep_newest else segments[1:]:
            path.unlink(missing_ok=True)

    async def _watch(self, seconds: float) -> None:
        waits = {asyncio.create_task(encoder.exited.wait()): encoder for encoder in self.encoders}
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        for wait in done:
            raise await waits[wait].death()


def _mentions(log: Path, text: str) -> bool:
    wanted = text.encode()
    with log.open("rb") as file:
        return any(wanted in line for line in file)
