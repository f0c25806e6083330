"""The filter: ``/`` opens it, typing filters the table at once, enter keeps it, escape drops it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from wattview.tui.widgets.table import Table


class FilterBar(Input):
    DEFAULT_CSS = """
    FilterBar { display: none; height: 1; border: none; background: $panel; padding: 0 1; }
    FilterBar:focus { border: none; }
    FilterBar.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "drop", "Drop the filter", id="filter_drop"),
        Binding("down", "keep", "To the table", show=False),
    ]

    def __init__(self, table_id: str) -> None:
        super().__init__(placeholder="filter: type a part of any column", compact=True, id="filter")
        self.table_id = table_id
        self.cursor_blink = False

    @property
    def table(self) -> Table[Any]:
        return self.screen.query_one(f"#{self.table_id}", Table)

    def open(self) -> None:
        self.add_class("-open")
        self.focus()

    def on_input_changed(self) -> None:
        self.table.set_filter(self.value)

    @on(Input.Submitted)
    def action_keep(self) -> None:
        self.set_class(bool(self.value), "-open")
        self.table.focus()

    def action_drop(self) -> None:
        self.value = ""
        self.remove_class("-open")
        self.table.focus()
