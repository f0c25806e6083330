"""A request to run scenarios as a person or a program wrote it: made into a ``RunRequest``, or refused in words.

The rules are the types of ``model.scenarios``. What each field takes is said here once, for the suite file, the command
line, the control API and the dashboard's form; and what a text that a field takes stands for, for who reads it again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import get_args

import msgspec

from wattview.decoding import Mistake, did_you_mean, mistake, shown, value_at
from wattview.model import Preset, RateControl, Rendition, RunRequest, Scenario, VideoEncoder

EXPECTED: Mapping[str, str] = {
    "scenarios": "a list of 1 to 1000 scenarios",
    "baseline": "seconds of idle, 0 to 86400",
    "baseline_after": "true or false",
    "repeat": "a whole number, 1 to 100",
    "pause": "seconds, 0 to 3600",
    "name": "1 to 100 characters on one line",
    "type": "baseline or streams",
    "streams": "a whole number, 1 to 64",
    "bitrate": "a bit rate such as 2500k or 2.5M",
    "bitrates": "a list of 1 to 64 bit rates such as 2500k",
    "resolution": "width x height, such as 1280x720",
    "fps": "a whole number, 1 to 240",
    "duration": "seconds, more than 0, at most 86400",
    "warmup": "seconds, 0 to 3600",
    "cooldown": "seconds, 0 to 3600",
    "steady": "seconds, 0 to 3600",
    "source": "a test picture such as testsrc2, or the name of a file in the media directory",
    "preset": f"one of {', '.join(get_args(Preset)[:10])}, p1 to p7 (NVENC) or 0 to 13 (SVT-AV1)",
    "quality": "true or false",
    "encoder": f"one of {', '.join(get_args(VideoEncoder))}",
    "renditions": "a list of 1 to 12 outputs, each with a resolution",
    "rate_control": f"one of {', '.join(get_args(RateControl))}",
    "crf": "a whole number, 0 to 63",
    "gop_seconds": "seconds, more than 0, at most 20",
    "buffer_seconds": "seconds, 0.1 to 20",
    "audio": "aac or none",
    "audio_bitrate": "a bit rate such as 128k",
    "viewers": "a whole number, 0 to 50",
}
"""What a field takes, in words that follow "expected". A rendition's fields are named as a scenario's."""

_BITRATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([kM]?)")
_MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000}


class WrongField(ValueError):
    """A request that is no request. ``field`` is the path to what is wrong, ``scenarios[2].bitrate``, "" for the whole;
    ``message`` is what is wrong with it. ``str()`` is both."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def run_request(tree: object, also_known: Sequence[str] = ()) -> RunRequest:
    """The request that a parsed JSON or TOML document makes. ``also_known`` are further names of a scenario's fields
    that the reader takes, for its suggestions. Raises WrongField."""
    try:
        return msgspec.convert(tree, RunRequest)
    except msgspec.ValidationError as error:
        raise _explained(mistake(error), tree, also_known) from None


def _explained(found: Mistake, tree: object, also_known: Sequence[str]) -> WrongField:
    """msgspec's message in the words of who wrote the request."""
    path = found.path
    parent, _, name = path.rpartition(".")
    if found.unknown:
        return WrongField(path, "no such field" + did_you_mean(name, _fields(parent, also_known)))
    if found.missing:
        return WrongField(path, f"missing; expected {EXPECTED[name]}")
    name = re.sub(r"\[[0-9.]*\]$", "", name)
    if name not in EXPECTED or re.search(r"(scenarios|renditions)\[[0-9]+\]$", path):
        expected = f"an object with {'fields' if path else 'scenarios'}"
    else:
        expected = EXPECTED["bitrate"] if re.search(r"bitrates\[[0-9]+\]$", path) else EXPECTED[name]
    return WrongField(path, f"expected {expected}, got {shown(value_at(tree, path))}")


def _fields(parent: str, also_known: Sequence[str]) -> Sequence[str]:
    """The fields of the object at a path."""
    if not parent:
        return RunRequest.__struct_fields__
    return Rendition.__struct_fields__ if "renditions" in parent else (*Scenario.__struct_fields__, *also_known)


def bits_per_second(bitrate: str) -> int:
    """``2500k`` → 2 500 000, as FFmpeg's ``-b:v`` understands it. Raises ValueError for what is no bit rate."""
    match = _BITRATE.fullmatch(bitrate)
    if match is None:
        raise ValueError(f"not a bit rate such as 2500k or 2.5M: {bitrate!r}")
    return int(Fraction(match[1]) * _MULTIPLES[match[2]])


def bitrate_text(bits: int) -> str:
    """2 500 000 → ``2500k``: the one way in which we write it."""
    return f"{bits // 1000}k" if bits % 1000 == 0 else str(bits)
