"""The widget that shows a plot in the colours of the theme."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from wattview.tui.plots.plot import SERIES, SHADED, Axis, Chart, Lines, draw


class Plot(Widget):
    """``show`` it a chart. It is drawn when it is shown and when the size changes, and not with every repaint.
    ``zero``: its axes begin at 0, where they fit the data else."""

    DEFAULT_CSS = """
    Plot {
        height: 1fr; width: 1fr;
        & > .plot--point { color: $foreground; }
        & > .plot--marked { color: $accent; text-style: bold; }
        & > .plot--band { color: $graph-fill; }
        & > .plot--scale { color: $muted; }
        & > .plot--grid { color: $border-blurred; }
        & > .plot--cursor { color: $foreground; text-style: bold reverse; }
        & > .plot--window { background: $panel; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"plot--{part}" for part in (*SERIES, "point", "marked", "band", "scale", "grid", "cursor", "window")
    }

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.chart = Chart(Axis(""), Axis(""))
        self.zero = False
        self._lines: Lines = []

    def show(self, chart: Chart) -> None:
        if chart != self.chart:
            self.chart = chart
            self._redraw()

    def toggle_zero(self) -> None:
        self.zero = not self.zero
        self._redraw()

    def on_resize(self) -> None:
        self._redraw()

    def _redraw(self) -> None:
        lines = draw(self.chart._replace(zero=self.zero), self.size.width, self.size.height) if self.size.height else []
        if lines != self._lines:
            self._lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(self.size.width, base)
        segments = [Segment(text, base + self._style(tone)) for text, tone in self._lines[y]]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, tone: str) -> Style:
        name, shaded, _ = tone.partition(SHADED)
        style = self._part("window") if shaded else Style.null()
        return style + self._part(name) if name else style

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"plot--{name}", partial=True)
