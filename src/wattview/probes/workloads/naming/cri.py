"""Names from the Container Runtime Interface of containerd and CRI-O: their pods' sandboxes and containers.

Two calls of gRPC over a Unix socket, ``ListPodSandbox`` and ``ListContainers`` of
https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto. Of that interface a dozen fields are
needed: they are taken out of the message here, which spares a daemon the gRPC library's threads and tens of megabytes.
HTTP/2 is httpx's.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from wattview.fetch import blocking
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.containers.engine_socket import peer
from wattview.probes.workloads.naming import POD_NAME, POD_NAMESPACE, POD_UID, Named, kubernetes_name

SECONDS = 10.0
MAX_BYTES = 16 * 1024 * 1024

_HEADERS = {"content-type": "application/grpc", "te": "trailers"}
_UNIMPLEMENTED = "12"
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without one httpx loads the system's certificates each time


class ProtobufField(NamedTuple):
    """One field of a protocol buffer: its number, and what it holds."""

    number: int
    value: int | bytes


class CriNames:
    """The runtime at the socket ``where``. ``engine`` is its name in labels."""

    def __init__(self, engine: str, where: str) -> None:
        self.engine = engine
        self.where = where

    def ask(self) -> list[Named]:
        """Raises SourceAbsent, SourceRefused or SourceBroken."""
        peer(f"unix://{self.where}", SECONDS)
        try:
            sandboxes, containers = blocking(self._lists())
            return [*self._sandboxes(sandboxes), *self._containers(containers)]
        except (TimeoutError, httpx.TimeoutException):
            raise SourceBroken(f"{self.where} has not answered within {SECONDS:g} s", "look at its log") from None
        except httpx.HTTPError as error:
            raise SourceBroken(f"{self.where}: {str(error) or type(error).__name__}") from None
        except (ValueError, IndexError, AttributeError, TypeError) as error:
            raise SourceBroken(f"{self.where}: the answer is no list of the CRI ({error})") from None

    async def _lists(self) -> tuple[bytes, bytes]:
        transport = httpx.AsyncHTTPTransport(uds=self.where, http1=False, http2=True, verify=_NO_TLS)
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
            return await self._call(client, "ListPodSandbox"), await self._call(client, "ListContainers")

    async def status(self, method: str, id: str) -> bytes:
        """The answer to ``ContainerStatus`` or ``PodSandboxStatus``, with what the runtime says beside."""
        transport = httpx.AsyncHTTPTransport(uds=self.where, http1=False, http2=True, verify=_NO_TLS)
        encoded = id.encode()
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
            return await self._call(client, method, b"\x0a" + bytes([len(encoded)]) + encoded + b"\x10\x01")

    async def _call(self, client: httpx.AsyncClient, method: str, request: bytes = b"") -> bytes:
        """The message that answers a call."""
        url = f"http://localhost/runtime.v1.RuntimeService/{method}"
        content = b"\0" + len(request).to_bytes(4, "big") + request
        async with client.stream("POST", url, headers=_HEADERS, content=content) as response:
            status = response.headers.get("grpc-status", "0")
            if status == _UNIMPLEMENTED:
                raise SourceAbsent(f"{self.where} serves no CRI", "enable its cri plugin")
            if response.status_code != 200 or status != "0":
                said = response.headers.get("grpc-message", "")
                raise SourceBroken(f"{self.where} refuses {method}: status {status} {said}".strip())
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise SourceBroken(f"{self.where} answers more than {MAX_BYTES >> 20} MiB")
        length = int.from_bytes(body[1:5], "big")
        if len(body) < 5 or body[0] != 0 or len(body) != 5 + length:
            raise ValueError("not one whole message")
        return body[5:]

    def _sandboxes(self, message: bytes) -> Iterator[Named]:
        """``PodSandbox``: id 1, metadata 2 (name 1, uid 2, namespace 3, attempt 4), labels 5."""
        for item in _many(message, 1):
            metadata = _one(item, 2)
            name, uid, namespace = (_text(metadata, number) for number in (1, 2, 3))
            yield Named(
                id=_text(item, 1), name=name, engine=self.engine, namespace=namespace, pod=name, pod_uid=uid,
                sandbox=True, attempt=_number(metadata, 4), labels=_labels(item, 5),
            )  # fmt: skip

    def _containers(self, message: bytes) -> Iterator[Named]:
        """``Container``: id 1, metadata 3 (name 1, attempt 2), image 4 (image 1, user_specified_image 18), labels 8."""
        for item in _many(message, 1):
            image = _one(item, 4)
            labels = _labels(item, 8)
            named = kubernetes_name(
                _text(item, 1), _text(_one(item, 3), 1), self.engine, _text(image, 18) or _text(image, 1), labels
            )
            yield named._replace(
                container=_text(_one(item, 3), 1), attempt=_number(_one(item, 3), 2), labels=labels,
                pod=labels.get(POD_NAME, ""), namespace=labels.get(POD_NAMESPACE, ""), pod_uid=labels.get(POD_UID, ""),
            )  # fmt: skip


def fields(message: bytes) -> Iterator[ProtobufField]:
    """A protocol buffer's fields: https://protobuf.dev/programming-guides/encoding/. Raises ValueError, IndexError."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield ProtobufField(number, value)
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, at = _varint(message, at)
        if length is None or at + length > len(message):
            raise ValueError(f"a field of kind {kind} at byte {at} of {len(message)}")
        yield ProtobufField(number, message[at : at + length])
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _many(message: bytes, number: int) -> list[bytes]:
    return [one.value for one in fields(message) if one.number == number and isinstance(one.value, bytes)]


def _one(message: bytes, number: int) -> bytes:
    """A message in a message; an empty one where it is not there, as in protocol buffers."""
    return next(iter(_many(message, number)), b"")


def _text(message: bytes, number: int) -> str:
    return _one(message, number).decode("utf-8", "replace")


def _number(message: bytes, number: int) -> int:
    return next((one.value for one in fields(message) if one.number == number and isinstance(one.value, int)), 0)


def _labels(message: bytes, number: int) -> dict[str, str]:
    return {_text(entry, 1): _text(entry, 2) for entry in _many(message, number)}


def texts(message: bytes) -> dict[int, str]:
    """The fields of a message that are text, by number."""
    return {one.number: one.value.decode("utf-8", "replace") for one in fields(message) if isinstance(one.value, bytes)}
