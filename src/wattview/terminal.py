"""What the command line prints: aligned tables, progress with time left, numbers with stable units.

Colour is decoration and follows ``NO_COLOR`` and the terminal (click does both); meaning is always in words too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

import click
import msgspec

UNKNOWN = "—"

Row = Sequence[str]


def table(header: Row, rows: Sequence[Row], *, right: frozenset[int] = frozenset()) -> str:
    """Aligned columns; those in ``right`` are numbers. The last column takes what is left of the line."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row: Row) -> str:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([click.style(line(header), bold=True), *map(line, rows)])


def wrap(text: str, indent: str = "    ") -> str:
    import textwrap

    width = max(40, shutil.get_terminal_size((100, 24)).columns - 1)
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent)


def figure(value: float | None, digits: int = 1, unit: str = "", error: float | None = None) -> str:
    """A number with its unit, or a dash for unknown: never a 0 that nobody measured.

    ``500.0 ±50.0 J`` with an error that shows in that many digits.
    """
    if value is None:
        return UNKNOWN
    spread = f"{error or 0.0:.{digits}f}"
    around = f" ±{spread}" if float(spread) else ""
    return f"{value:.{digits}f}{around}{' ' + unit if unit else ''}"


def money(value: float | None, currency: str | None) -> str:
    return UNKNOWN if value is None else f"{value:.6f} {currency or ''}".rstrip()


def duration(value: float | None) -> str:
    """``75`` → ``1m15s``."""
    if value is None:
        return UNKNOWN
    whole = round(value)
    hours, minutes, seconds = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"


def json_text(value: Any) -> str:
    """Any struct of ``model``, or a list of them, as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def good(text: str) -> str:
    return click.style(text, fg="green")


def bad(text: str) -> str:
    return click.style(text, fg="red", bold=True)


def quiet(text: str) -> str:
    return click.style(text, dim=True)
