"""The footer: the keys that work now, as many as fit."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

LAST = ("help", "quit")
"""Bindings at the end of the footer, which are never dropped."""


class FooterItem(NamedTuple):
    """An entry for one or several keys; a click presses ``key``."""

    display: str
    description: str
    key: str

    @property
    def width(self) -> int:
        return cell_len(self.display) + cell_len(self.description) + 1


class KeyFooter(Widget):
    """One widget, drawn at once: Textual's footer has one widget per key, and its creation and styling took as long as
    the rest of a screen change."""

    DEFAULT_CSS = """
    KeyFooter { dock: bottom; height: 1; background: $panel; color: $foreground; text-wrap: nowrap; }
    """
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.items: list[FooterItem] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        items = items_of(screen)
        if items != self.items:
            self.items = items
            self.refresh()

    def shown(self) -> list[tuple[int, FooterItem]]:
        """(its first cell, the item) for those that fit."""
        items, gap = fit_items(self.items, self.size.width)
        places, at = [], 0
        for item in items:
            places.append((at, item))
            at += item.width + gap
        return places

    def render(self) -> Content:
        parts: list[str | tuple[str, str]] = []
        at = 0
        for start, item in self.shown():
            parts += [" " * (start - at), (item.display, "bold $footer-key-foreground"), f" {item.description}"]
            at = start + item.width
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        for start, item in self.shown():
            if start <= event.x < start + item.width:
                self.app.simulate_key(item.key)
                return


def items_of(screen: Screen[object]) -> list[FooterItem]:
    """The screen's own keys come first, then the focused widget's and those of all screens, then the app's; help and
    quit are last. Keys of one group or action are one item."""
    own = {binding.id for binding in Binding.make_bindings(type(screen).BINDINGS)}
    found: dict[object, list[FooterItem]] = {}
    order: dict[object, tuple[bool, int]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.show or not active.enabled or not binding.description:
            continue
        group = binding.group if binding.group is not None else (active.node, binding.action)
        description = binding.group.description if binding.group is not None else binding.description
        display = screen.app.get_key_display(binding)
        if binding.group is not None or group not in found:
            found.setdefault(group, []).append(FooterItem(display, description, binding.key))
        order[group] = (binding.id in LAST, 0 if binding.id in own else 2 if active.node is screen.app else 1)
    return [
        FooterItem(" ".join(item.display for item in items), items[0].description, items[0].key)
        for group, items in sorted(found.items(), key=lambda pair: order[pair[0]])
    ]


def fit_items(items: list[FooterItem], width: int) -> tuple[list[FooterItem], int]:
    """The items that fit into ``width`` cells, and the cells between two: first the gaps shrink, then items before the
    last two are dropped, from the end."""
    kept = list(items)
    while True:
        for gap in (2, 1):
            if sum(item.width + gap for item in kept) - gap <= width:
                return kept, gap
        if len(kept) <= len(LAST):
            return kept, 1
        kept.pop(-len(LAST) - 1)
