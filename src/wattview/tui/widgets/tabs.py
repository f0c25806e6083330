"""The top line of every screen: all screens, their keys, and the active one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from wattview.foreign_text import clean
from wattview.model import Snapshot
from wattview.tui.text import clock


class Tab(NamedTuple):
    """A screen's key, its name as a mode of the app, its title, and a short title for narrow terminals."""

    key: str
    mode: str
    title: str
    short: str = ""


class Tabs(Widget):
    """One line; the active screen is bracketed as well as coloured. A click switches."""

    DEFAULT_CSS = """
    Tabs { height: 1; background: $panel; color: $foreground; }
    """

    class Chosen(Message):
        def __init__(self, mode: str) -> None:
            super().__init__()
            self.mode = mode

    def __init__(self, current: str, tabs: Sequence[Tab]) -> None:
        super().__init__()
        self.current = current
        self.tabs = tabs
        self._right = ""

    def show(self, snapshot: Snapshot | None, state: str = "") -> None:
        """``state``: a word for a picture that is not live."""
        host = clean(snapshot.host.hostname) if snapshot is not None and snapshot.host is not None else ""
        moment = clock(snapshot.time) if snapshot is not None else ""
        right = "  ".join(text for text in (host, state, moment) if text)
        if right != self._right:
            self._right = right
            self.refresh()

    def _parts(self, short: bool) -> list[tuple[str, str]]:
        return [(f"{tab.key} {(short and tab.short) or tab.title}", tab.mode) for tab in self.tabs]

    def _shown(self) -> list[tuple[str, str]]:
        full = self._parts(short=False)
        return full if sum(len(text) + 2 for text, _ in full) <= self.size.width else self._parts(short=True)

    def render(self) -> Content:
        parts: list[tuple[str, str] | str] = []
        length = 0
        for text, mode in self._shown():
            here = mode == self.current
            parts.append((f"‹{text}›", "bold $primary reverse") if here else (f" {text} ", "$muted"))
            length += len(text) + 2
        room = self.size.width - length - 1
        right = self._right
        while len(right) > room and "  " in right:
            right = right.split("  ", 1)[1]
        if len(right) <= room:
            parts.append(" " * (room - len(right)))
            parts.append((right, "$muted"))
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        x = event.x
        for text, mode in self._shown():
            x -= len(text) + 2
            if x < 0:
                self.post_message(self.Chosen(mode))
                return
