"""Outgoing HTTP requests: a media server's page, a store's answer, an exporter's text.

Time and size are limited whatever the server does: the deadline covers the whole exchange (name resolution, connection,
TLS, headers, body, redirects), the size limit applies to the body both as sent and as decompressed; h11 refuses headers
of more than 100 KB. Redirects are followed only on the same host, since they carry secrets. A path in the address is
kept. Error texts contain no secrets.

An address may be ``http://``, ``https://`` (trusting certificates of the system's store, of ``SSL_CERT_FILE`` and of
``http.ca_file``) or ``unix:///path``. Proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
import zlib
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import httpx
import msgspec

from wattview.decoding import Explained
from wattview.gc_tuning import give_back_memory
from wattview.kept_connections import KeptConnections

T = TypeVar("T")

MAX_BYTES = 16 * 1024 * 1024
SECONDS = 4.0
MAX_REDIRECTS = 5
MAX_SECRET_BYTES = 64 * 1024
MAX_JSON_PARTS = 200_000  # objects and lists in a JSON answer: each takes many times as much memory as its text

GIVE_BACK_BYTES = 1024 * 1024  # after a body of at least this size, unused memory is returned to the system

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without one httpx makes one for each client, used or not
_PIECE = 64 * 1024
_ENCODINGS = {"gzip": 47, "x-gzip": 47, "deflate": 47}


class FetchError(Explained):
    """A request failed."""


class Unreachable(FetchError):
    """Nobody listens there, or the name is unknown."""


class NoAnswer(FetchError):
    """The server did not answer in time."""


class BadAnswer(FetchError):
    """An unusable answer: not HTTP, too large, a redirect elsewhere, not the expected JSON."""


class FetchTooLarge(BadAnswer):
    """The answer exceeds the size limit."""


class Fetched(NamedTuple):
    """``place`` is the address that answered, fit for messages."""

    place: str
    status: int
    phrase: str
    body: bytes


class Access(NamedTuple):
    """Credentials: ``ca_file`` is trusted in addition to the system's certificates; ``secret``, or the content of
    ``secret_file`` (read for every request, as it may be renewed), is a bearer token or ``user:password``. With
    ``digest`` these are used for digest authentication (RFC 7616) and never sent in clear. With ``check_hostname``
    False a trusted certificate may have any name."""

    ca_file: str = ""
    secret_file: str = ""
    secret: str = ""
    digest: bool = False
    check_hostname: bool = True

    def read_secret(self) -> str:
        """The current secret. Raises FetchError if its file cannot be read."""
        if self.secret or not self.secret_file:
            return self.secret
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO without a writer holds nobody up
            with open(os.open(Path(self.secret_file).expanduser(), flags), "rb") as stream:
                return (stream.read(MAX_SECRET_BYTES) or b"").decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadAnswer(f"{self.secret_file}: {getattr(error, 'strerror', None) or 'is not text'}") from None


OPEN = Access()


class Site:
    """One server for repeated requests. Use as an async context manager, or ``await close()``.

    ``seconds`` limits a whole exchange, ``max_bytes`` its body. ``answered`` are the headers of the last answer.
    """

    def __init__(
        self,
        url: str,
        access: Access = OPEN,
        *,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
        headers: Mapping[str, str] | None = None,
        compressed: bool = False,
    ) -> None:
        self.url = shown(url)
        self.max_bytes = max_bytes
        self._socket = url.removeprefix("unix://") if url.startswith("unix://") else ""
        self._given = "http://wattview" if self._socket else url
        self._access = access
        self._seconds = seconds
        accepted = "gzip, deflate" if compressed else "identity"
        self._headers = {"Accept-Encoding": accepted, "User-Agent": "wattview", **(headers or {})}
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._large = False
        self._digest: httpx.DigestAuth | None = None
        self.answered: Mapping[str, str] = {}

    async def fetch(
        self,
        path: str = "",
        form: Mapping[str, str] | None = None,
        *,
        method: str = "",
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        safe: bool = False,
    ) -> Fetched:
        """The answer at ``path`` behind the site's address, with any status; with a form or a JSON body, a POST.
        ``headers`` replace the site's secret in this request. ``safe``: a POST that changes nothing (RFC 9110, 9.2.1),
        which may be sent twice, as a GET may.

        Raises FetchError.
        """
        place = self.url.rstrip("/") + shown(path) if path else self.url
        try:
            url = _url(self._given)
            if path:
                url = _url(str(url.copy_with(query=None, fragment=None)).rstrip("/") + path)
            async with asyncio.timeout(self._seconds):
                method = method or ("GET" if form is None and json is None else "POST")
                return await self._follow(url.copy_with(fragment=None), method, form, json, headers, safe)
        except (TimeoutError, httpx.TimeoutException):
            raise NoAnswer(f"{place} did not answer completely within {self._seconds:g} s") from None
        except httpx.ConnectError as error:
            raise _unconnected(place, error) from None
        except httpx.HTTPError as error:
            raise BadAnswer(f"{place}: {str(error).partition(chr(10))[0] or type(error).__name__}") from None

    async def _follow(
        self, url: httpx.URL, method: str, form: Mapping[str, str] | None, json: Any, more: Mapping[str, str] | None,
        safe: bool,
    ) -> Fetched:  # fmt: skip
        headers = self._headers | (self._authorization(url) if more is None else dict(more))
        for _ in range(MAX_REDIRECTS + 1):
            url = url.copy_with(userinfo=b"")
            client = self._client(url.scheme)
            request = client.build_request(method, url, data=form, json=json, headers=headers)
            response = await self._send(client, request, again=safe or method == "GET")
            try:
                place, status = shown(str(url)), response.status_code
                if status in (301, 302, 303, 307, 308):
                    url = self._redirected(url, response)
                    if status == 303:
                        method, form, json = "GET", None, None
                    continue
                body = await bounded_body(response, place, self.max_bytes)
                self._large = self._large or len(body) >= GIVE_BACK_BYTES
                self.answered = response.headers
                return Fetched(place, status, response.reason_phrase, body)
            finally:
                await response.aclose()
        raise BadAnswer(f"{self.url} redirects more than {MAX_REDIRECTS} times")

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request, *, again: bool) -> httpx.Response:
        """Sends once more what met a connection that the server was closing, as it may at any time (RFC 9112, 9.3)."""
        try:
            return await client.send(request, stream=True, auth=self._digest)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if not self.answered or not again:
                raise
            return await client.send(request, stream=True, auth=self._digest)

    def _redirected(self, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        """The target of a redirect, if it is on this server."""
        location = response.headers.get("location", "")
        try:
            target = url.join(location)
        except (httpx.InvalidURL, ValueError):
            target = httpx.URL("")
        upgraded = (url.scheme, target.scheme) == ("http", "https")
        same = target.scheme == url.scheme and target.port == url.port
        if not location or target.host != url.host or not (same or upgraded):
            raise BadAnswer(
                f"{shown(str(url))} answered {response.status_code}, a redirect to {shown(location) or 'nowhere'}",
                "give the address that it leads to",
            )
        if not target.query and target.path == url.path + "/":
            target = target.copy_with(query=url.query)  # some servers drop the query
        return target.copy_with(fragment=None)

    def _client(self, scheme: str) -> httpx.AsyncClient:
        if scheme not in self._clients:
            verify = trusted(self._access.ca_file, self._access.check_hostname) if scheme == "https" else NO_TLS
            connections = KeptConnections(verify, self._socket)
            self._clients[scheme] = httpx.AsyncClient(transport=connections, trust_env=False, timeout=self._seconds)
        return self._clients[scheme]

    def _authorization(self, url: httpx.URL) -> dict[str, str]:
        secret = self._access.read_secret()
        if not secret and url.userinfo:
            secret = f"{url.username}:{url.password}"
        if self._access.digest and ":" in secret:
            user, _, password = secret.partition(":")
            if self._digest is None:  # it counts its requests, as the server does
                self._digest = httpx.DigestAuth(user, password)
            return {}
        return authorization(secret)

    async def close(self) -> None:
        """Closes the connections. Release references to large answers first."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()
        if self._large:
            give_back_memory()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def blocking(work: Coroutine[Any, Any, T]) -> T:
    """Runs ``work`` in its own event loop, for a probe; in a thread if this one already runs a loop. Does not wait for
    a pending name resolution."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(work)
    with ThreadPoolExecutor(1, "fetch") as thread:
        return thread.submit(_run, work).result()


def _run(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        with contextlib.suppress(TimeoutError):  # a body that was left half-read is closed
            loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), 1.0))
        loop.close()


def authorization(secret: str) -> dict[str, str]:
    """The Authorization header for a bearer token or ``user:password``."""
    if not secret:
        return {}
    if ":" in secret:
        return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
    return {"Authorization": f"Bearer {secret}"}


def trusted(ca_file: str = "", check_hostname: bool = True) -> ssl.SSLContext:
    """The system's certificates (or those of ``SSL_CERT_FILE``), and those of ``ca_file``.

    Raises FetchError if that file cannot be used.
    """
    context = ssl.create_default_context()
    context.check_hostname = check_hostname
    places = ssl.get_default_verify_paths()
    if places.cafile is None and places.capath is None:
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "holds no certificate"
            raise BadAnswer(f"http.ca_file {ca_file}: {reason}") from None
    return context


def shown(url: str) -> str:
    """An address for messages: without user, password, query and fragment, however malformed it is."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    rest = rest.rpartition("@")[2]
    return scheme + mark + rest.partition("#")[0].partition("?")[0]


async def bounded_body(response: httpx.Response, place: str, max_bytes: int) -> bytes:
    """The body of a response that has not been read yet, decompressed. Raises BadAnswer if it is too large."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    body = _Body(place, encoding, max_bytes)
    async for piece in response.aiter_raw(_PIECE):
        body.add(piece)
    return body.whole()


def decode_json(answer: Fetched, kind: type[T], what: str, fix: str = "", max_parts: int = MAX_JSON_PARTS) -> T:
    """The answer's JSON. ``what`` says what was expected. Raises BadAnswer for anything else."""
    try:
        if answer.body.count(b"{") + answer.body.count(b"[") > max_parts:
            raise ValueError(f"more than {max_parts:,} objects and lists")
        return msgspec.json.decode(answer.body, type=kind, strict=False)
    except (ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise BadAnswer(f"{answer.place}: not {what}: {error}", fix) from None


class _Body:
    """Collects and decompresses a body as it arrives, up to the limit."""

    def __init__(self, place: str, encoding: str, max_bytes: int) -> None:
        self._place, self._max, self._encoding = place, max_bytes, encoding
        self._sent, self._data = 0, bytearray()
        self._inflater = self._new_inflater()

    def _new_inflater(self) -> Any:
        if self._encoding in ("", "identity"):
            return None
        if self._encoding not in _ENCODINGS:
            raise BadAnswer(f"{self._place} answered in the encoding {self._encoding[:40]!r}, which was not asked for")
        return zlib.decompressobj(_ENCODINGS[self._encoding])

    def add(self, piece: bytes) -> None:
        self._sent += len(piece)
        if self._inflater is None:
            self._data += piece
        else:
            for part in self._inflated(piece):
                self._data += part
                self._check()
        self._check()

    def _inflated(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            try:
                part = self._inflater.decompress(piece, _PIECE)
            except zlib.error as error:
                if self._encoding == "deflate" and not self._data and self._sent == len(piece):
                    self._encoding, self._inflater = "raw deflate", zlib.decompressobj(-15)
                    continue
                raise BadAnswer(f"{self._place}: a damaged {self._encoding} body ({error})") from None
            yield part
            piece = self._inflater.unconsumed_tail
            if self._inflater.eof:
                # After the end comes another gzip member, or nothing of interest.
                piece = self._inflater.unused_data
                if not piece or self._encoding != "gzip":
                    return
                self._inflater = self._new_inflater()

    def _check(self) -> None:
        if max(self._sent, len(self._data)) > self._max:
            self._data = bytearray()
            give_back_memory()
            raise FetchTooLarge(f"{self._place} answered more than {self._max / 2**20:g} MiB")

    def whole(self) -> bytes:
        if self._inflater is not None and self._sent and not self._inflater.eof:
            raise BadAnswer(f"{self._place}: the {self._encoding} body ends too early")
        return bytes(self._data)


def _url(text: str) -> httpx.URL:
    """Raises BadAnswer without quoting the address, as a malformed one may have a password anywhere."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        fix = "write it as http://host:port/path; in a user or password, @ is %40, / is %2F, : is %3A"
        raise BadAnswer(f"{shown(text)!r} is not a usable URL", fix)
    return url


def _unconnected(place: str, error: httpx.ConnectError) -> FetchError:
    reason = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        fix = "set http.ca_file to the CA that signed it"
        return BadAnswer(f"the certificate of {place} is not trusted ({reason})", fix)
    return Unreachable(f"no connection to {place} ({reason})")
