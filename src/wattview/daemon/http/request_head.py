"""Errors in a request's head that httptools does not check for (RFC 9112, 3.2 and 6.3). Pure functions."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

import httptools

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%-]*(:[0-9]*)?|\[[0-9A-Fa-f:.]+(%25[A-Za-z0-9._~-]+)?\](:[0-9]*)?")


def problem(version: str, headers: Sequence[tuple[bytes, bytes]]) -> tuple[int, str] | None:
    """The status and reason of a refusal."""
    hosts = [value for name, value in headers if name == b"host"]
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if any(_HOST.fullmatch(host) is None for host in hosts):
        return 400, "the Host header names no host"
    if version not in ("1.0", "1.1"):
        return 505, "only HTTP 1.0 and 1.1 are supported"
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        return 400, "a request must have exactly one Host header"
    if codings and version == "1.0":
        return 400, "HTTP 1.0 has no Transfer-Encoding"
    if codings not in ([], [b"chunked"]):
        return 501, "of the transfer codings only chunked is supported"
    return None


def path_of(target: bytes) -> bytes | None:
    """The path of a request's target, also of one in absolute form, which every server must accept; None if it names
    none."""
    if target.startswith(b"/"):
        return target
    with contextlib.suppress(httptools.HttpParserInvalidURLError):
        url = httptools.parse_url(target)
        if url.schema in (b"http", b"https") and url.host:
            path: bytes = url.path or b"/"
            return path + (b"?" + url.query if url.query else b"")
    return None
