"""A scatter plot of quality against a price: one point per setting, with the Pareto front, or RD curves.

Drawn in characters: ``●`` on the front, ``○`` dominated, ``■`` marked, or the curve's letter, so that it is readable
without colour; a front is joined by dots, a curve by a line. The point under the cursor has lines to both axes and its
name.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Hashable, Sequence
from itertools import groupby, pairwise
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from wattview.tui.plots.dots import DOTS
from wattview.tui.text import fit

GUTTER = 8


class Marker(NamedTuple):
    """One setting. ``line`` is the front (a power source) or the curve that joins it, in the given order; "" if others
    dominate it. ``mark`` and ``tone`` override the defaults."""

    key: Hashable
    name: str
    x: float
    y: float
    line: str = ""
    marked: bool = False
    mark: str = ""
    tone: str = ""

    @property
    def drawn(self) -> tuple[str, str]:
        """Its character and tone."""
        mark = self.mark or ("■" if self.marked else "●" if self.line else "○")
        return mark, self.tone or ("marked" if self.marked else "front" if self.line else "point")


class Scatter(Widget):
    DEFAULT_CSS = """
    Scatter {
        height: 1fr; width: 1fr;
        & > .scatter--front { color: $primary; }
        & > .scatter--point { color: $foreground; }
        & > .scatter--marked { color: $accent; text-style: bold; }
        & > .scatter--scale { color: $muted; }
        & > .scatter--cursor { color: $foreground; text-style: bold reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"scatter--{part}" for part in ("front", "point", "marked", "scale", "cursor")
    }

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._dots: tuple[Marker, ...] = ()
        self._cursor: Hashable = None
        self._empty = ""
        self._lines: list[list[tuple[str, str]]] = []

    def show(self, dots: Sequence[Marker], cursor: Hashable, empty: str) -> None:
        """``cursor`` is the key of a point; ``empty`` is the text if there are none."""
        self._dots, self._cursor, self._empty = tuple(dots), cursor, empty
        self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        lines = picture(self._dots, self._cursor, self.size.width, self.size.height, self._empty)
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        segments = [Segment(text, base + self._part(tone)) for text, tone in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _part(self, tone: str) -> Style:
        return self.get_component_rich_style(f"scatter--{tone}", partial=True) if tone else Style.null()


def picture(
    dots: Sequence[Marker], cursor: Hashable, width: int, height: int, empty: str = ""
) -> list[list[tuple[str, str]]]:
    """``height`` lines of texts with their tones: the field, and below it the axis with its labels."""
    cells, rows = width - GUTTER, height - 2
    dots = [dot for dot in dots if math.isfinite(dot.x) and math.isfinite(dot.y)]
    if cells < 8 or rows < 3:
        return []
    if not dots:
        lines = textwrap.wrap(empty, max(8, width - 2))[:height]
        above = (height - len(lines)) // 2
        return [*([] for _ in range(above)), *([(line.center(width), "scale")] for line in lines)]
    across = ticks(min(dot.x for dot in dots), max(dot.x for dot in dots), max(2, cells // 12))
    up = ticks(min(dot.y for dot in dots), max(dot.y for dot in dots), max(2, rows // 3))
    field = _Field(cells, rows)

    def exactly(dot: Marker) -> tuple[float, float]:
        x = (dot.x - across[0]) / (across[-1] - across[0])
        y = (dot.y - up[0]) / (up[-1] - up[0])
        return x * (cells - 1), (1 - y) * (rows - 1)

    def place(dot: Marker) -> tuple[int, int]:
        x, y = exactly(dot)
        return round(x), round(y)

    for line in dict.fromkeys(dot.line for dot in dots if dot.line):
        for start, end in pairwise(dot for dot in dots if dot.line == line):
            if start.mark:
                field.curve(exactly(start), exactly(end), start.tone)
            else:
                field.line(place(start), place(end))
    here = next((dot for dot in dots if dot.key == cursor), None)
    if here is not None:
        field.cross(*place(here))
    for dot in sorted(dots, key=lambda dot: (dot.marked, bool(dot.line))):
        field.put(*place(dot), *dot.drawn)
    if here is not None:
        x, y = place(here)
        field.put(x, y, here.drawn[0], "cursor")
        field.name(x, y, here.name)
    labels = {round((1 - (value - up[0]) / (up[-1] - up[0])) * (rows - 1)): _label(value) for value in up}
    out = [[(f"{labels.get(y, ''):>{GUTTER - 2}} {'┤' if y in labels else '│'}", "scale"), *field.runs(y)]
           for y in range(rows)]  # fmt: skip
    return [*out, *_axis(across, cells)]


def _axis(values: Sequence[float], cells: int) -> list[list[tuple[str, str]]]:
    """The axis with its ticks, and the labels that fit."""
    places = {round((value - values[0]) / (values[-1] - values[0]) * (cells - 1)): _label(value) for value in values}
    line = "".join("┴" if x in places else "─" for x in range(cells))
    numbers = ""
    for x, text in sorted(places.items()):
        start = max(0, min(GUTTER + x - len(text) // 2, GUTTER + cells - len(text)))
        if start > len(numbers) or not numbers:
            numbers = numbers.ljust(start) + text
    return [[(" " * (GUTTER - 1) + "└" + line, "scale")], [(numbers, "scale")]]


def _label(value: float) -> str:
    """A label of the axis, with as many digits as fit."""
    texts = (f"{value:.{digits}g}" for digits in range(6, 0, -1))
    return next((text for text in texts if len(text) <= GUTTER - 2), "")


class _Field:
    """Characters and tones by cell."""

    def __init__(self, cells: int, rows: int) -> None:
        self.cells, self.rows = cells, rows
        self._marks = [[" "] * cells for _ in range(rows)]
        self._tones = [[""] * cells for _ in range(rows)]

    def put(self, x: int, y: int, mark: str, tone: str) -> None:
        self._marks[y][x], self._tones[y][x] = mark, tone

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0))
        for step in range(1, steps):
            self.put(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), "·", "front")

    def curve(self, start: tuple[float, float], end: tuple[float, float], tone: str) -> None:
        """A line of braille dots between two positions in cells; in a shared cell the last tone wins."""
        (x0, y0), (x1, y1) = start, end
        steps = max(1, round(2 * max(abs(x1 - x0), 2 * abs(y1 - y0))))
        for step in range(steps + 1):
            x = round(2 * (x0 + (x1 - x0) * step / steps) + 0.5)
            y = round(4 * (y0 + (y1 - y0) * step / steps) + 1.5)
            column, row = min(x // 2, self.cells - 1), min(y // 4, self.rows - 1)
            here = self._marks[row][column]
            drawn = ord(here) - 0x2800 if here != " " else 0
            self.put(column, row, chr(0x2800 + (drawn | DOTS[y % 4][x % 2])), tone)

    def cross(self, x: int, y: int) -> None:
        """From the point to both axes, behind everything."""
        for left in range(x):
            if self._marks[y][left] == " ":
                self.put(left, y, "┈", "scale")
        for below in range(y + 1, self.rows):
            if self._marks[below][x] == " ":
                self.put(x, below, "┊", "scale")

    def name(self, x: int, y: int, text: str) -> None:
        """Beside the point, on the side with room; covers nothing but lines."""
        text = fit(text, 40)
        size = cell_len(text)
        for start in (x + 2, x - 1 - size):
            taken = self._marks[y][start : start + size]
            if start >= 0 and len(taken) == size == len(text) and set(taken) <= {" ", "┈", "·"}:
                for at, character in enumerate(text):
                    self.put(start + at, y, character, "cursor")
                return

    def runs(self, y: int) -> list[tuple[str, str]]:
        """Adjacent cells of one tone as one text."""
        pairs = groupby(zip(self._marks[y], self._tones[y], strict=True), key=lambda cell: cell[1])
        return [("".join(mark for mark, _ in cells), tone) for tone, cells in pairs]


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers that span the range, at least two: steps of 1, 2 or 5 times a power of ten."""
    if not high - low > 1e-6 * max(abs(low), abs(high), 1e-6):
        room = max(abs(low), abs(high), 1e-6) * 0.05
        low, high = low - room, high + room
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, max(last, first + 1) + 1)]
