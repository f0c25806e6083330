"""Values over time, drawn in braille: two columns and four rows of dots per cell.

A series is an area, a line, or a layer of a stack. Missing values are gaps, never zeros. The scale starts at 0, so that
heights are comparable, and its top changes in steps (1, 1.5, 2, 3 …), so that it is stable while values vary. Drawing
120 columns takes a fraction of a millisecond; an unchanged picture is not redrawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from wattview.tui.plots.dots import canvas_of, fill, line, runs, stack
from wattview.tui.text import clock, span
from wattview.tui.time_travel.trend_buffers import Point, bridged, buckets, snapped

GUTTER = 7


class Series(NamedTuple):
    """One line of a graph. ``tone`` is a colour class of the graph: ``area``, a line ``a``, or ``layer0`` to ``layer3``
    of a stack, from the bottom, which is drawn over the area."""

    points: Iterable[Point]
    tone: str = "area"


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
        & > .graph--layer3 { color: $secondary; }
        & > .graph--scale { color: $muted; }
        & > .graph--cursor { color: $foreground; text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"graph--{part}" for part in ("area", "fill", "a", "layer0", "layer1", "layer2", "layer3", "scale", "cursor")
    }

    def __init__(self, unit: str, *, least: float = 1.0, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.unit = unit
        self.least = least
        self.top = least
        self.cursor: float | None = None
        self._series: list[tuple[list[Point], str]] = []
        self._window = (0.0, 1.0)
        self._step = 1.0
        self._live = True
        self._empty = ""
        self._lines: list[list[tuple[str, str]]] = []
        self._styles: dict[str, Style] = {}

    def show(
        self, series: Sequence[Series], start: float, end: float, *, step_seconds: float = 1.0, live: bool = True,
        empty: str = "no values yet",
    ) -> None:  # fmt: skip
        """Draws [start, end]. ``live`` labels times relative to now, else as times of day."""
        self._series = [(list(one.points), one.tone) for one in series]
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
            if tone:
                style += self.get_component_rich_style(f"graph--{tone}", partial=True)
            self._styles[tone] = style
        return style

    def notify_style_update(self) -> None:
        self._styles.clear()
        super().notify_style_update()

    # from values to dots

    def _draw(self, width: int, height: int) -> list[list[tuple[str, str]]]:
        cells = width - GUTTER
        rows = height - 1
        if cells < 4 or rows < 1:
            return []
        start, end = snapped(*self._window, 2 * cells)
        widest = math.ceil(2 * self._step * 1.6 * cells / max(1e-9, end - start))
        curves = [(bridged(buckets(points, start, end, 2 * cells), widest), tone) for points, tone in self._series]
        known = [value for values, _ in curves for value in values if value is not None]
        if not known:
            text = self._empty[:width]
            middle = rows // 2
            return [[(text.center(width), "scale")] if y == middle else [] for y in range(height)]
        self.top = scale_top(max(known), self.top, self.least)
        canvas = canvas_of(rows, cells)
        layers = [values for values, tone in curves if tone.startswith("layer")]
        curves = [(values, tone) for values, tone in curves if not tone.startswith("layer")]
        if curves and curves[0][1] == "area":
            fill(curves[0][0], self.top, canvas)
            curves = [*curves[1:], curves[0]]  # its edge is drawn last: no line hides it
        if layers:
            stack(layers, self.top, canvas)
        for values, tone in curves:
            line(values, self.top, canvas, tone)
        cursor = None
        if self.cursor is not None and start <= self.cursor < end:
            cursor = min(cells - 1, int((self.cursor - start) / (end - start) * cells))
        lines = []
        for y in range(rows):
            value = {0: self.top, rows - 1: 0.0}.get(y)
            text = "" if value is None else scale_label(value, self.unit)
            lines.append([(f"{text:>{GUTTER - 1}} ", "scale"), *runs(canvas.masks[y], canvas.tones[y], cursor)])
        lines.append([(" " * GUTTER, ""), (self._times(cells), "scale")])
        return lines

    def _times(self, cells: int) -> str:
        start, end = self._window
        if self._live:
            left, middle, right = f"-{span(end - start)}", f"-{span((end - start) / 2)}", "now"
        else:
            long = end - start > 36 * 3600
            left, middle, right = (_moment(start + part * (end - start), long) for part in (0, 0.5, 1))
        room = cells - len(left) - len(right)
        if room < len(middle) + 4:
            return left + " " * max(1, room) + right
        gap = (cells - len(middle)) // 2 - len(left)
        return left + " " * gap + middle + " " * (room - gap - len(middle)) + right


def scale_top(largest: float, now: float, least: float) -> float:
    """The top of the scale: the next of 1, 1.5, 2, 3 … above ``largest``; it stays while the values fill more than a
    third of it."""
    largest = max(largest, least)
    if largest <= now and largest > now / 3:
        return now
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= largest)


def scale_label(value: float, unit: str) -> str:
    if value >= 10000:
        return f"{value / 1000:.0f}k{unit}"
    text = f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}"


def _moment(unix_seconds: float, long: bool) -> str:
    import time

    return time.strftime("%a %H:%M", time.localtime(unix_seconds)) if long else clock(unix_seconds)
