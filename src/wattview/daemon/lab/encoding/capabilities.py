"""What this machine's FFmpegs can do, determined by doing it once rather than by reading a list.

An answer is cached until the program's file changes; why an encoder does not work, for a minute. Starts short-lived
children at low priority; never used in a measured window.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from wattview.daemon import children
from wattview.daemon.lab.encoding import encoder_options, ffmpeg_command, film
from wattview.daemon.lab.encoding.destination import Transport
from wattview.daemon.lab.encoding.ffmpeg_process import ENVIRONMENT, REASON_LENGTH
from wattview.daemon.lab.encoding.film import Film, FilmError
from wattview.model import EncoderOffer, Scenario
from wattview.model.runs import without_addresses

PROBE_TIMEOUT_SECONDS = 30.0
HANG_SECONDS = 10.0
PROBE_SIZE = "320x240"
PROBE_FPS = 25
PROBE_BITS = 500_000
TWO_PICTURES = ("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.08")

LOOK_SECONDS = 300.0
"""How much of a film is inspected, in its own time: listing its packets takes a moment per minute."""

LOOK_FRAMES = 25

FAILURE_SECONDS = 60.0
"""How long a failure is remembered: a driver may be loaded meanwhile."""

T = TypeVar("T")


class Capabilities:
    """Capabilities of FFmpeg programs, by name or path. Raises ``children.ProgramMissing`` if there is none."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[float, object]] = {}

    async def version(self, program: str) -> str:
        """``5.1.9-0+deb12u1``; "" if the program is not FFmpeg."""

        async def ask(path: str) -> str:
            status, output = await _outcome([path, "-version"])
            return ffmpeg_command.version(output) if status == 0 else ""

        return await self.remembered(("version",), program, ask)

    async def can_vmaf(self, program: str, model: str) -> bool:
        """Whether its libvmaf filter gives a score with that model (the filter's ``model=`` option)."""

        async def ask(path: str) -> bool:
            # Models of generation 1 take no small pictures.
            picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=0.08"]
            score = f"libvmaf=model={model}:log_fmt=json:log_path=/dev/stdout"
            status, output = await _discarded(path, *picture, *picture, "-lavfi", score)
            return status == 0 and '"vmaf"' in output

        return await self.remembered(("vmaf", model), program, ask)

    async def can_xpsnr(self, program: str) -> bool:
        """Whether it has the xpsnr filter (since FFmpeg 7.1)."""
        return await self._works("xpsnr", program, *TWO_PICTURES, *TWO_PICTURES, "-lavfi", "xpsnr")

    async def can_stamp_arrivals(self, program: str) -> bool:
        """Whether it can record a packet's arrival time at a viewer (``ffmpeg_command.ARRIVAL_STAMP``)."""
        stamped = ("-c:v", "mpeg4", "-bsf:v", ffmpeg_command.ARRIVAL_STAMP)
        return await self._works("arrivals", program, *TWO_PICTURES, *stamped)

    async def _works(self, what: str, program: str, *arguments: str) -> bool:
        async def ask(path: str) -> bool:
            status, _ = await _discarded(path, *arguments)
            return status == 0

        return await self.remembered((what,), program, ask)

    async def encoders(self, program: str) -> list[EncoderOffer]:
        """The video encoders that it has, in the order of ``encoder_options``. Those of hardware, which FFmpeg lists on
        every machine, encode a few frames first."""

        async def ask(path: str) -> frozenset[str]:
            _, output = await _outcome([path, "-hide_banner", "-encoders"])
            return ffmpeg_command.listed_encoders(output)

        listed = await self.remembered(("encoders",), program, ask)
        found = []
        for entry in encoder_options.ENCODERS:
            for name, codec in entry.codecs.items():
                if name in listed:
                    scenario = Scenario(name="offer", encoder=name)  # type: ignore[arg-type]
                    reason = await self.why_not_encode(program, scenario) if entry.hardware else ""
                    found.append(EncoderOffer(name=name, codec=codec, hardware=entry.hardware, reason=reason))
        return found

    async def why_not_encode(self, program: str, scenario: Scenario, into: Transport | None = None) -> str:
        """Why a scenario's encoder does not work here with its settings ("" if it does): it encodes a few frames.

        With ``into`` the frames must also fit into what that carries: FLV, MPEG-TS or RTP. A free argument that FFmpeg
        warns of and leaves out counts as not working.
        """
        arguments = encoder_options.encoder_arguments(scenario, bits=PROBE_BITS, fps=PROBE_FPS)
        output = into.trial if into is not None else ("-f", "null", "/dev/null")
        pictures = f"{film.pixel_format(scenario)}{encoder_options.upload(scenario)}"
        warned = bool(scenario.encoder_args) or into is not None

        async def ask(path: str) -> str:
            encoder = encoder_options.entry_of(scenario.encoder)
            command = [
                path, "-hide_banner", "-nostdin", "-nostats", "-loglevel",
                "warning" if warned else "error", "-y",
                *encoder.device,
                "-f", "lavfi", "-i", f"testsrc2=size={PROBE_SIZE}:rate={PROBE_FPS}:duration=0.4",
                "-filter_complex", f"[0:v:0]format={pictures}[v0]", "-map", "[v0]",
                *arguments, "-flags", "+global_header", *output,
            ]  # fmt: skip
            status, text = await _outcome(command)
            left_out = ffmpeg_command.left_out(text) if warned else ""
            return left_out if status == 0 else reason_of(status, text)

        return await self.remembered(("encode", pictures, *arguments, *output), program, ask, failed=bool)

    async def film(self, program: str, media: Path) -> Film:
        """What a media file says about itself, and whether it can be decoded. Raises FilmError."""

        async def ask(path: str) -> Film | FilmError:
            try:
                return await _look_at(path, media)
            except FilmError as error:
                return error

        what = ("film", str(media), *await version_of(media))
        found = await self.remembered(what, program, ask)
        if isinstance(found, FilmError):
            raise found
        return found

    async def remembered(
        self,
        what: tuple[str, ...],
        program: str,
        ask: Callable[[str], Awaitable[T]],
        failed: Callable[[T], bool] = lambda answer: False,
    ) -> T:
        """The cached answer to ``what`` for a program: ``ask`` is called with its path once per version of its file,
        and again some time after an answer that has ``failed``."""
        path = children.find_program(program)
        file = os.stat(path)
        key = (what, path, file.st_mtime_ns, file.st_size, file.st_ino)
        asked, answer = self._known.get(key, (0.0, None))
        if key in self._known and not (failed(answer) and time.monotonic() - asked > FAILURE_SECONDS):  # type: ignore[arg-type]
            return answer  # type: ignore[return-value]
        fresh = await ask(path)
        self._known[key] = time.monotonic(), fresh
        return fresh


async def version_of(file: Path) -> tuple[str, ...]:
    """Changes whenever the file does. Raises OSError."""
    status = await asyncio.to_thread(file.stat)
    return str(status.st_mtime_ns), str(status.st_size), str(status.st_ino)


async def _look_at(program: str, media: Path) -> Film:
    """Raises FilmError."""
    status, text = await _outcome([program, *film.look_at_packets(media, LOOK_SECONDS)])
    if "matches no streams" in text:
        raise FilmError("it has no video stream")
    if "not on whitelist" in text or "not in the whitelist" in text:
        raise FilmError("it is a playlist, or of a form that opens other files; expected one file of video")
    packets = await asyncio.to_thread(film.listed, text)
    if packets is None:
        raise FilmError(reason_of(status, text) if status != 0 else "it has no video stream")
    status, text = await _outcome([program, *film.look_at_pictures(media, packets.stream, LOOK_FRAMES)])
    if status != 0:
        raise FilmError(reason_of(status, text))
    whole = (packets.picture_seconds or 0.0) < LOOK_SECONDS - 1 and (packets.sound_seconds or 0.0) < LOOK_SECONDS - 1
    found = film.film_of(media, packets, text, whole=whole)
    if not whole:
        return found
    _, text = await _outcome([program, *film.look_at_the_loop(media, packets.stream)])
    return replace(found, begins_again=await asyncio.to_thread(film.begins_again, text))


def reason_of(status: int, text: str) -> str:
    """What FFmpeg said of its failure, in a line."""
    lines = [line.strip()[:REASON_LENGTH] for line in without_addresses(text).splitlines() if line.strip()]
    return " · ".join(lines[:3]) or f"FFmpeg ended with status {status}"


async def _discarded(path: str, *arguments: str) -> tuple[int, str]:
    """The outcome of a command without an output file."""
    return await _outcome([path, "-nostdin", "-loglevel", "error", *arguments, "-f", "null", "-"])


async def _outcome(command: list[str]) -> tuple[int, str]:
    """Exit status and output (stdout and stderr) of a short command; status -1 on a time-out.

    One that hangs after an error message is not waited for: some encoders do if their output cannot be opened.
    """
    status, output = await children.output(
        command, seconds=PROBE_TIMEOUT_SECONDS, silent_seconds=HANG_SECONDS, env={**os.environ, **ENVIRONMENT}
    )
    text = output.decode(errors="replace")
    return status, text or (f"no answer within {PROBE_TIMEOUT_SECONDS:.0f} s" if status == -1 else "")
