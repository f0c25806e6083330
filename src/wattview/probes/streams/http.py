"""Asking an RTMP server's HTTP page or API: one bounded GET, and what its failures mean.

Shared by the probes of the RTMP servers. An answer is limited in time and size, redirects are not followed, and every
failure becomes the SourceError that says what came instead of the figures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx

from wattview.probes import SourceAbsent, SourceBroken, SourceRefused

MAX_BYTES = 16 * 1024 * 1024
DEADLINE_SECONDS = 4.0
ANY_SERVER = "start one with: wattview up, or set streams.nginx_rtmp_url to the page of the one you run"


class NoAnswer(SourceBroken):
    """Somebody listens there, and does not answer in time."""


def make_client(url: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
    """A client for ``get`` on this server. Proxies of the environment are not used: it is on this machine or near.

    The system's certificates are loaded for https only: they cost more memory and time than all else here.
    """
    return httpx.Client(
        verify=url.startswith("https:"),
        timeout=httpx.Timeout(2.0, connect=1.0),
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "wattview", **(headers or {})},
    )


def shown(url: str) -> str:
    """The URL as messages may show it: without user name, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def get(client: httpx.Client, url: str, absent_fix: str = ANY_SERVER) -> bytes:
    """The body of a 200. Raises SourceAbsent, SourceRefused or SourceBroken for everything else."""
    place = shown(url)
    end = time.monotonic() + DEADLINE_SECONDS
    try:
        with client.stream("GET", url) as answer:
            _check_status(answer, place)
            pieces, size = [], 0
            for piece in answer.iter_bytes():
                size += len(piece)
                if size > MAX_BYTES:
                    raise SourceBroken(f"{place} answered more than {MAX_BYTES // 2**20} MiB")
                if time.monotonic() > end:
                    raise SourceBroken(f"{place} has not finished its answer after {DEADLINE_SECONDS:g} s")
                pieces.append(piece)
            return b"".join(pieces)
    except httpx.ConnectError as error:
        raise SourceAbsent(f"no RTMP server answers at {place} ({error})", absent_fix) from None
    except httpx.TimeoutException:
        raise NoAnswer(f"{place} does not answer in time") from None
    except httpx.HTTPError as error:
        raise SourceBroken(f"{place}: {error or type(error).__name__}") from None
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise SourceBroken(f"streams.nginx_rtmp_url: {place!r} is not a usable URL ({error})") from None


def _check_status(answer: httpx.Response, place: str) -> None:
    status = answer.status_code
    if status in (401, 403):
        raise SourceRefused(
            f"{place} answered {status} {answer.reason_phrase}",
            "allow this host there (nginx: allow 127.0.0.1;), or put user:password@ into the URL",
        )
    if status == 404:
        raise SourceBroken(
            f"a web server answers at {place}, and has no such page (404)",
            "set streams.nginx_rtmp_url to where nginx.conf says `rtmp_stat all;`",
        )
    if status in range(300, 400):
        raise SourceBroken(
            f"{place} answered {status}, a redirect to {shown(answer.headers.get('location', 'nowhere'))}",
            "set streams.nginx_rtmp_url to the page itself",
        )
    if status != 200:
        raise SourceBroken(f"{place} answered {status} {answer.reason_phrase}")
