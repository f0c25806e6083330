"""What the daemon has seen happen: the lines of its event log."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

EventLevel = Literal["info", "warning", "error"]


class Event(Struct, frozen=True, kw_only=True):
    """One event. ``id`` grows with every event, also when the daemon starts anew; ``about`` is the thing that it is
    about (``stream live/cam1``, ``source power``); ``alert``: somebody should be told now."""

    id: int
    time: float
    level: EventLevel
    about: str
    text: str
    alert: bool = False
