"""Plots as SVG text, for the report: lines over time, bars with intervals, and a scatter plot with its front.

Colours come from the page's style sheet by class, so that one plot serves light and dark pages; series also differ by
mark or label, never by colour alone. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise

from msgspec import Struct

from wattview.axis import labelled, ticks
from wattview.report.words import mean_text, plain

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 16, 44
LETTER, LINE = 10.0, 22.0
"""Width of a letter and height of a line as on a phone (where the style sheet enlarges them)."""

MARKS = (
    "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "m-4 -4h8v8h-8z", "m0 -5l5 9h-10z", "m0 -5l5 5l-5 5l-5 -5z",
    "m-4 -4l8 8m0 -8l-8 8",
)  # fmt: skip
"""Marks of curves, drawn from their centre: circle, square, triangle, diamond, cross."""

UPRIGHT = int((HEIGHT - TOP - BOTTOM) / LETTER) - 1
"""Number of letters of a window's name that fit its height."""

NARROW = 14.0
"""Minimum width of a window with an upright name."""

BAR_PITCH, BAR_MARGIN, BAR_LETTERS = 70, 24, 66
"""Height of a bar with its label, its margin, and how many letters of the label fit."""

LEGEND_LINE = 24
"""Height of a legend line."""

TIMES = (("hours", 3600.0, 3 * 3600.0), ("minutes", 60.0, 600.0), ("seconds", 1.0, -math.inf))
"""Units of a time axis, their length in seconds, and the shortest span that uses them."""


class Bar(Struct, frozen=True):
    """One bar; ``low`` to ``high`` is its interval, if any."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


class PlotPoint(Struct, frozen=True):
    label: str
    x: float
    y: float


class PlotCurve(Struct, frozen=True):
    """One curve: its points in order."""

    label: str
    points: tuple[tuple[float, float], ...]


def lines(points: Sequence[tuple[float, float]], shaded: Sequence[tuple[float, float, str]], unit: str) -> str:
    """One line over time since its first point, with windows shaded and named. The line breaks at gaps in the
    samples."""
    if not points:
        return ""
    begin, span = points[0][0], points[-1][0] - points[0][0]
    word, seconds = next((word, seconds) for word, seconds, least in TIMES if span >= least)
    across = _scale(ticks(0.0, span / seconds, 8), LEFT, WIDTH - RIGHT)
    up = _scale(ticks(0.0, max(value for _, value in points)), HEIGHT - BOTTOM, TOP)

    def x(time: float) -> float:
        return across.at((time - begin) / seconds)

    out = []
    for start, end, label in shaded:
        left, right = x(max(start, begin)), x(min(end, points[-1][0]))
        if right > left:
            out.append(
                f'<rect class="window" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}"'
                f' height="{HEIGHT - BOTTOM - TOP}"><title>{_text(label)}</title></rect>'
                f"{_window_name(left, right, label)}"
            )
    for piece in _unbroken(points):
        path = " ".join(f"{x(time):.1f},{up.at(value):.1f}" for time, value in fewer(piece))
        out.append(f'<polyline class="line" points="{path}"/>')
    return _picture(out, across, up, word, unit)


def names_fit(points: Sequence[tuple[float, float]], shaded: Sequence[tuple[float, float, str]]) -> bool:
    """Whether every window is large enough for its whole name in ``lines``."""
    if not points or points[-1][0] <= points[0][0]:
        return True
    scale = (WIDTH - LEFT - RIGHT) / (points[-1][0] - points[0][0])
    rooms = (((end - start) * scale, len(label)) for start, end, label in shaded)
    return all(width >= LETTER * letters or (width >= NARROW and letters <= UPRIGHT) for width, letters in rooms)


def _window_name(left: float, right: float, label: str) -> str:
    """At the bottom, away from the line: horizontal, or upright in a window that is too narrow for that."""
    bottom, width = HEIGHT - BOTTOM - 6, right - left
    if LETTER * len(label) <= width:
        return f'<text class="small" x="{left + 4:.1f}" y="{bottom}">{_text(label)}</text>'
    if width < NARROW:
        return ""
    turned = f"translate({left + width / 2 + 4:.1f} {bottom}) rotate(-90)"
    return f'<text class="small" transform="{turned}">{_text(_short(label, UPRIGHT))}</text>'


def fewer(points: Sequence[tuple[float, float]], most: int = 2 * WIDTH) -> list[tuple[float, float]]:
    """Fewer points for the same picture: of points that fall on the same pixel, the first, the lowest and the highest
    are kept, so that no peak is lost. The last point is kept too."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(3 * len(points) / (most - 1))
    kept: list[tuple[float, float]] = []
    for at in range(0, len(points), size):
        part = points[at : at + size]
        low, high = min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])
        kept += sorted({part[0], low, high})
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _unbroken(points: Sequence[tuple[float, float]]) -> list[Sequence[tuple[float, float]]]:
    """The segments between gaps: a gap is a minute or more, and far more than the usual interval of points."""
    steps = sorted(right - left for (left, _), (right, _) in pairwise(points))
    longest = max(60.0, 10 * steps[len(steps) // 2]) if steps else math.inf
    pieces, first = [], 0
    for at, ((left, _), (right, _)) in enumerate(pairwise(points), 1):
        if right - left > longest:
            pieces.append(points[first:at])
            first = at
    return [*pieces, points[first:]]


def bars(found: Sequence[Bar], unit: str) -> str:
    """Horizontal bars with error bars, each under its label and value."""
    if not found:
        return ""
    height = BAR_PITCH * len(found) + 50
    top = max(bar.high if bar.high is not None else bar.value for bar in found)
    low = min(0.0, *(bar.low if bar.low is not None else bar.value for bar in found))
    across = _scale(ticks(low, max(top, 0.0)), BAR_MARGIN, WIDTH - BAR_MARGIN)
    out = [_grid_x(across, 4, height - 40), _title_x(unit, height)]
    for at, bar in enumerate(found):
        y = 50 + BAR_PITCH * at
        zero, end = across.at(0.0), across.at(bar.value)
        text = mean_text(bar.value, bar.low, bar.high, unit)
        note = f", {bar.note}" if bar.note else ""
        out.append(
            f'<text x="{BAR_MARGIN + 4}" y="{y - 28}">{_text(_short(bar.label, BAR_LETTERS))}</text>'
            f'<text class="small" x="{BAR_MARGIN + 4}" y="{y - 7}">{_text(text + note)}</text>'
            f'<rect class="bar" x="{min(zero, end):.1f}" y="{y}" width="{abs(end - zero):.1f}" height="14">'
            f"<title>{_text(bar.label)}</title></rect>"
        )
        if bar.low is not None and bar.high is not None:
            left, right = across.at(bar.low), across.at(bar.high)
            out.append(
                f'<path class="error" d="M{left:.1f} {y + 7}H{right:.1f}'
                f'M{left:.1f} {y + 2}v10M{right:.1f} {y + 2}v10"/>'
            )
    return _svg(out, height)


def scatter(dots: Sequence[PlotPoint], front: Sequence[int], x_title: str, y_title: str) -> str:
    """Points with labels; those of the front are filled and joined. A point whose label does not fit has its number,
    from 1."""
    if not dots:
        return ""
    across = _scale(_roomy([dot.x for dot in dots], 8), LEFT, WIDTH - RIGHT)
    up = _scale(_roomy([dot.y for dot in dots], 5), HEIGHT - BOTTOM, TOP)
    path = " ".join(f"{across.at(dots[at].x):.1f},{up.at(dots[at].y):.1f}" for at in front)
    out = [f'<polyline class="front" points="{path}"/>']
    places = [(across.at(dot.x), up.at(dot.y)) for dot in dots]
    for at, (dot, (x, y), name) in enumerate(zip(dots, places, _names(dots, places), strict=True)):
        kind = "best" if at in front else "dot"
        title = f"{dot.label}: {dot.x:.4g}, {dot.y:.4g}"
        out.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{_text(title)}</title></circle>{name}'
        )
    return _picture(out, across, up, x_title, y_title)


def _roomy(values: Sequence[float], wanted: int) -> list[float]:
    """An axis with a margin around the points; it starts at 0 if no value is negative."""
    room = 0.05 * (max(values) - min(values))
    low = min(values) - room
    return ticks(max(low, 0.0) if min(values) >= 0 else low, max(values) + room, wanted)


def _names(dots: Sequence[PlotPoint], places: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Each label beside its point, if it covers neither a point nor another label."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places]
    for at, (dot, (x, y)) in enumerate(zip(dots, places, strict=True), 1):
        width = LETTER * len(dot.label)
        for left, bottom in ((x + 9, y + 20), (x - 9 - width, y - 7), (x + 9, y - 7), (x - 9 - width, y + 20)):
            box = (left, bottom - LINE + 4, left + width, bottom + 4)
            inside = box[0] >= LEFT and box[1] >= TOP and box[2] <= WIDTH - RIGHT and box[3] <= HEIGHT - BOTTOM
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                end = ' text-anchor="end"' if left < x else ""
                place = left if left > x else left + width
                yield f'<text class="small" x="{place:.1f}" y="{bottom:.1f}"{end}>{_text(dot.label)}</text>'
                break
        else:
            yield f'<text class="small" x="{x + 8:.1f}" y="{y - 6:.1f}">{at}</text>'


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def curves(found: Sequence[PlotCurve], x_title: str, y_title: str) -> str:
    """Several lines through measured points, each with its own mark and dash pattern, and a legend below the plot."""
    points = [point for trace in found for point in trace.points]
    if not points:
        return ""
    across = _scale(ticks(min(x for x, _ in points), max(x for x, _ in points), 8), LEFT, WIDTH - RIGHT)
    up = _scale(ticks(min(y for _, y in points), max(y for _, y in points)), HEIGHT - BOTTOM, TOP)
    out = []
    for at, trace in enumerate(found):
        look, mark = f"trace trace{at % len(MARKS)}", MARKS[at % len(MARKS)]
        placed = [(across.at(x), up.at(y)) for x, y in trace.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        out.append(f'<polyline class="{look}" points="{path}"/>')
        for (x, y), (price, worth) in zip(placed, trace.points, strict=True):
            title = _text(f"{trace.label}: {price:.4g}, {worth:.4g}")
            out.append(f'<path class="{look} mark" d="M{x:.1f} {y:.1f}{mark}"><title>{title}</title></path>')
        y = HEIGHT + 14 + LEGEND_LINE * at
        out.append(
            f'<path class="{look}" d="M{LEFT} {y}h40"/><path class="{look} mark" d="M{LEFT + 20} {y}{mark}"/>'
            f'<text class="small" x="{LEFT + 50}" y="{y + 4}">{_text(_short(trace.label, 60))}</text>'
        )
    return _picture(out, across, up, x_title, y_title, LEGEND_LINE * len(found) + 6)


class _Scale(Struct, frozen=True):
    marks: tuple[float, ...]
    at: Callable[[float], float]


def _scale(marks: Sequence[float], begin: float, end: float) -> _Scale:
    low, high = marks[0], marks[-1]
    return _Scale(tuple(marks), lambda value: begin + (value - low) / (high - low) * (end - begin))


def _picture(inner: Sequence[str], across: _Scale, up: _Scale, x_title: str, y_title: str, below: float = 0.0) -> str:
    """With axes. ``below`` is room for the legend under the title of the x axis."""
    out = [_grid_x(across, TOP, HEIGHT - BOTTOM), _title_x(x_title, HEIGHT)]
    for mark, text in labelled(up.marks):
        y = up.at(mark)
        out.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="small" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
        )
    out.append(
        f'<text class="small" transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{_text(y_title)}</text>"
    )
    return _svg([*out, *inner], HEIGHT + below)


def _grid_x(across: _Scale, top: float, bottom: float) -> str:
    return "".join(
        f'<path class="grid" d="M{across.at(mark):.1f} {top}V{bottom}"/>'
        f'<text class="small" x="{across.at(mark):.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>'
        for mark, text in labelled(across.marks)
    )


def _title_x(text: str, height: float) -> str:
    return f'<text class="small" x="{WIDTH / 2:.0f}" y="{height - 6}" text-anchor="middle">{_text(text)}</text>'


def _svg(inner: Sequence[str], height: float) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(inner)}</svg>'


def _short(text: str, length: int) -> str:
    text = plain(text)
    return text if len(text) <= length else text[: length - 1] + "…" if length > 2 else ""


def _text(text: str) -> str:
    return escape(plain(text))
