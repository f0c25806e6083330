"""What a scenario encodes: its streams, and the renditions of each. Pure functions of a scenario."""

from __future__ import annotations

import re
import unicodedata

from msgspec import Struct

from wattview.analysis.efficiency import pixels
from wattview.model import Rendition, Scenario
from wattview.model.run_request import bitrate_text, bits_per_second

LADDER_EXPONENT = 0.75
"""How bitrate grows with pixels at equal quality: Ben Waggoner's "power of 0.75" rule of thumb."""


class Variant(Struct, frozen=True, kw_only=True):
    """One encoded output: the name it is pushed under, its picture, and its bits per second."""

    name: str
    resolution: str
    fps: float
    bits: int

    @property
    def bitrate(self) -> str:
        return bitrate_text(self.bits)

    @property
    def setting(self) -> tuple[str, float, int]:
        """Key by which two outputs of one scenario are identical."""
        return self.resolution, self.fps, self.bits


class EncodedStream(Struct, frozen=True):
    """What one FFmpeg makes of the source: one output, or a ladder."""

    name: str
    variants: tuple[Variant, ...]

    @property
    def best(self) -> Variant:
        """The output with the highest pixel rate, and of those the one with the highest bitrate."""
        return max(self.variants, key=lambda one: (pixels(one.resolution) * one.fps, one.bits))


def streams_of(scenario: Scenario) -> list[EncodedStream]:
    """The streams in order; none of a scenario that is not of the type ``streams``."""
    if scenario.type != "streams":
        return []
    bitrates = scenario.bitrates or [scenario.bitrate] * scenario.streams
    streams = []
    for index, bitrate in enumerate(bitrates):
        name = stream_name(scenario.name, index)
        bits = bits_per_second(bitrate)
        if scenario.renditions is None:
            variants: tuple[Variant, ...] = (
                Variant(name=name, resolution=scenario.resolution, fps=scenario.fps, bits=bits),
            )
        else:
            variants = tuple(
                _variant(scenario, rendition, bits, f"{name}-{rank}")
                for rank, rendition in enumerate(scenario.renditions, start=1)
            )
        streams.append(EncodedStream(name, variants))
    return streams


def _variant(scenario: Scenario, rendition: Rendition, bits: int, name: str) -> Variant:
    fps = rendition.fps or scenario.fps
    if rendition.bitrate is not None:
        bits = bits_per_second(rendition.bitrate)
    else:
        share = pixels(rendition.resolution) * fps / (pixels(scenario.resolution) * scenario.fps)
        bits = max(1, round(bits * share**LADDER_EXPONENT / 1000)) * 1000
    height = picture_size(rendition.resolution)[1]
    return Variant(name=f"{name}-{height}p", resolution=rendition.resolution, fps=fps, bits=bits)


def picture_size(resolution: str) -> tuple[int, int]:
    """``1280x720`` → (1280, 720)."""
    width, height = resolution.split("x")
    return int(width), int(height)


def stream_name(scenario_name: str, index: int) -> str:
    """The name under which a stream is pushed: the ASCII part of the scenario's name, and a number.

    Only letters, digits, ``-`` and ``_``: safe in an RTMP URL, in the tee muxer's syntax and as a file name. Not empty.
    """
    plain = unicodedata.normalize("NFKD", scenario_name).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:60].strip("-")
    return f"{words or 'stream'}-{index + 1}"
