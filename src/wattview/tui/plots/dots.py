"""Braille dots: two columns and four rows of them to a character cell, and the tone that each cell is drawn in.

Pure functions from values to a canvas, and from a canvas to texts. What one tone says is said by its pattern too, so
that a stack is read without colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the Unicode braille patterns (U+2800 …), by row from the top and column."""

PATTERNS = ("⠅", "⣿", "⢕", "⡇", "⠭")
"""The dots of a stack's layers, from the bottom: sparse, full, checkered, upright, lined."""


class Canvas(NamedTuple):
    """``masks`` are the dots of each cell, ``tones`` its colour class; rows from the top."""

    masks: list[list[int]]
    tones: list[list[str]]


def canvas_of(rows: int, cells: int) -> Canvas:
    return Canvas([[0] * cells for _ in range(rows)], [[""] * cells for _ in range(rows)])


def level(value: float, top: float, dots: int) -> int:
    """The height of a value in dots: 1 for anything that is 0, so that a measured zero is seen."""
    return max(1, min(dots, round(value / top * dots)))


def fill(values: list[float | None], top: float, canvas: Canvas) -> None:
    """The body of an area."""
    rows = len(canvas.masks)
    for x, value in enumerate(values):
        if value is None:
            continue
        for dot in range(level(value, top, 4 * rows)):
            y = 4 * rows - 1 - dot
            canvas.masks[y // 4][x // 2] |= DOTS[y % 4][x % 2]
            canvas.tones[y // 4][x // 2] = "fill"


def line(values: list[float | None], top: float, canvas: Canvas, tone: str) -> None:
    """A curve, drawn over the area."""
    rows = len(canvas.masks)
    before: int | None = None
    for x, value in enumerate(values):
        if value is None:
            before = None
            continue
        y = 4 * rows - level(value, top, 4 * rows)
        low, high = (y, y) if before is None else (min(before, y), max(before, y))
        if before is not None and high > low:
            low, high = (low, high - 1) if y == low else (low + 1, high)
        for dot in range(low, high + 1):
            if tone != "area" and canvas.tones[dot // 4][x // 2] == "fill":
                canvas.masks[dot // 4][x // 2] = 0  # a line over the area is seen by the gap around it
            canvas.masks[dot // 4][x // 2] |= DOTS[dot % 4][x % 2]
            canvas.tones[dot // 4][x // 2] = tone
        before = y


def stack(layers: Mapping[int, list[float | None]], top: float, canvas: Canvas) -> None:
    """Layers upon each other, by the number of their pattern and tone (``layer0`` …), wherever all of them are known.

    A cell bears the tone of the layer that has the most of it.
    """
    rows = len(canvas.masks)
    numbers = tuple(layers)
    heights = [_heights(column, top, 4 * rows) for column in zip(*layers.values(), strict=True)]
    for x in range((len(heights) + 1) // 2):
        pair = heights[2 * x], heights[2 * x + 1] if 2 * x + 1 < len(heights) else None
        for y, (mask, drawn, layer) in enumerate(_cells(pair, rows, numbers)):
            if drawn:
                canvas.masks[y][x] = canvas.masks[y][x] & ~drawn | mask
            if layer is not None:
                canvas.tones[y][x] = f"layer{layer}"


Heights = tuple[int, ...]
"""The upper end of each layer of a column, in dots."""


@lru_cache(maxsize=512)
def _cells(
    pair: tuple[Heights | None, Heights | None], rows: int, numbers: tuple[int, ...]
) -> list[tuple[int, int, int | None]]:
    """One column of cells, from the heights in its two columns of dots (None: unknown): of each cell the dots that are
    set, those that were decided on, and the layer that has the most. From one picture to the next most columns stay as
    they are, or move by one."""
    cells = []
    for y in range(rows):
        mask = drawn = 0
        counts: Counter[int] = Counter()
        for side, heights in enumerate(pair):
            if heights is None:
                continue
            for row in range(4):
                bit = DOTS[row][side]
                drawn |= bit
                dot = 4 * (rows - y) - 1 - row
                layer = next((number for number, height in zip(numbers, heights, strict=True) if dot < height), None)
                if layer is not None:
                    counts[layer] += 1
                    mask |= (ord(PATTERNS[layer]) - 0x2800) & bit
        cells.append((mask, drawn, min(counts, key=lambda layer: (-counts[layer], layer)) if counts else None))
    return cells


def _heights(column: tuple[float | None, ...], top: float, dots: int) -> Heights | None:
    """The upper end of each layer in dots; None where one of them is unknown."""
    total, heights = 0.0, []
    for value in column:
        if value is None:
            return None
        total += value
        heights.append(max(0, min(dots, round(total / top * dots))))
    return tuple(heights)


def runs(masks: list[int], tones: list[str], cursor: int | None, grid: bool = False) -> list[tuple[str, str]]:
    """Adjacent cells of one tone as one text; with ``grid``, blank cells are a dotted line."""
    runs: list[tuple[str, str]] = []
    for x, (mask, tone) in enumerate(zip(masks, tones, strict=True)):
        if not mask and grid:
            tone = "grid"
        if x == cursor:
            tone = "cursor"
        character = chr(0x2800 + mask) if mask else "┈" if grid else " "
        # A blank looks the same in every tone but the cursor's.
        blank = not mask and not grid and tone != "cursor"
        if runs and (runs[-1][1] == tone or (blank and runs[-1][1] != "cursor")):
            runs[-1] = (runs[-1][0] + character, runs[-1][1])
        else:
            runs.append((character, tone))
    return runs
