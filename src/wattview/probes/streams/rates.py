"""Bandwidth of RTMP servers from their byte counters, for every kind of server.

A server's own bandwidth is a mean over 10 or 30 seconds that starts at 0; the change of its byte counters between two
readings is more accurate and available earlier. It replaces the server's figure whenever two readings are a second to a
minute apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from msgspec.structs import replace

from wattview.model import Stream, StreamsReading
from wattview.probes.rates import Rate

Number = TypeVar("Number", int, float)


def total(values: Iterable[Number | None]) -> Number | None:
    """The sum; None if a part of it is unknown."""
    known = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return sum(known)


class StreamRates:
    """The rates of one server (or of one nginx worker process)."""

    def __init__(self) -> None:
        self._server = _Flow()
        self._streams: dict[tuple[str, str], _Flow] = {}

    def apply(self, reading: StreamsReading) -> StreamsReading:
        """The reading with bandwidth from counters. Streams that are not in it are forgotten."""
        server = reading.server
        rate_in, rate_out = self._server.update(
            reading.monotonic, server.uptime_seconds, server.bytes_in_total, server.bytes_out_total
        )
        before = self._streams
        self._streams = {}
        streams = []
        for stream in reading.streams:
            key = stream.app, stream.name
            flow = self._streams[key] = before.get(key) or _Flow()
            streams.append(_with_rates(stream, flow, reading.monotonic))
        return replace(
            reading,
            streams=tuple(streams),
            server=replace(
                server,
                bandwidth_in_bytes=server.bandwidth_in_bytes if rate_in is None else rate_in,
                bandwidth_out_bytes=server.bandwidth_out_bytes if rate_out is None else rate_out,
            ),
        )


class _Flow:
    """The byte counters of a server or of one stream."""

    def __init__(self) -> None:
        self._in, self._out = Rate(), Rate()
        self._uptime = 0.0

    def update(
        self, monotonic: float, uptime: float | None, bytes_in: int | None, bytes_out: int | None
    ) -> tuple[float | None, float | None]:
        """(in, out) in bytes per second. A stream younger than before is a new one with the same name."""
        if uptime is not None and uptime < self._uptime:
            self._in, self._out = Rate(), Rate()
        self._uptime = uptime or 0.0
        return (
            None if bytes_in is None else self._in.update(monotonic, bytes_in),
            None if bytes_out is None else self._out.update(monotonic, bytes_out),
        )


def _with_rates(stream: Stream, flow: _Flow, monotonic: float) -> Stream:
    rate_in, rate_out = flow.update(monotonic, stream.uptime_seconds, stream.bytes_in_total, stream.bytes_out_total)
    return replace(
        stream,
        bandwidth_in_bytes=stream.bandwidth_in_bytes if rate_in is None else rate_in,
        bandwidth_out_bytes=stream.bandwidth_out_bytes if rate_out is None else rate_out,
    )
