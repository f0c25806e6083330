"""Power of each live stream: its share of the media server's power, and its share of its encoder's.

A stream's share of the server is its share of all traffic. An encoder that pushes several streams is divided by their
pixel rates, the best proxy for encoding cost; if one of them has no known size and frame rate, by the bytes pushed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from msgspec import Struct

StreamKey = tuple[str, str]


class StreamUse(Struct, frozen=True, kw_only=True):
    """One live stream: its traffic into and out of the server in bytes per second, its pixel rate, and its encoder: a
    key shared by all of the encoder's streams, None if there is none."""

    app: str
    name: str
    in_bytes: float
    out_bytes: float
    pixels: float | None = None
    encoder: Hashable = None

    @property
    def key(self) -> StreamKey:
        return self.app, self.name


def server_shares(streams: Iterable[StreamUse], watts: float | None) -> dict[StreamKey, float]:
    """Each stream's share of the server's active power; empty if that is unknown."""
    if watts is None:
        return {}
    traffic: dict[StreamKey, float] = {}
    for one in streams:
        traffic[one.key] = traffic.get(one.key, 0.0) + one.in_bytes + one.out_bytes
    return _shared(watts, traffic)


def encoder_shares(streams: Iterable[StreamUse], watts: Mapping[Hashable, float]) -> dict[StreamKey, float]:
    """Each stream's share of its encoder's active power, without streams whose encoder's power is unknown."""
    pushed: dict[Hashable, list[StreamUse]] = {}
    for one in streams:
        if one.encoder in watts:
            pushed.setdefault(one.encoder, []).append(one)
    found: dict[StreamKey, float] = {}
    for encoder, its_streams in pushed.items():
        pixels = {one.key: one.pixels for one in its_streams if one.pixels}
        by = pixels if len(pixels) == len(its_streams) else {one.key: one.in_bytes for one in its_streams}
        found |= _shared(watts[encoder], by)
    return found


def _shared(watts: float, by: Mapping[StreamKey, float]) -> dict[StreamKey, float]:
    """A single stream gets all of it; several without known weights cannot be told apart."""
    whole = sum(by.values())
    if not (whole > 0 or len(by) == 1):
        return {}
    return {key: watts * amount / whole if whole > 0 else watts for key, amount in by.items()}
