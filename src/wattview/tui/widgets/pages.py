"""The pages of one screen, in a line: left and right switch, a click selects."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget


class Pages(Widget):
    """The active page is bracketed as well as coloured."""

    DEFAULT_CSS = """
    Pages { height: 1; padding: 0 1; color: $foreground; }
    """

    class Chosen(Message):
        def __init__(self, page: str) -> None:
            super().__init__()
            self.page = page

    def __init__(self, titles: Sequence[str], current: str) -> None:
        super().__init__()
        self.titles = tuple(titles)
        self.current = current

    def show(self, page: str) -> None:
        if page != self.current:
            self.current = page
            self.refresh()

    def beside(self, step: int) -> str:
        """The title of the page ``step`` pages further, limited to the first and the last."""
        here = self.titles.index(self.current)
        return self.titles[max(0, min(len(self.titles) - 1, here + step))]

    def render(self) -> Content:
        return Content.assemble(
            *(
                (f"‹{title}›", "bold $primary") if title == self.current else (f" {title} ", "$muted")
                for title in self.titles
            )
        )

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        x = offset.x if offset is not None else -1
        for title in self.titles:
            x -= len(title) + 2
            if x < 0 <= x + len(title) + 2:
                self.post_message(self.Chosen(title))
                return
