"""A confirmation before something is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Confirm(ModalScreen[None]):
    """``y``, or enter on the first button, does it; ``n`` or escape cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm_yes"),
        Binding("n,escape", "answer(False)", "No", id="confirm_no"),
        Binding("left,right,h,l", "app.focus_next", "Other answer", show=False),
    ]
    DEFAULT_CSS = """
    Confirm {
        align: center middle;
        #dialog { width: 60; max-width: 100%; height: auto; border: round $warning; background: $surface;
                  padding: 1 2; }
        #answers { height: auto; margin-top: 1; }
        Button { margin-right: 2; }
    }
    """

    def __init__(self, question: str, yes: str, no: str, do: Callable[[], object]) -> None:
        super().__init__()
        self.question = question
        self.yes = yes
        self.no = no
        self.do = do

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Static(self.question, markup=False)
            with Horizontal(id="answers"):
                yield Button(f"{self.yes} (y)", id="yes", variant="warning", compact=True)
                yield Button(f"{self.no} (n)", id="no", compact=True)

    def action_answer(self, answer: bool) -> None:
        self.dismiss()
        if answer:
            self.do()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id == "yes")
