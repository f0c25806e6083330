"""Help: the keys that work on the screen below, generated from the bindings themselves."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from wattview.tui.widgets.table import Table

SCREENS = "Screens"

SIGNS = (
    ("~", "an estimate, not a measurement"),
    ("!", "needs attention: the note says why"),
    ("±", "bound on the error (of repeats: 95 % interval)"),
    ("≠  =", "in comparisons: significant; not significant"),
    ("—", "unknown, which is never 0"),
    ("✓ ○ ✗", "works; absent; broken or refused"),
    ("●", "marked; in the scatter plot: Pareto front"),
    ("W include …", "with a share of idle power; i leaves it out"),
)
"""What the signs of all screens mean."""


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss(None)", "Close"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
    ]
    DEFAULT_CSS = """
    Help {
        align: center middle;
        #dialog { width: 78; max-width: 100%; height: auto; max-height: 90%; border: round $border;
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
        for title, lines in [*self._groups, ("Signs", list(SIGNS))]:
            parts.append((f"{title}\n", "bold $primary"))
            half = -(-len(lines) // 2) if title != "Signs" else len(lines)
            for left, right in zip_longest(lines[:half], lines[half:]):
                parts += [(f"  {left[0]:<12}", "bold"), f"{left[1]:<22}" if right is not None else left[1]]
                parts += [(f"{right[0]:<12}", "bold"), right[1]] if right is not None else []
                parts.append("\n")
        return Content.assemble(*parts)

    def action_scroll(self, step: int) -> None:
        self.query_one("#dialog").scroll_relative(y=step, animate=False)


def key_groups(screen: Screen[Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(title, [(keys, meaning)]) for everything that the screen, its focused widget and the app answer to. The keys of
    the tabs are one line: the tabs themselves name them."""
    groups: dict[str, dict[str, list[str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.id is None or not active.enabled:
            continue  # keys without a name are the toolkit's own
        tab = binding.action.startswith("go(")
        shown = screen.app.get_key_display(binding)
        lines = groups.setdefault(_title(active, screen), {}).setdefault(SCREENS if tab else binding.description, [])
        if shown not in lines:
            lines.append(shown)
    return [(title, [(_written(keys, what), what) for what, keys in lines.items()]) for title, lines in groups.items()]


def _written(keys: list[str], what: str) -> str:
    return f"{keys[0]} to {keys[-1]}" if what == SCREENS else " ".join(keys)


def _title(active: ActiveBinding, screen: Screen[Any]) -> str:
    node: DOMNode = active.node
    if node is screen.app:
        return "Everywhere"
    if isinstance(node, Table):
        return "Tables"
    return "This screen" if node is screen else type(node).__name__
