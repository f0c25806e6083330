"""Encoders on other machines: a dashboard that was opened from several daemons asks these for them.

The daemon of a media server knows only that a stream comes from another machine. The daemon there knows the process
behind the connection, and what it draws.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec.structs import replace

from wattview.client import Address, Client, ClientError
from wattview.model import Snapshot, Stream, StreamEncoder
from wattview.model.source import total

ASK_SECONDS = 5.0

RTMP_PORT = 1935

_StreamKey = tuple[str, str, str]
"""App, name, and the publisher's address."""


class RemoteEncoders:
    """``completed`` adds what ``ask`` has found to a snapshot. ``others`` are the other machines: name, and daemon."""

    def __init__(self, others: Sequence[tuple[str, Address]] = ()) -> None:
        self._others = others
        self._clients: list[tuple[Client, str]] = []
        self._found: Mapping[_StreamKey, StreamEncoder] = {}
        self._asked = float("-inf")

    def due(self, snapshot: Snapshot) -> bool:
        """Whether there is something to ask for, and it is time."""
        return bool(self._others and _remote(snapshot)) and time.monotonic() - self._asked >= ASK_SECONDS

    async def ask(self, snapshot: Snapshot, account: str) -> None:
        """Asks every other daemon for each stream whose encoder is on another machine. What exactly one of them knows
        counts."""
        self._asked = time.monotonic()
        if not self._clients:
            self._clients = [(Client(one.url, one.token, ca_file=one.ca_file), name) for name, one in self._others]
        port = _port(snapshot.rtmp_url)
        keys = _remote(snapshot)
        answers = await asyncio.gather(
            *(_encoder(client, host, key, port, account) for key in keys for client, host in self._clients)
        )
        count = len(self._clients)
        found = {}
        for at, key in enumerate(keys):
            told = [one for one in answers[at * count : (at + 1) * count] if one is not None]
            if len(told) == 1:
                found[key] = told[0]
        self._found = found

    def completed(self, snapshot: Snapshot) -> Snapshot:
        """With the encoders on other machines, and the streams' power with theirs."""
        if not self._found:
            return snapshot
        return replace(snapshot, streams=tuple(self._completed(one) for one in snapshot.streams))

    def _completed(self, stream: Stream) -> Stream:
        key = _key(stream)
        encoder = self._found.get(key) if key is not None else None
        if encoder is None:
            return stream
        return replace(stream, encoder=encoder, power_watts=total((stream.server_watts, encoder.watts)))

    async def close(self) -> None:
        for client, _ in self._clients:
            await client.close()


async def _encoder(client: Client, host: str, key: _StreamKey, port: int, account: str) -> StreamEncoder | None:
    app, name, address = key
    try:
        told = await client.remote_encoder(app, name, address, port, account)
    except ClientError:
        return None
    return replace(told, match="remote", host=host)


def _remote(snapshot: Snapshot) -> list[_StreamKey]:
    return [key for stream in snapshot.streams if (key := _key(stream)) is not None]


def _key(stream: Stream) -> _StreamKey | None:
    """None if its encoder is not on another machine, or by which address is not known."""
    if stream.encoder is None or stream.encoder.match != "remote":
        return None
    publisher = next((one for one in stream.clients if one.publishing and not one.relay), None)
    return (stream.app, stream.name, publisher.address) if publisher is not None and publisher.address else None


def _port(url: str) -> int:
    try:
        return urlsplit(url).port or RTMP_PORT
    except ValueError:
        return RTMP_PORT
