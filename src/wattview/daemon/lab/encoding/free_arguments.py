"""Encoder arguments that a request may choose freely: how they are checked, and how they join those of WattView.

An encoder's entry lists them by name, since its options include some that read or write files (x264's ``stats``,
x265's ``csv`` and ``analysis-save``, libaom's ``film-grain-table``), write FFmpeg's own (``flags +pass1``) or move the
key frames on which viewers and copies depend. Anything else is refused, and no value can be a path or an address.

Pure functions.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wattview.decoding import did_you_mean

FLAGS = frozenset({"cgop", "low_delay", "loop", "ildct", "ilme", "psnr"})

OF_FIELDS = {
    "b": "bitrate", "b:v": "bitrate", "maxrate": "bitrate", "minrate": "bitrate",
    "bufsize": "buffer_seconds", "c": "encoder", "c:v": "encoder", "codec": "encoder", "vcodec": "encoder",
    "preset": "preset", "cpu-used": "preset", "crf": "crf", "qp": "crf", "cq": "crf", "global_quality": "crf",
    "g": "gop_seconds", "keyint_min": "gop_seconds", "r": "fps", "s": "resolution", "b:a": "audio_bitrate",
    "c:a": "audio", "rc": "rate_control", "rc_mode": "rate_control", "keyint": "gop_seconds",
    "min-keyint": "gop_seconds", "bitrate": "bitrate", "vbv-maxrate": "bitrate", "vbv-bufsize": "buffer_seconds",
    "rc-mode": "rate_control",
}  # fmt: skip
"""Options that a field of the scenario sets."""

_NAME = re.compile(r"-([A-Za-z0-9][A-Za-z0-9_-]{0,60})(:v(?::0)?)?", re.ASCII)
_KEY = re.compile(r"(?:no-)?([a-z0-9][a-z0-9_-]{0,60})", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_.,+*()-]{1,200}|-?[0-9.]{1,12}(?::-?[0-9.]{1,12}){1,3}", re.ASCII)
_SOME_FLAGS = re.compile(r"(?:[+-][a-z0-9_]{1,30})+", re.ASCII)


class FreeArguments(NamedTuple):
    """What an encoder takes: options, and the keys of its option of ``key=value:key=value``, if it has one."""

    options: frozenset[str]
    keys_option: str = ""
    keys: frozenset[str] = frozenset()


def parsed(text: str, free: FreeArguments, own: Sequence[str]) -> list[str]:
    """The arguments in ``text``, split as by a shell. ``own`` are WattView's, option after value.

    Raises ValueError: its text says which argument is refused, and why.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"not arguments as in a shell: {error}") from None
    if len(words) % 2:
        raise ValueError(f"{words[-1]} has no value: expected pairs such as -bf 2")
    seen: set[str] = set()
    for option, value in zip(words[::2], words[1::2], strict=True):
        match = _NAME.fullmatch(option)
        name = match[1] if match else option.lstrip("-")
        if name in seen:
            raise ValueError(f"-{name} is given twice")
        seen.add(name)
        if name == free.keys_option and match:
            _check_keys(value, free, own)
            continue
        _check_listed(name, option, free.options if match else frozenset(), _names(own))
        if name == "flags":
            _check_flags(value)
        elif not _VALUE.fullmatch(value):
            raise ValueError(f"{option}: {value!r} is not a valid value: a number, a word or a list")
    return words


def joined(own: Sequence[str], words: Sequence[str], free: FreeArguments) -> list[str]:
    """WattView's arguments and then those of ``parsed``; the keys of both in one option, as FFmpeg takes only the last
    of several."""
    option = f"-{free.keys_option}"
    mine = dict(zip(own[::2], own[1::2], strict=True))
    for name, value in zip(words[::2], words[1::2], strict=True):
        both = name.partition(":")[0] == option and option in mine
        mine |= {option: f"{mine[option]}:{value}"} if both else {name: value}
    return [part for pair in mine.items() for part in pair]


def _check_keys(value: str, free: FreeArguments, own: Sequence[str]) -> None:
    option = f"-{free.keys_option}"
    text = dict(zip(own[::2], own[1::2], strict=True)).get(option, "")
    mine = {key for key, _ in _pairs(text)}
    seen: set[str] = set()
    for key, one in _pairs(value):
        match = _KEY.fullmatch(key)
        _check_listed(match[1] if match else key, f"{option} {key}", free.keys, mine)
        if key in seen:
            raise ValueError(f"{option} {key} is given twice")
        seen.add(key)
        if not re.fullmatch(r"[A-Za-z0-9_.,+*()-]{1,200}", one, re.ASCII):
            raise ValueError(f"{option} {key}: expected {key}=VALUE, a number, a word or a list with commas")


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(":") if text else []:
        key, _, value = part.partition("=")
        yield key, value


def _check_listed(name: str, shown: str, listed: frozenset[str], own: set[str]) -> None:
    field = OF_FIELDS.get(name, "")
    if field:
        raise ValueError(f"{shown}: set the scenario's field {field} instead")
    if name in own:
        raise ValueError(f"{shown}: WattView sets that itself, so that key frames and rates are as the scenario says")
    if name not in listed:
        near = did_you_mean(name, sorted(listed))
        raise ValueError(f"{shown} is not among the encoder options that scenarios may set{near}")


def _check_flags(value: str) -> None:
    names = re.findall(r"[a-z0-9_]+", value)
    wrong = [name for name in names if name not in FLAGS]
    if wrong or not _SOME_FLAGS.fullmatch(value):
        raise ValueError(f"-flags: expected some of {', '.join(sorted(FLAGS))}, as in +cgop, got {value!r}")


def _names(own: Sequence[str]) -> set[str]:
    return {option[1:].partition(":")[0] for option in own[::2]}
