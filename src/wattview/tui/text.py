"""Text of values in the dashboard: pure functions from a number to a text of stable form.

A column has one unit and one number of decimals, so that it does not jump when the value changes. ``None`` is unknown
and becomes a dash, never 0.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from wattview.foreign_text import one_line

UNKNOWN = "—"

MIB = 1024 * 1024
GIB = 1024 * MIB


def number(value: float | None, decimals: int = 1) -> str:
    """``42.7``; a dash if the value is unknown. A value that rounds to zero has no minus sign."""
    if value is None or value != value:
        return UNKNOWN
    return f"{value:z.{decimals}f}"


def within(error: float | None) -> str:
    """``±0.05``: an error, with one digit more than the value; ``±—`` if unknown."""
    return f"±{number(error, 2)}"


def signed(value: float | None, decimals: int = 1) -> str:
    """``+3.2`` or ``-3.2``: a difference. Exactly zero is ``0.0``, without a sign."""
    text = number(value, decimals)
    return f"+{text}" if value is not None and not text.startswith(("-", UNKNOWN)) and text.strip("0.") else text


def count(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def mib(size_bytes: float | None, decimals: int = 0) -> str:
    return number(None if size_bytes is None else size_bytes / MIB, decimals)


def gib(size_bytes: float | None, decimals: int = 1) -> str:
    return number(None if size_bytes is None else size_bytes / GIB, decimals)


def mbit(bytes_per_second: float | None, decimals: int = 2) -> str:
    """Megabits per second."""
    return number(None if bytes_per_second is None else bytes_per_second * 8 / 1e6, decimals)


def span(seconds: float | None) -> str:
    """A duration: ``0:42``, ``12:07``, ``3:12:07``, ``5d 03:12``."""
    if seconds is None:
        return UNKNOWN
    whole = int(max(0.0, seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour:02}:{minute:02}"
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def about(seconds: float) -> str:
    """A duration as part of a sentence: ``42 s``, ``3 min``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {second} s" if second else f"{minutes} min"
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute} min" if minute else f"{hours} h"


def clock(unix_seconds: float) -> str:
    """The local time of day: ``12:34:56``."""
    return time.strftime("%H:%M:%S", time.localtime(unix_seconds))


def date(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(unix_seconds))


def moment(unix_seconds: float) -> str:
    """Date and time of day, to the second, in fourteen cells."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(unix_seconds))


def money(value: float | None, decimals: int = 4) -> str:
    return number(value, decimals)


def fit(text: str, width: int) -> str:
    """``text`` cut to ``width`` cells with an ellipsis, with line breaks and control characters as dots."""
    from rich.cells import cell_len, set_cell_size

    shown = one_line(text)
    if cell_len(shown) <= width:
        return shown
    return set_cell_size(shown, max(0, width - 1)) + "…" if width > 0 else ""


def apart(labels: Sequence[str]) -> dict[str, str]:
    """Each without the words that all have in common, or in full if it has no others."""
    common = set.intersection(*(set(label.split()) for label in labels)) if len(labels) > 1 else set()
    return {label: " ".join(word for word in label.split() if word not in common) or label for label in labels}


def bar(fraction: float | None, width: int) -> str:
    """A filled bar of ``width`` cells, exact to an eighth of a cell; dots if the value is unknown."""
    if fraction is None:
        return "·" * width
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return text + "░" * (width - len(text))


def spark(values: Sequence[float | None]) -> str:
    """One character per value, from an eighth of a cell to seven, which keeps the lines of a table apart; a blank if
    the value is unknown."""
    known = [value for value in values if value is not None]
    top = max([0.0, *known])
    if not known or top <= 0:
        return "".join(" " if value is None else "▁" for value in values)
    return "".join(" " if value is None else "▁▂▃▄▅▆▇"[min(6, int(value / top * 7))] for value in values)
