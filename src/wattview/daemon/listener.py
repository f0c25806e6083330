"""One ASGI application on some listening sockets.

uvicorn does the HTTP. Its ``serve`` would take over signals and wake up ten times a second to look at a flag; the
daemon has its own signals and must sleep while nobody asks, so a ``Listener`` calls uvicorn's start and stop directly.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BACKLOG = 128


class Listener:
    """Serves ``app`` on ``sockets`` between ``start`` and ``stop``; both are awaited in the daemon's loop."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket]) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            date_header=False,
            server_header=False,
            http="httptools",
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
            backlog=BACKLOG,
        )
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._sockets = sockets

    async def start(self) -> None:
        await self._server.startup(sockets=self._sockets)

    async def stop(self) -> None:
        if self._server.started:
            await self._server.shutdown(sockets=self._sockets)


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises OSError as the kernel gives it."""
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
    """A listening Unix socket that only its owner may open (0600). A dead daemon's socket is replaced.

    Raises OSError; ``FileExistsError`` where something that is not a socket stands in the way.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() or path.is_symlink():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is in the way and is not a socket; remove it or set daemon.control_socket")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode is set before anyone can connect: bind under a umask, not chmod after it.
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
