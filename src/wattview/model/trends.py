"""Trends: how one quantity of one subject ran over a span of time."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

TrendKind = Literal["machine", "zone", "gpu", "container", "stream"]
TrendQuantity = Literal[
    "power", "energy", "cpu", "idle", "containers", "encoders", "unattributed", "memory", "bandwidth_in"
]


class Trend(Struct, frozen=True, kw_only=True):
    """``name`` is the subject: () the machine (of its ``energy`` the source that counted), a zone's package and zone,
    a GPU's uuid, a container's name, a stream's app and name. Points are (Unix seconds, value): watts, joules, percent
    (100 = one core for a container, all of them for the machine), bytes, bytes per second."""

    kind: TrendKind
    quantity: TrendQuantity
    name: tuple[str, ...]
    points: list[tuple[float, float]]
