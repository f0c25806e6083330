"""Spatial and temporal information of a source: how much detail its pictures have, and how much they change.

ITU-T P.910 (10/2023), 7.8: SI is the standard deviation over a picture's luma after a Sobel filter, TI that of the
difference from the picture before. FFmpeg's filter ``siti`` computes them for each picture, with luma expanded from
limited to full range. It does not scale ten bits to eight, so the pictures are converted first; it counts the first
picture's TI, which has none before it, as 0, so that one is left out here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from wattview.analysis.efficiency import pixels
from wattview.daemon import children
from wattview.daemon.lab.encoding.capabilities import Capabilities, reason_of, version_of
from wattview.daemon.lab.encoding.ffmpeg_process import ENVIRONMENT
from wattview.daemon.lab.encoding.film import ONE_FILE, PIXEL_FORMAT, Film
from wattview.frame_rate import rate_text
from wattview.model import ContentComplexity, Scenario

MOST_SECONDS = 10.0
"""As long as the sequences of P.910: the filter takes 15 pictures of 1080p a second."""

PATIENCE_SECONDS = 600.0
NICE = 19

_SI = re.compile(r"^lavfi\.siti\.si=([0-9]+\.[0-9]+)$", re.MULTILINE)
_TI = re.compile(r"^lavfi\.siti\.ti=([0-9]+\.[0-9]+)$", re.MULTILINE)


async def content_of(
    capabilities: Capabilities, program: str, scenario: Scenario, film: Film | None,
    on_measure: Callable[[], None] = lambda: None,
) -> ContentComplexity | str:  # fmt: skip
    """Of a scenario's source, or why it is unknown. Measured once for each version of the file;
    ``on_measure`` is called when it is.

    A film is taken at its own size and frame rate: as a whole up to ``MOST_SECONDS``, else what the measured window
    begins with. A test picture has the scenario's.
    """
    return await _measured(capabilities, program, *_pictures(scenario, film), film, on_measure)


def pixels_looked_at(scenario: Scenario) -> float:
    """Exact for a test picture, approximate for a film."""
    return pixels(scenario.resolution) * scenario.fps * min(MOST_SECONDS, scenario.duration)


async def content_of_file(capabilities: Capabilities, program: str, film: Film) -> ContentComplexity | str:
    """The same of the beginning of a film by itself."""
    return await _measured(capabilities, program, *_of_film(film, 0.0, MOST_SECONDS), film)


async def _measured(
    capabilities: Capabilities, program: str, source: list[str], filters: str, film: Film | None,
    on_measure: Callable[[], None] = lambda: None,
) -> ContentComplexity | str:  # fmt: skip
    async def ask(path: str) -> ContentComplexity | str:
        on_measure()
        command = [
            path, "-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", *source, "-filter_complex",
            f"{filters}format={PIXEL_FORMAT},siti,metadata=mode=print:file=-[v0]", "-map", "[v0]", "-fps_mode",
            "passthrough", "-f", "null", "-",
        ]  # fmt: skip
        status, said = await children.output(
            command, seconds=PATIENCE_SECONDS, nice=NICE, env={**os.environ, **ENVIRONMENT}
        )
        text = said.decode(errors="replace")
        lack = f"{path} has no filter siti" if "siti" in text[:2000] and status else reason_of(status, text)
        return complexity(text) or lack

    what = ("content", *source, filters)
    if film is not None:
        what = (*what, *await version_of(film.path))
    return await capabilities.remembered(what, program, ask, failed=lambda found: isinstance(found, str))


def _pictures(scenario: Scenario, film: Film | None) -> tuple[list[str], str]:
    """The inputs and filters for the examined pictures."""
    seconds = min(MOST_SECONDS, scenario.duration)
    if film is not None:
        return _of_film(film, scenario.warmup, seconds)
    picture = f"{scenario.source}=size={scenario.resolution}:rate={rate_text(scenario.fps)}"
    return ["-f", "lavfi", "-t", f"{seconds:g}", "-i", picture], "[0:v:0]"


def _of_film(film: Film, start: float, seconds: float) -> tuple[list[str], str]:
    if film.seconds is not None and film.seconds <= max(MOST_SECONDS, start + seconds):
        start, seconds = 0.0, min(film.seconds + 1, MOST_SECONDS)
    filters = f"[0:{film.picture}]"
    if film.interlaced:
        filters += "bwdif=mode=send_frame:deint=interlaced,"
    filters += f"scale=flags=bicubic:out_range=tv{':out_color_matrix=bt709' if film.rgb else ''},setparams=range=tv,"
    window = ["-ss", f"{start:g}", "-t", f"{seconds:g}"]
    return [*ONE_FILE, "-an", "-sn", "-dn", *window, "-i", f"file:{film.path}"], filters


def complexity(text: str) -> ContentComplexity | None:
    """Parses what ``siti`` and ``metadata`` print; None if it is of no picture. One picture has no TI."""
    spatial = [float(found) for found in _SI.findall(text)]
    temporal = [float(found) for found in _TI.findall(text)[1:]]
    if not spatial:
        return None
    return ContentComplexity(
        spatial_information=max(spatial),
        spatial_information_mean=_mean(spatial),
        temporal_information=max(temporal, default=None),
        temporal_information_mean=_mean(temporal) if temporal else None,
    )


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 2)
