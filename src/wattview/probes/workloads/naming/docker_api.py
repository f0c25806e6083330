"""Names from an engine that speaks Docker's API: one list of its running containers.

``GET /containers/json`` of https://docs.docker.com/reference/api/engine/; Podman's service answers it too.
"""

from __future__ import annotations

import time

from msgspec import Struct

from wattview.fetch import MAX_BYTES, BadAnswer, Fetched, FetchTooLarge, NoAnswer, decode_json
from wattview.probes import broken_if_it_fails
from wattview.probes.containers.engine_socket import connected, explained
from wattview.probes.workloads.naming import Named, kubernetes_name

SECONDS = 10.0

_REQUEST = b"GET /containers/json HTTP/1.0\r\nHost: localhost\r\nUser-Agent: wattview\r\n\r\n"
"""The answer to HTTP/1.0 is not in chunks, and ends with its connection (RFC 9112, 6.1)."""


class _Listed(Struct, rename="pascal"):
    id: str
    names: list[str] | None = None
    image: str = ""
    labels: dict[str, str] | None = None


class DockerNames:
    """The engine at the socket ``where``. ``engine`` is its name in labels."""

    def __init__(self, engine: str, where: str) -> None:
        self.engine = engine
        self.where = where

    def ask(self) -> list[Named]:
        """Raises SourceAbsent, SourceRefused or SourceBroken."""
        with broken_if_it_fails(), explained(self.where):
            listed = decode_json(self._fetch(), list[_Listed], "a list of containers")
        return [
            kubernetes_name(
                one.id, (one.names or [one.id[:12]])[0].lstrip("/"), self.engine, one.image, one.labels or {}
            )
            for one in listed
        ]

    def _fetch(self) -> Fetched:
        """By the socket alone: ``fetch`` takes twenty times as long, and each container that comes is asked for."""
        answer = bytearray()
        until = time.monotonic() + SECONDS
        with connected(self.where, SECONDS) as engine:
            try:
                engine.sendall(_REQUEST)
                while piece := engine.recv(65536):
                    answer += piece
                    if len(answer) > MAX_BYTES:
                        raise FetchTooLarge(f"{self.where} answered more than {MAX_BYTES / 2**20:g} MiB")
                    engine.settimeout(max(until - time.monotonic(), 0.001))
            except TimeoutError:
                raise NoAnswer(f"{self.where} did not answer completely within {SECONDS:g} s") from None
            except OSError as error:
                raise BadAnswer(f"{self.where}: {error.strerror or type(error).__name__}") from None
        head, _, body = bytes(answer).partition(b"\r\n\r\n")
        status, _, phrase = head.partition(b"\r\n")[0].decode("utf-8", "replace").partition(" ")[2].partition(" ")
        if status != "200":
            raise BadAnswer(f"{self.where} answered {status or 'no HTTP'} {phrase}".strip())
        return Fetched(self.where, 200, phrase, body)
