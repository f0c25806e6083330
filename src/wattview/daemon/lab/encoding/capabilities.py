"""What the FFmpegs of this machine can really do: found by doing it once, not by reading a list.

An answer is remembered for as long as the program's file stays the same. Starts short-lived children at low priority;
never asked for in a measured window.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import STDOUT
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from wattview.daemon import children
from wattview.daemon.lab.encoding import encoder_options, ffmpeg_command
from wattview.daemon.lab.encoding.ffmpeg_process import ENVIRONMENT
from wattview.model import Scenario

PROBE_TIMEOUT_SECONDS = 30.0
HANG_SECONDS = 10.0
PROBE_SIZE = "320x240"
PROBE_FPS = 25
PROBE_BITS = 500_000

T = TypeVar("T")


class Capabilities:
    """Answers about FFmpeg programs, by name or path. Raises ``children.ProgramMissing`` where there is none."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], object] = {}

    async def version(self, program: str) -> str:
        """``5.1.9-0+deb12u1``; "" where the program is no FFmpeg."""

        async def ask(path: str) -> str:
            status, output = await _outcome([path, "-version"])
            return ffmpeg_command.version(output) if status == 0 else ""

        return await self._remembered(("version",), program, ask)

    async def can_vmaf(self, program: str, model: str) -> bool:
        """Whether its libvmaf filter gives a score with that model (the filter's ``model=`` option)."""

        async def ask(path: str) -> bool:
            picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.08"]
            score = f"libvmaf=model={model}:log_fmt=json:log_path=/dev/stdout"
            command = [path, "-nostdin", "-loglevel", "error", *picture, *picture, "-lavfi", score, "-f", "null", "-"]
            status, output = await _outcome(command)
            return status == 0 and '"vmaf"' in output

        return await self._remembered(("vmaf", model), program, ask)

    async def can_xpsnr(self, program: str) -> bool:
        """Whether it has the xpsnr filter, which came with FFmpeg 7.1."""

        async def ask(path: str) -> bool:
            picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.08"]
            command = [path, "-nostdin", "-loglevel", "error", *picture, *picture, "-lavfi", "xpsnr", "-f", "null", "-"]
            return (await _outcome(command))[0] == 0

        return await self._remembered(("xpsnr",), program, ask)

    async def can_stamp_arrivals(self, program: str) -> bool:
        """Whether it can note when a packet came to a viewer (``ffmpeg.ARRIVAL_STAMP``)."""

        async def ask(path: str) -> bool:
            picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=0.08", "-c:v", "mpeg4"]
            command = [path, "-nostdin", "-loglevel", "error", *picture, "-bsf:v", ffmpeg_command.ARRIVAL_STAMP]
            status, _ = await _outcome([*command, "-f", "null", "-"])
            return status == 0

        return await self._remembered(("arrivals",), program, ask)

    async def why_not_encode(self, program: str, scenario: Scenario, *, push: bool = False) -> str:
        """Why a scenario's encoder with its settings does not work here, "" where it does: it encodes a few frames.

        With ``push`` the frames must also go into FLV, the form in which RTMP carries them.
        """
        arguments = encoder_options.encoder_arguments(scenario, bits=PROBE_BITS, fps=PROBE_FPS)
        output = ["-f", "flv"] if push else ["-f", "null"]

        async def ask(path: str) -> str:
            upload = encoder_options.upload_filter(scenario.encoder)
            command = [
                path, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-y",
                *encoder_options.device_arguments(scenario.encoder),
                "-f", "lavfi", "-i", f"testsrc2=size={PROBE_SIZE}:rate={PROBE_FPS}:duration=0.4",
                "-filter_complex", f"[0:v:0]format={ffmpeg_command.PIXEL_FORMAT}{upload}[v0]", "-map", "[v0]",
                *arguments, "-flags", "+global_header", *output, "/dev/null",
            ]  # fmt: skip
            status, text = await _outcome(command)
            return "" if status == 0 else _reason(status, text)

        return await self._remembered(("encode", *arguments, *output), program, ask)

    async def why_not_decode(self, program: str, media: Path) -> str:
        """Why a media file cannot be a source, "" where it can: its first pictures are decoded."""
        file = await asyncio.to_thread(media.stat)

        async def ask(path: str) -> str:
            source = ["-protocol_whitelist", "file", "-i", f"file:{media}"]
            command = [path, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *source]
            status, text = await _outcome([*command, "-map", "0:v:0", "-frames:v", "3", "-f", "null", "-"])
            if "matches no streams" in text:
                return "it has no video"
            return "" if status == 0 else _reason(status, text)

        return await self._remembered(("decode", str(media), str(file.st_mtime_ns), str(file.st_size)), program, ask)

    async def _remembered(self, what: tuple[str, ...], program: str, ask: Callable[[str], Awaitable[T]]) -> T:
        path = children.find_program(program)
        file = os.stat(path)
        key = (what, path, file.st_mtime_ns, file.st_size, file.st_ino)
        if key not in self._known:
            self._known[key] = await ask(path)
        return self._known[key]  # type: ignore[return-value]


def _reason(status: int, text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " · ".join(lines[:3]) or f"FFmpeg ended with status {status}"


async def _outcome(command: list[str]) -> tuple[int, str]:
    """Exit status and output (both kinds) of a short command; status -1 where it did not end in time.

    One that has said something and then hangs is not waited for: some encoders do where their output cannot be opened.
    """
    process = await children.spawn(
        command, nice=19, env={**os.environ, **ENVIRONMENT}, stdout=asyncio.subprocess.PIPE, stderr=STDOUT
    )
    assert process.stdout is not None
    output, patience = b"", PROBE_TIMEOUT_SECONDS
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            while True:
                async with asyncio.timeout(patience):
                    data = await process.stdout.read(65536)
                    if not data:
                        status = await process.wait()
                        return status, output.decode(errors="replace")
                output, patience = output + data, HANG_SECONDS
    except TimeoutError:
        return -1, output.decode(errors="replace") or f"no answer within {PROBE_TIMEOUT_SECONDS:.0f} s"
    finally:
        await children.stop(process, patience_seconds=0)
