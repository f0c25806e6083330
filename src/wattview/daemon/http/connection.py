"""One connection of the daemon's HTTP servers: uvicorn's protocol, with limits on time and memory per peer.

uvicorn answers, httptools parses. The limits follow Go's ``net/http``, which serves the original exporters: one request
at a time, limited headers and body, time-outs for both and for slow readers, keep-alive for a limited time.
"""

from __future__ import annotations

import asyncio
import functools
import math
from typing import TYPE_CHECKING, Protocol

import httptools
import uvicorn
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from wattview.daemon.http.request_head import path_of, problem
from wattview.daemon.http.throttled_log import ThrottledLog

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 1024 * 1024
CHUNKED_BYTES = 64 * 1024
"""Allowance for the chunk sizes of a chunked body."""

TOO_LARGE = f"the body is larger than {MAX_BODY_BYTES} bytes"

HEAD_SECONDS = 10.0
"""Time from a connection's or a request's start to the end of its headers; also for a TLS handshake."""
BODY_SECONDS = 30.0
IDLE_SECONDS = 75
"""Longer than the default minute between two scrapes."""
READER_SECONDS = 30.0
READER_BYTES = 128 * 1024
"""A peer must read this much of an answer in ``READER_SECONDS``, or the connection is closed."""
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * MAX_BODY_BYTES
"""How long, and how much, a refused peer may go on sending: closing at once would discard the refusal too."""

PIECE_BYTES = 16 * 1024
"""Maximum number of bytes parsed between two checks of the limits."""

END = b"\r\n\r\n"
"""The end of headers, and of a chunked body with its trailers: a piece that ends there cannot contain two requests."""

HEAD, BODY, WHOLE = range(3)
"""Stages of a request."""


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Placeholder: uvicorn's configuration requires an application; a connection asks its listener for one."""


@functools.cache
def _settings() -> uvicorn.Config:
    config = uvicorn.Config(
        _nothing, lifespan="off", log_config=None, access_log=False, date_header=False, server_header=False,
        http="httptools", ws="none", proxy_headers=False, timeout_keep_alive=IDLE_SECONDS,
    )  # fmt: skip
    config.load()
    return config


said = ThrottledLog("wattview.http")


class Acceptor(Protocol):
    """What a connection needs of its listener."""

    loop: asyncio.AbstractEventLoop
    requests: set[asyncio.Task[object]]
    running: set[asyncio.Task[object]]

    @property
    def state(self) -> ServerState:
        """uvicorn's registry of connections and tasks."""

    @property
    def paused(self) -> bool: ...

    def admits(self, transport: asyncio.BaseTransport) -> bool: ...

    async def ready(self) -> ASGIApp: ...


class Connection(HttpToolsProtocol):
    """A connection to a listener. One request is read at a time: the next one is parsed after the answer has been
    written."""

    def __init__(self, listener: Acceptor) -> None:
        super().__init__(_settings(), listener.state, {}, listener.loop)
        self.app = self._serve
        self.waiting_since = self.loop.time()
        """Since when the connection has been idle."""
        self.listener = listener
        self._stage = HEAD
        self._accepted = False
        """Whether the headers of this request were valid, so that the application answers it."""
        self._counted = 0
        self._body_size: int | None = None
        self._unparsed = b""
        self._at = 0
        self._refusal: tuple[int, str] | None = None
        self._refused = False
        self._deadline = math.inf
        self._timed: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    @property
    def answering(self) -> bool:
        """Whether a request has been received and not yet answered."""
        return self.cycle is not None and not self.cycle.response_complete

    # Callbacks of asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if self.listener.admits(transport):
            self._watch()
        else:
            self._refused = True
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._unparsed, self._at, self._refused = b"", 0, True
        if self._timer is not None:
            self._timer.cancel()

    def eof_received(self) -> bool:  # type: ignore[override]
        """A peer that has closed its sending side still gets the answer in progress."""
        if self._stage == WHOLE and self.answering and not self.cycle.response_started and self.scheme == "http":
            self.cycle.keep_alive = False
            return True
        return False

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._counted += len(data)
            if self._counted > LINGER_BYTES:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        kept = max(0, self._at - len(END) + 1)  # the parsed bytes that may begin an END
        self._unparsed, self._at = self._unparsed[kept:] + data, self._at - kept
        self._parse()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._end_in(READER_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._timed = None
        self._watch()

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._stage, self._accepted, self._body_size = HEAD, False, None
        self._timed = None

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage == HEAD:  # trailers of a chunked body are not headers
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stage, self._counted = BODY, 0
        problem = self._problem()
        if problem is not None:
            self._refuse(*problem)
            return
        super().on_headers_complete()
        self._accepted = True

    def on_body(self, body: bytes) -> None:
        if self._accepted:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._stage, self._counted = WHOLE, 0
        if self._accepted:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.waiting_since = self.loop.time()
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._refusal is not None:
            self._unset_keepalive_if_required()
            self._say_refusal()
        elif self._at < len(self._unparsed):
            self._unset_keepalive_if_required()
            self._parse()

    # Limits on size and time.

    def _parse(self) -> None:
        """Feeds the parser, up to the end of a request that is not yet answered."""
        data = self._unparsed
        try:
            while self._at < len(data) and not self._refused and not (self._stage == WHOLE and self.answering):
                if self._stage == WHOLE:
                    self._stage, self._counted = HEAD, 0
                piece = data[self._at : self._piece_end(data)]
                self._at += len(piece)
                self._counted += len(piece)
                self._check_size()
                if not self._refused:
                    self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # It is answered without an upgrade, or has been refused, and nothing after it is read.
            if self._accepted:
                self.cycle.keep_alive = False
            self._at = len(data)
        except httptools.HttpParserError as error:
            self._refuse(400, f"not HTTP: {error}")
        if self._at < len(data) and not self._refused:
            self.flow.pause_reading()
        else:
            self._unparsed = data[-len(END) + 1 :]
            self._at = len(self._unparsed)
        self._watch()

    def _piece_end(self, data: bytes) -> int:
        """How much of ``data`` the parser may get without reaching the next request."""
        at = self._at
        if self._stage == BODY and self._body_size is not None:
            return at + min(self._body_size - self._counted, PIECE_BYTES)
        found = data.find(END, max(0, at - len(END) + 1), at + PIECE_BYTES)
        return found + len(END) if found >= 0 else at + PIECE_BYTES

    def _check_size(self) -> None:
        if self._stage == HEAD and self._counted > MAX_HEAD_BYTES:
            self._refuse(431, f"the headers are larger than {MAX_HEAD_BYTES} bytes")
        elif self._stage == BODY and self._counted > MAX_BODY_BYTES + CHUNKED_BYTES:
            self._refuse(413, TOO_LARGE)

    def _problem(self) -> tuple[int, str] | None:
        """What is wrong with a request's head."""
        sizes = [int(value) for name, value in self.headers if name == b"content-length"]
        self._body_size = sizes[0] if sizes else None
        if self._body_size is not None and self._body_size > MAX_BODY_BYTES:
            return 413, TOO_LARGE
        path = path_of(self.url)
        self.url = path or self.url
        return problem(self.parser.get_http_version(), self.headers) or (
            None if path else (400, "the request target is not a path")
        )

    def _refuse(self, status: int, reason: str) -> None:
        """Closes the connection with this answer, after a pending answer to an earlier request."""
        said.warning("refused", "%s: %d, %s", self._peer(), status, reason)
        self._refused = True
        if not (self._stage == BODY and self._accepted):
            self._refusal = status, reason
            if not self.answering:
                self._say_refusal()
        elif self.cycle.response_started:
            # This request has, or gets, another answer.
            self._leave()
        else:
            self.cycle.disconnected = True
            self._refusal = status, reason
            self._say_refusal()
        if self.cycle is not None:
            self.cycle.message_event.set()

    def _say_refusal(self) -> None:
        assert self._refusal is not None
        status, reason = self._refusal
        body = f"{reason}\n".encode()
        self.transport.write(
            STATUS_LINE[status] + b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body)
            + b"connection: close\r\n\r\n" + body
        )  # fmt: skip
        self._leave()

    def _leave(self) -> None:
        """Closes the connection but reads and discards for a moment: closing at once would discard the answer too."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._end_in(LINGER_SECONDS)
        else:
            self.transport.close()

    def _peer(self) -> str:
        return self.client[0] if self.client else "a peer on the control socket"

    # Time-outs.

    def _watch(self) -> None:
        """Limits the time for headers and body; nothing else has a time-out here."""
        if self._refused or self.flow.write_paused or self._timed == self._stage:
            return
        self._timed = self._stage
        if self._stage == WHOLE:
            self._deadline = math.inf
        else:
            self._end_in(HEAD_SECONDS if self._stage == HEAD else BODY_SECONDS)

    def _end_in(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        left = self._deadline - self.loop.time()
        if left == math.inf:
            return
        if left > 0:
            self._timer = self.loop.call_later(left, self._on_time)
        elif self._refused:
            self.transport.abort()
        elif self.flow.write_paused:
            self._judge_reader()
        elif self._counted:
            self._refuse(408, "the request did not arrive in time")
        else:
            self.transport.close()

    def _judge_reader(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if self._unsent - unsent < READER_BYTES:
            said.warning("unread", "%s: does not read its answer; the connection is closed", self._peer())
            self.transport.abort()
        else:
            self._unsent = unsent
            self._end_in(READER_SECONDS)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        task, listener = asyncio.current_task(), self.listener
        assert task is not None
        scope["state"]["drained"] = self.flow.drain
        listener.requests.add(task)
        try:
            while not await self._ended(task, await listener.ready(), scope, receive, send):
                task.uncancel()
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            self.cycle.disconnected = True
            self.transport.abort()
        finally:
            listener.requests.discard(task)

    async def _ended(
        self, task: asyncio.Task[object], app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> bool:
        """Calls the application. False if it stopped for a reload before it started to answer: the next one is
        called."""
        running = self.listener.running
        running.add(task)
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if self.listener.paused and scope["method"] in ("GET", "HEAD") and not self.cycle.response_started:
                return False
            raise
        finally:
            running.discard(task)
        return True
