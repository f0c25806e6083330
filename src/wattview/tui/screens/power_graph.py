"""The power of the machine over the last minutes, by who uses it: on the overview, and where a screen has nothing else
for its room."""

from __future__ import annotations

from textual.content import Content

from wattview.model import PowerUse
from wattview.tui.plots.dots import PATTERNS
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import number
from wattview.tui.time_travel.trend_buffers import parts_of
from wattview.tui.view import Picture
from wattview.tui.widgets.pane import entitle

GRAPH_SECONDS = 300.0

LAYER_STYLES = ("$muted", "$primary", "$accent", "$series2", "$secondary")
"""The styles of the graph's layers in its legend."""

SHORT_NAMES = {"containers": "cont", "encoders": "enc", "others": "oth"}

HISTORY_STEP_SECONDS = 5.0
"""Default interval of the daemon's history, from which the graph's first points come."""


class PowerGraph(Graph):
    """The graph, whose title is its legend."""

    def __init__(self, id: str = "machine-power") -> None:
        super().__init__("W", least=10.0, id=id, classes="box")

    def draw(self, picture: Picture) -> None:
        """Draws it if it is visible."""
        if not self.display:
            return
        snapshot = picture.snapshot
        end = snapshot.time if snapshot is not None else GRAPH_SECONDS
        self.show(power_series(picture), end - GRAPH_SECONDS, end, step_seconds=HISTORY_STEP_SECONDS, live=picture.live)
        entitle(self, power_title(snapshot.power_use if snapshot is not None else None, self.size.width))


def power_title(use: PowerUse | None, width: int) -> Content:
    """The graph's title, which is its legend if attribution is known."""
    if use is None or use.unattributed_watts is None:
        return Content("Power, last 5 minutes")
    wide = width >= 96
    parts: list[str | tuple[str, str]] = ["Power, 5 min: " if wide else ""]
    for index, (name, watts) in enumerate(parts_of(use)):
        if watts is None:
            continue
        short = f"{SHORT_NAMES.get(name, name)} {number(watts, 1 if watts < 10 else 0)} "
        said = f" {name} {number(watts, 1)}  " if wide else short
        parts += [(PATTERNS[index] * (2 if wide else 1), LAYER_STYLES[index]), said]
    return Content.assemble(*parts, "W")


def power_series(picture: Picture) -> list[Series]:
    """The host's power as an area, with the attribution over it as soon as it is known. Attribution includes
    discrete GPUs, so from then on the area is their sum."""
    trends = picture.trends
    use = picture.snapshot.power_use if picture.snapshot is not None else None
    if use is None or use.unattributed_watts is None or not trends["rest",]:
        return [Series(trends["power",])]
    used = trends["used",]
    first = used[0][0] if used else float("inf")
    total = [*(point for point in trends["power",] if point[0] < first), *used]
    layers = [Series(trends[name,], f"layer{i}") for i, (name, watts) in enumerate(parts_of(use)) if watts is not None]
    return [Series(total), *layers]
