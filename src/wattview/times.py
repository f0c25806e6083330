"""Times as people write them, on the command line and in the dashboard."""

from __future__ import annotations

import re
from datetime import datetime, timedelta


class NoTime(ValueError):
    """The text is not a time."""


_BACK = re.compile(r"-?\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d)\s*(?:ago)?", re.IGNORECASE)
_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


def moment_of(text: str, now: float) -> float:
    """Unix seconds of a text: ``14:30`` (its last occurrence), ``2026-11-24 14:30:05``, ``20 min`` or ``-2h`` (ago), in
    this terminal's time zone unless it names another. Raises NoTime for anything else."""
    text = text.strip()
    ago = _BACK.fullmatch(text)
    if ago is not None:
        return now - float(ago[1]) * _UNITS[ago[2].lower()]
    clock = _CLOCK.fullmatch(text)
    try:
        if clock is None:
            return datetime.fromisoformat(text).timestamp()
        hour, minute, second = (int(part or 0) for part in clock.groups())
        at = datetime.fromtimestamp(now).replace(hour=hour, minute=minute, second=second, microsecond=0)
    except (ValueError, OverflowError):
        raise NoTime(f"not a time: {text!r}; write 14:30, 2026-11-24 14:30, or 20 min") from None
    return (at if at.timestamp() <= now else at - timedelta(days=1)).timestamp()
