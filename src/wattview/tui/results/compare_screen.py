"""Any number of scenarios, or runs, side by side: every figure, and its difference from the first column."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from wattview.client import Client, ClientError
from wattview.model import Group, RunResult
from wattview.model.quantities import CURRENCY
from wattview.tui.results.comparison import (
    LETTERS,
    Block,
    Line,
    cell,
    column_remarks,
    lines_of,
    of_rows,
    of_runs,
    other_setting,
    sentence,
)
from wattview.tui.results.details import details, group_count
from wattview.tui.results.rows import ResultRow, name_of
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, heading
from wattview.tui.widgets.table import Table

TITLE_CELLS, FIRST_CELLS, OTHER_CELLS = 20, 18, 31
MOST_WIDER_CELLS = 30
"""What a column of values may get of the room that is left: names and remarks are longer than figures."""

Ask = Callable[[Client], Awaitable[list[Block]]]


class Compare(View):
    TAB = "results"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace", "app.pop_screen", "Back", id="details_back"),
        Binding("left,h", "shift(-1)", "Columns before", show=False, id="compare_left"),
        Binding("right,l", "shift(1)", "Columns", key_display="← →", id="compare_right"),
    ]
    DEFAULT_CSS = """
    Compare {
        #figures { height: 1fr; }
        #words { height: 9; }
        &.-low #words { height: 7; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
    }
    """

    def __init__(self, titles: Sequence[str], blocks: list[Block], ask: Ask | None) -> None:
        """``titles`` name the columns; ``blocks`` are shown until ``ask`` has the daemon's answer."""
        super().__init__()
        self.titles = list(titles)
        self.blocks = blocks
        self.shifted = 0
        self._ask = ask

    @classmethod
    def of_rows(cls, rows: Sequence[ResultRow]) -> Compare:
        async def ask(client: Client) -> list[Block]:
            return of_rows(rows, await client.side_by_side([row.key for row in rows]))

        several = len({row.run.id for row in rows}) > 1
        titles = [f"{name_of(row)} {row.run.id[-6:]}" if several else name_of(row) for row in rows]
        return cls(titles, of_rows(rows, None), ask if len(rows) > 1 else None)

    @classmethod
    def of_runs(cls, runs: Sequence[RunResult]) -> Compare:
        async def ask(client: Client) -> list[Block]:
            first, *others = runs
            asked = (client.compare(first.id, other.id, len(others)) for other in others)
            return of_runs(await asyncio.gather(*asked))

        return cls([run.id for run in runs], [], ask)

    def content(self) -> Iterator[Widget]:
        yield Table((Column("Figure", TITLE_CELLS, _title, left=True),), lambda line: line.key,
                    empty="asking the daemon …", id="figures", classes="box")  # fmt: skip
        yield Pane(id="words", classes="box")

    def on_mount(self) -> None:
        self.query_one("#figures").focus()
        self._show()
        if self._ask is not None:
            self._load(self._ask)

    def show(self, picture: Picture) -> None:
        """Results do not change while they are shown."""

    @work(exit_on_error=False)
    async def _load(self, ask: Ask) -> None:
        try:
            self.blocks = await ask(self.dashboard.client)
        except ClientError as error:
            self.query_one("#figures", Table).show([] if not self.blocks else lines_of(self.blocks), str(error))
            self.notify(str(error), title="The daemon did not compare them", severity="error")
            return
        self._show()

    # columns

    @property
    def _room(self) -> int:
        """The number of columns that fit beside the first."""
        return max(1, self._cells // (OTHER_CELLS + 1))

    @property
    def _cells(self) -> int:
        """What the titles and the first column leave."""
        return self.app.size.width - 5 - TITLE_CELLS - 1 - FIRST_CELLS

    def _show(self, empty: str | None = None) -> None:
        others = len(self.titles) - 1
        self.shifted = max(0, min(self.shifted, others - self._room))
        last = min(others, self.shifted + self._room)
        shown = range(1 + self.shifted, last + 1)
        spare = self._cells - len(shown) * (OTHER_CELLS + 1)
        wider = max(0, min(MOST_WIDER_CELLS, spare // (len(shown) + 2)))
        columns: list[Column[Line]] = [Column("Figure", TITLE_CELLS, _title, left=True)]
        columns.append(_column(self.titles, 0, FIRST_CELLS + wider))
        columns += [_column(self.titles, at, OTHER_CELLS + wider) for at in shown]
        table: Table[Line] = self.query_one("#figures", Table)
        table.set_columns(columns)
        table.show(lines_of(self.blocks), empty)
        if others:
            first = LETTERS[(1 + self.shifted) % 26]
            seen = f"columns {first} to {LETTERS[last % 26]}" if len(shown) > 1 else f"column {first}"
            hidden = f"; {seen}, ← → for the others"
            what = f"Comparison of {len(self.titles)}{hidden if others > self._room else ''}"
            table.border_subtitle = "less A: ≠ significant   = not significant   ? too few repeats"
        else:
            what = "One scenario; mark more with space to compare"
        table.border_title = heading(what)

    def on_resize(self) -> None:
        if self.query("#figures"):
            self._show()

    def action_shift(self, step: int) -> None:
        """Moves to other columns; left of the first, goes back."""
        if step < 0 and self.shifted == 0:
            self.app.pop_screen()
            return
        self.shifted += step
        self._show()

    # description of the line under the cursor

    @on(Table.Highlighted)
    def _words(self, message: Table.Highlighted) -> None:
        line: Line | None = message.row
        pane = self.query_one("#words", Pane)
        if line is None:
            pane.put("")
        elif len(self.titles) == 1 and isinstance(line.block.columns[0], ResultRow):
            pane.put(*details(line.block.columns[0]))
        else:
            pane.put(*self._sentences(line))

    def _sentences(self, line: Line) -> Parts:
        parts: Parts = []
        if line.figure is None:
            parts.append((line.block.title or "Remarks", "bold $primary"))
        else:
            unit = line.block.currency if line.figure.unit == CURRENCY else line.figure.unit
            parts.append((line.figure.words[:1].upper() + line.figure.words[1:], "bold $primary"))
            parts.append(f" in {unit}" if unit else "")
        parts.append((f"   A is {self.titles[0]}", "$muted"))
        groups = [column for column in line.block.columns if isinstance(column, Group)]
        if line.figure is None and groups:
            for at, there in enumerate(line.block.columns):
                other = other_setting(line.block, at) if isinstance(there, Group) else ""
                count = group_count(there if isinstance(there, Group) else None)
                parts.append(f"\n{LETTERS[at % 26]} {count}{', but another setting: ' + other if other else ''}")
        if line.figure is None:
            parts += [
                (f"\n{LETTERS[at % 26]}: {text}", "$text-warning")
                for at, there in enumerate(line.block.columns) for text in column_remarks(there)
            ]  # fmt: skip
        for column in range(1, len(self.titles)):
            if text := sentence(line, column):
                parts.append(f"\n{text}")
        return parts


def _title(line: Line) -> str:
    if line.figure is not None:
        return line.figure.title if not line.block.title else f"  {line.figure.title}"
    return line.block.title or "Remarks"


def _column(titles: Sequence[str], at: int, width: int) -> Column[Line]:
    def tone(line: Line) -> str:
        gap = line.block.difference(at, line.figure.name) if line.figure is not None else None
        return "" if at == 0 or gap is None or gap.differ else "dim"

    title = f"{LETTERS[at % 26]} {titles[at]}" if len(titles) > 1 else titles[at]
    return Column(title, width, lambda line: cell(line, at), tone=tone)
