"""Whether the encoding and the comparing FFmpeg agree: two seconds of a film with a known score.

The film is tagged like those of cameras and OBS, and its copy differs by a known amount: every luma value is four steps
brighter. Any conversion, shift or mispairing on one side gives a different score. It takes the path of every
comparison.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from pathlib import Path

from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.film import Film
from wattview.daemon.lab.judging import quality
from wattview.daemon.lab.judging.quality import Clip
from wattview.daemon.lab.judging.scores import QualityFailed
from wattview.daemon.lab.judging.tool import Tool, of_model
from wattview.frame_rate import rate_text
from wattview.model import Scenario

SCENE = Scenario(name="self-test", source="film.mkv", resolution="640x360", fps=25, audio="none")
FRAMES = 50
STEP = 4
SECONDS = 30.0

TAGS = ("bt709", "bt709", "bt709")

KNOWN_PSNR_DB = 10 * math.log10(255**2 / (STEP**2 * 2 / 3))
"""For luma that is ``STEP`` brighter everywhere and identical chroma, over all planes of 4:2:0: 37.85 dB."""

PSNR_WITHIN_DB = 0.2
LEAST_VMAF = 90.0
"""A picture that is uniformly 4 of 255 brighter has VMAF 96 or more; one that is off by a frame or a matrix, 20 to
70."""


async def why_scores_are_wrong(encoder_ffmpeg: str, tool: Tool) -> str:
    """What the two programs give for the known score if it is wrong, "" if right. Takes about two seconds.

    Raises QualityFailed if they cannot do it at all, and OSError.
    """
    with tempfile.TemporaryDirectory(prefix="wattview-self-test-") as name:
        folder = Path(name)
        film = Film(path=folder / "film.mkv", colours=TAGS)
        await _make(encoder_ffmpeg, folder, "film.mkv", "null")
        await _make(encoder_ffmpeg, folder, "copy.mkv", f"lutyuv=y=val+{STEP}")
        clip = Clip(scenario=SCENE, fps=SCENE.fps, copy=folder / "copy.mkv", first_frame=0, frames=FRAMES, film=film)
        scores = await quality.measure(tool, encoder_ffmpeg, clip, folder)
    if scores.frames != FRAMES:
        return f"{scores.frames} of {FRAMES} frames were compared"
    if abs(scores.psnr_score - KNOWN_PSNR_DB) > PSNR_WITHIN_DB:
        return f"PSNR {scores.psnr_score:.2f} dB where {KNOWN_PSNR_DB:.2f} dB is right"
    if scores.vmaf_score is not None and scores.vmaf_score < LEAST_VMAF:
        return f"VMAF {scores.vmaf_score:.1f} where more than {LEAST_VMAF:.0f} is right"
    return ""


async def fault(capabilities: Capabilities, encoder_ffmpeg: str, tool: Tool) -> tuple[str, bool]:
    """What is wrong with the scores of these two programs ("" if nothing), and whether that is certain: False if the
    test itself failed. Runs once per pair of versions."""

    tool = await of_model(tool, capabilities, tool.model, SCENE)

    async def ask(path: str) -> tuple[str, bool]:
        try:
            return await why_scores_are_wrong(path, tool), True
        except (QualityFailed, OSError) as error:
            return str(error), False

    file = await asyncio.to_thread(Path(tool.path).stat)
    what = ("self-test", str(tool), tool.model, str(tool.vmaf), str(file.st_mtime_ns), str(file.st_size))
    return await capabilities.remembered(what, encoder_ffmpeg, ask)


async def _make(program: str, folder: Path, name: str, change: str) -> None:
    """Lossless, in a container that stores colour tags."""
    matrix, primaries, transfer = TAGS
    picture = f"testsrc2=size={SCENE.resolution}:rate={rate_text(SCENE.fps)}:duration={FRAMES / SCENE.fps}"
    names = f"setparams=range=tv:colorspace={matrix}:color_primaries={primaries}:color_trc={transfer}"
    command = [
        program, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-f", "lavfi", "-i", picture, "-vf",
        f"format=yuv420p,{change},{names}", "-c:v", "ffv1", "-f", "matroska", name,
    ]  # fmt: skip
    status, said = await children.output(command, seconds=SECONDS, cwd=folder)
    if status != 0 or not await asyncio.to_thread((folder / name).exists):
        raise QualityFailed(
            f"{program} could not make the film of the self-test: {said[:300].decode(errors='replace')}"
        )
