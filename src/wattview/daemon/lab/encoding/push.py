"""The pushes of one scenario: whether the server accepts the streams, and the receivers that replace a server.

Over RTMP and RTSP the kernel's counts of the TCP connections show it. SRT runs over UDP: FFmpeg ends if the server does
not answer within libsrt's time-out, and what arrives is seen only by a receiver of our own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.destination import Destination
from wattview.daemon.lab.encoding.encoder_process import MAX_BEHIND_SECONDS, Encoder, PaceMeter
from wattview.daemon.lab.encoding.ffmpeg_process import FfmpegDied, WatchedFfmpeg
from wattview.daemon.lab.encoding.push_connections import PushConnection, connections_of
from wattview.daemon.lab.encoding.renditions import Variant

PUBLISHED_SECONDS = 10.0
SRT_ANSWER_SECONDS = 4.0
"""libsrt gives up after 3 s (SRTO_CONNTIMEO)."""

MIN_WAITING_BYTES = 32_000
"""A key frame in transit does not count as a delay."""


class Receiver:
    """An FFmpeg that listens on a free port of this machine for one stream, and discards it."""

    def __init__(self, variant: Variant, log: Path) -> None:
        self.process = WatchedFfmpeg(f"receiver of {variant.name}", log, self._note)
        self.meter = PaceMeter(variant.fps)
        self.receives = asyncio.Event()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self._place = f"srt://127.0.0.1:{probe.getsockname()[1]}"

    @property
    def address(self) -> str:
        """Where it is pushed to. A busy machine takes its time to start the receiver."""
        return f"{self._place}?connect_timeout=10000"

    async def start(self, program: str, folder: Path) -> None:
        await self.process.start(ffmpeg_command.viewer_command(program, f"{self._place}?mode=listener"), folder)

    def _note(self, monotonic: float, progress: ffmpeg_command.Progress) -> None:
        if self.meter.note(monotonic, progress):
            self.receives.set()


class Push:
    """The pushes of a scenario's encoders. Without a ``destination`` there are none."""

    def __init__(self, destination: Destination | None, encoders: Sequence[Encoder], folder: Path, stem: str) -> None:
        self.destination = destination
        self._encoders = encoders if destination is not None else ()
        self._receivers = {
            variant.name: (Receiver(variant, folder / f"{stem}-receiver-{variant.name}.log"), encoder)
            for encoder in (self._encoders if destination is not None and destination.private else ())
            for variant in encoder.stream.variants
        }
        self._not_taken: list[str] = []
        self._unseen = ""

    @property
    def processes(self) -> list[WatchedFfmpeg]:
        """The receivers' FFmpegs."""
        return [receiver.process for receiver, _ in self._receivers.values()]

    @property
    def pushed(self) -> bool:
        """Whether the other side accepted the streams until the end of the window."""
        return self.destination is not None and not self._not_taken

    def address(self, variant: Variant) -> str | None:
        """Where an output goes, with the address' secrets."""
        if variant.name in self._receivers:
            return self._receivers[variant.name][0].address
        return self.destination.address(variant.name) if self.destination is not None else None

    async def listen(self, program: str, folder: Path) -> None:
        """Starts the receivers, if there are any. Raises OSError."""
        for receiver, _ in self._receivers.values():
            await receiver.start(program, folder)

    async def taken(self, watch: Callable[[float], Awaitable[None]]) -> None:
        """Returns when the other side accepts every output. ``watch`` lets the processes run for a time, and raises
        FfmpegDied if one ends. Raises FfmpegDied on a time-out."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PUBLISHED_SECONDS
        if self.destination is not None and self.destination.transport.bytes_to_start is None and not self._receivers:
            await watch(SRT_ANSWER_SECONDS)
            return
        for encoder in self._encoders:
            while missing := await self._why_not_taken(encoder):
                if loop.time() > deadline:
                    raise FfmpegDied(f"{encoder.name}: {self._whom()} {missing}")
                await watch(0.1)

    def open_window(self) -> None:
        for receiver, _ in self._receivers.values():
            receiver.meter.open_window()

    def close_window(self, seconds: float, speeds: Sequence[float | None]) -> None:
        """``speeds`` are those of the encoders in the window of so many seconds, as ``Pace.speed``."""
        sent = dict(zip(self._encoders, speeds, strict=False))
        for name, (receiver, encoder) in self._receivers.items():
            got, whole = receiver.meter.close_window().speed, sent.get(encoder)
            if whole and (whole - (got or 0.0)) * seconds > MAX_BEHIND_SECONDS:
                share = "nothing" if got is None else f"{100 * got / whole:.0f} % of it"
                self._not_taken.append(f"the receiver on this machine got {share} of {name}")

    def look(self) -> None:
        """Notes which streams the server no longer accepts. Call at the end of the window. Blocks."""
        for encoder in self._encoders if not self._unseen and not self._receivers else ():
            try:
                waiting = [one.waiting_bytes for one in self._connections(encoder)]
            except OSError as error:
                self._unseen = str(error)
                return
            slowest = min(variant.bits for variant in encoder.stream.variants)
            if waiting and max(waiting) > max(slowest / 8 * MAX_BEHIND_SECONDS, MIN_WAITING_BYTES):
                self._not_taken.append(
                    f"{self._whom()} stopped receiving {encoder.name}: {max(waiting) / 1000:.0f} kB of it were waiting "
                    "when the window ended"
                )

    def verdict(self) -> tuple[list[str], list[str]]:
        """What was wrong with the pushes, and remarks on them."""
        slow = [
            f"{self._whom()} received {encoder.name} too slowly, and packets were dropped"
            for encoder in self._encoders
            if encoder.process.queue_was_full
        ]
        unseen = [f"whether the server took the streams is unknown: {self._unseen}"] if self._unseen else []
        return [f"not real time: {text}" for text in (*slow, *self._not_taken)], unseen

    async def _why_not_taken(self, encoder: Encoder) -> str:
        """What the other side has not done yet for an encoder's outputs; "" if it accepts them."""
        for variant in encoder.stream.variants if self._receivers else ():
            if not self._receivers[variant.name][0].receives.is_set():
                return f"has received nothing of {variant.name} within {PUBLISHED_SECONDS:.0f} s"
        return "" if self._receivers else await asyncio.to_thread(self._why_not_published, encoder)

    def _why_not_published(self, encoder: Encoder) -> str:
        """Blocks."""
        assert self.destination is not None
        transport = self.destination.transport
        try:
            found = self._connections(encoder)
        except OSError as error:
            self._unseen = str(error)
            return ""
        longest = max((self.address(variant) or "" for variant in encoder.stream.variants), key=len)
        if sum(one.is_published(transport, longest) for one in found) >= len(encoder.stream.variants):
            return ""
        if any(not one.is_answered(transport) for one in found):
            return f"accepted the connection and did not complete the handshake within {PUBLISHED_SECONDS:.0f} s"
        return f"has not accepted the stream within {PUBLISHED_SECONDS:.0f} s"

    def _whom(self) -> str:
        """``the RTMP server rtmp://host/live``."""
        assert self.destination is not None
        return f"the {self.destination.transport.name} server {self.destination.shown}"

    def _connections(self, encoder: Encoder) -> list[PushConnection]:
        """Raises OSError. Blocks."""
        return connections_of(encoder.process.pid) if encoder.process.pid is not None else []
