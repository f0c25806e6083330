"""A table that is cheap to update: it draws the visible rows, and of these only the lines whose text has changed.

Textual's DataTable keeps every cell of every row as a renderable; updating a hundred rows once a second took a tenth of
a core. This one gets the rows as they are, formats the visible ones, and compares.

Columns are data: text, width, sorting. On a narrow terminal, the columns of the highest ``rank`` are dropped first;
spare width goes to the first column, or to the last (``stretch=-1``). The cursor stays on its row (by key) when the
rows are sorted; with ``follow`` a cursor on the first line stays there instead. In a table that ``opens``, enter or a
double click opens the row under the cursor.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wattview.tui.plots.plot import SERIES
from wattview.tui.text import UNKNOWN
from wattview.tui.widgets.column import Column, aligned, lay_out
from wattview.tui.widgets.ordering import Parent, matching, nested, ordered

R = TypeVar("R")


class Table(ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """Rows of one kind under fixed columns. ``key`` identifies rows across snapshots."""

    DEFAULT_CSS = """
    Table {
        background: transparent;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .table--head { color: $muted; text-style: none; }
        & > .table--sorted { color: $primary; text-style: bold; }
        & > .table--row { color: $foreground; }
        & > .table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
        & > .table--resting { background: $panel; text-style: bold; }
        & > .table--dim { color: $muted; }
        & > .table--good { color: $text-success; }
        & > .table--warn { color: $text-warning; text-style: bold; }
        & > .table--bad { color: $text-error; text-style: bold; }
        & > .table--graph { color: $primary; }
        &:nocolor > .table--cursor { color: $foreground; background: $background; text-style: reverse bold; }
        &:ansi > .table--cursor { color: ansi_default; background: ansi_default; text-style: reverse bold; }
        &:ansi > .table--resting { background: ansi_default; text-style: underline; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"table--{part}"
        for part in ("head", "sorted", "row", "cursor", "resting", "dim", "good", "warn", "bad", "graph", *SERIES)
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table_up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table_down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table_page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table_page_down"),
        Binding("home,g", "jump(0)", "First row", show=False, id="table_first"),
        Binding("end,G", "jump(-1)", "Last row", show=False, id="table_last"),
        Binding("enter", "open", "Open", key_display="enter", id="table_open"),
        Binding("s", "sort_next", "Sort", id="table_sort"),
        Binding("S", "sort_reverse", "Reverse", show=False, id="table_reverse"),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or its row has new figures. ``row`` is None if there is no row."""

        def __init__(self, table: Table[Any], row: Any) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> Table[Any]:
            return self.table

    class Opened(Highlighted):
        """Enter, or a double click."""

    def __init__(
        self,
        columns: Sequence[Column[R]],
        key: Callable[[R], Hashable],
        *,
        empty: str = "nothing here",
        sort: int | None = None,
        stretch: int = 0,
        follow: bool = False,
        descending: bool = False,
        opens: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.columns = tuple(columns)
        self.key = key
        self.empty = empty
        self.stretch = stretch
        self.follow = follow
        self.sort_column = sort
        self.descending = descending
        self.opens = opens
        self.filter = ""
        self.marked: set[Hashable] = set()
        self.branch_of: Parent[R] | None = None  # of rows that are a tree
        self.rows: list[R] = []
        self._given: Sequence[R] = ()
        self._cursor_key: Hashable = None
        self._cursor = 0
        self._layout: list[tuple[int, Column[R], int]] = []
        self._drawn: dict[int, tuple[Any, ...]] = {}
        self._styles: dict[tuple[str, str], Style] = {}
        self._written: dict[int, tuple[tuple[str, str], ...]] = {}

    # what is shown

    def show(self, rows: Sequence[R], empty: str | None = None, *, tell: bool = True) -> None:
        """Sets the rows. ``empty`` is the text if there are none: what is missing, and how to fix it. Without ``tell``
        there is no ``Highlighted``: the caller draws what depends on the row, at once."""
        if empty is not None and empty != self.empty:
            self.empty = empty
            self.refresh()
        self._given = rows
        self._arrange(tell)

    def set_columns(self, columns: Sequence[Column[R]], *, stretch: int = 0) -> None:
        """Sets other columns for the same rows: cursor, marks and filter stay; the sorting stays if a column has the
        same title."""
        title = self.columns[self.sort_column].title if self.sort_column is not None else None
        self.columns = tuple(columns)
        self.stretch = stretch
        self.sort_column = next((at for at, column in enumerate(columns) if column.title == title), None)
        self._layout = lay_out(self.columns, self._width, self.stretch)
        self._drawn.clear()
        self._written.clear()
        self.refresh()
        self._arrange()

    def set_filter(self, text: str) -> None:
        self.filter = text.casefold()
        self._arrange()

    @property
    def row(self) -> R | None:
        """The row under the cursor."""
        return self.rows[self._cursor] if 0 <= self._cursor < len(self.rows) else None

    def _arrange(self, tell: bool = True) -> None:
        rows = list(self._given)
        if self.filter:
            rows = matching(rows, self.columns, self.filter, self.key, self.branch_of)
        rows = ordered(rows, self.columns[self.sort_column] if self.sort_column is not None else None, self.descending)
        if self.branch_of is not None:
            rows = nested(rows, self.key, self.branch_of)
        self.rows = rows
        self._written.clear()
        if self._cursor_key is not None and not (self.follow and self._cursor == 0):
            keys = [self.key(row) for row in rows]
            self._cursor = keys.index(self._cursor_key) if self._cursor_key in keys else self._cursor
        self._cursor = max(0, min(self._cursor, len(rows) - 1))
        if rows:
            self._cursor_key = self.key(rows[self._cursor])
        self._fit_scroll()
        self._refresh_changed()
        if tell:
            self.post_message(self.Highlighted(self, self.row))

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _fit_scroll(self) -> None:
        size = Size(max(1, self._width), len(self.rows) + 1)
        if size != self.virtual_size:
            self.virtual_size = size
            self._drawn.clear()
            self.refresh()

    # drawing

    def on_resize(self) -> None:
        self._layout = lay_out(self.columns, self._width, self.stretch)
        self._fit_scroll()
        self._drawn.clear()
        self._written.clear()
        self._keep_in_view()
        self.refresh()

    def _cells(self, row: R) -> tuple[tuple[str, str], ...]:
        cells = []
        for _, column, width in self._layout:
            try:
                text = column.draw(row, width) if column.draw is not None else column.text(row)
                tone = column.tone(row) if column.tone is not None else ""
            except (TypeError, ValueError, ArithmeticError):
                text, tone = UNKNOWN, ""
            cells.append((aligned(text, width, column.left), tone or ("dim" if text.strip() == UNKNOWN else "")))
        return tuple(cells)

    def _line(self, index: int) -> tuple[Any, ...]:
        """Everything that determines how a line looks: if it is equal, the line is not redrawn."""
        row, here = self.rows[index], index == self._cursor
        cells = self._written.get(index)
        if cells is None:
            cells = self._written[index] = self._cells(row)
        return (cells, here, here and self.has_focus, self.key(row) in self.marked)

    def _refresh_changed(self) -> None:
        if not self.is_mounted or not self._layout:
            return
        top = self.scroll_offset.y
        first, last = top, top + self.size.height - 1
        changed = [
            index
            for index in range(first, last)
            if self._drawn.get(index) != (self._line(index) if index < len(self.rows) else ())
        ]
        # Each call costs as much as drawing a line: adjacent lines share one.
        for _, run in groupby(enumerate(changed), lambda pair: pair[1] - pair[0]):
            together = [index for _, index in run]
            self.refresh_lines(together[0] + 1, len(together))

    def render_line(self, y: int) -> Strip:
        width = self._width
        base = self._style()
        if not self._layout:
            return Strip.blank(width, base)
        if y == 0:
            return self._head(base).adjust_cell_length(width, base)
        index = self.scroll_offset.y + y - 1
        if index >= len(self.rows):
            self._drawn[index] = ()
            if not self.rows and not self._given and y <= len(lines := textwrap.wrap(self.empty, max(8, width))):
                return Strip([Segment(lines[y - 1], self._style("dim"))]).adjust_cell_length(width, base)
            return Strip.blank(width, base)
        line = self._line(index)
        self._drawn[index] = line
        cells, here, focused, marked = line
        state = "cursor" if focused else "resting" if here else "row"
        if marked:
            (text, tone), *others = cells
            cells = ((aligned(f"● {text.rstrip()}", cell_len(text), left=True), tone), *others)
        # Adjacent cells of one tone are one segment: Textual processes a line segment by segment.
        segments: list[Segment] = []
        before, together = cells[0][1], cells[0][0]
        for text, tone in cells[1:]:
            together += " "
            if tone == before:
                together += text
            else:
                segments.append(Segment(together, self._style(state, before)))
                before, together = tone, text
        segments.append(Segment(together, self._style(state, before)))
        wide = sum(cells + 1 for *_, cells in self._layout) - 1
        return Strip(segments, wide).adjust_cell_length(width, self._style(state) if here else base)

    def _head(self, base: Style) -> Strip:
        segments = []
        for number, (index, column, width) in enumerate(self._layout):
            if number:
                segments.append(Segment(" ", base))
            title = column.head(width) if column.head is not None else column.title
            if index == self.sort_column:
                title += "▾" if self.descending else "▴"
            style = self._style("sorted" if index == self.sort_column else "head")
            segments.append(Segment(aligned(title, width, column.left), style))
        return Strip(segments)

    def _style(self, part: str = "", tone: str = "") -> Style:
        """The style of a part of the table with a tone, cached until a style changes: making one costs as much as
        drawing a line."""
        style = self._styles.get((part, tone))
        if style is None:
            style = self.rich_style
            if part:
                style += self.get_component_rich_style(f"table--{part}", partial=True)
            if tone:
                over = self.get_component_rich_style(f"table--{tone}", partial=True)
                # On the cursor's background no other colour is certain to be readable: a tone keeps only its weight.
                style += over.without_color if part == "cursor" else over
            self._styles[part, tone] = style
        return style

    def notify_style_update(self) -> None:
        self._drawn.clear()
        self._styles.clear()
        super().notify_style_update()

    # keys and mouse

    def _go(self, index: int) -> None:
        if not self.rows:
            return
        self._cursor = max(0, min(index, len(self.rows) - 1))
        self._cursor_key = self.key(self.rows[self._cursor])
        self._keep_in_view()
        self._refresh_changed()
        self.post_message(self.Highlighted(self, self.row))

    def _keep_in_view(self) -> None:
        visible = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + visible:
            self.scroll_to(y=self._cursor - visible + 1, animate=False, force=True)

    def action_move(self, step: int) -> None:
        self._go(self._cursor + step)

    def action_page(self, step: int) -> None:
        self._go(self._cursor + step * max(1, self.size.height - 2))

    def action_jump(self, index: int) -> None:
        self._go(index if index >= 0 else len(self.rows) - 1)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.opens if action == "open" else True

    def action_open(self) -> None:
        if self.row is not None:
            self.post_message(self.Opened(self, self.row))

    def go_to(self, key: Hashable) -> None:
        """Moves the cursor to the row of that key, now or when the first rows are shown."""
        self._cursor_key = key
        if self._given:
            self._arrange()

    def toggle_mark(self) -> None:
        """Toggles the mark of the row under the cursor, and moves to the next."""
        if self.row is not None:
            self.marked ^= {self.key(self.row)}
            self._refresh_changed()
            self.action_move(1)

    def action_sort_next(self) -> None:
        """Sorts by the next visible column that can be sorted; after the last, restores the given order."""
        able = [index for index, column, _ in self._layout if column.sort is not None]
        later = [index for index in able if self.sort_column is None or index > self.sort_column]
        self.sort_by(later[0] if later else None)

    def action_sort_reverse(self) -> None:
        self.descending = not self.descending
        self.refresh()
        self._arrange()

    def sort_by(self, column: int | None) -> None:
        """Text columns start with A, figures with the largest."""
        self.sort_column = column
        self.descending = column is not None and not self.columns[column].left
        self.refresh()
        self._arrange()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_head(offset.x)
            return
        index = self.scroll_offset.y + offset.y - 1
        if index < len(self.rows):
            self._go(index)
            if event.chain == 2:
                self.action_open()

    def _click_head(self, x: int) -> None:
        for index, column, width in self._layout:
            if x <= width:
                if column.sort is None:
                    return
                if index == self.sort_column:
                    self.action_sort_reverse()
                else:
                    self.sort_by(index)
                return
            x -= width + 1

    def on_focus(self) -> None:
        self._refresh_changed()

    def on_blur(self) -> None:
        self._refresh_changed()
