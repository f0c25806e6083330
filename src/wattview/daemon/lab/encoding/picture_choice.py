"""The bit depth and frame rate at which a source's pictures are encoded, and remarks on them for the results."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.encoder_options import codec, takes_ten_bits
from wattview.daemon.lab.encoding.film import Film, takes_fields
from wattview.frame_rate import exact_rate
from wattview.model import Scenario

SAME_RATE, SAME_RATE_OF_SHORT = 0.0005, 0.005
"""Shares by which the measured rate of a film is wrong at most; time stamps are often whole milliseconds."""

PRECISE_SECONDS = 4.0
"""The measured rate of a shorter film is less exact."""


async def with_bit_depth(
    scenario: Scenario, film: Film | None, ffmpeg: str, capabilities: Capabilities
) -> tuple[Scenario, list[str]]:
    """The scenario with the bit depth that is encoded, and remarks on that. Unless it says otherwise, the source's: 10
    for more than 8, if the encoder takes that here."""
    bits = film.bits if film is not None else 8
    depth, remarks = scenario.bit_depth or 8, []
    if scenario.bit_depth is None and bits > 8:
        lack = f"{scenario.encoder} takes 8" if not takes_ten_bits(scenario.encoder) else ""
        lack = lack or await capabilities.why_not_encode(ffmpeg, replace(scenario, bit_depth=10))
        depth = 8 if lack else 10
        remarks += [f"source: it has {bits} bits, and 8 were encoded: {lack}"] if lack else []
    if bits > 10 and depth == 10:
        remarks.append(f"source: it has {bits} bits, and 10 were encoded")
    if depth == 10 and codec(scenario.encoder) == "h264":
        remarks.append("H.264 in 10 bits (High 10): few players take it; bit_depth = 8 converts")
    return replace(scenario, bit_depth=depth), remarks


def rate_remarks(film: Film | None, scenario: Scenario) -> Iterator[str]:
    """What happened to the source's frames, or fields, at the scenario's rate."""
    if film is None or film.fps is None:
        return
    fps = film.fps
    if film.interlaced:
        made = "each field became a picture" if takes_fields(film, scenario) else "the two fields became one picture"
        yield f"source: it is interlaced, {fps:.4g} frames a second; deinterlaced before the encoder, {made}"
        fps *= 2 if takes_fields(film, scenario) else 1
    long = film.seconds is None or film.seconds > PRECISE_SECONDS
    if abs(float(exact_rate(scenario.fps)) / fps - 1) > (SAME_RATE if long else SAME_RATE_OF_SHORT):
        how = "left out" if scenario.fps < fps else "shown twice"
        yield f"source: it has {fps:.4g} pictures a second; at {scenario.fps:g}, pictures are {how}"
