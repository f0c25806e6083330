"""Building blocks of the configuration's tables: their base class, types with bounds, and durations as text."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
NonNegative = Annotated[float, Meta(ge=0)]
Seconds = float


class ConfigError(ValueError):
    """A wrong setting. The text is one line: the key, what is wrong, and what was expected."""


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the configuration file."""


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)?")
_UNIT_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(text: str) -> Seconds:
    """``"5s"``, ``"1h30m"``, ``"7d"`` in seconds. Raises ValueError for anything else."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group(0) for part in parts) != text:
        raise ValueError(f"expected a duration such as 5s, 90m or 7d, got {text!r}")
    return sum(float(part.group(1)) * _UNIT_SECONDS[part.group(2) or ""] for part in parts)
