"""Requests to a meter over HTTP, with its own secret and certificate, and its failures as source states."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from wattview.config import Config, MeterSettings
from wattview.fetch import Access, Fetched, FetchError, Site, Unreachable, decode_json
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused, broken_if_it_fails

T = TypeVar("T")

SECONDS = 5.0
MAX_BYTES = 1024 * 1024
REFUSED = (401, 403)


def access(settings: MeterSettings, config: Config, *, digest: bool = False) -> Access:
    """The meter's certificate and secret."""
    return Access(
        ca_file=settings.ca_file or config.http.ca_file,
        secret_file=settings.token_file,
        secret=os.environ.get(settings.token_env, "") if settings.token_env else "",
        digest=digest,
        check_hostname=settings.check_hostname,
    )


class MeterSite:
    """One meter's web server. Connections stay open from one reading to the next."""

    def __init__(self, settings: MeterSettings, config: Config, *, digest: bool = False, seconds: float = SECONDS):
        self._settings = settings
        self._config = config
        self._digest = digest
        self._seconds = seconds
        self._site: Site | None = None

    async def ask(self, path: str, **more: Any) -> Fetched:
        """The answer, with any status. Raises SourceAbsent or SourceBroken if there is none."""
        if self._site is None:
            allowed = access(self._settings, self._config, digest=self._digest)
            self._site = Site(self._settings.url, allowed, seconds=self._seconds, max_bytes=MAX_BYTES)
        try:
            return await self._site.fetch(path, **more)
        except Unreachable as error:
            await self.close()
            raise SourceAbsent(error.reason, "check that the meter is on, and that url is its address") from None
        except FetchError as error:
            await self.close()
            raise SourceBroken(error.reason, error.fix) from None

    async def json(self, path: str, kind: type[T], what: str, **more: Any) -> T:
        """The JSON of an answer of status 200. ``what`` names its sender. Raises SourceError."""
        return self.decoded(await self.ask(path, **more), kind, what)

    def decoded(self, answer: Fetched, kind: type[T], what: str) -> T:
        """Raises SourceRefused or SourceBroken."""
        if answer.status in REFUSED:
            raise SourceRefused(
                f"{answer.place} answered {answer.status}: it requires another user and password",
                "put user:password into a file and set token_file",
            )
        if answer.status != 200:
            raise SourceBroken(f"{answer.place} answered {answer.status} {answer.phrase}", f"is this {what}?")
        with broken_if_it_fails():
            return decode_json(answer, kind, f"the answer of {what}")

    @property
    def answered(self) -> Mapping[str, str]:
        """The headers of the last answer."""
        return {} if self._site is None else self._site.answered

    def secret(self) -> str:
        """Raises SourceBroken if its file cannot be read."""
        with broken_if_it_fails():
            return access(self._settings, self._config).read_secret()

    async def close(self) -> None:
        if self._site is not None:
            site, self._site = self._site, None
            await site.close()
