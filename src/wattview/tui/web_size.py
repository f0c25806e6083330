"""How large a dashboard in a browser can be, whatever its page asks for."""

from __future__ import annotations

MAX_COLUMNS, MAX_ROWS = 600, 300
"""More than the largest screen in the smallest font. A cell takes up to 1 kB."""


def columns(asked: object) -> int:
    return _bounded(asked, MAX_COLUMNS)


def rows(asked: object) -> int:
    return _bounded(asked, MAX_ROWS)


def _bounded(asked: object, most: int) -> int:
    """A number that came from a page, from 1 to ``most``."""
    try:
        return max(1, min(most, int(str(asked))))
    except ValueError:
        return min(80, most)
