"""VMAF, PSNR, SSIM and optionally XPSNR of an encoder's actual output, frame against frame.

The encoder's own output, written beside the push by FFmpeg's ``tee`` muxer, is compared with the same source, generated
again by the same FFmpeg. The source comes as raw frames through a pipe, because the FFmpeg with libvmaf is often a
different build than the encoding one. Both sides are numbered by frame, never by time stamp, and no filter in between
changes the frame rate: frame n is compared with frame n.

Runs after the measured windows, at the lowest priority, as two child processes.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wattview.config import Scenarios
from wattview.daemon import children
from wattview.daemon.child_log import ChildLog
from wattview.daemon.lab.encoding import ffmpeg_command
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.ffmpeg_process import last_words
from wattview.daemon.lab.encoding.film import PIXEL_FORMAT, SAME_COLOURS, Film
from wattview.daemon.lab.encoding.renditions import picture_size
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import Scenario

NICE = 19
PART = ".part"
"""Suffix of the logs of an unfinished comparison, which ``run_journal.delete_what_is_compared`` deletes."""

STALL_SECONDS = 60.0
PSNR_CEILING_DB = 100.0
"""Recorded for identical pictures, whose PSNR is infinite, which JSON cannot express; also the maximum: above it no
visible bit of an 8-bit picture has changed."""

_PEAK_SQUARED = 255.0**2

_DAMAGE = re.compile(r"^\[(?!rawvideo)[a-z0-9_,]+ @ [^]\n]*\] \[error\] (.*)", re.MULTILINE)
"""Errors of a demuxer or decoder. The pipe closed early by the comparison is not one."""


VMAF_MODELS = {
    "hd": ("vmaf_v0.6.1", "version=vmaf_v0.6.1"),
    "phone": ("vmaf_v0.6.1 (phone)", "version=vmaf_v0.6.1\\\\:enable_transform=true"),
    "4k": ("vmaf_4k_v0.6.1", "version=vmaf_4k_v0.6.1"),
    "neg": ("vmaf_v0.6.1neg", "version=vmaf_v0.6.1neg"),
}
"""By ``scenarios.vmaf_model``: the recorded name, and the filter's ``model=`` option (a colon in it is escaped twice:
for the option and for the filter graph)."""


class QualityFailed(Exception):
    """The comparison failed. ``str()`` says why."""


class Tool(Struct, frozen=True):
    """The comparing FFmpeg. ``vmaf``: it has libvmaf and the model of that name in ``VMAF_MODELS``. ``xpsnr``: it has
    that filter too; False if it is not requested."""

    path: str
    version: str
    vmaf: bool
    model: str = "hd"
    xpsnr: bool = False

    def __str__(self) -> str:
        return f"{self.path} {self.version}"


class Quality(Struct, frozen=True, kw_only=True):
    """The scores of ``frames`` compared frames. VMAF is None if the tool has no libvmaf. PSNR is in dB, over all planes
    weighted by their size; SSIM likewise (``All``).

    ``xpsnr_db`` is the minimum of the three planes' XPSNR, the summary that the filter's authors use: C. R. Helmrich et
    al., "A Study of the Extended Perceptually Weighted Peak Signal-to-Noise Ratio (XPSNR) for Video Compression with
    Different Resolutions and Bit Depths", ITU Journal: ICT Discoveries 3 (2020). None if it was not requested or the
    tool has no such filter.
    """

    frames: int
    psnr_db: float
    ssim: float
    vmaf: float | None = None
    vmaf_harmonic_mean: float | None = None
    vmaf_percentile_1: float | None = None
    vmaf_minimum: float | None = None
    vmaf_model: str | None = None
    xpsnr_db: float | None = None
    tool: str = ""


class Clip(Struct, frozen=True, kw_only=True):
    """What is compared: ``frames`` frames from ``first_frame`` of the recorded ``copy`` of one output of a scenario.

    A rendition smaller than the source is scaled up to the source's size, as on a player's screen; one with another
    frame rate is compared with the source frames that it was made from. ``copy_begins`` is the frame number in the
    stream of the copy's first frame: 0 for an encoder's own, more for what a subscriber recorded.
    """

    scenario: Scenario
    fps: int
    copy: Path
    first_frame: int
    frames: int
    copy_begins: int = 0
    film: Film | None = None


async def find_tool(settings: Scenarios, capabilities: Capabilities) -> Tool:
    """The comparing FFmpeg: the configured one; else the encoding one if it has libvmaf; else the static build of
    imageio-ffmpeg; else the encoding one, for PSNR and SSIM alone."""
    if settings.quality_ffmpeg:
        return await _tool(settings.quality_ffmpeg, settings, capabilities)
    for program in (settings.ffmpeg, _static_ffmpeg()):
        if program is not None:
            try:
                tool = await _tool(program, settings, capabilities)
            except children.ProgramMissing:
                continue
            if tool.vmaf:
                return tool
    return await _tool(settings.ffmpeg, settings, capabilities)


async def _tool(program: str, settings: Scenarios, capabilities: Capabilities) -> Tool:
    vmaf = await capabilities.can_vmaf(program, VMAF_MODELS[settings.vmaf_model][1])
    xpsnr = settings.xpsnr and await capabilities.can_xpsnr(program)
    return Tool(children.find_program(program), await capabilities.version(program), vmaf, settings.vmaf_model, xpsnr)


def _static_ffmpeg() -> str | None:
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return None


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
        words = await asyncio.to_thread(last_words, reference_log)
        words = f"{words} · {await asyncio.to_thread(last_words, compare_log)}"
        raise QualityFailed(f"{tool.path} could not compare (exit status {status}): {words}")
    damage = _DAMAGE.search(await asyncio.to_thread(reference_log.read_text, "utf-8", "replace"))
    if damage is not None:
        raise QualityFailed(f"the source is damaged, and may look different each time it is decoded: {damage[1]}")
    scores = await asyncio.to_thread(_read_scores, tool, folder, part)
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
    return 8 * sum(chosen) * clip.fps / len(chosen) if chosen else None


def compare_command(tool: Tool, clip: Clip, stem: str) -> list[str]:
    """The comparison: the copy as input 0, raw reference frames on standard input as input 1.

    Frames are stamped with their number on both sides, so that the filters pair them by number, and with the same
    colour tags: raw frames have none, and filters convert the side whose tags differ. File names are relative to the
    working directory: a path inside a filter graph would need a third kind of escaping.
    """
    scenario = clip.scenario
    width, height = picture_size(scenario.resolution)
    number = f"settb=1/{clip.fps},setpts=N"
    fit = f"scale={width}:{height}:flags=bicubic,format={PIXEL_FORMAT}"
    first = clip.first_frame - clip.copy_begins
    metrics = [f"[d{{0}}][r{{0}}]{name}=stats_file={stem}-{name}.log:shortest=1[o{{0}}]" for name in ("psnr", "ssim")]
    if tool.vmaf:
        threads = len(os.sched_getaffinity(0))
        log = f"log_fmt=json:log_path={stem}-vmaf.json"
        model = f"libvmaf=model={VMAF_MODELS[tool.model][1]}"
        metrics.append(f"[d{{0}}][r{{0}}]{model}:{log}:n_threads={threads}:shortest=1[o{{0}}]")
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
        "-i", str(clip.copy), "-f", "rawvideo", "-pixel_format", PIXEL_FORMAT,
        "-video_size", scenario.resolution, "-framerate", str(clip.fps), "-i", "pipe:0",
        "-filter_complex", ";".join(graph), *sinks,
    ]  # fmt: skip


def _read_scores(tool: Tool, folder: Path, stem: str) -> Quality:
    psnrs = _column(folder / f"{stem}-psnr.log", "psnr_avg")
    ssims = _column(folder / f"{stem}-ssim.log", "All")
    if not psnrs or len(psnrs) != len(ssims):
        words = last_words(folder / f"{stem.removesuffix(PART)}-reference.log")
        raise QualityFailed(f"{len(psnrs)} frames were compared; the reference said: {words}")
    scores = Quality(frames=len(psnrs), psnr_db=mean_psnr(psnrs), ssim=math.fsum(ssims) / len(ssims), tool=str(tool))
    if tool.xpsnr:
        scores = replace(scores, xpsnr_db=_xpsnr(folder / f"{stem}-xpsnr.log"))
    if not tool.vmaf:
        return scores
    scores = replace(scores, vmaf_model=VMAF_MODELS[tool.model][0])
    return _with_vmaf(scores, folder / f"{stem}-vmaf.json")


def mean_psnr(frame_psnrs_db: list[float]) -> float:
    """PSNR of a whole clip: of the mean squared error of all frames, not the mean of decibels (as FFmpeg's psnr filter
    computes it). At most ``PSNR_CEILING_DB``."""
    errors = (_PEAK_SQUARED / 10 ** (psnr / 10) for psnr in frame_psnrs_db)
    mean_error = math.fsum(errors) / len(frame_psnrs_db)
    if mean_error == 0:
        return PSNR_CEILING_DB
    return min(10 * math.log10(_PEAK_SQUARED / mean_error), PSNR_CEILING_DB)


def _column(log: Path, name: str) -> list[float]:
    """One column of a statistics file of FFmpeg's psnr or ssim filter: lines of ``key:value``."""
    text = log.read_text(encoding="ascii", errors="replace") if log.exists() else ""
    return [float(value) for value in re.findall(rf"\b{name}:(inf|[0-9.]+)", text)]


def _xpsnr(log: Path) -> float:
    """The minimum of the planes' averages, from the last line of FFmpeg's xpsnr filter; at most ``PSNR_CEILING_DB``."""
    text = log.read_text(encoding="ascii", errors="replace") if log.exists() else ""
    found = re.search(r"^XPSNR average, .*\(minimum: (inf|-?[0-9.]+)\)", text, re.MULTILINE)
    if found is None:
        raise QualityFailed("FFmpeg's xpsnr filter has written no average")
    return min(float(found[1]), PSNR_CEILING_DB)


class _Metrics(Struct):
    vmaf: float


class _Frame(Struct):
    metrics: _Metrics


class _VmafLog(Struct):
    frames: list[_Frame]


def _with_vmaf(scores: Quality, log: Path) -> Quality:
    try:
        frames = msgspec.json.decode(log.read_bytes(), type=_VmafLog).frames
    except (OSError, *UNREADABLE) as error:
        raise QualityFailed(f"libvmaf's log cannot be read: {why_unreadable(error)}") from None
    values = sorted(frame.metrics.vmaf for frame in frames)
    if not values:
        raise QualityFailed("libvmaf compared no frame")
    return replace(
        scores,
        vmaf=math.fsum(values) / len(values),
        vmaf_harmonic_mean=harmonic_mean(values),
        vmaf_percentile_1=percentile(values, 1.0),
        vmaf_minimum=values[0],
    )


def harmonic_mean(values: list[float]) -> float:
    """As in libvmaf: the harmonic mean of the values plus 1, less 1, so that one frame of score 0 does not make the
    result 0."""
    return len(values) / math.fsum(1 / (value + 1) for value in values) - 1


def percentile(ordered: list[float], percent: float) -> float:
    """Linear between the two nearest of the ordered values (method 7 of Hyndman and Fan)."""
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
