"""A pane of text: it is given new content with every snapshot, and draws only when that has changed."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

Parts = list[str | tuple[str, str]]
"""Content as a pane takes it: texts, and texts with a style."""


class Pane(Static):
    """``put`` takes the content; a pane whose height follows its content says ``grows``."""

    DEFAULT_CSS = """
    Pane { height: auto; width: 1fr; }
    """
    grows = False

    _last: Content | None = None
    _last_markup: object = None

    def put(self, *parts: str | tuple[str, str] | Content) -> None:
        """Parts are texts or (text, style) pairs, shown as they are: nothing in them is markup."""
        if parts == self._last_markup:
            return
        self._last_markup = parts
        self.update(Content.assemble(*parts), layout=self.grows)
