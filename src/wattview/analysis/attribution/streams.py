"""What each live stream takes: its part of the media server's power, and its part of its encoder's.

A stream's part of the server is its part of all traffic. An encoder that pushes several streams is shared by the
pixels that each has a second, which is what encoding costs most nearly; where one of them does not tell its size and
frame rate, by the bytes that each pushes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from msgspec import Struct

StreamKey = tuple[str, str]


class StreamUse(Struct, frozen=True, kw_only=True):
    """One live stream: its traffic in and out of the server in bytes per second, the pixels of its picture a second,
    and who pushes it: a name for the encoder that is the same for all its streams, None where there is none."""

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
    """Each stream's part of the server's active power; empty where that is not known."""
    if watts is None:
        return {}
    traffic: dict[StreamKey, float] = {}
    for one in streams:
        traffic[one.key] = traffic.get(one.key, 0.0) + one.in_bytes + one.out_bytes
    return _shared(watts, traffic)


def encoder_shares(streams: Iterable[StreamUse], watts: Mapping[Hashable, float]) -> dict[StreamKey, float]:
    """Each stream's part of its encoder's active power, without those whose encoder's is not known."""
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
    """One alone has it all; several of which nothing is known cannot be told apart."""
    whole = sum(by.values())
    if not (whole > 0 or len(by) == 1):
        return {}
    return {key: watts * amount / whole if whole > 0 else watts for key, amount in by.items()}
