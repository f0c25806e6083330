"""Requests to a stream server's HTTP page or API, and their failures as source states.

A reading is one session: its connections end with it, and it has one deadline for all pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from wattview.config import Config
from wattview.fetch import OPEN, Access, Fetched, FetchError, NoAnswer, Site, Unreachable, blocking, decode_json, shown
from wattview.model import StreamsReading
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused, broken_if_it_fails
from wattview.probes.streams.rates import StreamRates

T = TypeVar("T")

DEADLINE_SECONDS = 4.0
MAX_BYTES = 8 * 1024 * 1024
ANY_SERVER = "start one with: wattview up, or set streams.nginx_rtmp_url to the page of the one you run"


class Silent(SourceBroken):
    """A server accepts the connection but does not answer in time."""


def access(config: Config) -> Access:
    """The configured certificates and secrets for stream servers."""
    return Access(config.http.ca_file, config.streams.token_file)


def ask(url: str, access: Access, work: Callable[[Site], Awaitable[T]], headers: Mapping[str, str] | None = None) -> T:
    """Runs ``work`` with a session. Raises SourceAbsent, SourceRefused or SourceBroken."""

    async def session() -> T:
        async with Site(url, access, seconds=DEADLINE_SECONDS, max_bytes=MAX_BYTES, headers=headers) as site:
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    return await work(site)
            except TimeoutError:
                raise Silent(f"{site.url} did not answer completely within {DEADLINE_SECONDS:g} s") from None

    return blocking(session())


class ApiProbe:
    """A stream server with an API at ``url``, of which ``_read`` makes a reading."""

    def __init__(self, url: str, access: Access = OPEN) -> None:
        self.url = url
        self._access = access
        self._rates = StreamRates()

    def read(self) -> StreamsReading:
        """The server and its streams. Raises SourceAbsent, SourceRefused or SourceBroken."""
        return ask(self.url, self._access, self._read, {"Accept": "application/json"})

    def close(self) -> None:
        """Nothing is kept open between readings."""

    async def _read(self, site: Site) -> StreamsReading:
        raise NotImplementedError


def fail_if_closed(url: str) -> None:
    """Raises SourceAbsent if nothing listens at this address: that costs a fraction of what an HTTP client does."""
    parts = urlsplit(url)
    usual_port = 443 if parts.scheme == "https" else 80
    with contextlib.suppress(OSError, ValueError):
        try:
            with socket.create_connection((parts.hostname, parts.port or usual_port), timeout=DEADLINE_SECONDS):
                return
        except ConnectionRefusedError as error:
            reason = f"no RTMP server: no connection to {shown(url)} ({error.strerror})"
            raise SourceAbsent(reason, ANY_SERVER) from None


async def page(site: Site, path: str = "", absent_fix: str = ANY_SERVER) -> Fetched:
    """The body of an answer with status 200. Raises SourceAbsent, SourceRefused or SourceBroken for anything else."""
    try:
        answer = await site.fetch(path)
    except Unreachable as error:
        raise SourceAbsent(f"no RTMP server: {error.reason}", absent_fix) from None
    except NoAnswer as error:
        raise Silent(error.reason) from None
    except FetchError as error:
        raise SourceBroken(error.reason, error.fix) from None
    if answer.status in (401, 403):
        raise SourceRefused(
            f"{answer.place} answered {answer.status} {answer.phrase}",
            "allow this host there (nginx: allow 127.0.0.1;), or set streams.token_file to a token or user:password",
        )
    if answer.status == 404:
        raise SourceBroken(
            f"a web server answers at {answer.place}, and has no such page (404)",
            "set streams.nginx_rtmp_url to where nginx.conf says `rtmp_stat all;`",
        )
    if answer.status != 200:
        raise SourceBroken(f"{answer.place} answered {answer.status} {answer.phrase}")
    return answer


def decoded(answer: Fetched, kind: type[T], api: str, fix: str) -> T:
    """The JSON of an answer. Raises SourceBroken."""
    with broken_if_it_fails():
        return decode_json(answer, kind, f"the API of {api}", fix)
