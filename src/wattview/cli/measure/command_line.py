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


def is_ffmpeg(command: Sequence[str]) -> bool:
    return re.fullmatch(r"ffmpeg([-_.0-9].*)?", Path(command[0]).name) is not None


def with_progress(command: Sequence[str], descriptor: int) -> list[str]:
    """FFmpeg's command with ``-progress`` to an open file, unless it has its own."""
    return [command[0], "-progress", f"pipe:{descriptor}", *command[1:]]


def reports_progress(command: Sequence[str]) -> bool:
    return "-progress" in command


def is_live(command: Sequence[str]) -> bool:
    """Whether FFmpeg must keep real time: it paces its input, or sends its output to a server."""
    return "-re" in command or "-readrate" in command or _LIVE.search(command[-1]) is not None


def files(command: Sequence[str]) -> tuple[Path, Path] | None:
    """FFmpeg's input and output if there is one of each and both are files; None otherwise."""
    inputs = [value for option, value in pairwise(command) if option == "-i"]
    output = command[-1]
    if len(inputs) != 1 or output.startswith("-") or "://" in inputs[0] + output or "|" in output:
        return None
    pair = Path(inputs[0].removeprefix("file:")), Path(output.removeprefix("file:"))
    return pair if all(path.is_file() for path in pair) and pair[0] != pair[1] else None


def asks_before_overwriting(command: Sequence[str]) -> bool:
    """Whether FFmpeg would stop and ask if its output exists."""
    return (
        is_ffmpeg(command)
        and not {"-y", "-n"} & set(command)
        and _LIVE.search(command[-1]) is None
        and (Path(command[-1]).suffix != "")
    )
