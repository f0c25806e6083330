"""Validation of a request to run scenarios: it becomes a ``RunRequest``, or is refused with an explanation.

The rules are the types of ``model.scenarios``. The description of each field's valid values is here, for suite files,
the command line, the control API and the dashboard's form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import get_args

import msgspec

from wattview.decoding import Mistake, did_you_mean, mistake, shown, value_at
from wattview.frame_rate import written_rate
from wattview.model import Preset, RateControl, Rendition, RunRequest, Scenario, VideoEncoder
from wattview.model.scenarios import MOST_REPEATS

EXPECTED: Mapping[str, str] = {
    "scenarios": "a list of 1 to 1000 scenarios",
    "baseline": "seconds of idle, 0 to 86400",
    "baseline_after": "true or false",
    "repeat": f"a whole number, 1 to {MOST_REPEATS}",
    "alternate": "true or false",
    "pause": "seconds, 0 to 3600",
    "name": "1 to 100 characters on one line",
    "type": "baseline, streams, recording or command",
    "streams": "a whole number, 1 to 64",
    "bitrate": "a bitrate such as 2500k or 2.5M",
    "bitrates": "a list of 1 to 64 bitrates such as 2500k",
    "resolution": "width x height, such as 1280x720",
    "fps": "frames per second, 1 to 240, as a number or a fraction",
    "duration": "seconds, more than 0, at most 86400",
    "warmup": "seconds, 0 to 3600",
    "cooldown": "seconds, 0 to 3600",
    "steady": "seconds, 0 to 3600",
    "source": "a test picture such as testsrc2, or the name of a file in the media directory",
    "preset": f"one of {', '.join(get_args(Preset)[:10])}, p1 to p7 (NVENC), 0 to 13 (SVT-AV1), 0 to 8 (libaom, VP9)",
    "quality": "true or false",
    "encoder": f"one of {', '.join(get_args(VideoEncoder))}",
    "encoder_args": "settings of the encoder such as -tune film -bf 2, at most 500 characters",
    "bit_depth": "8 or 10",
    "renditions": "a list of 1 to 12 outputs, each with a resolution",
    "rate_control": f"one of {', '.join(get_args(RateControl))}",
    "crf": "a whole number, 0 to 63",
    "gop_seconds": "seconds, more than 0, at most 20",
    "buffer_seconds": "seconds, 0.1 to 20",
    "audio": "aac or none",
    "audio_bitrate": "a bitrate such as 128k",
    "viewers": "a whole number, 0 to 50",
    "push": "true or false",
    "vmaf_model": "hd, phone, 4k, neg, newest, or a version as in libvmaf such as vmaf_v0.6.1neg",
    "target": "an address such as srt://host:9000, or the name of one in scenarios.targets, at most 300 characters",
}
"""Valid values of each field, in words that follow "expected". A rendition's fields are named like a scenario's."""

_BITRATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([kM]?)")
_MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000}


class WrongField(ValueError):
    """An invalid request. ``field`` is the path of the invalid value, ``scenarios[2].bitrate``, or "" for the whole;
    ``message`` says what is wrong. ``str()`` is both."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def run_request(tree: object, also_known: Sequence[str] = ()) -> RunRequest:
    """The request in a parsed JSON or TOML document. ``also_known`` are additional field names that the caller accepts,
    used for suggestions. Raises WrongField."""
    try:
        return msgspec.convert(_with_numbers(tree), RunRequest)
    except msgspec.ValidationError as error:
        raise _explained(mistake(error), tree, also_known) from None


def _with_numbers(tree: object) -> object:
    """The tree with frame rates that are written as fractions, ``60000/1001``, as numbers."""
    return _with_parts(
        tree, "scenarios", lambda scenario: _with_parts(_with_number(scenario), "renditions", _with_number)
    )


def _with_parts(tree: object, name: str, changed: Callable[[object], object]) -> object:
    if not isinstance(tree, dict) or not isinstance(parts := tree.get(name), list):
        return tree
    return tree | {name: [changed(one) for one in parts]}


def _with_number(tree: object) -> object:
    if isinstance(tree, dict) and isinstance(text := tree.get("fps"), str):
        with suppress(ValueError):
            return tree | {"fps": written_rate(text)}
    return tree


def _explained(found: Mistake, tree: object, also_known: Sequence[str]) -> WrongField:
    """msgspec's error in terms of the request."""
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
    got = f", got {shown(value_at(tree, path))}" if name != "target" else ""
    return WrongField(path, f"expected {expected}{got}")


def _fields(parent: str, also_known: Sequence[str]) -> Sequence[str]:
    """The fields of the object at a path."""
    if not parent:
        return RunRequest.__struct_fields__
    return Rendition.__struct_fields__ if "renditions" in parent else (*Scenario.__struct_fields__, *also_known)


def bits_per_second(bitrate: str) -> int:
    """``2500k`` → 2 500 000, as in FFmpeg's ``-b:v``. Raises ValueError if it is not a bitrate."""
    match = _BITRATE.fullmatch(bitrate)
    if match is None:
        raise ValueError(f"not a bitrate such as 2500k or 2.5M: {bitrate!r}")
    return int(Fraction(match[1]) * _MULTIPLES[match[2]])


def bitrate_text(bits: int) -> str:
    """2 500 000 → ``2500k``: the canonical form."""
    return f"{bits // 1000}k" if bits % 1000 == 0 else str(bits)
