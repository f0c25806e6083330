"""The export dialog, with the formats of ``wattview results export``."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from wattview.model import EXPORT_FORMATS, MEDIA_TYPES
from wattview.tui.widgets.pane import Pane

TABLE = "table"

KINDS = (
    *((form.name, form.words) for form in EXPORT_FORMATS if form.name in MEDIA_TYPES),
    (TABLE, "what the table shows, as csv"),
)


class Export(ModalScreen[str | None]):
    """Its result is the selected format, or None. ``what`` names the runs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close", id="export_close")]
    DEFAULT_CSS = """
    Export {
        align: center middle;
        #dialog { width: 52; height: auto; border: round $border; background: $surface; padding: 0 1;
                  border-title-color: $primary; border-title-style: bold; }
        OptionList { height: auto; border: none; background: $surface; padding: 0; }
        OptionList:focus { border: none; }
        #what { color: $muted; margin-bottom: 1; }
    }
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Pane(id="what")
            yield OptionList(*(Option(f"{kind:<6} {words}", id=kind) for kind, words in KINDS), compact=True)

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = "Export"
        self.query_one("#what", Pane).put(f"{self.what}; enter writes the file")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
