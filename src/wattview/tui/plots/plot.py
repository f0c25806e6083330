"""Plots with axes, for pictures that do not move every second: in the dashboard, and printed by the command line.

plotext scales and draws lines, points, grid and axes; ticks, legend, windows, band and labels are ours, and cover
nothing. What is drawn is lines of texts with their tones (colour classes): the widget takes its colours from the theme,
a terminal its own sixteen. Everything is distinguishable without colour, too.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from wattview.axis import Tick, labelled, ticks, time_ticks
from wattview.tui.text import fit

Place = tuple[float, float]
Lines = list[list[tuple[str, str]]]
"""From the top, each of texts with their tones. A tone that ends in ``SHADED`` lies in a window."""

SERIES = tuple(f"series{at}" for at in range(6))
"""The tones of lines, and of encoders, in their order."""


def series_rules(widget: str) -> str:
    """The style sheet's rules of these tones, for the component classes of a widget."""
    parts = "".join(f"& > .{widget.lower()}--{name} {{ color: ${name}; }}" for name in SERIES)
    return f"{widget} {{ {parts} }}"


SHADED = "|window"
LEAST_WIDTH, LEAST_ROWS = 24, 4
LABEL_CELLS = 28

_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")
_GRID = {"─": "┈", "│": "┊", "┼": "┼"}


class PlotLine(NamedTuple):
    """One series. ``mark`` stands at each of its points; ``letter`` at the last one and in the legend, where a ``name``
    is there too. Points further apart than ``gap`` are not joined."""

    points: Sequence[Place]
    tone: str = SERIES[0]
    name: str = ""
    mark: str = ""
    letter: str = ""
    joined: bool = True
    gap: float = math.inf


class NamedSpan(NamedTuple):
    """A part of the x axis that is shaded and named."""

    start: float
    end: float
    name: str


class Caption(NamedTuple):
    """A text beside a point, if it fits. ``strong``: the one under the cursor, with lines to both axes."""

    x: float
    y: float
    text: str
    tone: str = "scale"
    strong: bool = False


class Axis(NamedTuple):
    """``span`` are its ends, else they fit the data. ``times``: its values are Unix seconds, and its ticks times of
    day; ``whole``: its values are whole numbers."""

    title: str
    span: tuple[float, float] | None = None
    times: bool = False
    whole: bool = False


class Chart(NamedTuple):
    """``band`` is (x, low, high) in the order of x; ``cursor`` a place on the x axis; ``zero``: axes that fit the
    data begin at 0; ``empty`` is the text if there are no data."""

    x: Axis
    y: Axis
    traces: Sequence[PlotLine] = ()
    windows: Sequence[NamedSpan] = ()
    labels: Sequence[Caption] = ()
    band: Sequence[tuple[float, float, float]] = ()
    cursor: float | None = None
    zero: bool = False
    empty: str = ""


def draw(chart: Chart, width: int, height: int) -> Lines:
    """``height`` lines of ``width`` cells; none where that is too little for a picture."""
    finite = [[point for point in trace.points if all(map(math.isfinite, point))] for trace in chart.traces]
    traces = [trace._replace(points=points) for trace, points in zip(chart.traces, finite, strict=True)]
    chart = chart._replace(traces=traces)
    places = [place for trace in chart.traces for place in trace.points]
    if not places:
        return said(chart.empty, width, height)
    head = _legend(chart, width, most=max(1, height // 6))
    foot = 1 if chart.x.title and height >= 12 else 0
    rows = height - len(head) - foot - 2 - bool(chart.windows)
    if width < LEAST_WIDTH or rows < LEAST_ROWS:
        return []
    ys = [y for _, y in places] + [y for _, low, high in chart.band for y in (low, high)]
    up, y_span = _scale(chart.y, ys, max(3, rows // 3), chart.zero)
    gutter = max(len(text) for _, text in up) + 1
    cells = width - gutter
    across, x_span = _scale(chart.x, [x for x, _ in places], max(2, cells // 12), chart.zero)
    field = _Field(cells, rows, x_span, y_span)
    field.plot(chart.traces, across, up)
    field.decorate(chart)
    lines = [*head]
    if chart.windows:
        lines.append([(" " * gutter, ""), (window_names(chart.windows, field.column, cells), "scale")])
    lines += field.lines()
    if foot:
        lines.append([(" " * gutter, ""), (chart.x.title.center(cells).rstrip(), "scale")])
    return lines


def said(text: str, width: int, height: int) -> Lines:
    """Why there is no picture, in the middle of where it would be."""
    lines = textwrap.wrap(text, width)[:height] if width >= 8 else []
    above = (height - len(lines)) // 2
    return [*([] for _ in range(above)), *([(line.center(width), "scale")] for line in lines)]


def _scale(axis: Axis, values: Sequence[float], wanted: int, zero: bool) -> tuple[list[Tick], tuple[float, float]]:
    """The ticks of an axis, and its ends: where they fit the data, with a little room on both sides."""
    if axis.span is None:
        low, high = min(values), max(values)
        low, high = (min(0.0, low), max(0.0, high)) if zero else (low, high)
        known = high - low > 1e-6 * max(abs(low), abs(high))
        room = 0.04 * (high - low) if known else 0.05 * max(abs(low), abs(high), 1.0)
        low, high = low - room if low or not known else low, high + room if high or not known else high
    else:
        low, high = axis.span
    if axis.times:
        return time_ticks(low, high, wanted), (low, high)
    if axis.whole:
        wanted = min(wanted, max(1, math.ceil(high - low)))
    found = [[tick for tick in ticks(low, high, wanted + more) if low <= tick <= high] for more in (0, 1, 3, 6)]
    return labelled(next((inside for inside in found if len(inside) > 1), [low, high])), (low, high)


# around the field


def _legend(chart: Chart, width: int, most: int) -> Lines:
    """The y axis' title, and what the lines are, in at most so many lines."""
    lines: Lines = [[(chart.y.title, "scale")]]
    used = cell_len(chart.y.title)
    named = [trace for trace in chart.traces if trace.name]
    for at, trace in enumerate(named):
        text = fit(f"{trace.letter or trace.mark or '━━'} {trace.name}", max(8, width - 12))
        more = f"   … {len(named) - at} more"
        if used + 3 + cell_len(text) + (len(more) if at + 1 < len(named) and len(lines) == most else 0) > width:
            if len(lines) == most:
                lines[-1].append((more, "scale"))
                break
            lines.append([])
            used = -3
        lines[-1] += [("   " if used >= 0 else "", ""), (text, trace.tone)]
        used += 3 + cell_len(text)
    return lines


def window_names(windows: Sequence[NamedSpan], column: Callable[[float], int], cells: int) -> str:
    """``├─ baseline ─┤├─ x264 ─┤``: where each window begins and ends. ``column`` gives the column of a value."""
    row = [" "] * cells
    for window in windows:
        left, right = max(0, column(window.start)), min(cells - 1, column(window.end))
        if right - left < 2:
            continue
        inner = right - left - 1
        name = fit(window.name, inner) if inner > 2 else ""
        text = f" {name} " if cell_len(name) + 2 <= inner and name else name
        framed = f"├{text.center(inner - cell_len(text) + len(text), '─')}┤"
        # One entry for each cell: a wide character has an empty one beside it.
        parts = [part for character in framed for part in (character, *[""] * (cell_len(character) - 1))]
        row[left : right + 1] = parts[: right - left + 1]
    return set_cell_size("".join(row), cells).rstrip()


def _dot(value: float, span: tuple[float, float], dots: int) -> int:
    """Which of the dots of an axis is that value's; far outside the axis, one that is outside too."""
    low, high = span
    share = min(max((value - low) / (high - low), -1e9), 1e9)
    return math.floor(round(0.5 + (dots - 1) * share, 8))


class _Field:
    """The cells between the axes, and the axes themselves, as plotext has drawn them."""

    def __init__(self, cells: int, rows: int, x_span: tuple[float, float], y_span: tuple[float, float]) -> None:
        self.cells, self.rows, self.x_span, self.y_span = cells, rows, x_span, y_span
        self.gutter = 0
        self._grid: list[list[list[str]]] = []
        """Cells of character and tone, the two lines of the x axis among them."""

    def column(self, x: float) -> int:
        """Where plotext sets a braille dot for it."""
        return _dot(x, self.x_span, 2 * self.cells) // 2

    def row(self, y: float) -> int:
        return self.rows - 1 - _dot(y, self.y_span, 4 * self.rows) // 4

    def plot(self, traces: Sequence[PlotLine], across: Sequence[Tick], up: Sequence[Tick]) -> None:
        """What plotext draws, and the points."""
        self.gutter = max(len(text) for _, text in up) + 1
        lines = tuple((trace.tone, piece) for trace in traces if trace.joined
                      for piece in _unbroken(trace, most=2 * self.cells))  # fmt: skip
        x_ticks = tuple((self._middle(self.x_span, self.column(place), self.cells), text) for place, text in across)
        y_ticks = tuple((self._middle(self.y_span, self.rows - 1 - self.row(place), self.rows),
                         f"{text:>{self.gutter - 1}}") for place, text in up)  # fmt: skip
        drawn = _drawn(lines, x_ticks, y_ticks, self.x_span, self.y_span, self.gutter + self.cells, self.rows + 2)
        self._grid = [[list(cell) for cell in row] for row in drawn]
        for trace in traces:
            for mark, points in ((trace.mark, trace.points), (trace.letter, trace.points[-1:])):
                for x, y in points if mark else ():
                    if 0 <= (column := self.column(x)) < self.cells and 0 <= (row := self.row(y)) < self.rows:
                        self._grid[row][self.gutter + column][:] = [mark, trace.tone]

    @staticmethod
    def _middle(span: tuple[float, float], cell: int, cells: int) -> float:
        """The value that plotext draws in that cell of an axis: it rounds whole characters differently from dots."""
        return span[0] + (span[1] - span[0]) * cell / (cells - 1)

    # what is ours

    def decorate(self, chart: Chart) -> None:
        for row in self._grid[: self.rows]:
            for cell in row[self.gutter :]:
                if cell[1] == "scale":
                    cell[:] = [_GRID.get(cell[0], cell[0]), "grid"]
            if row[self.gutter][1] == "grid":  # no second line beside the axis
                row[self.gutter][0] = "┈" if row[self.gutter][0] == "┼" else " "
        for (x0, low0, high0), (x1, low1, high1) in pairwise(chart.band):
            first, last = self.column(x0), self.column(x1)
            for x in range(first, last + 1):
                share = (x - first) / max(1, last - first)
                low, high = low0 + share * (low1 - low0), high0 + share * (high1 - high0)
                for y in range(max(0, self.row(high)), min(self.rows, self.row(low) + 1)):
                    if low <= self._value(y) <= high:
                        self._put(x, y, "░", "band")
        for label in sorted(chart.labels, key=lambda label: not label.strong):
            if label.strong:
                self._cross(label)
            self._name(label)
        if chart.cursor is not None and 0 <= (x := self.column(chart.cursor)) < self.cells:
            for y in range(self.rows):
                self._grid[y][self.gutter + x][1] = "cursor"
        for window in chart.windows:
            for x in range(max(0, self.column(window.start)), min(self.cells - 1, self.column(window.end)) + 1):
                for y in range(self.rows):
                    self._grid[y][self.gutter + x][1] += SHADED

    def _value(self, row: int) -> float:
        """In the middle of a row."""
        low, high = self.y_span
        return low + (high - low) * (self.rows - row - 0.5) / self.rows

    def _free(self, x: int, y: int) -> bool:
        if not (0 <= x < self.cells and 0 <= y < self.rows):
            return False
        mark, tone = self._grid[y][self.gutter + x]
        return mark == " " or tone in ("grid", "band")

    def _put(self, x: int, y: int, mark: str, tone: str) -> None:
        if self._free(x, y):
            self._grid[y][self.gutter + x][:] = [mark, tone]

    def _cross(self, label: Caption) -> None:
        """Lines from the point to both axes, behind everything; and the point itself."""
        x, y = self.column(label.x), self.row(label.y)
        for left in range(x):
            self._put(left, y, "─", "grid")
        for below in range(y + 1, self.rows):
            self._put(x, below, "│", "grid")
        if 0 <= x < self.cells and 0 <= y < self.rows:
            self._grid[y][self.gutter + x][1] = "cursor"

    def _name(self, label: Caption) -> None:
        """Beside the point: right, left, above or below, where it covers nothing; the strong one wherever it is
        inside."""
        text = fit(label.text, LABEL_CELLS if not label.strong else 2 * LABEL_CELLS)
        size = cell_len(text)
        if size != len(text):
            return
        x, y = self.column(label.x), self.row(label.y)
        middle = min(max(0, x - size // 2), self.cells - size)
        right, left = x + 2, x - 1 - size
        starts = [(right, y), (left, y), (middle, y - 1), (middle, y + 1), (right, y + 1), (left, y - 1), (left, y + 1)]
        inside = [(at, row) for at, row in starts if 0 <= at <= self.cells - size and 0 <= row < self.rows]
        free = [(at, row) for at, row in inside if all(self._free(cell, row) for cell in range(at, at + size))]
        if not free and not (label.strong and inside):
            return
        left, row = (free or inside)[0]
        for at, character in enumerate(text):
            self._grid[row][self.gutter + left + at][:] = [character, "cursor" if label.strong else label.tone]

    def lines(self) -> Lines:
        """Neighbours of one tone as one text."""
        return [
            [("".join(mark for mark, _ in run), tone) for tone, run in groupby(row, key=lambda cell: cell[1])]
            for row in self._grid
        ]


def _unbroken(trace: PlotLine, most: int) -> Iterator[tuple[Place, ...]]:
    """The pieces between its gaps. Where several points fall on one dot, the smallest and the largest are kept."""
    first = 0
    ends = [at for at, ((left, _), (right, _)) in enumerate(pairwise(trace.points), 1) if right - left > trace.gap]
    for end in (*ends, len(trace.points)):
        piece = trace.points[first:end]
        size = math.ceil(2 * len(piece) / most)
        parts = (piece[at : at + size] for at in range(0, len(piece), size)) if size > 2 else ()
        ordered = [point for part in parts for point in sorted({min(part, key=_y), max(part, key=_y)})]
        yield tuple(ordered or piece)
        first = end


def _y(place: Place) -> float:
    return place[1]


@lru_cache(maxsize=8)
def _drawn(
    lines: tuple[tuple[str, tuple[Place, ...]], ...], x_ticks: tuple[Tick, ...], y_ticks: tuple[Tick, ...],
    x_span: tuple[float, float], y_span: tuple[float, float], width: int, height: int,
) -> tuple[tuple[tuple[str, str], ...], ...]:  # fmt: skip
    """Cells of character and tone, as plotext draws them. They are kept: a cursor that moves changes none."""
    import plotext as plt

    codes = {tone: code for code, tone in enumerate(dict.fromkeys(["scale", *(tone for tone, _ in lines)]), 1)}
    plt.clear_figure()
    plt.limit_size(False, False)
    plt.theme("clear")
    plt.plotsize(width, height)
    plt.xaxes(True, False)
    plt.yaxes(True, False)
    plt.grid(True, True)
    plt.ticks_color(codes["scale"])
    plt.xlim(*x_span)
    plt.ylim(*y_span)
    plt.xticks([place for place, _ in x_ticks], [text for _, text in x_ticks])
    plt.yticks([place for place, _ in y_ticks], [text for _, text in y_ticks])
    if not lines:
        plt.scatter(x_span[:1], y_span[:1], marker=" ")  # without data it draws no ticks
    for tone, piece in lines:
        plt.plot([x for x, _ in piece], [y for _, y in piece], marker="braille", color=codes[tone])
    tones = {str(code): tone for tone, code in codes.items()}
    return tuple(
        tuple((mark, tone) for mark, tone in _cells(line, tones, width)) for line in plt.build().splitlines()[:height]
    )


def _cells(line: str, tones: dict[str, str], width: int) -> list[list[str]]:
    """A line of plotext's, taken apart into characters and tones."""
    cells: list[list[str]] = []
    tone = ""
    for at, part in enumerate(_COLOUR.split(line)):
        if at % 2:
            tone = tones.get(part.rpartition(";")[2], "") if part.startswith("38;5;") else ""
        else:
            cells += [[character, tone] for character in part]
    return (cells + [[" ", ""] for _ in range(width - len(cells))])[:width]
