"""A listening socket: its connections, their limit, and the application that answers them.

A listener outlives its application: during a reload it has none, and requests wait for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from uvicorn.server import ServerState

from wattview.daemon.http.connection import HEAD_SECONDS, Connection, said

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from wattview.daemon.http.web_config import WebConfigFile

BACKLOG = socket.SOMAXCONN
"""Connections queue here during a reload; the kernel has its own limit (net.core.somaxconn)."""

ACCEPTED_AT_ONCE = 32
ALWAYS = 12
RETRY_SECONDS = 1.0
STOP_SECONDS = 1.0
"""How long to wait for answers in progress."""

SPARED_SECONDS = 1.0
"""A connection idle for less time is not closed in favour of a new one: its request may be on the way."""

BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 1\r\nconnection: close\r\n\r\n"


class Pool:
    """The connections of some listeners: at most ``most``, but always ``ALWAYS``, however few descriptors are left.

    The kernel assigns the lowest free descriptor, so a number in the last quarter of the limit means that all below are
    in use: the rest is reserved for probes and the history.
    """

    def __init__(self, most: int) -> None:
        self.state = ServerState()
        self.greeted = 0
        """Accepted connections that are not yet in ``state``."""
        self.most = most

    def has_room(self, descriptor: int) -> bool:
        there = len(self.state.connections) + self.greeted
        if there >= self.most:
            return False
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return there < ALWAYS or descriptor < soft - soft // 4

    def make_room(self) -> bool:
        """Closes the connection that has been idle longest. Returns whether there was one."""
        waiting = [one for one in self.state.connections if isinstance(one, Connection) and not one.answering]
        longest = min(waiting, key=lambda one: one.waiting_since, default=None)
        if longest is None or longest.loop.time() - longest.waiting_since < SPARED_SECONDS:
            return False
        longest.transport.abort()
        self.state.connections.discard(longest)
        return True


class Listener:
    """The connections of ``sock``."""

    def __init__(self, sock: socket.socket, pool: Pool) -> None:
        self.sock = sock
        self.pool = pool
        self.loop = asyncio.get_running_loop()
        self.requests: set[asyncio.Task[object]] = set()
        """Requests that are being answered or wait for an application."""
        self.running: set[asyncio.Task[object]] = set()
        """Requests that are being answered."""
        self._web: WebConfigFile | None = None
        self._app: ASGIApp | None = None
        self._serving = asyncio.Event()
        self._greetings: set[asyncio.Task[None]] = set()
        self._accepting = False

    def serve(self, app: ASGIApp, web: WebConfigFile | None = None) -> None:
        """Answers with ``app`` from now on, over TLS if ``web`` says so. Connections that started under another ``web``
        end after their current request."""
        if self._accepting and (web and web.path) != (self._web and self._web.path):
            for connection in self._connections():
                connection.shutdown()
        self._app, self._web = app, web
        self._serving.set()
        if not self._accepting:
            self._accepting = True
            self._listen()

    @property
    def state(self) -> ServerState:
        return self.pool.state

    def admits(self, transport: asyncio.BaseTransport) -> bool:
        """Whether a peer with a verified certificate is admitted."""
        return self._web is None or self._web.admits(transport)

    async def ready(self) -> ASGIApp:
        """The application, as soon as there is one."""
        while self._app is None:
            await self._serving.wait()
        return self._app

    @property
    def paused(self) -> bool:
        return self._accepting and self._app is None

    def hold(self) -> None:
        """Queues new requests until the next ``serve``."""
        self._app = None
        self._serving.clear()

    async def settle(self) -> None:
        """Waits for the answers in progress. Requests that do not finish are passed to the next application."""
        if self.running:
            await asyncio.wait(self.running, timeout=STOP_SECONDS)
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.wait(self.running, timeout=STOP_SECONDS)

    def move(self, sock: socket.socket) -> None:
        """Listens on another socket from now on. The connections remain."""
        before, self.sock = self.sock, sock
        if self._accepting:
            self.loop.remove_reader(before)
            self._listen()
        before.close()

    async def close(self) -> None:
        """Closes the socket and its connections, after the answers in progress."""
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self.sock)
        self.sock.close()
        for connection in self._connections():
            connection.shutdown()
        await self.settle()
        for connection in self._connections():
            connection.transport.abort()
        for task in (*self._greetings, *self.requests):
            task.cancel()

    @property
    def _tls(self) -> ssl.SSLContext | None:
        return self._web.current().tls if self._web is not None else None

    def _connections(self) -> list[Connection]:
        return [one for one in self.pool.state.connections if isinstance(one, Connection) and one.listener is self]

    def _listen(self) -> None:
        if self._accepting:
            self.loop.add_reader(self.sock, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory. The socket stays readable: without a pause the loop would spin.
                said.warning("accept", "a connection cannot be accepted: %s", error.strerror)
                self.pool.make_room()
                self.loop.remove_reader(self.sock)
                self.loop.call_later(RETRY_SECONDS, self._listen)
                return
            accepted.setblocking(False)
            if self.pool.has_room(accepted.fileno()) or self.pool.make_room():
                self.pool.greeted += 1
                task = self.loop.create_task(self._greet(accepted))
                self._greetings.add(task)
                task.add_done_callback(self._greetings.discard)
            else:
                said.warning("busy", "too many open connections: new ones are refused; check which client holds them")
                _refuse(accepted, self._tls is None)

    async def _greet(self, accepted: socket.socket) -> None:
        tls = self._tls
        limits = {"ssl_handshake_timeout": HEAD_SECONDS, "ssl_shutdown_timeout": STOP_SECONDS} if tls else {}
        try:
            await self.loop.connect_accepted_socket(lambda: Connection(self), accepted, ssl=tls, **limits)
        except (OSError, TimeoutError) as error:
            said.warning("tls", "a connection failed: %s", error)
            accepted.close()
        finally:
            self.pool.greeted -= 1


def _refuse(accepted: socket.socket, in_words: bool) -> None:
    with accepted, contextlib.suppress(OSError):
        if in_words:
            accepted.send(BUSY)
        accepted.shutdown(socket.SHUT_WR)
        accepted.recv(65536)


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises the kernel's OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.setblocking(False)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bind_unix(path: Path) -> socket.socket:
    """A listening Unix socket with mode 0600. A dead daemon's socket is replaced.

    Raises OSError; ``FileExistsError`` if the path is not a socket.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is in the way and is not a socket; remove it or set daemon.control_socket")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Use a umask, not a later chmod, so that nobody can connect before the mode is set.
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    sock.setblocking(False)
    sock.listen(BACKLOG)
    return sock
