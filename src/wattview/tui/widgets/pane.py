"""A pane of text: it is given new content with every snapshot, and draws only when that has changed."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from wattview.foreign_text import clean

Parts = list[str | tuple[str, str]]
"""Content as a pane takes it: texts, and texts with a style."""


class Pane(Static):
    """``put`` takes the content; a pane whose height follows its content says ``grows``."""

    DEFAULT_CSS = """
    Pane { height: auto; width: 1fr; }
    """
    grows = False

    _last: object = None

    def put(self, *parts: str | tuple[str, str] | Content) -> None:
        """Parts are texts or (text, style) pairs, shown as they are: nothing in them is markup."""
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
    """Gives a widget's border a title, and a subtitle where one is said; neither is markup. Only what has changed is
    set: with a title Textual draws the whole widget anew."""
    content = title if isinstance(title, Content) else heading(title)
    if content.markup != (widget.border_title or ""):
        widget.border_title = content
    if subtitle is not None and (below := heading(subtitle)).markup != (widget.border_subtitle or ""):
        widget.border_subtitle = below


def heading(text: str) -> Content:
    """A border's title or subtitle from a text of elsewhere, shown as it is."""
    return Content(clean(text).replace("\n", "·"))
