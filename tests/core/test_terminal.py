"""Tables of the command line, in wide and in narrow terminals."""

from __future__ import annotations

import click
from hypothesis import given
from hypothesis import strategies as st

from wattview.cli import terminal as term

HEADER = ["SCENARIO", "ENERGY", "MEAN", "COST"]
ROWS = [["baseline", "150.2 J", "30.04 W", "—"], ["two", "1.0 J", "3.00 W", "0.001839 USD"]]


def shown(width: int | None = None) -> list[str]:
    return click.unstyle(term.coloured(term.table(HEADER, ROWS, right=frozenset({1, 2, 3}), width=width))).splitlines()


def test_a_wide_table_stays_one_table() -> None:
    assert shown() == [
        "SCENARIO   ENERGY     MEAN          COST",
        "baseline  150.2 J  30.04 W             —",
        "two         1.0 J   3.00 W  0.001839 USD",
    ]


def test_columns_without_room_continue_below_with_the_same_names() -> None:
    assert shown(width=30) == [
        "SCENARIO   ENERGY     MEAN",
        "baseline  150.2 J  30.04 W",
        "two         1.0 J   3.00 W",
        "",
        "SCENARIO          COST",
        "baseline             —",
        "two       0.001839 USD",
    ]


@given(st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=8), st.integers(1, 60))
def test_no_column_is_lost_and_no_line_is_longer_than_it_must_be(header: list[str], width: int) -> None:
    lines = click.unstyle(term.coloured(term.table(header, [header], width=width))).splitlines()
    words = [word for line in lines[::3] for word in line.split()]
    blocks = len(lines[::3])
    assert sorted(words) == sorted([*header, *[header[0]] * (blocks - 1)])
    least = [len(header[0]) + 2 + len(column) for column in header[1:]] or [len(header[0])]
    assert all(len(line) <= max(width, *least, 0) for line in lines)
