"""Values over time, drawn in braille: two columns and four rows of dots per cell.

A series is an area, a line, or a layer of a stack. A time without a value is a gap and never a zero. The scale
begins at 0, so that heights can be compared, or fits the values; it moves in steps, so that it stands still while the
values move. Drawing 120 columns takes a fraction of a millisecond; a picture that has not changed is not redrawn.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from wattview.axis import TIME_STEPS, labelled, ticks, time_ticks
from wattview.tui.plots.dots import canvas_of, fill, level, line, runs, stack
from wattview.tui.plots.plot import SERIES, SHADED, NamedSpan, window_names
from wattview.tui.text import span
from wattview.tui.time_travel.trend_buffers import Point, joined, snapped

GUTTER = 7


class Series(NamedTuple):
    """One line of a graph. ``tone`` is a colour class of the graph: ``area``, a line ``a`` or ``series0`` …
    ``series5``, or ``layer0`` to ``layer4`` of a stack, from the bottom, which is drawn over the area. ``letter``
    stands at a line's newest value."""

    points: Iterable[Point]
    tone: str = "area"
    letter: str = ""


class Graph(Widget):
    """Displays series over a span of time (``show``). ``step_seconds`` is the normal distance of points."""

    DEFAULT_CSS = """
    Graph {
        height: 1fr; width: 1fr;
        & > .graph--area { color: $primary; }
        & > .graph--fill { color: $graph-fill; }
        & > .graph--a { color: $accent; }
        & > .graph--layer0 { color: $muted; }
        & > .graph--layer1 { color: $primary; }
        & > .graph--layer2 { color: $accent; }
        & > .graph--layer3 { color: $series2; }
        & > .graph--layer4 { color: $secondary; }
        & > .graph--grid { color: $border-blurred; }
        & > .graph--scale { color: $muted; }
        & > .graph--window { background: $panel; }
        & > .graph--cursor { color: $foreground; text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"graph--{part}"
        for part in (
            "area",
            "fill",
            "a",
            "layer0",
            "layer1",
            "layer2",
            "layer3",
            "layer4",
            *SERIES,
            "grid",
            "scale",
            "window",
            "cursor",
        )
    }  # fmt: skip

    def __init__(
        self,
        unit: str,
        *,
        least: float = 1.0,
        whole: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """``whole``: values and ticks are whole numbers."""
        super().__init__(id=id, classes=classes)
        self.unit = unit
        self.whole = whole
        self.least = least
        self.bottom, self.top = 0.0, least
        self.zero = True
        """Whether the scale begins at 0, else it fits the values."""
        self.cursor: float | None = None
        self._series: list[Series] = []
        self._window = (0.0, 1.0)
        self._windows: Sequence[NamedSpan] = ()
        self._step = 1.0
        self._live = True
        self._empty = ""
        self._lines: list[list[tuple[str, str]]] = []
        self._styles: dict[str, Style] = {}

    def show(
        self, series: Sequence[Series], start: float, end: float, *, step_seconds: float = 1.0, live: bool = True,
        empty: str = "no values yet", windows: Sequence[NamedSpan] = (),
    ) -> None:  # fmt: skip
        """Draws [start, end]. ``live`` writes the times as distances from now, else as times of day. Parts of the time
        are shaded and named above it."""
        self._windows = [one for one in windows if one.end > start and one.start < end]
        self._series = [one._replace(points=list(one.points)) for one in series]
        self._window = (start, end)
        self._step = step_seconds
        self._live = live
        self._empty = empty
        self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    @property
    def columns(self) -> int:
        """Number of columns of dots."""
        return max(0, 2 * (self.size.width - GUTTER))

    def _redraw(self) -> None:
        lines = self._draw(self.size.width, self.size.height)
        if lines != self._lines:
            changed = len(lines) != len(self._lines)
            before, self._lines = self._lines, lines
            if changed:
                self.refresh()
            else:
                pairs = zip(before, lines, strict=True)
                self.refresh(*(Region(0, y, self.size.width, 1) for y, (old, new) in enumerate(pairs) if old != new))

    def render_line(self, y: int) -> Strip:
        base = self._style("")
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        segments = [Segment(text, self._style(tone)) for text, tone in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, tone: str) -> Style:
        """The style of a tone, cached until a style changes."""
        style = self._styles.get(tone)
        if style is None:
            style = self.rich_style
            name, shaded, _ = tone.partition(SHADED)
            for part in (name, "window" if shaded else ""):
                if part:
                    style += self.get_component_rich_style(f"graph--{part}", partial=True)
            self._styles[tone] = style
        return style

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    # from values to dots

    def _draw(self, width: int, height: int) -> list[list[tuple[str, str]]]:
        cells = width - GUTTER
        rows = height - 1 - bool(self._windows)
        if cells < 4 or rows < 1:
            return []
        start, end = snapped(*self._window, 2 * cells)
        curves = [(joined(one.points, start, end, 2 * cells, self._step), one.tone, one.letter) for one in self._series]
        known = [value for values, _, _ in curves for value in values if value is not None]
        if not known:
            text = self._empty[:width]
            middle = rows // 2
            return [[(text.center(width), "scale")] if y == middle else [] for y in range(height)]
        self._fit(min(known), max(known), rows)
        if self.bottom:
            curves = [([None if one is None else one - self.bottom for one in values], tone, letter)
                      for values, tone, letter in curves]  # fmt: skip
        reach = self.top - self.bottom
        canvas = canvas_of(rows, cells)
        layers = {int(tone[5:]): values for values, tone, _ in curves if tone.startswith("layer")}
        curves = [curve for curve in curves if not curve[1].startswith("layer")]
        if curves and curves[0][1] == "area":
            fill(curves[0][0], reach, canvas)
            curves = [*curves[1:], curves[0]]  # its edge is drawn last: no line hides it
        if layers:
            stack(layers, reach, canvas)
        for values, tone, _ in curves:
            line(values, reach, canvas, tone)
        cursor = None
        if self.cursor is not None and start <= self.cursor < end:
            cursor = min(cells - 1, int((self.cursor - start) / (end - start) * cells))
        marks = self._marks(rows)
        letters = {at: (letter, tone) for values, tone, letter in curves
                   if letter and (at := newest(values, reach, rows)) is not None}  # fmt: skip
        lines: list[list[tuple[str, str]]] = []
        shaded: set[int] = set()
        if self._windows:

            def column(moment: float) -> int:
                return int((moment - start) / (end - start) * cells)

            lines.append([(" " * GUTTER, ""), (window_names(self._windows, column, cells), "scale")])
            for one in self._windows:
                shaded |= set(range(max(0, column(one.start)), min(cells, column(one.end) + 1)))
        for y in range(rows):
            text = marks.get(y, "")
            drawn = runs(canvas.masks[y], canvas.tones[y], cursor, grid=y in marks)
            here = {x: letter for (row, x), letter in letters.items() if row == y}
            drawn = laid_over(drawn, here, shaded) if here or shaded else drawn
            lines.append([(f"{text:>{GUTTER - 1}} ", "scale"), *drawn])
        lines.append([(" " * GUTTER, ""), (self._times(cells), "scale")])
        return lines

    def _fit(self, least: float, largest: float, rows: int) -> None:
        """Moves the scale where the values have left it, or need less than a third of it."""
        if self.zero:
            self.bottom, self.top = 0.0, scale_top(largest, self.top if not self.bottom else 0.0, self.least)
        elif not (self.bottom <= least and largest <= self.top and 3 * (largest - least) > self.top - self.bottom):
            reach, middle = max(largest - least, self.least / 10), (least + largest) / 2
            low = middle - reach / 2
            marks = ticks(max(0.0, low) if least >= 0 else low, middle + reach / 2, max(2, rows // 4))
            self.bottom, self.top = marks[0], marks[-1]

    def _marks(self, rows: int) -> dict[int, str]:
        """The ticks of the scale by their row, with the unit if it fits."""
        low, top = self.bottom, self.top
        wanted = min(rows // 3, int(top - low)) if self.whole else rows // 3
        marks = labelled([tick for tick in ticks(low, top, max(1, wanted)) if tick <= top * (1 + 1e-9)])
        if rows < 3 or len(marks) < 2:
            marks = [(low, f"{low:.3g}"), (top, f"{top:.3g}")]
        places = {rows - 1 - min(rows - 1, int((mark - low) / (top - low) * rows * (1 - 1e-9))): text
                  for mark, text in marks}  # fmt: skip
        return {row: f"{text} {self.unit}" if len(text) + len(self.unit) < GUTTER - 1 else text
                for row, text in places.items()}  # fmt: skip

    def _times(self, cells: int) -> str:
        """Times of day; of a live graph how long ago."""
        start, end = self._window
        length = end - start
        wanted = max(2, cells // 14)
        if self._live:
            step = next((step for step in TIME_STEPS if length / step <= wanted), TIME_STEPS[-1])
            places = [(end - at * step, f"-{span(at * step)}") for at in range(1, int(length / step) + 1)]
            places.insert(0, (end, "now"))
        else:
            places = time_ticks(start, end, wanted)
        row = [" "] * cells
        for place, text in places:
            left = max(0, min(cells - len(text), round((place - start) / length * cells) - len(text) // 2))
            if all(cell == " " for cell in row[max(0, left - 1) : left + len(text) + 1]):
                row[left : left + len(text)] = text
        return "".join(row)


def newest(values: Sequence[float | None], reach: float, rows: int) -> tuple[int, int] | None:
    """The cell (row, column) of a line's last value; None where it has none lately."""
    for x in range(len(values) - 1, max(-1, len(values) - 9), -1):
        value = values[x]
        if value is not None:
            return (4 * rows - level(value, reach, 4 * rows)) // 4, x // 2
    return None


def laid_over(
    drawn: Sequence[tuple[str, str]], letters: dict[int, tuple[str, str]], shaded: Collection[int]
) -> list[tuple[str, str]]:
    """Runs of texts and tones, with letters in place of what is drawn in their columns, and other columns shaded."""
    cells = [(character, tone) for text, tone in drawn for character in text]
    for x, letter in letters.items():
        cells[x] = letter
    for x in shaded:
        cells[x] = cells[x][0], cells[x][1] + SHADED
    return [("".join(text for text, _ in run), tone) for tone, run in groupby(cells, key=lambda cell: cell[1])]


def scale_top(largest: float, now: float, least: float) -> float:
    """The top of the scale: the next of 1, 1.5, 2, 3 … above ``largest``; it stays while the values fill more than a
    third of it."""
    largest = max(largest, least)
    if largest <= now and largest > now / 3:
        return now
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= largest)
