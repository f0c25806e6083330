"""What every source has in common: a reading with its times, the parts missing from it, and its state."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ProbeState = Literal["unread", "ok", "degraded", "absent", "refused", "broken"]
"""``ok``: everything was read. ``degraded``: some parts could not be read, the rest is true. ``absent``: this machine
has no such source. ``refused``: it is there and may not be read. ``broken``: it is there and answers nonsense."""


class Fault(Struct, frozen=True):
    """One part of a source that gave no number, and the way out. ``part`` names it (a zone, a container, a file)."""

    part: str
    reason: str
    fix: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """What a probe saw at one moment. ``faults`` lists the parts that are missing from it."""

    time: float
    monotonic: float
    faults: tuple[Fault, ...] = ()


class StoreReading(Reading, frozen=True, kw_only=True):
    """The store of past values that the settings name: its address without secrets, and how many daemons it knows."""

    url: str
    daemons: int


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """The state of one source. ``fix`` is a command or a setting that fixes it; empty where there is none."""

    probe: str
    state: ProbeState
    reason: str = ""
    fix: str = ""
    duration_seconds: float | None = None
    last_success: float | None = None
