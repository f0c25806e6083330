"""What Textual keeps of drawn lines: a strip keeps the pieces that were cut from it, each with seven caches of its own.

That is a kilobyte a piece, for every line of every screen, shown or not, and the memory of a peak does not return to
the system: Python's blocks of memory stay in use as long as one object in each does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual._styles_cache import StylesCache
from textual.dom import DOMNode
from textual.strip import Strip
from textual.widget import Widget

_divide = Strip.divide


def let_go_of_strips() -> None:
    """From now on a strip is gone with the last that shows it. One that is not cut at all is its own piece, which
    Textual lets it keep: a cycle, so that thousands of lines and all their pieces waited for the next full
    collection."""
    Strip.divide = _divided  # type: ignore[assignment]


def _divided(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    length = strip.cell_length
    inside = [cut for cut in cuts if cut <= length]
    return [strip] if inside == [length] else _divide(strip, inside)


def forget_drawn(nodes: Iterable[DOMNode]) -> None:
    """Drops the drawn lines of widgets, most of which are on screens that are not shown or closed, and the codes of
    styles: up to 16,384, among them one for each place that a text has had in its widget, which takes days to fill.
    What is shown is drawn again when it changes; a style in use keeps its codes itself."""
    for node in nodes:
        if isinstance(node, Widget):
            node._styles_cache.clear()
    StylesCache.get_inner_outer.cache_clear()  # keeps the lines of 1,024 widgets, whether they still exist or not
    Strip.blank.cache_clear()
    Strip.render_ansi.cache_clear()
