"""Help: the keys that work on the screen below, generated from the bindings themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from wattview.tui.widgets.table import Table


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss(None)", "Close"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
    ]
    DEFAULT_CSS = """
    Help {
        align: center middle;
        #dialog { width: 64; max-width: 100%; height: auto; max-height: 90%; border: round $border;
                  border-title-color: $primary; border-title-style: bold; border-subtitle-color: $muted;
                  background: $surface; padding: 0 2; }
        #keys { height: auto; }
    }
    """

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self._groups = key_groups(screen)

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog"):
            yield Static(self._text(), id="keys")

    def on_mount(self) -> None:
        dialog = self.query_one("#dialog")
        dialog.border_title = "Keys"
        dialog.border_subtitle = "esc closes"

    def _text(self) -> Content:
        parts: list[tuple[str, str] | str] = []
        for title, keys in self._groups:
            parts.append((f"{title}\n", "bold $primary"))
            for key, meaning in keys:
                parts += [(f"  {key:<16}", "bold"), f"{meaning}\n"]
        return Content.assemble(*parts)

    def action_scroll(self, step: int) -> None:
        self.query_one("#dialog").scroll_relative(y=step, animate=False)


def key_groups(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(title, [(keys, meaning)]) for all bindings of the screen, its focused widget and the app."""
    groups: dict[str, dict[str, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.id is None or not active.enabled:
            continue  # unnamed keys are Textual's own
        title = _title(active, screen)
        groups.setdefault(title, {}).setdefault(binding.description, []).append(screen.app.get_key_display(binding))
    return [(title, [(" ".join(keys), meaning) for meaning, keys in lines.items()]) for title, lines in groups.items()]


def _title(active: ActiveBinding, screen: Screen[Any]) -> str:
    node: DOMNode = active.node
    if node is screen.app:
        return "Everywhere"
    if isinstance(node, Table):
        return "Tables"
    return "This screen" if node is screen else type(node).__name__
