"""Quality of a file against the file it was made from, frame by frame, for a command that we did not write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from wattview.config import Scenarios
from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.film import ONE_FILE, Film, FilmError
from wattview.daemon.lab.judging import self_test
from wattview.daemon.lab.judging.content import content_of_file
from wattview.daemon.lab.judging.quality import STALL_SECONDS, Clip, measure
from wattview.daemon.lab.judging.scores import Quality, QualityFailed
from wattview.daemon.lab.judging.tool import find_tool, of_model, why_not_models
from wattview.frame_rate import nearest_rate
from wattview.model import ContentComplexity, RenditionRecord, Scenario
from wattview.model.runs import scores_of


async def why_not_compared(settings: Scenarios, capabilities: Capabilities | None = None) -> str:
    """Why files cannot be scored here: no FFmpeg has the VMAF model, or the self-test's score is wrong. "" if they can.
    Takes about two seconds."""
    capabilities = capabilities or Capabilities()
    if reason := await why_not_models(settings, capabilities, [settings.vmaf_model]):
        return reason
    tool = await find_tool(settings, capabilities)
    wrong, known = await self_test.fault(capabilities, settings.ffmpeg, tool)
    if not wrong or not known:
        return ""
    return f"{settings.ffmpeg} and {tool} give wrong scores: {wrong}; set scenarios.quality_ffmpeg"


async def compared(
    settings: Scenarios,
    reference: Path,
    output: Path,
    advance: Callable[[float], None],
    capabilities: Capabilities | None = None,
) -> tuple[Quality, RenditionRecord, ContentComplexity | None]:
    """The scores of all frames of ``output``, and SI and TI of ``reference`` if they are known. ``advance`` gets the
    progress, from 0 to 1.

    A smaller output is scaled to the size of the reference, as on a player's screen. Raises QualityFailed if the frame
    counts differ, or if one cannot be decoded; OSError.
    """
    capabilities = capabilities or Capabilities()
    # The comparison runs in a folder of its own.
    reference, output = await asyncio.to_thread(lambda: (reference.absolute(), output.absolute()))
    if reason := await why_not_models(settings, capabilities, [settings.vmaf_model]):
        raise QualityFailed(reason)
    tool = await find_tool(settings, capabilities)
    source, made = await _film(settings, capabilities, reference), await _film(settings, capabilities, output)
    frames, expected = await _frames(settings.ffmpeg, made.path), await _frames(settings.ffmpeg, source.path)
    if frames != expected:
        raise QualityFailed(
            f"{output.name} has {frames} frames and {reference.name} has {expected}: a frame has no partner where the "
            "command changes the frame rate or cuts"
        )
    fps = min(max(nearest_rate(source.fps or 25.0), 1), 240)
    scenario = Scenario(name="files", resolution=source.size, fps=fps)
    tool = await of_model(tool, capabilities, settings.vmaf_model, scenario)
    clip = Clip(
        scenario=scenario, fps=fps, copy=made.path, first_frame=0, frames=frames, encoded=made.size,
        ten_bits=max(source.bits, made.bits) > 8,
    )  # fmt: skip
    with TemporaryDirectory(prefix="wattview-quality-") as folder:
        scores = await measure(
            tool,
            settings.ffmpeg,
            clip,
            Path(folder),
            lambda done: advance(done / frames),
            _raw(settings.ffmpeg, source, clip.pixel_format),
        )
    record = RenditionRecord(
        stream=output.name, resolution=made.size, fps=fps, bitrate="", quality_frames=scores.frames, **scores_of(scores)
    )
    content = await content_of_file(capabilities, settings.ffmpeg, source)
    return scores, record, None if isinstance(content, str) else content


async def _film(settings: Scenarios, capabilities: Capabilities, path: Path) -> Film:
    try:
        return await capabilities.film(settings.ffmpeg, path)
    except FilmError as error:
        raise QualityFailed(f"{path.name}: {error}") from None


async def _frames(program: str, path: Path) -> int:
    """The number of pictures in a file, by its packets."""
    command = [
        program, "-nostdin", "-loglevel", "error", *ONE_FILE, "-i", f"file:{path}", "-map", "0:V:0",
        "-c", "copy", "-f", "framecrc", "pipe:1",
    ]  # fmt: skip
    _, said = await children.output(command, seconds=STALL_SECONDS, errors=False)
    return sum(1 for line in said.splitlines() if line[:1].isdigit())


def _raw(program: str, film: Film, pixel_format: str) -> list[str]:
    """Every picture of the file once, in order, whatever its time stamps."""
    width, _, height = film.size.partition("x")
    return [
        program, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+error", *ONE_FILE, "-an", "-sn", "-dn",
        "-i", f"file:{film.path}", "-map", f"0:{film.picture}", "-vf",
        f"scale={width}:{height}:flags=bicubic:out_range=tv,format={pixel_format}", "-fps_mode", "passthrough",
        "-f", "rawvideo", "pipe:1",
    ]  # fmt: skip
