"""The scores in the logs of FFmpeg's filters psnr, ssim, xpsnr and libvmaf."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.windows.energy import percentile
from wattview.daemon.lab.encoding.ffmpeg_process import last_message
from wattview.daemon.lab.judging.tool import Tool
from wattview.daemon.lab.judging.vmaf_models import model_name
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model.runs import Scores

PART = ".part"
"""Suffix of the logs of an unfinished comparison, which ``run_journal.delete_what_is_compared`` deletes."""

PSNR_CEILING_DB = 100.0
"""Recorded for identical pictures, whose PSNR is infinite, which JSON cannot express; also the maximum: above it no
visible bit of an 8-bit picture has changed."""

_PEAK_SQUARED = 255.0**2


class QualityFailed(Exception):
    """The comparison failed. ``str()`` says why."""


class Quality(Scores, frozen=True, kw_only=True):
    """The scores of ``frames`` compared frames, by a record's names for them. VMAF is None if the tool has no libvmaf.
    PSNR is in dB, over all planes weighted by their size; SSIM likewise (``All``).

    ``xpsnr_score`` is the minimum of the three planes' XPSNR, the summary that the filter's authors use: C. R. Helmrich
    et al., "A Study of the Extended Perceptually Weighted Peak Signal-to-Noise Ratio (XPSNR) for Video Compression with
    Different Resolutions and Bit Depths", ITU Journal: ICT Discoveries 3 (2020). None if it was not requested or the
    tool has no such filter. ``cambi_score`` is the mean over the frames, likewise.
    """

    frames: int
    psnr_score: float
    ssim_score: float
    vmaf_model: str | None = None
    tool: str = ""


def read_scores(tool: Tool, folder: Path, stem: str) -> Quality:
    psnrs = _column(folder / f"{stem}-psnr.log", "psnr_avg")
    ssims = _column(folder / f"{stem}-ssim.log", "All")
    if not psnrs or len(psnrs) != len(ssims):
        words = last_message(folder / f"{stem.removesuffix(PART)}-reference.log")
        raise QualityFailed(f"{len(psnrs)} frames were compared; the reference decoder said: {words}")
    scores = Quality(
        frames=len(psnrs), psnr_score=mean_psnr(psnrs), ssim_score=math.fsum(ssims) / len(ssims), tool=str(tool)
    )
    if tool.xpsnr:
        scores = replace(scores, xpsnr_score=_xpsnr(folder / f"{stem}-xpsnr.log"))
    if not tool.vmaf:
        return scores
    scores = replace(scores, vmaf_model=model_name(tool.model))
    return _with_vmaf(scores, folder / f"{stem}-vmaf.json", cambi=tool.cambi)


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


class _Frame(Struct):
    metrics: dict[str, float]


class _VmafLog(Struct):
    frames: list[_Frame]


def _with_vmaf(scores: Quality, log: Path, *, cambi: bool) -> Quality:
    try:
        frames = msgspec.json.decode(log.read_bytes(), type=_VmafLog).frames
    except (OSError, *UNREADABLE) as error:
        raise QualityFailed(f"libvmaf's log cannot be read: {why_unreadable(error)}") from None
    values = sorted(frame.metrics["vmaf"] for frame in frames if "vmaf" in frame.metrics)
    if not values:
        raise QualityFailed("libvmaf compared no frame")
    banding = [frame.metrics[name] for frame in frames if (name := _cambi(frame.metrics))]
    return replace(
        scores,
        vmaf_score=math.fsum(values) / len(values),
        vmaf_harmonic_mean=harmonic_mean(values),
        vmaf_percentile_1=percentile(values, 1.0),
        vmaf_minimum=values[0],
        cambi_score=math.fsum(banding) / len(banding) if banding and cambi else None,
    )


def _cambi(metrics: dict[str, float]) -> str:
    """CAMBI's name in the log, with its options; models of generation 1 have one of their own, with a limit."""
    return next((name for name in metrics if name.startswith("cambi") and "cmxv" not in name), "")


def harmonic_mean(values: list[float]) -> float:
    """As in libvmaf: the harmonic mean of the values plus 1, less 1, so that one frame of score 0 does not make the
    result 0."""
    return len(values) / math.fsum(1 / (value + 1) for value in values) - 1
