"""Which rows of a table are shown, and in which order. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import TypeVar

from wattview.tui.widgets.column import Column

R = TypeVar("R")

Parent = Callable[[R], Hashable]
"""The key of the row that a row is below; None if it is below none."""

_VALUE = itemgetter(0)


def ordered(rows: Sequence[R], column: Column[R] | None, descending: bool) -> list[R]:
    """Sorted by a column, those without a value last; as they are if it cannot be sorted."""
    if column is None or column.sort is None:
        return list(rows)
    valued = [(column.sort(row), row) for row in rows]
    known = sorted((pair for pair in valued if pair[0] is not None), key=_VALUE, reverse=descending)
    return [row for _, row in known] + [row for value, row in valued if value is None]


def matching(
    rows: Sequence[R], columns: Sequence[Column[R]], text: str, key: Callable[[R], Hashable], parent: Parent[R] | None
) -> list[R]:
    """The rows with a text in any column; in a tree, with all that they are below."""
    found = [row for row in rows if any(text in column.text(row).casefold() for column in columns)]
    if parent is None:
        return found
    by_key = {key(row): row for row in rows}
    kept: dict[Hashable, R] = {}
    for row in found:
        above: R | None = row
        while above is not None and key(above) not in kept:
            kept[key(above)] = above
            above = by_key.get(parent(above))
    return list(kept.values())


def nested(rows: Sequence[R], key: Callable[[R], Hashable], parent: Parent[R]) -> list[R]:
    """As a tree: each row followed by those below it, siblings in the order of ``rows``."""
    below: dict[Hashable, list[R]] = {}
    for row in rows:
        below.setdefault(parent(row), []).append(row)
    found: list[R] = []
    waiting = below.get(None, [])[::-1]
    while waiting:
        row = waiting.pop()
        found.append(row)
        waiting += below.get(key(row), [])[::-1]
    return found
