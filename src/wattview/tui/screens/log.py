"""Screen 9: what happened while the dashboard was open, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from textual.widget import Widget

from wattview.tui.column import Column
from wattview.tui.columns import titled
from wattview.tui.events import Event
from wattview.tui.text import clock
from wattview.tui.view import Picture, View
from wattview.tui.widgets.pane import Pane
from wattview.tui.widgets.table import Table


class Row(NamedTuple):
    number: int
    event: Event


LEVELS = {"info": "· info", "warning": "! warning", "error": "✗ error"}
TONES = {"info": "dim", "warning": "warn", "error": "bad"}

EVENTS: tuple[Column[Row], ...] = (
    Column("Time", 8, lambda row: clock(row.event.time), lambda row: row.number, left=True),
    Column("Level", 9, lambda row: LEVELS[row.event.level], lambda row: row.event.level, left=True,
           tone=lambda row: TONES[row.event.level]),
    Column("About", 30, lambda row: row.event.about, lambda row: row.event.about, left=True, rank=1),
    Column("What", 20, lambda row: row.event.text, left=True),
)  # fmt: skip


class Log(View):
    TAB = "log"
    FILTERS = "events"

    DEFAULT_CSS = """
    Log { #events { height: 1fr; } #whole { height: 3; padding: 0 2; } }
    """

    def content(self) -> Iterator[Widget]:
        yield Table(
            EVENTS, lambda row: row.number, empty="nothing has happened since the dashboard was opened", stretch=-1,
            follow=True, id="events", classes="box",
        )  # fmt: skip
        yield Pane(id="whole")

    def on_mount(self) -> None:
        self.query_one("#events").focus()

    def show(self, picture: Picture) -> None:
        log = self.dashboard.events
        first = self.dashboard.events_seen - len(log)
        rows = [Row(first + index, event) for index, event in enumerate(log)]
        table: Table[Row] = self.query_one("#events", Table)
        table.show(rows[::-1])
        table.border_title = titled("Log", len(table.rows), len(rows))

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        row: Row | None = message.row
        whole = self.query_one("#whole", Pane)
        if row is None:
            whole.put("")
        else:
            whole.put((f"{row.event.about}: ", "bold"), row.event.text)
