"""Columns of a table, as data, and how they share the available width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from rich.cells import cell_len

from wattview.tui.text import fit

R = TypeVar("R")


class Column(NamedTuple, Generic[R]):
    """One column. ``text`` returns its cell; ``sort`` orders its rows (None is last); ``tone`` names a colour class of
    the table (``good``, ``warn``, ``bad``, ``dim``, ``graph``), which only repeats what the text says. ``draw`` returns
    a cell whose text depends on its width, and ``head`` such a heading. ``grow``: additional cells that it takes if
    available."""

    title: str
    width: int
    text: Callable[[R], str]
    sort: Callable[[R], Any] | None = None
    left: bool = False
    rank: int = 0
    tone: Callable[[R], str] | None = None
    draw: Callable[[R, int], str] | None = None
    grow: int = 0
    head: Callable[[int], str] | None = None


Placed = tuple[int, Column[Any], int]
"""(index among all columns, the column, its current width)."""


def lay_out(columns: Sequence[Column[Any]], width: int, stretch: int = 0) -> list[Placed]:
    """The columns that fit into ``width`` cells, with a cell in between. The first is never dropped, only shrunk. Spare
    width goes to ``grow``, from the left; the rest goes to the last column if ``stretch`` is -1, else to the first, up
    to twice its own width."""
    kept = list(enumerate(columns))
    while len(kept) > 1 and sum(column.width + 1 for _, column in kept) - 1 > width:
        highest = max(column.rank for _, column in kept[1:])
        kept.remove(next(pair for pair in reversed(kept[1:]) if pair[1].rank == highest))
    widths = [column.width for _, column in kept]
    spare = width - sum(widths) - len(widths) + 1
    for at, (_, column) in enumerate(kept):
        more = max(0, min(column.grow, spare))
        widths[at] += more
        spare -= more
    if spare > 0 and stretch == -1:
        widths[-1] += spare
    else:
        widths[0] = max(1, widths[0] + min(spare, 2 * widths[0]))
    return [(index, column, w) for (index, column), w in zip(kept, widths, strict=True)]


def aligned(text: str, width: int, left: bool) -> str:
    """``text`` in exactly ``width`` cells."""
    if len(text) <= width and text.isascii() and text.isprintable():
        return text.ljust(width) if left else text.rjust(width)
    text = fit(text, width)
    pad = " " * (width - cell_len(text))
    return text + pad if left else pad + text
