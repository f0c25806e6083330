"""Screen 2: power by zone and GPU over a minute to a week, with a cursor to read values, and time travel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from wattview.client import ClientError
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.plots.panel import Plot
from wattview.tui.plots.plot import SERIES, Axis, Chart, NamedSpan, PlotLine
from wattview.tui.text import about, clock, date, number
from wattview.tui.time_travel import power_range
from wattview.tui.time_travel.power_range import (
    HOST,
    MAX_STEPS_APART,
    RANGES,
    WALL,
    PowerLine,
    PowerRange,
    Summary,
)
from wattview.tui.time_travel.trend_buffers import Point
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, entitle
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

RANGE = Binding.Group("Range", compact=True)


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

MOVING_SECONDS = 900.0
"""The longest range that moves every second; a longer one is a plot, and moves when the history has more."""


class ZoneRow(NamedTuple):
    """``place`` is that in the machine's own order, which its letter and colour follow."""

    place: int
    line: PowerLine
    summary: Summary

    @property
    def letter(self) -> str:
        return LETTERS[self.place % len(LETTERS)]

    @property
    def tone(self) -> str:
        return SERIES[self.place % len(SERIES)]


LINES: tuple[Column[ZoneRow], ...] = (
    Column("Source", 22, lambda row: f"{row.letter} {row.line.title}", lambda row: row.place, left=True,
           tone=lambda row: row.tone),
    Column("W", 8, lambda row: number(row.line.watts), lambda row: row.line.watts),
    Column("Min W", 8, lambda row: number(row.summary.least), lambda row: row.summary.least),
    Column("Mean W", 8, lambda row: number(row.summary.mean), lambda row: row.summary.mean),
    Column("Max W", 8, lambda row: number(row.summary.largest), lambda row: row.summary.largest),
    Column("Part of the host's figure", 25, lambda row: _part(row.line), left=True, rank=1),
)  # fmt: skip


def _part(line: PowerLine) -> str:
    if line.key == WALL:
        return "all that is billed"
    return "the sum" if line.key == HOST else "added" if line.counted else "not added"


class PowerScreen(View):
    ENTRY = Tab("2", "power", "Power")
    TAB = ENTRY.mode

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "range(-1)", "Shorter range", key_display="[", id="power_shorter", group=RANGE),
        Binding("right_square_bracket", "range(1)", "Longer range", key_display="]", id="power_longer", group=RANGE),
        Binding("left,h", "cursor(-1)", "Cursor left", show=False, id="power_left"),
        Binding("right,l", "cursor(1)", "Cursor right", show=False, id="power_right"),
        Binding("z", "zero", "Zero", id="power_zero"),
        Binding("escape", "app.live", "Live", show=False, id="power_live"),
    ]
    DEFAULT_CSS = """
    PowerScreen {
        #graph, #plot { height: 1fr; }
        #plot { display: none; }
        &.-past #graph { display: none; }
        &.-past #plot { display: block; }
        #readout { height: 1; padding: 0 2; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.range = 1
        self.cursor: float | None = None
        self.alone = ""
        """The key of the one source that is drawn, "" for all."""
        self.past: PowerRange | None = None
        self._loaded = 0.0
        self._loading = False
        self._picture: Picture | None = None
        self._error = ""

    def content(self) -> Iterator[Widget]:
        yield Graph("W", least=10.0, id="graph", classes="box")
        yield Plot(id="plot", classes="box")
        yield Pane(id="readout")
        yield Table(LINES, lambda row: row.line.key, opens=True, id="lines", classes="box")

    def on_mount(self) -> None:
        self.query_one("#lines").border_title = "Sources: enter draws one alone, z begins at 0 W"
        self.query_one("#graph", Graph).zero = False
        self.query_one("#lines").focus()

    # what is drawn

    def show(self, picture: Picture) -> None:
        self._picture = picture
        table: Table[ZoneRow] = self.query_one("#lines", Table)
        if picture.snapshot is None:
            table.show([], "waiting for the daemon")
            return
        start, end = self.window
        mean = self.past.host_mean_watts if self.past is not None else None
        table.show(
            [
                ZoneRow(place, line, power_range.summary(self._points(line.key), start, end,
                                                         mean if line.key == HOST else None))
                for place, line in enumerate(power_range.lines_of(picture.snapshot))
            ],
            why_empty(picture, "power", "no power source"),
        )  # fmt: skip
        table.styles.height = min(max(8, self.size.height // 4), max(3, len(table.rows)) + 3)
        self._draw()
        if self.is_current and not self._loading and self._late():
            self._load()

    @property
    def seconds(self) -> float:
        return RANGES[self.range][1]

    @property
    def window(self) -> tuple[float, float]:
        picture = self._picture
        now = picture.snapshot.time if picture is not None and picture.snapshot is not None else time.time()
        return now - self.seconds, now

    def steps(self) -> tuple[float, float]:
        """A tenth of the visible span, or half of it."""
        return self.seconds / 10, self.seconds / 2

    def _late(self) -> bool:
        """Whether to load the history: at least once per column of dots, but not again at once after a failure. A
        moment of the past differs with each step."""
        if not self._loaded:
            return True
        column = max(5.0, power_range.step_of(self.seconds))
        if self.past is not None and not self._back:
            return time.monotonic() - self._loaded > column
        moved = self.past is None or not 0 <= self.window[1] - self.past.end < column / 5
        return moved and (time.monotonic() - self._loaded > column or not self._error)

    @property
    def _back(self) -> float:
        """How long ago the displayed moment is; 0 for the live one."""
        picture = self._picture
        if picture is None or picture.playback is None or picture.snapshot is None:
            return 0.0
        return max(1.0, self.dashboard.now - picture.snapshot.time)

    def _points(self, key: str) -> list[Point]:
        points = self.past.points.get(key, []) if self.past is not None else []
        if key != HOST or self._picture is None or self.seconds > power_range.RAW_SECONDS:
            return points
        trend = self._picture.trends["power",]
        first = trend[0][0] if trend else float("inf")
        return [*(point for point in points if point[0] < first), *trend]

    def _draw(self) -> None:
        """The sources as lines, the one under the cursor last: no other hides it."""
        table: Table[ZoneRow] = self.query_one("#lines", Table)
        here = table.row
        shown = [row for row in table.rows if self.alone in ("", row.line.key)] or table.rows
        shown = sorted(shown, key=lambda row: row is here)
        past = self._back > 0 or self.seconds > MOVING_SECONDS
        self.set_class(past, "-past")
        (self._draw_past if past else self._draw_live)(shown)
        of = f"Power of {shown[0].line.title.strip()}" if len(shown) == 1 else "Power"
        when = f"{about(self._back)} ago; esc: live" if self._back else "live"
        entitle(self.query_one("#plot" if past else "#graph"), f"{of}, {RANGES[self.range][0]}", when)
        self._read_out(here.line.key if here is not None else HOST, here.line.title.strip() if here else "host")

    def _draw_live(self, shown: list[ZoneRow]) -> None:
        start, end = self.window
        series = [Series(self._points(row.line.key), row.tone, row.letter) for row in shown]
        graph = self.query_one("#graph", Graph)
        graph.cursor = self.cursor
        graph.show(series, start, end, step_seconds=self._step, empty=self._empty, windows=self._windows)

    def _draw_past(self, shown: list[ZoneRow]) -> None:
        start, end = self.past[:2] if self.past is not None else self.window
        traces = [
            PlotLine([point for point in self._points(row.line.key) if start <= point[0] <= end], row.tone,
                  letter=row.letter, gap=MAX_STEPS_APART * self._step)
            for row in shown
        ]  # fmt: skip
        span = (start, end)
        self.query_one("#plot", Plot).show(
            Chart(Axis("", span, times=True), Axis("W"), traces, self._windows, cursor=self.cursor, empty=self._empty)
        )

    @property
    def _windows(self) -> tuple[NamedSpan, ...]:
        return self.past.windows if self.past is not None else ()

    @property
    def _step(self) -> float:
        return self.past.step_seconds if self.past is not None else 5.0

    @property
    def _empty(self) -> str:
        return self._error or "the history has nothing here yet"

    def _read_out(self, key: str, title: str) -> None:
        start, end = self.window
        step = self._step
        readout = self.query_one("#readout", Pane)
        if self.cursor is None:
            spacing = f"points every {about(step)}" if step > 5.0 else "every stored point"
            readout.put((f"[ ] range, , . earlier and later, ← → cursor; {spacing}", "$muted"))
            return
        reach = max(step, (end - start) / self._columns)
        near = power_range.value_at(self._points(key), self.cursor, reach)
        moment = date(self.cursor) if self.seconds > 86400 else clock(self.cursor)
        value = f"{number(near[1])} W" if near is not None else "no value"
        readout.put(f"{moment}  ", (f"{title}: {value}", "bold"))

    @work(exclusive=True, exit_on_error=False)
    async def _load(self) -> None:
        self._loaded = time.monotonic()
        self._loading = True
        start, end = self.window
        shown = self._picture.snapshot if self._picture is not None else None
        try:
            machine = shown.machine_power if shown is not None else None
            gpus, source = (shown.gpus if shown is not None else ()), machine.source if machine is not None else ""
            self.past = await power_range.load(self.dashboard.client, start, end, gpus, source)
            self._error = ""
        except ClientError as error:
            self._error = str(error)
        finally:
            self._loading = False
        if self._picture is not None:
            self.show(self._picture)

    @property
    def _columns(self) -> int:
        """About how many cells the time takes."""
        return max(1, self.size.width - 12)

    def on_table_opened(self, message: Table.Opened) -> None:
        message.stop()
        self.alone = "" if self.alone else message.row.line.key
        self._draw()

    def on_table_highlighted(self) -> None:
        self._draw()

    # keys

    def _reload(self) -> None:
        self.cursor = None
        self._loaded = 0.0
        if self._picture is not None:
            self.show(self._picture)

    def action_range(self, step: int) -> None:
        self.range = max(0, min(len(RANGES) - 1, self.range + step))
        self._reload()

    def action_zero(self) -> None:
        """Begins the scale at 0, or fits it again."""
        graph = self.query_one("#graph", Graph)
        graph.zero = not graph.zero
        self.query_one("#plot", Plot).toggle_zero()
        self._draw()

    def action_cursor(self, step: int) -> None:
        """Moves by one column of dots; the first press puts the cursor at the newest value."""
        start, end = self.window
        width = (end - start) / self._columns
        here = end if self.cursor is None else self.cursor
        self.cursor = max(start, min(end - width / 2, here + step * width))
        self._draw()
