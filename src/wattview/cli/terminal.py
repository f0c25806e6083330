"""Output of the command line: aligned tables, progress with time left, numbers with fixed units.

Colour is optional and follows ``NO_COLOR`` and the terminal (click handles both); words carry the meaning.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from wattview.decoding import Explained
from wattview.foreign_text import clean, json_escaped, one_line
from wattview.model.quantities import Quantity

T = TypeVar("T")

UNKNOWN = "—"

LEAST_SHORTENED = 8
"""Minimum width of a column of names."""

Row = Sequence[str]


_GREEN, _RED, _DIM, _BOLD, _PLAIN = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4"
_SERIES = "\ufdd5\ufdd6\ufdd7\ufdd8\ufdd9\ufdda"
_CODES = {
    _GREEN: "\x1b[32m", _RED: "\x1b[31m\x1b[1m", _DIM: "\x1b[2m", _BOLD: "\x1b[1m", _PLAIN: "\x1b[0m",
    **{mark: f"\x1b[{code}m" for mark, code in zip(_SERIES, (36, 33, 32, 35, 31, 34), strict=True)},
}  # fmt: skip
"""Colours are Unicode's noncharacters until ``say`` writes them: an escape sequence in a text is never one of ours."""


def say(text: str = "", *, err: bool = False) -> None:
    """Prints lines, without any control sequences but our own colours. All output goes through it."""
    click.echo(coloured(text), err=err)


def say_found(found: T, as_json: bool, show: Callable[[T], None]) -> None:
    """Prints what was found, as JSON or by ``show``."""
    if as_json:
        say(json_text(found))
    else:
        show(found)


def write(path: Path, data: bytes) -> None:
    """Writes what was asked for into a file. Raises click.ClickException."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None


def coloured(text: str) -> str:
    """The lines as ``say`` prints them."""
    text = clean(text, keep="\n" + "".join(_CODES))
    for mark, code in _CODES.items():
        text = text.replace(mark, code)
    return text


class SafeGroup(click.Group):
    """A group whose subcommands' errors are sanitised too, as they contain foreign names."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except click.ClickException as error:
            error.message = clean(error.message)  # type: ignore[misc]
            raise
        except Explained as error:
            raise click.ClickException(clean(str(error))) from None


def table(
    header: Row,
    rows: Sequence[Row],
    *,
    right: frozenset[int] = frozenset(),
    width: int | None = None,
    shorten: int | None = None,
) -> str:
    """Aligned columns; those in ``right`` are numbers. The last column takes the rest of the line.

    If the lines do not fit in ``width`` cells (default: the terminal's; unlimited if the output is not a terminal), the
    column ``shorten`` is cut, but not below ``LEAST_SHORTENED`` cells. Columns that still do not fit follow below, in
    tables that start with the first column again.
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cells(row[column]) for row in [header, *rows]) for column in range(len(header))]
    room = terminal_width() if width is None else width
    if shorten is not None and (over := sum(widths) + 2 * (len(widths) - 1) - room) > 0:
        widths[shorten] = max(min(widths[shorten], LEAST_SHORTENED), widths[shorten] - over)
        rows = [[fit(cell, widths[at]) if at == shorten else cell for at, cell in enumerate(row)] for row in rows]

    def line(row: Row, columns: Sequence[int]) -> str:
        texts = [padded(row[column], widths[column], column in right) for column in columns]
        return "  ".join(texts).rstrip()

    blocks = [
        [strong(line(header, columns)), *(line(row, columns) for row in rows)] for columns in _blocks(widths, room)
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks)


def cells(text: str) -> int:
    """Width in terminal cells: an East Asian letter takes two, a combining mark none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def padded(text: str, width: int, right: bool = False) -> str:
    space = " " * (width - cells(text))
    return space + text if right else text + space


def fit(text: str, width: int) -> str:
    """The start of a text, with ``…`` if it is cut, in at most ``width`` cells."""
    if cells(text) <= width:
        return text
    from rich.cells import set_cell_size

    return set_cell_size(text, width - 1) + "…"


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """The columns in as few tables as fit into ``room`` cells; each starts with the first column."""
    blocks, used = [[0]], widths[0]
    for column, width in enumerate(widths[1:], start=1):
        if used + 2 + width > room and len(blocks[-1]) > 1:
            blocks.append([0])
            used = widths[0]
        blocks[-1].append(column)
        used += 2 + width
    return blocks


def needs_terminal(otherwise: str) -> None:
    """Refuses to draw without a terminal. Raises UsageError, which names alternatives."""
    drawn_elsewhere = "TEXTUAL_DRIVER" in os.environ  # a browser's page, by its server
    if not drawn_elsewhere and not all(one.isatty() for one in (sys.stdin, sys.stdout, sys.stderr)):
        raise click.UsageError(f"the dashboard needs a terminal; {otherwise}")


def terminal_width() -> int:
    """Of standard output; unlimited if that is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize


def wrap(text: str, indent: str = "    ") -> str:
    import textwrap

    width = max(40, shutil.get_terminal_size((100, 24)).columns - 1)
    return textwrap.fill(one_line(" ".join(text.split())), width, initial_indent=indent, subsequent_indent=indent)


def figure(value: float | None, digits: int = 1, unit: str = "", error: float | None = None) -> str:
    """A number with its unit, or a dash if unknown.

    ``500.0 ±50.0 J`` with an error, if it shows in that many digits.
    """
    if value is None:
        return UNKNOWN
    spread = f"{error or 0.0:z.{digits}f}"
    around = f" ±{spread}" if float(spread) else ""
    return f"{value:z.{digits}f}{around}{' ' + unit if unit else ''}"


def quantity(of: Quantity, value: float | None, error: float | None = None, currency: str | None = None) -> str:
    """A value of the catalogue with its unit and its error."""
    if value is None:
        return UNKNOWN
    spread = of.scaled(error) if error is not None else None
    return figure(of.scaled(value), of.decimals, of.unit_in(currency), spread)


def duration(value: float | None) -> str:
    """``75`` → ``1m15s``."""
    if value is None:
        return UNKNOWN
    whole = round(value)
    hours, minutes, seconds = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"


def time_left(seconds: float | None) -> str:
    """Nothing if that is unknown."""
    return "" if seconds is None else f"{duration(seconds)} left"


def json_text(value: Any) -> str:
    """Any struct of ``model``, or a list of them, as JSON."""
    return json_escaped(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def good(text: str) -> str:
    return _styled(_GREEN, text)


def bad(text: str) -> str:
    return _styled(_RED, text)


def quiet(text: str) -> str:
    return _styled(_DIM, text)


def strong(text: str) -> str:
    return _styled(_BOLD, text)


def of_series(text: str, number: int) -> str:
    """In the colour of a plot's line."""
    return _styled(_SERIES[number % len(_SERIES)], text)


def _styled(mark: str, text: str) -> str:
    return f"{mark}{clean(text)}{_PLAIN}"
