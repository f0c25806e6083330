"""Screen 9: the daemon's events, including those from before the dashboard was opened, and the dashboard's own; newest
first. The newest stay in view until the cursor is moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from wattview.model import EventLevel
from wattview.model.quantities import counted
from wattview.tui.events import LogLine
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.text import moment
from wattview.tui.view import Picture, View
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import FRAME_LINES, Pane, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab
from wattview.tui.widgets.workload_columns import titled

LEVELS: dict[EventLevel, str] = {"info": "· info", "warning": "! warning", "error": "✗ error"}
TONES: dict[EventLevel, str] = {"info": "dim", "warning": "warn", "error": "bad"}

SHOWN: tuple[tuple[str, tuple[EventLevel, ...]], ...] = (
    ("", ("info", "warning", "error")), ("warnings and errors", ("warning", "error")), ("errors", ("error",)),
)  # fmt: skip
"""The filters of the level key: a title, and the levels that it shows."""

EVENTS: tuple[Column[LogLine], ...] = (
    Column("Time", 14, lambda line: moment(line.time), lambda line: line.time, left=True),
    Column("Level", 9, lambda line: LEVELS[line.event.level], lambda line: line.event.level, left=True,
           tone=lambda line: TONES[line.event.level]),
    Column("From", 9, lambda line: "dashboard" if line.own else "daemon", lambda line: line.own, left=True, rank=2),
    Column("About", 26, lambda line: line.event.about, lambda line: line.event.about, left=True, rank=1, grow=24),
    Column("What", 20, lambda line: line.event.text, left=True),
)  # fmt: skip


class LogScreen(View):
    ENTRY = Tab("9", "log", "Log")
    TAB = ENTRY.mode
    FILTERS = "events"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("v", "next_level", "Level", id="log_level")]
    DEFAULT_CSS = """
    LogScreen {
        #events { height: 1fr; }
        #whole { height: 4; padding: 0 2; }
        PowerGraph { display: none; }
        &.-few PowerGraph { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.level = 0

    def content(self) -> Iterator[Widget]:
        yield Table(
            EVENTS, lambda line: line.number, empty="no event", stretch=-1, follow=True, id="events", classes="box"
        )
        yield Pane(id="whole")
        yield PowerGraph()

    def on_mount(self) -> None:
        self.query_one("#events").focus()

    def show(self, picture: Picture) -> None:
        title, levels = SHOWN[self.level]
        until = picture.snapshot.time if picture.playback is not None and picture.snapshot is not None else float("inf")
        lines = [one for one in self.dashboard.events if one.event.level in levels and one.event.time <= until]
        table: Table[LogLine] = self.query_one("#events", Table)
        table.show(lines[::-1], f"no {title}" if title else "no event")
        count = Counter(line.event.level for line in self.dashboard.events)
        sums = f"{counted(count['error'], 'error')}, {counted(count['warning'], 'warning')}"
        entitle(table, titled(f"Log: {title}" if title else "Log", len(table.rows), len(self.dashboard.events)), sums)
        few = not self.has_class("-low") and len(lines) + FRAME_LINES <= self.size.height // 2
        self.set_class(few, "-few")
        fit_height(table, len(lines), self.size.height // 2 if few else 0)
        self.query_one(PowerGraph).draw(picture)

    def action_next_level(self) -> None:
        self.level = (self.level + 1) % len(SHOWN)
        self.show(self.dashboard.picture)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        line: LogLine | None = message.row
        whole = self.query_one("#whole", Pane)
        if line is None:
            whole.put("")
        else:
            whole.put((f"{line.event.about}: ", "bold"), line.event.text)
