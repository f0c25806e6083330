"""Where a command line pushes to: RTMP, RTSP and SRT addresses that are outputs of FFmpeg, GStreamer and similar
programs.

An address after FFmpeg's ``-i``, or of a GStreamer source element (``rtmpsrc``, ``uridecodebin`` …), is not a target.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

_ADDRESS = re.compile(r"(?:rtmp[a-z]{0,2}|rtsps?|srt|https?)://(?:\[[0-9A-Fa-f:.]+\])?[^\s|\]'\"]{1,2000}")
_READS = re.compile(r"[a-z0-9_-]+src\d*|uridecodebin\d*|urisourcebin|playbin\d*")
_PORTS = {"rtmp": 1935, "rtmpt": 80, "rtmps": 443, "rtsp": 554, "rtsps": 322, "http": 80, "https": 443}

PLAYERS = frozenset({"ffplay", "ffprobe", "mpv", "vlc", "mplayer", "streamlink", "yt-dlp", "rtmpdump"})
"""Programs that read any address they are given."""

MAX_WORDS = 10_000
"""The rest of a longer command line is ignored."""


class PushTarget(Struct, frozen=True):
    """A push target. ``path`` is app and stream, ``live/cam1``, without slashes at its ends."""

    host: str
    port: int | None
    path: str

    def is_stream(self, app: str, name: str) -> bool:
        """Whether this is that stream, also in nginx's notation: a space for each byte that is not printable ASCII."""
        wanted = f"{app}/{name}".strip("/")
        paths = {self.path, unquote(self.path)}
        return wanted in paths or wanted in {_printable(path) for path in paths}


def push_targets(arguments: Sequence[str]) -> Iterator[PushTarget]:
    """The targets of a command line. One argument may contain a pipeline or a shell command."""
    words = [word for argument in arguments for word in argument.split()][:MAX_WORDS]
    if not any("://" in word for word in words):
        return
    is_input = reads = False
    for word in words:
        if is_input:
            is_input = False
        elif word == "-i":
            is_input = True
        elif _READS.fullmatch(word):
            reads = True
        elif word == "!" or word.endswith("sink"):
            reads = False
        elif not reads:
            yield from _targets_in(word)


def _targets_in(word: str) -> Iterator[PushTarget]:
    for address in _ADDRESS.findall(word):
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port
        except ValueError:
            continue
        if host:
            # The # at the start of an SRT access control stream id is usually not escaped.
            query = f"{parts.query}#{parts.fragment}" if parts.fragment else parts.query
            yield PushTarget(host, port or _PORTS.get(parts.scheme), _path(parts.path, query))


def _path(path: str, query: str) -> str:
    """App and stream. SRT has them in its stream id: ``publish:live/cam1`` or ``#!::r=live/cam1,m=publish``."""
    for stream_id in parse_qs(query).get("streamid", ()):
        named = re.search(r"(?:^#!::|,)r=([^,]+)", stream_id)
        path = named[1] if named else stream_id.removeprefix("publish:").partition(":")[0]
    return path.strip("/").removesuffix("/whip")


def _printable(text: str) -> str:
    return "".join(chr(byte) if 0x20 < byte < 0x7F else " " for byte in text.encode("utf-8", "replace"))
