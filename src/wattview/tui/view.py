"""What every screen of the dashboard is: tabs above, keys below, and one method that shows a picture.

A picture is the last snapshot with its trails and the state of the line. A screen renders what it is given; when it
comes to the front it is given the latest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer

from wattview.model import ProbeStatus, Snapshot
from wattview.tui.export import row_text, save
from wattview.tui.feed import Link
from wattview.tui.trails import Trails
from wattview.tui.widgets.banner import Banner
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tabs

if TYPE_CHECKING:
    from wattview.tui.app import Dashboard


class Picture(NamedTuple):
    """Everything that a screen shows. ``snapshot`` is None before the first; ``age_seconds``: since it arrived,
    or since the dashboard began to wait for it."""

    snapshot: Snapshot | None
    trails: Trails
    link: Link
    age_seconds: float | None = None
    paused: bool = False

    def probe(self, name: str) -> ProbeStatus | None:
        """The state of a source, which says why a part of the picture is empty."""
        return None if self.snapshot is None else probe(self.snapshot, name)


def probe(snapshot: Snapshot, name: str) -> ProbeStatus | None:
    return next((status for status in snapshot.probes if status.probe == name), None)


def why_empty(picture: Picture, name: str, otherwise: str) -> str:
    """What to say where a part is empty: what is missing and the way out, in the probe's own words."""
    if picture.snapshot is None:
        return "waiting for the daemon"
    status = picture.probe(name)
    if status is None or status.state in ("ok", "unread"):
        return otherwise
    return f"{status.reason or status.state}; {status.fix}" if status.fix else status.reason or status.state


class View(Screen[None]):
    """A screen of the dashboard. Subclasses say ``content()`` and ``show()``; ``TAB`` is the tab they belong to."""

    TAB: ClassVar[str] = ""
    FILTERS: ClassVar[str] = ""
    """The id of the table that ``/`` filters, where there is one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/", id="view_filter"),
        Binding("e", "export", "Export table", show=False, id="view_export"),
        Binding("y", "copy", "Copy row", show=False, id="view_copy"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-middle"), (160, "-wide")]  # noqa: RUF012  declared by the toolkit
    VERTICAL_BREAKPOINTS = [(0, "-low"), (32, "-tall"), (50, "-high")]  # noqa: RUF012  declared by the toolkit

    DEFAULT_CSS = """
    View {
        background: $background;
        & > #body { height: 1fr; }
        &.-stale > #body { text-opacity: 55%; }
        .box { border: round $border-blurred; border-title-color: $foreground; border-title-style: bold;
               border-subtitle-color: $muted; padding: 0 1; }
        .box:focus, .box:focus-within { border: round $border; border-title-color: $primary; }
    }
    """

    def compose(self) -> ComposeResult:
        yield Tabs(self.TAB)
        yield Banner()
        with Vertical(id="body"):
            yield from self.content()
        if self.FILTERS:
            yield FilterBar(self.FILTERS)
        yield Footer(compact=True, show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.FILTERS) if action == "filter" else True

    def action_filter(self) -> None:
        self.query_one(FilterBar).open()

    def action_export(self) -> None:
        """The table that has the focus, as a CSV file in the directory that the dashboard was started in."""
        if not isinstance(self.focused, Table):
            return
        try:
            path = save(self.focused, self.TAB, Path.cwd())
        except OSError as error:
            self.notify(str(error), title="The table was not exported", severity="error")
        else:
            self.notify(str(path), title="Exported")

    def action_copy(self) -> None:
        """The row under the cursor, to the terminal's clipboard."""
        text = row_text(self.focused) if isinstance(self.focused, Table) else ""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text.splitlines()[0], title="Copied")

    def content(self) -> Iterator[Widget]:
        raise NotImplementedError

    def show(self, picture: Picture) -> None:
        raise NotImplementedError

    @property
    def dashboard(self) -> Dashboard:
        return cast("Dashboard", self.app)

    def paint(self, picture: Picture) -> None:
        """Called by the app: the frame, then the body."""
        if not self.query("Tabs") or not self.query("Footer"):
            return  # the screen is being made or taken down
        self.query_one(Tabs).show(picture.snapshot, picture.paused)
        self.query_one(Banner).show(picture.link, picture.age_seconds, picture.paused)
        self.set_class(picture.link.state == "lost" and picture.snapshot is not None, "-stale")
        self.show(picture)

    def on_screen_resume(self) -> None:
        self.paint(self.dashboard.picture)
