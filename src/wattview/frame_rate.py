"""Frame rates: exact, although people write them with a few decimals."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated

from msgspec import Meta

FrameRate = Annotated[int, Meta(ge=1, le=240)] | Annotated[float, Meta(ge=1, le=240)]
"""Frames per second as written: 30, 59.94."""

SAME_NTSC_RATE = 0.005
SAME_MEASURED_RATE = 0.0004

_WRITTEN = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(/[1-9][0-9]{0,8})?", re.ASCII)


def exact_rate(fps: float) -> Fraction:
    """The rate that FFmpeg is given. 23.976, 29.97, 59.94 and the like stand for 1000/1001 of a whole number, the rates
    of NTSC."""
    whole = Fraction(round(fps))
    if fps == whole:
        return whole
    ntsc = Fraction(round(fps) * 1000, 1001)
    return ntsc if abs(fps - ntsc) < SAME_NTSC_RATE else Fraction(fps).limit_denominator(1001)


def rate_text(fps: float) -> str:
    """The exact rate as FFmpeg reads it: ``60000/1001``."""
    return str(exact_rate(fps))


def written_rate(text: str) -> float:
    """``60000/1001`` → 59.94, and decimal numbers as they are. Raises ValueError."""
    if _WRITTEN.fullmatch(text.strip()) is None:
        raise ValueError(f"not a frame rate: {text!r}")
    dividend, _, divisor = text.partition("/")
    return _plain(Fraction(dividend.strip()) / Fraction(divisor.strip() or 1))


def nearest_rate(measured: float) -> float:
    """A rate that was measured by time stamps, as it is written: a whole number or 1000/1001 of one if it is as close
    as time stamps are precise."""
    whole = round(measured)
    for rate in (Fraction(whole), Fraction(whole * 1000, 1001)):
        if rate and abs(measured / rate - 1) < SAME_MEASURED_RATE:
            return _plain(rate)
    return round(measured, 3)


def _plain(rate: Fraction) -> float:
    return int(rate) if rate.denominator == 1 else round(float(rate), 3)
