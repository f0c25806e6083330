"""Asks for a time to travel to."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from wattview.times import NoTime, moment_of

HINT = "14:30, 2026-11-24 14:30:05, 20 min or 2 h ago"


class GoTo(ModalScreen[float | None]):
    """Its result is the moment in Unix seconds; None if cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Stay here")]
    DEFAULT_CSS = """
    GoTo {
        align: center middle;
        #dialog { width: 56; max-width: 100%; height: auto; border: round $border; border-title-color: $primary;
                  border-title-style: bold; background: $surface; padding: 0 2; }
        #hint { color: $muted; height: auto; }
        #hint.-wrong { color: $text-error; }
    }
    """

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Input(placeholder="a time", compact=True, id="time")
            yield Static(HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = "Go to a time"
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _go(self, message: Input.Submitted) -> None:
        hint = self.query_one("#hint", Static)
        try:
            at = moment_of(message.value, self._now)
        except NoTime as error:
            hint.add_class("-wrong")
            hint.update(str(error))
        else:
            self.dismiss(at)
