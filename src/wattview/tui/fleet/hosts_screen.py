"""The fleet: one row per host, their sum, and the power of the host under the cursor."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple, Protocol, cast

from textual.content import Content
from textual.widget import Widget

from wattview.foreign_text import clean
from wattview.tui.feed import Link
from wattview.tui.fleet import columns as fleet_columns
from wattview.tui.fleet.feed import FleetHost
from wattview.tui.page import Page
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import clock
from wattview.tui.widgets.banner import Banner
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.pane import FRAME_LINES, Pane, entitle
from wattview.tui.widgets.table import Table

GRAPH_SECONDS = 900.0
GRAPH_STEP_SECONDS = 15.0


class FleetPicture(NamedTuple):
    """Everything on a page of the fleet. ``title`` says where the rows come from, ``empty`` why there are none;
    ``link`` and ``age_seconds`` are the store's; ``now`` is Unix seconds."""

    hosts: list[FleetHost]
    title: str
    empty: str
    link: Link
    age_seconds: float | None
    paused: bool
    now: float


class FleetHead(Widget):
    """The top line: where the rows come from, and the time."""

    DEFAULT_CSS = """
    FleetHead { height: 1; background: $panel; color: $foreground; }
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._texts = ("", "")

    def show(self, picture: FleetPicture) -> None:
        texts = (clean(picture.title), ("paused  " if picture.paused else "") + clock(picture.now))
        if texts != self._texts:
            self._texts = texts
            self.refresh()

    def render(self) -> Content:
        title, right = self._texts
        name = f"‹{self._name}›"
        room = self.size.width - len(name) - len(right) - 3
        title = title if len(title) <= room else title[: max(0, room - 1)] + "…"
        return Content.assemble(
            (name, "bold $primary reverse"), (f"  {title:<{max(0, room)}} ", "$muted"), (right, "$muted")
        )


class FleetHosts(Protocol):
    """What the fleet's pages need of their app."""

    place: CursorPlace

    @property
    def picture(self) -> FleetPicture: ...

    def open_host(self, host: FleetHost) -> None: ...


class FleetPage(Page):
    """Common parts of the fleet's two pages: their heading, and the picture of the fleet's app."""

    def head(self) -> Widget:
        return FleetHead(self.head_name)

    @property
    def head_name(self) -> str:
        return "Fleet"

    @property
    def fleet_app(self) -> FleetHosts:
        return cast(FleetHosts, self.app)

    def paint(self, picture: FleetPicture) -> None:
        """Called by the app: the frame, then the body."""
        if not self.query("FleetHead") or not self.query("KeyFooter"):
            return  # the screen is being mounted or removed
        self.query_one(FleetHead).show(picture)
        self.query_one(Banner).show(picture.link, picture.age_seconds, picture.paused, "store")
        self.set_class(picture.link.state == "lost" and bool(picture.hosts), "-stale")
        self.show(picture)

    def show(self, picture: FleetPicture) -> None:
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        self.paint(self.fleet_app.picture)


class Fleet(FleetPage):
    TAB = "fleet"
    FILTERS = "hosts"

    DEFAULT_CSS = """
    Fleet {
        #sum { height: 3; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        #hosts { height: 1fr; }
        #facts { height: 2; padding: 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
        #trend { height: 1fr; min-height: 8; }
        &.-low #trend { min-height: 6; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border-top: solid $border; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Pane(id="sum")
        yield Table(fleet_columns.HOSTS, lambda host: host.key, opens=True, id="hosts", classes="box")
        yield Pane(id="facts")
        yield Graph("W", least=10.0, id="trend", classes="box")

    def on_mount(self) -> None:
        self.fleet_app.place.restore(self)
        self.query_one("#hosts").border_subtitle = "enter opens a host"
        self.query_one("#hosts").focus()

    def show(self, picture: FleetPicture) -> None:
        table: Table[FleetHost] = self.query_one("#hosts", Table)
        waiting = picture.link.state == "connecting"
        table.show(picture.hosts, "waiting for the store" if waiting else picture.empty, tell=False)
        entitle(table, fleet_columns.states_title(picture.hosts, len(table.rows)))
        # Few hosts need few lines, and the graph gets the rest; with many, it has its minimum height.
        lines = len(picture.hosts) + FRAME_LINES
        table.styles.height = lines if picture.hosts and lines < self.size.height // 2 else "2fr"
        self.query_one("#sum", Pane).put(*fleet_columns.sum_parts(picture.hosts))
        self._draw(table.row)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        self._draw(message.row)

    def on_table_opened(self, message: Table.Opened) -> None:
        self.fleet_app.open_host(message.row)

    def _draw(self, host: FleetHost | None) -> None:
        for part in ("#facts", "#trend"):
            self.query_one(part).display = host is not None
        if host is None:
            return
        self.query_one("#facts", Pane).put(*fleet_columns.facts(host))
        graph = self.query_one("#trend", Graph)
        entitle(graph, f"Power of {host.row.host}, last 15 minutes")
        end = host.now or GRAPH_SECONDS
        graph.show([Series(host.trend)], end - GRAPH_SECONDS, end, step_seconds=GRAPH_STEP_SECONDS)


class CursorPlace:
    """The cursor, sorting and filter at the moment a host was opened."""

    def __init__(self) -> None:
        self.cursor: Hashable = None
        self.sort: int | None = None
        self.descending = False
        self.filter = ""

    def keep(self, page: Fleet) -> None:
        table: Table[FleetHost] = page.query_one("#hosts", Table)
        self.filter = page.query_one(FilterBar).value
        self.cursor = table.row.key if table.row is not None else None
        self.sort, self.descending = table.sort_column, table.descending

    def restore(self, page: Fleet) -> None:
        table: Table[FleetHost] = page.query_one("#hosts", Table)
        bar = page.query_one(FilterBar)
        bar.value = self.filter
        bar.set_class(bool(self.filter), "-open")
        table.sort_column, table.descending = self.sort, self.descending
        table.go_to(self.cursor)
