"""Access control and rate limits: passwords, the token, failed attempts, requests from other sites, concurrent
requests.

Each is an ASGI application around another. Secrets are compared in constant time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import math
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import PlainTextResponse, Response

from wattview.daemon.http.throttled_log import ThrottledLog
from wattview.daemon.http.web_config import WebConfig, WebConfigFile

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TURN_SECONDS = 30.0
"""Maximum time that a request is queued."""

FREE_ATTEMPTS = 20
MAX_LOCK_SECONDS = 60.0
FORGET_SECONDS = 600.0
MAX_ADDRESSES = 1000

BCRYPT_BYTES = 72
"""bcrypt ignores the rest of a password, in every implementation."""

_NOBODY = "$2y$10$" + "." * 53
"""Hash for unknown users' passwords, so that they take as long as a known user's."""

said = ThrottledLog("wattview.http")


class Admission(NamedTuple):
    """Why a request is refused."""

    status: int
    text: str
    headers: Mapping[str, str] = {}


def plain(answer: Admission) -> Response:
    return PlainTextResponse(f"{answer.text}\n", answer.status, dict(answer.headers))


class Turns:
    """At most ``most`` concurrent requests, like node_exporter's ``--web.max-requests``; others are queued.

    A request holds its slot until the client has read the answer, except for what the socket buffers.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._free = asyncio.Semaphore(most)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.wait_for(self._free.acquire(), TURN_SECONDS) if self._free.locked() else (
                await self._free.acquire()
            )
        except TimeoutError:
            said.warning("turns", "more than %d requests at once: see daemon.max_requests", self._most)
            text = f"Limit of concurrent requests reached ({self._most}), try again later."
            await plain(Admission(503, text, {"Retry-After": "1"}))(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
            await scope["state"]["drained"]()
        finally:
            self._free.release()


class Guard:
    """Admits requests with a password of the web configuration, or with the token if there is one.

    Without either it admits everyone. ``say`` makes the answer for a refusal. ``token`` returns the current token.
    """

    def __init__(
        self,
        app: ASGIApp,
        web: WebConfigFile | None,
        token: Callable[[], str] | None = None,
        say: Callable[[Admission], Response] = plain,
    ) -> None:
        self._app = app
        self._web = web
        self._token = token
        self._say = say
        self._passwords = Passwords()
        self._attempts = Attempts()
        self._bucket = Bucket()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        config = self._web.current() if self._web is not None else None
        if config is not None and config.headers:
            send = _with_headers(send, config.headers)
        answer = await self._refusal(scope, config)
        if answer is None:
            await self._app(scope, receive, send)
        else:
            await self._say(answer)(scope, receive, send)

    async def _refusal(self, scope: Scope, config: WebConfig | None) -> Admission | None:
        if config is not None and not self._bucket.take(config.rate_interval_seconds, config.rate_burst):
            return Admission(429, "Too Many Requests", {"Retry-After": str(math.ceil(config.rate_interval_seconds))})
        users = config.users if config is not None else {}
        if self._token is None and not users:
            return None
        headers = dict(scope["headers"])
        if self._token is not None and (answer := _from_another_site(scope, headers)):
            return answer
        given: bytes = headers.get(b"authorization", b"").strip()
        address = _network(scope)
        if given and (wait := self._attempts.locked_seconds(address)):
            return Admission(429, "too many wrong attempts; try again later", {"Retry-After": str(math.ceil(wait))})
        if given and (self._is_token(given) or await self._passwords.right(given, users)):
            self._attempts.succeeded(address)
            return None
        if given:
            self._attempts.failed(address)
        if self._token is None:
            return Admission(401, "Unauthorized", {"WWW-Authenticate": "Basic"})
        text = "this address needs the token: Authorization: Bearer <token>"
        return Admission(401, text, {"WWW-Authenticate": "Basic, Bearer" if users else "Bearer"})

    def _is_token(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given, b"Bearer " + self._token().encode())


class Passwords:
    """Basic authentication against bcrypt hashes. A correct password is cached as a digest while the hash stays the
    same: bcrypt is slow by design, and a scraper comes every few seconds."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}
        self._one_at_a_time = asyncio.Lock()

    async def right(self, authorization: bytes, users: Mapping[str, str]) -> bool:
        scheme, _, encoded = authorization.partition(b" ")
        if not users or scheme.lower() != b"basic":
            return False
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
            user = name.decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        hashed = users.get(user)
        digest = hmac.digest(self._key, b"\\0".join([name, (hashed or "").encode(), password]), hashlib.sha256)
        if hashed is not None and hmac.compare_digest(self._known.get(user, b""), digest):
            return True
        async with self._one_at_a_time:
            matches = await asyncio.to_thread(_matches, password, hashed or _NOBODY)
        if not (colon and matches and hashed is not None):
            return False
        self._known[user] = digest
        return True


def _matches(password: bytes, hashed: str) -> bool:
    import bcrypt

    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], hashed.encode())
    except ValueError:
        return False


class Attempts:
    """Failed attempts by address: after some, each further one doubles the lock-out of that address."""

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float, float]] = {}
        """By address: number of failures, time of the last one, end of the lock-out. Oldest first."""

    def locked_seconds(self, address: str) -> float:
        """0 for an address that may try."""
        _, _, until = self._wrong.get(address, (0, 0.0, 0.0))
        return max(0.0, until - time.monotonic())

    def succeeded(self, address: str) -> None:
        self._wrong.pop(address, None)

    def failed(self, address: str) -> None:
        now = time.monotonic()
        count, last, _ = self._wrong.pop(address, (0, now, 0.0))
        count = 1 if now - last > FORGET_SECONDS else count + 1
        lock = min(MAX_LOCK_SECONDS, 2.0 ** (count - FREE_ATTEMPTS)) if count >= FREE_ATTEMPTS else 0.0
        self._wrong[address] = count, now, now + lock
        if len(self._wrong) > MAX_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        said.warning("wrong secret", "a wrong token or password came from %s (%d of them by now)", address, count)


class Bucket:
    """A token bucket: ``burst`` requests at once, and one more every ``interval_seconds``."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._at = time.monotonic()

    def take(self, interval_seconds: float, burst: int) -> bool:
        if not interval_seconds:
            return True
        now = time.monotonic()
        self._spent = max(0.0, self._spent - (now - self._at) / interval_seconds)
        self._at = now
        if self._spent + 1 > burst:
            return False
        self._spent += 1
        return True


def _from_another_site(scope: Scope, headers: Mapping[bytes, bytes]) -> Admission | None:
    """A browser sends requests for any page's script, and to any name whose owner makes it resolve to this host."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    origin = headers.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() != f"{scope['scheme']}://{host}":
        return Admission(403, "requests from other sites are refused (Origin)")
    here = scope.get("server") or ("", 0)
    if _is_loopback(here[0]) and not _means_this_machine(host):
        return Admission(
            421, f"the name in the URL is not this machine's; use one that is, such as localhost:{here[1]} (Host)"
        )
    return None


def _means_this_machine(host: str) -> bool:
    name = re.sub(r":[0-9]*$", "", host).strip("[]")
    if name in ("", "localhost", socket.gethostname().lower()) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _network(scope: Scope) -> str:
    """The key for counting attempts: an IPv4 address, or the IPv6 prefix that one machine has to itself."""
    host = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return str(host)
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def _with_headers(send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return sending
