"""Types of every source: a reading with its times, its missing parts, and its state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

ProbeState = Literal["unread", "ok", "degraded", "absent", "refused", "broken"]
"""``ok``: everything was read. ``degraded``: some parts could not be read, the rest is valid. ``absent``: this machine
has no such source. ``refused``: permission denied. ``broken``: it exists and its data are invalid."""


def total(parts: Iterable[float | None]) -> float | None:
    """The sum; None if a part is unknown, or there is none."""
    known = list(parts)
    return None if not known or None in known else sum(part for part in known if part is not None)


class Fault(Struct, frozen=True):
    """One part of a source that could not be read, and how to fix it. ``part`` names it (a zone, a container, a
    file)."""

    part: str
    reason: str
    fix: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """What a probe read at one moment. ``faults`` lists the parts that are missing from it."""

    time: float
    monotonic: float
    faults: tuple[Fault, ...] = ()


class StoreReading(Reading, frozen=True, kw_only=True):
    """The configured store of past values: its address without secrets, and how many daemons it knows."""

    url: str
    daemons: int


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """State of one source. ``fix`` is a command or a setting that fixes it; "" if there is none."""

    probe: str
    state: ProbeState
    reason: str = ""
    fix: str = ""
    duration_seconds: float | None = None
    last_success: float | None = None
