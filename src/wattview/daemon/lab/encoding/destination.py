"""Where streams are pushed: over RTMP, SRT or RTSP, and what may be shown of the address.

A scenario names its target: an address without secrets, or a name from ``scenarios.targets`` of the settings. Secrets
(a user, a passphrase, a stream id, a stream key) therefore never appear in a scenario, nor in journals, results or on
screens. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from msgspec import Struct

STREAM = "{stream}"
"""Stands in an address for each stream's name."""

HIDDEN = "…"


class Transport(NamedTuple):
    """One way of pushing. ``muxer`` are its options in FFmpeg's tee muxer, ``trial`` an output of FFmpeg that takes the
    same codecs and sends nothing. ``bytes_to_start``: what is sent before the first picture at most, without the
    address, which occurs in it up to ``addresses`` times; None where the kernel counts nothing (UDP). Players pull from
    the same address if it is ``watchable``."""

    name: str
    schemes: tuple[str, ...]
    muxer: dict[str, str]
    trial: tuple[str, ...]
    answer_bytes: int = 0
    bytes_to_start: int | None = None
    addresses: int = 0
    watchable: bool = False


HANDSHAKE_BYTES = 1 + 1536 + 1536
"""RTMP's, per side: C0, C1, C2 and S0, S1, S2 (Adobe, "RTMP 1.0 Specification", 5.2)."""

COMMAND_BYTES = 2048
"""Upper bound for RTMP's connect, createStream and publish."""

RTMP = Transport(
    "RTMP", ("rtmp", "rtmps"), {"f": "flv"}, ("-f", "flv", "/dev/null"), HANDSHAKE_BYTES,
    HANDSHAKE_BYTES + COMMAND_BYTES, 4, watchable=True,
)  # fmt: skip
SRT = Transport("SRT", ("srt",), {"f": "mpegts"}, ("-f", "mpegts", "/dev/null"))
RTSP = Transport(
    "RTSP", ("rtsp", "rtsps"), {"f": "rtsp", "rtsp_transport": "tcp", "strict": "experimental"},
    ("-f", "rtp", "-strict", "experimental", "-packet_size", "1400", "/dev/null"), 200, 8192, 6, watchable=True,
)  # fmt: skip
TRANSPORTS = (RTMP, SRT, RTSP)

_PUBLIC = frozenset(
    {"mode", "latency", "pkt_size", "payload_size", "connect_timeout", "maxbw", "inputbw", "oheadbw", "mss",
     "tlpktdrop", "pbkeylen"}
)  # fmt: skip
"""Parameters of an SRT address that are no secrets."""

_ADDRESS = re.compile(r"[a-z]{3,5}://[A-Za-z0-9._~:@/?&=%{},!$*+;#()\[\]-]{1,290}", re.ASCII)
_PUBLIC_VALUE = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)


class Destination(Struct, frozen=True):
    """Where the streams of a scenario go. ``private``: to a receiver that the run starts on this machine."""

    url: str
    transport: Transport
    private: bool = False

    def address(self, stream: str) -> str:
        """The address of one stream, with its secrets."""
        return self.url.replace(STREAM, stream)

    @property
    def takes_several(self) -> bool:
        """Whether each stream has an address of its own."""
        return self.private or STREAM in self.url

    @property
    def watchable(self) -> bool:
        return self.transport.watchable and not self.private

    @property
    def shown(self) -> str:
        """The address without secrets."""
        parts = urlsplit(self.url)
        path = parts.path.removesuffix(f"/{STREAM}")
        if self.transport is RTMP and path == parts.path and path.count("/") > 1:
            path = f"{path.rpartition('/')[0]}/{HIDDEN}"
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must not appear in a log, longest first: as written in the address, and decoded."""
        parts = urlsplit(self.url)
        query = [value for key, value in parse_qsl(parts.query) if key not in _PUBLIC]
        raw = [one.partition("=")[2] for one in parts.query.split("&") if one.partition("=")[0] not in _PUBLIC]
        found = [parts.username, parts.password, *query, *raw, parts.fragment]
        if self.transport is RTMP and STREAM not in parts.path and parts.path.count("/") > 1:
            found.append(parts.path.rpartition("/")[2])
        texts = {text for one in found if one for text in (one, unquote(one))}
        texts |= {part for one in texts if STREAM in one for part in one.split(STREAM)}
        return tuple(sorted((one for one in texts if len(one) > 2 and one != STREAM), key=len, reverse=True))


def server(rtmp_url: str) -> Destination:
    """The RTMP server of the settings, ``streams.rtmp_url``: each stream below its application."""
    return Destination(f"{rtmp_url.rstrip('/')}/{STREAM}", RTMP)


PRIVATE = Destination("srt://127.0.0.1", SRT, private=True)
"""Receivers that the run starts on this machine, each stream's on a port of its own."""


def target(text: str, named: Mapping[str, str]) -> Destination:
    """The destination that a scenario names. Raises ValueError, whose text repeats no secret."""
    if "://" not in text:
        if text not in named:
            known = f"the settings have {', '.join(sorted(named))}" if named else "scenarios.targets names none"
            raise ValueError(f"neither an address (srt://, rtsp://, rtmp://) nor the name of a target: {known}")
        return configured(named[text])
    found = configured(text)
    parts = urlsplit(text)
    hidden = "@" in parts.netloc or parts.fragment or found.shown.endswith(HIDDEN)
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        hidden = hidden or key not in _PUBLIC or not _PUBLIC_VALUE.fullmatch(value)
    if hidden:
        raise ValueError(
            "this address may hold a secret (a user, a passphrase, a stream id or a stream key), and a scenario stands "
            "in results and on screens; put it into the settings as scenarios.targets.NAME, and name it here"
        )
    return found


def configured(url: str) -> Destination:
    """The destination of an address. Raises ValueError, whose text does not repeat it."""
    transport = next((one for one in TRANSPORTS if url.partition("://")[0] in one.schemes), None)
    if transport is None:
        raise ValueError("expected an address that begins with srt://, rtsp://, rtsps://, rtmp:// or rtmps://")
    try:
        parts = urlsplit(url)
        place = parts.hostname, parts.port
    except ValueError:
        place = None, None
    if not _ADDRESS.fullmatch(url) or not place[0]:
        raise ValueError("not an address: expected a host, and other characters as %20 and the like")
    if transport is SRT and (place[1] is None or dict(parse_qsl(parts.query)).get("mode", "caller") != "caller"):
        raise ValueError("expected srt://HOST:PORT of a server that listens; mode=caller is the only one")
    return Destination(url, transport)
