"""Frees drawn lines that Textual would keep: a strip keeps the pieces that were cut from it, each with seven caches.

That is a kilobyte a piece, for every line of every screen, visible or not. The memory of a peak does not return to the
system: Python frees a block of memory only when no object is left in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual._styles_cache import StylesCache
from textual.dom import DOMNode
from textual.strip import Strip
from textual.widget import Widget

_divide = Strip.divide


def let_go_of_strips() -> None:
    """From now on a strip is freed with its last user. A strip that is not cut is its own piece, and Textual caches
    that piece in it: a reference cycle, so that thousands of lines and all their pieces waited for the next full
    collection."""
    Strip.divide = _divided  # type: ignore[assignment]


def _divided(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    length = strip.cell_length
    inside = [cut for cut in cuts if cut <= length]
    return [strip] if inside == [length] else _divide(strip, inside)


def forget_drawn(nodes: Iterable[DOMNode]) -> None:
    """Drops the drawn lines of widgets, most of which are on hidden or closed screens, and Textual's cache of rendered
    styles: up to 16,384 entries, one for each position that a text has had in its widget, so it takes days to fill.
    Visible lines are drawn again when they change; a style in use keeps its own codes."""
    for node in nodes:
        if isinstance(node, Widget):
            node._styles_cache.clear()
    StylesCache.get_inner_outer.cache_clear()  # keeps the lines of 1,024 widgets, whether they still exist or not
    Strip.blank.cache_clear()
    Strip.render_ansi.cache_clear()
