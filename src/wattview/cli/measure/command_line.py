"""Parsing of a measured command: FFmpeg's files and outputs, and removal of secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from wattview.foreign_text import encodable

HIDDEN = "…"

_ADDRESS = re.compile(r"""(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>[^\s|'"\]]*)""", re.IGNORECASE)
_SECRET = re.compile(r"pass|secret|token|key|auth|cookie|header|credential", re.IGNORECASE)
_LIVE = re.compile(r"(rtmp[a-z]*|srt|rtsp|rist|udp|tcp|rtp|whip|https?)://", re.IGNORECASE)


def shown(command: Sequence[str]) -> str:
    """The command as in a shell, without possible secrets: user, password, query and stream key of addresses, and
    values of options whose name suggests a password or key."""
    words: list[str] = []
    hide = False
    for word in command:
        name, equals, _ = word.partition("=")
        if hide:
            words.append(HIDDEN)
        elif equals and _SECRET.search(name) and "://" not in name:
            words.append(f"{name}={HIDDEN}")
        else:
            words.append(_ADDRESS.sub(_public, word))
        hide = not hide and word.startswith("-") and not equals and _SECRET.search(word) is not None
    return encodable(shlex.join(words))


def _public(match: re.Match[str]) -> str:
    scheme, rest = match["scheme"], match["rest"]
    place, query, _ = rest.partition("?")
    authority, slash, path = place.partition("/")
    if scheme.lower().startswith("rtmp") and "/" in path:
        path = f"{path.rpartition('/')[0]}/{HIDDEN}"
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}{'?' + HIDDEN if query else ''}"


def ffmpeg_at(command: Sequence[str]) -> int | None:
    """The place of FFmpeg's name in the command: its first word, or behind programs that start another unchanged
    (``nice -n 5 ffmpeg``). None for another command."""
    for place, word in enumerate(command):
        name = Path(word).name
        if re.fullmatch(r"ffmpeg([-_.0-9].*)?", name) and (place == 0 or Path(command[0]).name in STARTERS):
            return place
        if place == 0 and name not in STARTERS:
            return None
    return None


STARTERS = frozenset(
    {"chrt", "env", "ionice", "nice", "nohup", "numactl", "setsid", "stdbuf", "taskset", "time", "timeout"}
)
"""Programs that become, or wait for, another that they start with all of their open files."""


def with_progress(command: Sequence[str], descriptor: int) -> list[str]:
    """FFmpeg's command with ``-progress`` to an open file."""
    at = (ffmpeg_at(command) or 0) + 1
    return [*command[:at], "-progress", f"pipe:{descriptor}", *command[at:]]


def is_live(command: Sequence[str]) -> bool:
    """Whether FFmpeg must keep real time: it paces its input, or sends an output to a server."""
    return "-re" in command or "-readrate" in command or any(map(_LIVE.search, outputs(command)))


_FLAGS = frozenset(
    {
        "accurate_seek", "an", "autorotate", "autoscale", "bitexact", "copyts", "copy_unknown", "debug_ts", "dn",
        "find_stream_info", "fix_sub_duration", "hide_banner", "ignore_unknown", "isync", "n", "psnr", "re",
        "recast_media", "report", "seek_timestamp", "shortest", "sn", "start_at_zero", "stats", "stdin", "vn",
        "vstats", "xerror", "y",
    }
)  # fmt: skip
"""FFmpeg's options without a value (ffmpeg(1)); each may have "no" before its name."""


def outputs(command: Sequence[str]) -> list[str]:
    """FFmpeg's outputs: the words that are neither options nor their values. The last word is one in any case."""
    words = list(command[(ffmpeg_at(command) or 0) + 1 :])
    found, at = [], 0
    while at < len(words):
        option = words[at].removeprefix("-")
        if option == words[at] or not option:
            found.append(words[at])
        elif option.partition(":")[0] not in _FLAGS and option.removeprefix("no") not in _FLAGS:
            at += 1
        at += 1
    return found or words[-1:]


def files(command: Sequence[str]) -> tuple[Path, Path] | None:
    """FFmpeg's input and output if there is one of each and both are files; None otherwise."""
    inputs = [value for option, value in pairwise(command) if option == "-i"]
    written = outputs(command)
    if len(inputs) != 1 or len(written) != 1:
        return None
    [source], [output] = inputs, written
    if output.startswith("-") or "://" in source + output or "|" in output:
        return None
    pair = Path(source.removeprefix("file:")), Path(output.removeprefix("file:"))
    return pair if all(path.is_file() for path in pair) and pair[0] != pair[1] else None


def asks_before_overwriting(command: Sequence[str]) -> bool:
    """Whether FFmpeg would stop and ask if its output exists."""
    return (
        ffmpeg_at(command) is not None
        and not {"-y", "-n"} & set(command)
        and any(_LIVE.search(output) is None and Path(output).suffix != "" for output in outputs(command))
    )
