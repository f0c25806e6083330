"""A page of the results that asks the daemon about the selected runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select

from wattview.client import CallRefused, Client, ClientError
from wattview.model import Setting
from wattview.tui.widgets.pane import Pane, Parts

PATIENCE_SECONDS = 0.2
"""How long a field must be unchanged before the question is sent."""

NARROWER = "Mark scenarios or runs with space: to use only their runs."


class QuestionPage(Widget):
    """``ask`` sets the runs, none for all. ``TABLE`` is the id of the table that gets the keys. A page with a form has
    boxes of the classes ``form``, ``fields`` and ``answer``."""

    TABLE: ClassVar[str] = ""
    DEFAULT_CSS = """
    QuestionPage {
        layout: vertical;
        .form { height: auto; }
        .fields { height: 1; padding: 0 1; }
        .fields Label { color: $muted; padding: 0 1 0 0; }
        .fields Input { width: 6; margin-right: 2; background: $panel; }
        .fields Input:focus { text-style: underline; }
        .fields Select { width: 14; }
        .answer { height: auto; padding: 0 1; margin-top: 1; }
    }
    """

    class Said(Message):
        """Text for the area below the page, about the row under the cursor."""

        def __init__(self, question: QuestionPage, parts: Parts) -> None:
            super().__init__()
            self.question = question
            self.parts = parts

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.runs: tuple[str, ...] = ()
        self.client: Client | None = None

    def on_mount(self) -> None:
        for answer in self.query(".answer").results(Pane):
            answer.grows = True
        for field in self.query(Input):
            field.cursor_blink = False

    def ask(self, client: Client, runs: Sequence[str], settings: Sequence[Setting] = ()) -> None:
        """``settings`` are the measured ones, from which a form may start."""
        self.client, self.runs = client, tuple(runs)
        self.suggest(settings)
        self.put_question(client)

    def suggest(self, settings: Sequence[Setting]) -> None:
        """An unchanged form may use these for its first question."""

    def put_question(self, client: Client) -> None:
        """Sends the page's current question to the daemon."""
        raise NotImplementedError

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self) -> None:
        if self.client is not None:
            self.edited()
            self.put_question(self.client)

    def edited(self) -> None:
        """The user has changed the question."""

    @property
    def asked_about(self) -> str:
        return f"{len(self.runs)} runs" if len(self.runs) > 1 else self.runs[0] if self.runs else "all runs"


def refused(error: ClientError, hint: str = NARROWER) -> Parts:
    """Why there is no answer and, if the runs are the cause, how to fix it."""
    parts: Parts = [(str(error), "$text-error")]
    if isinstance(error, CallRefused) and error.field == "runs":
        parts.append(f"\n{hint}")
    return parts
