"""The encoders of one scenario and their viewers: started, run for a time, assessed over the window, stopped.

For each distinct output, the first encoder that makes it also saves a copy of its encoded video in the run's folder,
for the quality comparison.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from msgspec import Struct

from wattview.daemon import children
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.destination import RTMP, Destination
from wattview.daemon.lab.encoding.encoder_process import Encoder, Pace
from wattview.daemon.lab.encoding.ffmpeg_command import OutputTarget
from wattview.daemon.lab.encoding.ffmpeg_process import WatchedFfmpeg, first_of
from wattview.daemon.lab.encoding.film import Film
from wattview.daemon.lab.encoding.push import Push
from wattview.daemon.lab.encoding.renditions import Variant, streams_of
from wattview.daemon.lab.encoding.viewers import Viewer, playback
from wattview.daemon.lab.judging import delay
from wattview.daemon.lab.judging.delay import Arrivals, Delay, DelayUnknown
from wattview.daemon.lab.run_journal import delete_what_is_compared
from wattview.frame_rate import exact_rate
from wattview.model import EncoderStatus, Playback, Scenario

FIRST_FRAME_SECONDS = 30.0
FIRST_PICTURE_SECONDS = 20.0
COPY_SLACK_SECONDS = FIRST_FRAME_SECONDS + FIRST_PICTURE_SECONDS + 15.0
"""How much longer than warm-up and compared window the saved segment of a copy is: the first encoder runs while the
others are still being started."""


class Copy(Struct, frozen=True, kw_only=True):
    """The saved video of one output: ``frames`` frames of the window from ``first_frame`` on, in ``path``."""

    variant: Variant
    path: Path
    first_frame: int
    frames: int


class RunningEncoder(Struct, frozen=True):
    """An encoder's process, and the names under which its outputs are pushed."""

    name: str
    pid: int
    streams: tuple[str, ...]


class EncoderGroup:
    """All streams of one scenario. A baseline has none and otherwise runs like any other.

    ``stem`` is the prefix of its files in ``folder``. ``copy_seconds`` is how much of the measured window the copies
    must cover; None makes no copies. With ``stamps`` the first viewer of each output records its packets' arrival
    times, which its FFmpeg must support.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        program: str,
        folder: Path,
        stem: str,
        film: Film | None,
        destination: Destination | None,
        copy_seconds: float | None,
        stamps: bool = False,
    ) -> None:
        self.scenario = scenario
        self.film = film
        self._program = program
        self._folder = folder
        self._stem = stem
        watchable = destination is not None and destination.watchable
        self._hidden = destination.secrets if destination is not None else ()
        self._stamps = stamps
        self._segment_seconds = scenario.warmup + scenario.steady + (copy_seconds or 0.0) + COPY_SLACK_SECONDS
        self.encoders = [
            Encoder(stream, folder / f"{stem}-encoder-{number}.log", film.still_seconds if film else 0.0)
            for number, stream in enumerate(streams_of(scenario), start=1)
        ]
        self.push = Push(destination, self.encoders, folder, stem)
        variants = [variant for encoder in self.encoders for variant in encoder.stream.variants]
        distinct = {variant.setting: variant for variant in reversed(variants)}
        self._copied = [variant for variant in variants if variant in distinct.values()] if copy_seconds else []
        self._viewers = [
            (self._viewer(variant, number), encoder)
            for encoder in self.encoders
            for variant in encoder.stream.variants
            for number in range(1, scenario.viewers + 1)
            if watchable
        ]
        self.paces: list[Pace] = []
        self._opened = self._window_seconds = 0.0

    async def start(self) -> None:
        """Returns when every encoder has encoded its first frames and every viewer has received them.

        Raises FfmpegDied, or OSError from the start of a program.
        """
        await self.push.listen(self._program, self._folder)
        for encoder in self.encoders:
            targets = {variant: self._target(variant) for variant in encoder.stream.variants}
            clock = self._list_of("source", encoder.name) if self._stamps else None
            command = ffmpeg_command.encode_command(
                self._program, self.scenario, encoder.stream, targets, film=self.film, clock=clock
            )
            await encoder.process.start(command, self._folder, self._hidden)
        for encoder in self.encoders:
            await encoder.encoding(FIRST_FRAME_SECONDS)
        await self.push.taken(self._watch)
        for viewer, _ in self._viewers:
            packets = self._list_of("received", viewer.stream) if self._stamps and viewer.number == 1 else None
            command = ffmpeg_command.viewer_command(self._program, viewer.url, packets)
            await viewer.process.start(command, self._folder, self._hidden)
        for viewer, _ in self._viewers:
            await viewer.seeing(FIRST_PICTURE_SECONDS)

    async def hold(
        self, seconds: float, look: Callable[[], Awaitable[bool]] | None = None, every_seconds: float = 1.0
    ) -> None:
        """Lets them run. Raises FfmpegDied as soon as one has ended. ``look`` is called periodically, and stops the
        wait by its result."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pruned = loop.time()
        while (left := end - loop.time()) > 0:
            await self._watch(min(left, self._segment_seconds if look is None else every_seconds))
            if look is not None and await look():
                return
            if self._copied and loop.time() - pruned >= self._segment_seconds:
                pruned = loop.time()
                await asyncio.to_thread(self._drop_middle_segments)

    def open_window(self) -> None:
        self._opened = time.monotonic()
        for encoder in self.encoders:
            encoder.meter.open_window()
        self.push.open_window()
        for viewer, _ in self._viewers:
            viewer.open_window()

    def close_window(self) -> Playback | None:
        self._window_seconds = time.monotonic() - self._opened
        self.paces = [encoder.meter.close_window() for encoder in self.encoders]
        self.push.close_window(self._window_seconds, [pace.speed for pace in self.paces])
        speeds = {encoder: pace.speed for encoder, pace in zip(self.encoders, self.paces, strict=True)}
        return playback([viewer for viewer, _ in self._viewers], [speeds[encoder] for _, encoder in self._viewers])

    async def stop(self, patience_seconds: float) -> None:
        await asyncio.gather(*(viewer.process.stop(0.0) for viewer, _ in self._viewers))
        await asyncio.gather(*(encoder.process.stop(patience_seconds) for encoder in self.encoders))
        await asyncio.gather(*(process.stop(0.0) for process in self.push.processes))
        await children.end_strays(patience_seconds)

    @property
    def running(self) -> tuple[RunningEncoder, ...]:
        """The encoders that have been started."""
        return tuple(
            RunningEncoder(encoder.name, encoder.process.pid, tuple(one.name for one in encoder.stream.variants))
            for encoder in self.encoders
            if encoder.process.pid is not None
        )

    @property
    def statuses(self) -> list[EncoderStatus]:
        """Progress of each encoder: over the measured window once that is over, and the current progress before."""
        if not self.paces:
            return [encoder.status() for encoder in self.encoders]
        return [
            EncoderStatus(
                stream=encoder.name,
                # Reports come twice a second, not at the window's ends: the frame count of the window follows from the
                # rate.
                frames=None if fps is None else round(fps * self._window_seconds),
                fps=None if fps is None else round(fps, 3),
                speed=None if pace.speed is None else round(pace.speed, 4),
                dropped_frames=pace.dropped_frames,
                duplicated_frames=pace.duplicated_frames,
                bitrate_bps=encoder.status().bitrate_bps,
            )
            for encoder, pace in zip(self.encoders, self.paces, strict=True)
            for fps in [None if pace.speed is None else pace.speed * float(exact_rate(encoder.stream.variants[0].fps))]
        ]

    def copies(self, seconds: float) -> list[Copy]:
        """Copies to compare: at most ``seconds`` from the start of the window, one per distinct output."""
        copies = []
        for encoder, pace in zip(self.encoders, self.paces, strict=True):
            counted = exact_rate(encoder.stream.variants[0].fps)
            for variant in encoder.stream.variants:
                if variant in self._copied:
                    # Frames are counted at the first output; convert to this output's frame rate.
                    share = exact_rate(variant.fps) / counted
                    first, last = math.ceil(pace.first_frame * share), math.floor(pace.last_frame * share)
                    copies.append(
                        Copy(
                            variant=variant,
                            path=self._folder / (self._copy_pattern(variant) % 0),
                            first_frame=first,
                            frames=max(0, min(last - first, round(seconds * variant.fps))),
                        )
                    )
        return copies

    def verdict(self) -> tuple[bool, list[str]]:
        """Whether everything was in real time over the measured window, and the complaints if not. Blocks."""
        notes = [
            f"not real time: {encoder.name} {text}"
            for encoder, pace in zip(self.encoders, self.paces, strict=True)
            for text in pace.complaints()
        ]
        wrong, remarks = self.push.verdict()
        return not (notes or wrong), [*notes, *wrong, *remarks]

    def delay(self, start_time: float, end_time: float) -> tuple[Delay | None, list[str]]:
        """The end-to-end delay in a window (Unix seconds), and why a stream has none. Blocks.

        The delay of every picture is saved in the run's folder.
        """
        if not self._stamps:
            return None, []
        arrivals: dict[str, Arrivals] = {}
        reasons = []
        for encoder in self.encoders:
            for variant in encoder.stream.variants:
                try:
                    every = self._arrivals(encoder, variant)
                except (DelayUnknown, OSError) as error:
                    reasons.append(f"the end-to-end delay of {variant.name} was not measured: {error}")
                else:
                    arrivals[variant.name] = delay.within(every, start_time, end_time)
        with (self._folder / f"{self._stem}-delay.csv").open("w", encoding="ascii") as file:
            file.write("stream,time,delay_seconds\n")
            for stream, shown in arrivals.items():
                pairs = zip(shown.times, shown.delays, strict=True)
                file.writelines(f"{stream},{time:.3f},{seconds:.4f}\n" for time, seconds in pairs)
        return delay.delay(arrivals.values()), reasons

    def delete_copies(self) -> None:
        """Also deletes the packet lists. Blocks."""
        delete_what_is_compared(self._folder, self._stem)

    def _drop_middle_segments(self) -> None:
        for variant in self._copied:
            pattern = self._copy_pattern(variant).replace("%03d", "*")
            segments = sorted(self._folder.glob(pattern), key=lambda path: (len(path.name), path.name))
            for path in segments[1:-1]:
                path.unlink(missing_ok=True)

    def _target(self, variant: Variant) -> OutputTarget:
        return OutputTarget(
            push_url=self.push.address(variant),
            transport=self.push.destination.transport if self.push.destination is not None else RTMP,
            copy=self._copy_pattern(variant) if variant in self._copied else None,
            copy_seconds=self._segment_seconds,
            packets=self._list_of("sent", variant.name) if self._stamps else None,
        )

    def _arrivals(self, encoder: Encoder, variant: Variant) -> Arrivals:
        """When the pictures of an output could be displayed. Raises DelayUnknown, OSError."""
        return delay.arrivals(
            delay.source_start(self._lines("source", encoder.name)),
            delay.packets(self._lines("sent", variant.name)),
            delay.packets(self._lines("received", variant.name)),
        )

    def _lines(self, kind: str, name: str) -> Iterator[str]:
        with (self._folder / self._list_of(kind, name)).open(encoding="ascii", errors="replace") as file:
            yield from file

    def _list_of(self, kind: str, name: str) -> str:
        return f"{self._stem}-{kind}-{name}.txt"

    def _copy_pattern(self, variant: Variant) -> str:
        return f"{self._stem}-copy-{self._copied.index(variant) + 1}-%03d.nut"

    def _viewer(self, variant: Variant, number: int) -> Viewer:
        log = self._folder / f"{self._stem}-viewer-{variant.name}-{number}.log"
        return Viewer(self.push.address(variant) or "", variant, number, log)

    async def _watch(self, seconds: float) -> None:
        processes: list[WatchedFfmpeg] = [encoder.process for encoder in self.encoders]
        processes += [*(viewer.process for viewer, _ in self._viewers), *self.push.processes]
        ended = await first_of([process.exited for process in processes], seconds)
        if ended is not None:
            raise await processes[ended].death()
