"""A pane of text: it gets new content with every snapshot, and redraws only if that has changed."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from wattview.foreign_text import clean

Parts = list[str | tuple[str, str]]
"""Content of a pane: texts, and texts with a style."""


def listed(facts: Iterable[tuple[str, str]], width: int) -> Parts:
    """A line for each fact, with names padded to a width."""
    return [part for name, value in facts for part in ((f"{name:<{width}}", "$muted"), f"{value}\n")]


class Pane(Static):
    """``put`` sets the content; a pane with ``grows`` has the height of its content."""

    DEFAULT_CSS = """
    Pane { height: auto; width: 1fr; }
    """
    grows = False

    _last: object = None

    def put(self, *parts: str | tuple[str, str] | Content) -> None:
        """Parts are texts or (text, style) pairs, shown literally, without markup."""
        if parts == self._last:
            return
        self._last = parts
        self.update(Content.assemble(*map(_clean, parts)), layout=self.grows)


def _clean(part: str | tuple[str, str] | Content) -> str | tuple[str, str] | Content:
    match part:
        case str():
            return clean(part)
        case (text, style):
            return clean(text), style
    return part


def entitle(widget: Widget, title: str | Content, subtitle: str | None = None) -> None:
    """Sets a widget's border title, and its subtitle if given, without markup. Only changes are set: Textual redraws
    the whole widget for a title."""
    content = title if isinstance(title, Content) else heading(title)
    if content.markup != (widget.border_title or ""):
        widget.border_title = content
    if subtitle is not None and (below := heading(subtitle)).markup != (widget.border_subtitle or ""):
        widget.border_subtitle = below


def heading(text: str) -> Content:
    """A border title or subtitle from untrusted text, shown literally."""
    return Content(clean(text).replace("\n", "·"))


FRAME_LINES = 3
"""Of a table in a box: its border and its head."""


def fit_height(widget: Widget, rows: int, most: int) -> None:
    """Gives a table, or what holds it, the height of its rows, ``most`` lines at most: a few rows leave their room to
    others. 0: the height that its style sheet says."""
    if not most:
        widget.styles.clear_rule("height")
        return
    height = max(FRAME_LINES + 2, min(rows + FRAME_LINES, most))
    if widget.styles.height is None or widget.styles.height.value != height:
        widget.styles.height = height
