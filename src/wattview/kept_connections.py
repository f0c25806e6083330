"""httpx's transport with connections that end with a request that is cancelled or out of time.

httpx's own pool loses them: each keeps its socket and its place until the pool is full, and then no request gets out
(https://github.com/encode/httpcore/issues/1093).
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable

import httpx


class KeptConnections(httpx.AsyncBaseTransport):
    """Keeps at most ``kept`` connections that wait for a next request."""

    def __init__(self, verify: ssl.SSLContext, uds: str = "", kept: int = 1) -> None:
        self._verify = verify
        self._uds = uds or None
        self._kept = kept
        self._waiting: list[httpx.AsyncHTTPTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        one = self._waiting.pop() if self._waiting else self._new()
        try:
            answer = await one.handle_async_request(request)
        except BaseException:
            await one.aclose()
            raise
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        stream = _KeptBody(answer.stream, one, self._keep)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions)

    def _new(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=min(self._kept, 1))
        return httpx.AsyncHTTPTransport(uds=self._uds, verify=self._verify, limits=limits)

    def _keep(self, one: httpx.AsyncHTTPTransport) -> bool:
        if len(self._waiting) >= self._kept:
            return False
        self._waiting.append(one)
        return True

    async def aclose(self) -> None:
        while self._waiting:
            await self._waiting.pop().aclose()


class _KeptBody(httpx.AsyncByteStream):
    """The body of an answer; its connection is kept if all of it was read."""

    def __init__(
        self,
        stream: httpx.AsyncByteStream,
        one: httpx.AsyncHTTPTransport,
        keep: Callable[[httpx.AsyncHTTPTransport], bool],
    ) -> None:
        self._stream = stream
        self._one = one
        self._keep = keep
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part
        self._whole = True

    async def aclose(self) -> None:
        kept = False
        try:
            await self._stream.aclose()
            kept = self._whole and self._keep(self._one)
        finally:
            if not kept:
                await self._one.aclose()
