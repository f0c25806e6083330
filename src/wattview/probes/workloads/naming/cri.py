"""Names from the Container Runtime Interface of containerd and CRI-O: their pods' sandboxes and containers.

Two calls of gRPC over a Unix socket, ``ListPodSandbox`` and ``ListContainers`` of
https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto. Of that interface a dozen fields are
needed: they are taken out of the message here, which spares a daemon the gRPC library's threads and tens of megabytes.
HTTP/2 is httpx's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

import httpx

from wattview.fetch import NO_TLS, FetchError, blocking, bounded_body
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.containers.engine_socket import peer
from wattview.probes.workloads.naming import POD_NAME, POD_NAMESPACE, POD_UID, Named, kubernetes_name

SECONDS = 10.0
MAX_BYTES = 16 * 1024 * 1024
MAX_LISTED, MAX_FIELDS = 5_000, 500
"""Containers, and fields of one message: each takes many times as much memory and time as its bytes."""

_HEADERS = {"content-type": "application/grpc", "te": "trailers"}
_UNIMPLEMENTED = "12"


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
        except FetchError as error:
            raise SourceBroken(error.reason) from None
        except httpx.HTTPError as error:
            raise SourceBroken(f"{self.where}: {str(error) or type(error).__name__}") from None
        except (ValueError, IndexError, AttributeError, TypeError) as error:
            raise SourceBroken(f"{self.where}: the answer is not a CRI list ({error})") from None

    async def _lists(self) -> tuple[bytes, bytes]:
        transport = httpx.AsyncHTTPTransport(uds=self.where, http1=False, http2=True, verify=NO_TLS)
        async with asyncio.timeout(SECONDS), httpx.AsyncClient(transport=transport, timeout=SECONDS) as client:
            return await self._call(client, "ListPodSandbox"), await self._call(client, "ListContainers")

    async def status(self, method: str, id: str) -> bytes:
        """The answer to ``ContainerStatus`` or ``PodSandboxStatus``, with what the runtime says beside."""
        transport = httpx.AsyncHTTPTransport(uds=self.where, http1=False, http2=True, verify=NO_TLS)
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
                said = response.headers.get("grpc-message", "")[:200]
                raise SourceBroken(f"{self.where} refuses {method}: status {status} {said}".strip())
            body = await bounded_body(response, self.where, MAX_BYTES)
        length = int.from_bytes(body[1:5], "big")
        if len(body) < 5 or body[0] != 0 or len(body) != 5 + length:
            raise ValueError("not one whole message")
        return body[5:]

    def _sandboxes(self, listed: bytes) -> Iterator[Named]:
        """``PodSandbox``: id 1, metadata 2 (name 1, uid 2, namespace 3, attempt 4), state 3 (ready 0), labels 5."""
        for item in map(Message, Message(listed, MAX_LISTED).many(1)):
            metadata = item.one(2)
            name, uid, namespace = (metadata.text(number) for number in (1, 2, 3))
            yield Named(
                id=item.text(1), name=name, engine=self.engine, namespace=namespace, pod=name, pod_uid=uid,
                sandbox=True, attempt=metadata.number(4), labels=item.labels(5), running=item.number(3) == 0,
            )  # fmt: skip

    def _containers(self, listed: bytes) -> Iterator[Named]:
        """``Container``: id 1, metadata 3 (name 1, attempt 2), image 4 (image 1, user_specified_image 18), state 6
        (running 1), labels 8."""
        for item in map(Message, Message(listed, MAX_LISTED).many(1)):
            metadata, image, labels = item.one(3), item.one(4), item.labels(8)
            named = kubernetes_name(
                item.text(1), metadata.text(1), self.engine, image.text(18) or image.text(1), labels
            )
            yield named._replace(
                container=metadata.text(1), attempt=metadata.number(2), labels=labels, running=item.number(6) == 1,
                pod=labels.get(POD_NAME, ""), namespace=labels.get(POD_NAMESPACE, ""), pod_uid=labels.get(POD_UID, ""),
            )  # fmt: skip


class Message:
    """A protocol buffer, read once: https://protobuf.dev/programming-guides/encoding/. What is not there is empty.
    Raises ValueError and IndexError, also for more than ``most`` fields."""

    def __init__(self, data: bytes, most: int = MAX_FIELDS) -> None:
        self._fields: dict[int, list[int | bytes]] = {}
        for count, (number, value) in enumerate(fields(data)):
            if count == most:
                raise ValueError(f"more than {most:,} fields in one message")
            self._fields.setdefault(number, []).append(value)

    def many(self, number: int) -> list[bytes]:
        return [value for value in self._fields.get(number, ()) if isinstance(value, bytes)]

    def bytes(self, number: int) -> bytes:
        return next(iter(self.many(number)), b"")

    def one(self, number: int) -> Message:
        return Message(self.bytes(number))

    def text(self, number: int) -> str:
        return self.bytes(number).decode("utf-8", "replace")

    def number(self, number: int) -> int:
        return next((value for value in self._fields.get(number, ()) if isinstance(value, int)), 0)

    def labels(self, number: int) -> dict[str, str]:
        entries = map(Message, self.many(number))
        return {entry.text(1): entry.text(2) for entry in entries}


def fields(message: bytes) -> Iterator[ProtobufField]:
    """The fields of a protocol buffer. Raises ValueError, IndexError."""
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
