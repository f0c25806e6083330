"""A TCP server on loopback whose every byte, and pause, a test decides: for what no well-behaved HTTP server does."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from types import TracebackType
from typing import Self

Script = Callable[[str], Iterator[bytes]]
"""Given the head of a request, what is sent; the connection is closed at its end."""


class Wire:
    """``with Wire(script) as wire:``; ``requests`` holds the head of each request, ``url`` is where it listens."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self._script = script
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._ended = threading.Event()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            head, _, body = head.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            while length and len(body) < int(length[1]):
                body += connection.recv(65536)
            self.requests.append(head.decode("latin-1") + "\r\n")
            for piece in self._script(self.requests[-1]):
                if self._ended.is_set():
                    return
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)


def head(*fields: str, status: str = "200 OK") -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode("latin-1")


def slowly(data: bytes, seconds_each: float = 0.05) -> Iterator[bytes]:
    """One byte at a time."""
    for byte in data:
        time.sleep(seconds_each)
        yield bytes([byte])


@cache
def gzip_bomb(mebibytes: int) -> bytes:
    """So many MiB of zeros, compressed to a thousandth of that."""
    return gzip.compress(bytes(mebibytes * 2**20), 1)


def endlessly(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece
