"""Plots as SVG text, for the report: lines over time, bars with intervals, and a scatter with its front.

Colours come from the page's style sheet by class, so that one picture serves a light and a dark page; a series is told
by its mark or its label too, never by colour alone. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from msgspec import Struct

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 16, 44
LETTER = 6.5
"""The width of a letter of small text, about."""


class Bar(Struct, frozen=True):
    """One bar; ``low`` to ``high`` is its interval, where it has one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""


class Dot(Struct, frozen=True):
    label: str
    x: float
    y: float


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that span the range: steps of 1, 2 or 5 times a power of ten."""
    if not high - low > 1e-9 * max(abs(low), abs(high), 1.0):
        high = low + (abs(low) if abs(low) > 1e-9 else 1.0)
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def lines(points: Sequence[tuple[float, float]], shaded: Sequence[tuple[float, float, str]], unit: str) -> str:
    """One line over time, seconds since its first point, with windows shaded and named."""
    if not points:
        return ""
    begin = points[0][0]
    across = _scale(ticks(0.0, points[-1][0] - begin, 8), LEFT, WIDTH - RIGHT)
    up = _scale(ticks(0.0, max(value for _, value in points)), HEIGHT - BOTTOM, TOP)
    out = []
    for start, end, label in shaded:
        left, right = across.at(max(start - begin, 0.0)), across.at(min(end, points[-1][0]) - begin)
        if right > left:
            out.append(
                f'<rect class="window" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}"'
                f' height="{HEIGHT - BOTTOM - TOP}"><title>{escape(label)}</title></rect>'
                f'<text class="small" x="{left + 3:.1f}" y="{TOP + 12}">'
                f"{escape(_short(label, int((right - left) / LETTER)))}</text>"
            )
    path = " ".join(f"{across.at(time - begin):.1f},{up.at(value):.1f}" for time, value in points)
    out.append(f'<polyline class="line" points="{path}"/>')
    return _picture(out, across, up, "seconds", unit)


def bars(found: Sequence[Bar], unit: str) -> str:
    """Horizontal bars, each under its label, with error bars and their values in words."""
    if not found:
        return ""
    height = 44 * len(found) + 50
    top = max(bar.high if bar.high is not None else bar.value for bar in found)
    low = min(0.0, *(bar.low if bar.low is not None else bar.value for bar in found))
    across = _scale(ticks(low, max(top, 0.0)), RIGHT, WIDTH - 200)
    out = [_grid_x(across, 10, height - 40), _title_x(unit, height)]
    for at, bar in enumerate(found):
        y = 30 + 44 * at
        zero, end = across.at(0.0), across.at(bar.value)
        text = f"{bar.value:.4g} {unit}"
        reach = end
        out.append(
            f'<text x="{RIGHT}" y="{y - 5}">{escape(bar.label)}</text>'
            f'<rect class="bar" x="{min(zero, end):.1f}" y="{y}" width="{abs(end - zero):.1f}" height="16"/>'
        )
        if bar.low is not None and bar.high is not None:
            left, reach = across.at(bar.low), across.at(bar.high)
            text += f" ± {(bar.high - bar.low) / 2:.2g}"
            out.append(
                f'<path class="error" d="M{left:.1f} {y + 8}H{reach:.1f}'
                f'M{left:.1f} {y + 3}v10M{reach:.1f} {y + 3}v10"/>'
            )
        note = f", {bar.note}" if bar.note else ""
        out.append(f'<text class="small" x="{max(reach, end) + 6:.1f}" y="{y + 12}">{escape(text + note)}</text>')
    return _svg(out, height)


def scatter(dots: Sequence[Dot], front: Sequence[int], x_title: str, y_title: str) -> str:
    """Points with numbers, those of the front filled and joined; the numbers are explained below the picture."""
    if not dots:
        return ""
    across = _scale(ticks(min(dot.x for dot in dots), max(dot.x for dot in dots), 8), LEFT, WIDTH - RIGHT)
    up = _scale(ticks(min(dot.y for dot in dots), max(dot.y for dot in dots)), HEIGHT - BOTTOM, TOP)
    path = " ".join(f"{across.at(dots[at].x):.1f},{up.at(dots[at].y):.1f}" for at in front)
    out = [f'<polyline class="front" points="{path}"/>']
    for at, dot in enumerate(dots):
        x, y = across.at(dot.x), up.at(dot.y)
        kind = "best" if at in front else "dot"
        title = f"{dot.label}: {dot.x:.4g}, {dot.y:.4g}"
        out.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(title)}</title></circle>'
            f'<text class="small" x="{x + 8:.1f}" y="{y - 6:.1f}">{at + 1}</text>'
        )
    return _picture(out, across, up, x_title, y_title)


class _Scale(Struct, frozen=True):
    marks: tuple[float, ...]
    at: Callable[[float], float]


def _scale(marks: Sequence[float], begin: float, end: float) -> _Scale:
    low, high = marks[0], marks[-1]
    return _Scale(tuple(marks), lambda value: begin + (value - low) / (high - low) * (end - begin))


def _picture(inner: Sequence[str], across: _Scale, up: _Scale, x_title: str, y_title: str) -> str:
    out = [_grid_x(across, TOP, HEIGHT - BOTTOM), _title_x(x_title, HEIGHT)]
    for mark in up.marks:
        y = up.at(mark)
        out.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="small" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{mark:g}</text>'
        )
    out.append(
        f'<text class="small" transform="translate(14 {HEIGHT / 2:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    return _svg([*out, *inner], HEIGHT)


def _grid_x(across: _Scale, top: float, bottom: float) -> str:
    return "".join(
        f'<path class="grid" d="M{across.at(mark):.1f} {top}V{bottom}"/>'
        f'<text class="small" x="{across.at(mark):.1f}" y="{bottom + 16}" text-anchor="middle">{mark:g}</text>'
        for mark in across.marks
    )


def _title_x(text: str, height: float) -> str:
    return f'<text class="small" x="{WIDTH / 2:.0f}" y="{height - 6}" text-anchor="middle">{escape(text)}</text>'


def _svg(inner: Sequence[str], height: float) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" xmlns="http://www.w3.org/2000/svg">{"".join(inner)}</svg>'


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…" if length > 2 else ""
