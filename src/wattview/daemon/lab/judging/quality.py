"""VMAF, PSNR, SSIM and optionally XPSNR of an encoder's actual output, frame against frame.

The encoder's own output, written beside the push by FFmpeg's ``tee`` muxer, is compared with the same source, generated
again by the same FFmpeg. The source comes as raw frames through a pipe, because the FFmpeg with libvmaf is often a
different build than the encoding one. Both sides are numbered by frame, never by time stamp, and no filter in between
changes the frame rate: frame n is compared with frame n.

Runs after the measured windows, at the lowest priority, as two child processes.
"""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from wattview.daemon import children
from wattview.daemon.child_log import ChildLog
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.ffmpeg_process import last_message
from wattview.daemon.lab.encoding.film import PIXEL_FORMAT, SAME_COLOURS, TEN_BITS, Film
from wattview.daemon.lab.encoding.renditions import picture_size
from wattview.daemon.lab.judging.scores import PART, Quality, QualityFailed, read_scores
from wattview.daemon.lab.judging.tool import CAMBI, Tool
from wattview.daemon.lab.judging.vmaf_models import model_option, of_ten_bits
from wattview.frame_rate import exact_rate, rate_text
from wattview.model import Scenario

NICE = 19
STALL_SECONDS = 60.0

MIN_CAMBI_SIDE = 216
"""CAMBI takes no picture that is smaller in both directions."""

_DAMAGE = re.compile(r"^\[(?!rawvideo)[a-z0-9_,]+ @ [^]\n]*\] \[error\] (.*)", re.MULTILINE)
"""Errors of a demuxer or decoder. The pipe closed early by the comparison is not one."""


class Clip(Struct, frozen=True, kw_only=True):
    """What is compared: ``frames`` frames from ``first_frame`` of the recorded ``copy`` of one output of a scenario.

    A rendition smaller than the source is scaled up to the source's size, as on a player's screen; one with another
    frame rate is compared with the source frames that it was made from. ``copy_begins`` is the frame number in the
    stream of the copy's first frame: 0 for an encoder's own, more for what a subscriber recorded. ``encoded`` is the
    size that was encoded, "" for the scenario's. ``ten_bits``: the source or the copy has more than eight bits, and the
    raw frames of the source come with ten.
    """

    scenario: Scenario
    fps: float
    copy: Path
    first_frame: int
    frames: int
    copy_begins: int = 0
    film: Film | None = None
    encoded: str = ""
    ten_bits: bool = False

    @property
    def pixel_format(self) -> str:
        """Of the raw frames, and of both sides of the comparison."""
        return TEN_BITS if self.ten_bits else PIXEL_FORMAT


async def measure(
    tool: Tool,
    encoder_ffmpeg: str,
    clip: Clip,
    folder: Path,
    on_frames: Callable[[int], None] | None = None,
    reference: list[str] | None = None,
) -> Quality:
    """Compares one clip. ``reference`` is a command that gives other raw frames than the scenario's source.

    The per-frame logs stay in ``folder``, named after the copy; until they are whole, and where the comparison fails,
    with ``PART`` in their names.

    ``on_frames`` gets the number of finished frames. Raises QualityFailed; never leaves a child behind.
    """
    if clip.frames < 1:
        raise QualityFailed("no frame of the measured window was recorded")
    stem = clip.copy.name.split(".")[0]
    part = f"{stem}{PART}"
    reference_log, compare_log = folder / f"{stem}-reference.log", folder / f"{stem}-compare.log"
    reference = reference or ffmpeg_command.reference_command(
        encoder_ffmpeg,
        clip.scenario,
        fps=clip.fps,
        film=clip.film,
        first_frame=clip.first_frame,
        frames=clip.frames,
    )
    compare = compare_command(tool, clip, part)
    started: list[Process] = []
    tidying: asyncio.Task[None] | None = None
    read_end, write_end = os.pipe()
    try:
        try:
            log = await asyncio.to_thread(ChildLog, reference_log)
            started.append(await children.spawn(reference, nice=NICE, cwd=folder, stdout=write_end, stderr=log))
            tidying = asyncio.create_task(_stop_when_ended(started[0]))
            log = await asyncio.to_thread(ChildLog, compare_log)
            comparing = await children.spawn(
                compare, nice=NICE, cwd=folder, stdin=read_end, stdout=asyncio.subprocess.PIPE, stderr=log
            )
            started.append(comparing)
        finally:
            os.close(read_end)
            os.close(write_end)
        patience = STALL_SECONDS + clip.first_frame / clip.fps
        assert comparing.stdout is not None
        async with asyncio.timeout(patience) as stall:
            loop, parser, done = asyncio.get_running_loop(), ffmpeg_command.ProgressParser(), 0
            async for line in children.lines(comparing.stdout):
                progress = parser.feed(line.decode("ascii", errors="replace"))
                if progress is not None and (progress.frames or 0) > done:
                    done = progress.frames or 0
                    stall.reschedule(loop.time() + STALL_SECONDS)
                    if on_frames is not None:
                        on_frames(done)
            await children.ended(comparing)
            status = comparing.returncode
    except TimeoutError:
        raise QualityFailed(f"{tool.path} has not compared a frame for {STALL_SECONDS:.0f} s or more") from None
    finally:
        if tidying is not None:
            tidying.cancel()
        await asyncio.gather(*(children.stop(process, patience_seconds=0.0) for process in started))
    if status != 0:
        words = await asyncio.to_thread(last_message, reference_log)
        words = f"{words} · {await asyncio.to_thread(last_message, compare_log)}"
        raise QualityFailed(f"{tool.path} could not compare (exit status {status}): {words}")
    damage = _DAMAGE.search(await asyncio.to_thread(reference_log.read_text, "utf-8", "replace"))
    if damage is not None:
        raise QualityFailed(f"the source is damaged, and may look different each time it is decoded: {damage[1]}")
    scores = await asyncio.to_thread(read_scores, tool, folder, part)
    await asyncio.to_thread(_keep, folder, stem)
    return scores


async def _stop_when_ended(reference: Process) -> None:
    """A child left behind by the reference would hold the pipe open, and the comparison would wait for its end."""
    await children.ended(reference)
    await children.stop(reference, patience_seconds=0.0)


def _keep(folder: Path, stem: str) -> None:
    """Gives the logs of a finished comparison their names."""
    for path in folder.glob(f"{stem}{PART}-*"):
        path.rename(path.with_name(path.name.replace(PART, "", 1)))


async def encoded_bits_per_second(program: str, clip: Clip, folder: Path) -> float | None:
    """Bits per second of the clip's encoded video, from its packet sizes; None if unknown."""
    command = [
        program, "-nostdin", "-loglevel", "error", "-i", str(clip.copy), "-map", "0:v:0", "-c", "copy",
        "-f", "framecrc", "pipe:1",
    ]  # fmt: skip
    _, output = await children.output(command, seconds=STALL_SECONDS, nice=NICE, cwd=folder, errors=False)
    # Lines of "stream, dts, pts, duration, size, checksum" below some of "#…".
    sizes = [int(line.split(b",")[4]) for line in output.splitlines() if line.count(b",") >= 5 and line[:1] != b"#"]
    chosen = sizes[clip.first_frame : clip.first_frame + clip.frames]
    return 8 * sum(chosen) * float(exact_rate(clip.fps)) / len(chosen) if chosen else None


def compare_command(tool: Tool, clip: Clip, stem: str) -> list[str]:
    """The comparison: the copy as input 0, raw reference frames on standard input as input 1.

    Frames are stamped with their number on both sides, so that the filters pair them by number, and with the same
    colour tags: raw frames have none, and filters convert the side whose tags differ. File names are relative to the
    working directory: a path inside a filter graph would need a third kind of escaping.
    """
    scenario = clip.scenario
    width, height = picture_size(scenario.resolution)
    number = f"settb={1 / exact_rate(clip.fps)},setpts=N"
    fit = f"scale={width}:{height}:flags=bicubic,format={clip.pixel_format}"
    first = clip.first_frame - clip.copy_begins
    metrics = [f"[d{{0}}][r{{0}}]{name}=stats_file={stem}-{name}.log:shortest=1[o{{0}}]" for name in ("psnr", "ssim")]
    if tool.vmaf:
        metrics.append(_vmaf(tool, clip, stem))
    if tool.xpsnr:
        # This filter needs the reference first: the reference's activity weights the errors.
        metrics.append(f"[r{{0}}][d{{0}}]xpsnr=stats_file={stem}-xpsnr.log:shortest=1[o{{0}}]")
    ways = range(len(metrics))
    graph = [
        f"[0:v:0]{SAME_COLOURS},trim=start_frame={first}:end_frame={first + clip.frames},{number},{fit},"
        + f"split={len(metrics)}"
        + "".join(f"[d{way}]" for way in ways),
        f"[1:v:0]{SAME_COLOURS},{number},split={len(metrics)}" + "".join(f"[r{way}]" for way in ways),
        *(metric.format(way) for way, metric in enumerate(metrics)),
    ]
    sinks = [part for way in ways for part in ("-map", f"[o{way}]", "-f", "null", "-")]
    return [
        tool.path, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning", "-progress", "pipe:1",
        "-i", str(clip.copy), "-f", "rawvideo", "-pixel_format", clip.pixel_format,
        "-video_size", scenario.resolution, "-framerate", rate_text(clip.fps), "-i", "pipe:0",
        "-filter_complex", ";".join(graph), *sinks,
    ]  # fmt: skip


def _vmaf(tool: Tool, clip: Clip, stem: str) -> str:
    """libvmaf's part of the filter graph: one pass for VMAF and CAMBI."""
    encoded = _encoded(clip)
    model = model_option(tool.model)
    if of_ten_bits(tool.model):
        model += "".join(f"\\\\:cambi.{option}" for option in encoded)
    options = [f"model={model}", f"log_fmt=json:log_path={stem}-vmaf.json", f"n_threads={len(os.sched_getaffinity(0))}"]
    if tool.cambi and max(picture_size(clip.scenario.resolution)) >= MIN_CAMBI_SIDE:
        options.append(CAMBI + "".join(f"\\\\:{option}" for option in encoded))
    sides = "[d{0}][r{0}]"
    if of_ten_bits(tool.model) and not clip.ten_bits:
        convert = f"format={TEN_BITS}"
        sides = f"[d{{0}}]{convert}[d{{0}}x];[r{{0}}]{convert}[r{{0}}x];[d{{0}}x][r{{0}}x]"
    return f"{sides}libvmaf={':'.join(options)}:shortest=1[o{{0}}]"


def _encoded(clip: Clip) -> list[str]:
    """CAMBI's options for pictures that were encoded smaller than they are compared."""
    if clip.encoded in ("", clip.scenario.resolution) or max(picture_size(clip.encoded)) < MIN_CAMBI_SIDE:
        return []
    width, height = picture_size(clip.encoded)
    return [f"enc_width={width}", f"enc_height={height}"]
