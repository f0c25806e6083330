"""The frame of a full screen (heading, body, filter, keys) at every size, and the actions of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from wattview.tui.export import deliver, row_text, table_csv
from wattview.tui.widgets.banner import Banner
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.key_footer import KeyFooter
from wattview.tui.widgets.table import Table


class Page(Screen[None]):
    """Subclasses define ``head()``, one line, and ``content()``. Exported files are named after ``TAB``."""

    TAB: ClassVar[str] = ""
    FILTERS: ClassVar[str] = ""
    """The id of the table that ``/`` filters, if any."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="view_filter"),
        Binding("e", "export", "Export table", show=False, id="view_export"),
        Binding("y", "copy", "Copy row", show=False, id="view_copy"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-middle"), (160, "-wide")]  # noqa: RUF012  declared by the toolkit
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-tall"), (50, "-high")]  # noqa: RUF012  declared by the toolkit

    DEFAULT_CSS = """
    Page {
        background: $background;
        & > #body { height: 1fr; }
        &.-stale > #body { opacity: 55%; }
        &.-stale:ansi > #body * { text-style: dim; }
        .box { border: round $border-blurred; border-title-color: $foreground; border-title-style: bold;
               border-subtitle-color: $muted; padding: 0 1; }
        .box:focus, .box:focus-within { border: round $border; border-title-color: $primary; }
    }
    """

    def compose(self) -> ComposeResult:
        yield self.head()
        yield Banner()
        with Vertical(id="body"):
            yield from self.content()
        if self.FILTERS:
            yield FilterBar(self.FILTERS)
        yield KeyFooter()

    def head(self) -> Widget:
        raise NotImplementedError

    def content(self) -> Iterator[Widget]:
        raise NotImplementedError

    async def on_event(self, event: events.Event) -> None:
        """Textual restyles all widgets of a screen that becomes active. Their styles are current, unless the theme
        changed meanwhile."""
        if isinstance(event, events.ScreenResume):
            event.refresh_styles = self._css_update_count != self.app._css_update_count
            self._css_update_count = self.app._css_update_count
        await super().on_event(event)

    def _compositor_refresh(self) -> None:
        """Textual draws a whole screen, and right after it once more what its widgets had changed before."""
        if self.size.region in self._compositor._dirty_regions:
            for widget in self._compositor.visible_widgets:
                widget._exchange_repaint_regions()
        super()._compositor_refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.FILTERS) if action == "filter" else True

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    async def action_export(self) -> None:
        """Exports the focused table as a CSV file."""
        if not isinstance(self.focused, Table):
            return
        try:
            told = await deliver(self.app, table_csv(self.focused).encode(), self.TAB, "csv")
        except OSError as error:
            self.notify(str(error), title="The table was not exported", severity="error")
        else:
            self.notify(told.text, title=told.title)

    def action_copy(self) -> None:
        """Copies the row under the cursor to the terminal's clipboard."""
        text = row_text(self.focused) if isinstance(self.focused, Table) else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text.splitlines()[0], title="Copied")
