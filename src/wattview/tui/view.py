"""The base of the dashboard's screens: tabs above, keys below, and one method that renders a picture.

A picture is the last snapshot with its trends and the state of the connection. A screen renders what it is given; when
it becomes active it is given the latest.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol, cast

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.worker import Worker

from wattview.client import Client
from wattview.model import ProbeStatus, Snapshot
from wattview.tui.events import Lines
from wattview.tui.feed import Link
from wattview.tui.page import Page
from wattview.tui.time_travel.playback import PastPlayback
from wattview.tui.time_travel.timeline import Timeline
from wattview.tui.time_travel.trend_buffers import TrendBuffers
from wattview.tui.widgets.banner import Banner
from wattview.tui.widgets.key_footer import KeyFooter
from wattview.tui.widgets.tabs import Tab, Tabs


class Picture(NamedTuple):
    """Everything that a screen shows. ``snapshot`` is None before the first one; ``age_seconds``: since it arrived, or
    since the dashboard started to wait for it."""

    snapshot: Snapshot | None
    trends: TrendBuffers
    link: Link
    age_seconds: float | None = None
    paused: bool = False
    playback: PastPlayback | None = None
    """The snapshot's position in the past; None: it is the latest, or the one held by a pause."""

    @property
    def live(self) -> bool:
        """Whether this is live, or was when it was paused."""
        return self.playback is None and self.link.state != "lost"

    @property
    def step_seconds(self) -> float:
        """The distance of the points of its trends."""
        recorded = self.snapshot.recorded if self.snapshot is not None else None
        return recorded.interval_seconds if recorded is not None else 1.0

    @property
    def no_values(self) -> str:
        """What a graph without points says."""
        return "no values yet" if self.playback is None else "the history has none of this time"

    def probe(self, name: str) -> ProbeStatus | None:
        """The state of a source, which explains why a part of the picture is empty."""
        return None if self.snapshot is None else probe(self.snapshot, name)


def probe(snapshot: Snapshot, name: str) -> ProbeStatus | None:
    return next((status for status in snapshot.probes if status.probe == name), None)


def why_empty(picture: Picture, name: str, otherwise: str) -> str:
    """Text for an empty part: what is missing and how to fix it, in the probe's own words."""
    if picture.snapshot is None:
        return "waiting for the daemon"
    status = picture.probe(name)
    if status is None or status.state == "ok" or (status.state == "unread" and not status.reason):
        return otherwise
    return f"{status.reason or status.state}; {status.fix}" if status.fix else status.reason or status.state


class DashboardApp(Protocol):
    """What a screen may use of its app."""

    client: Client
    events: Lines
    in_fleet: bool
    latest: Snapshot | None
    tabs: tuple[Tab, ...]

    @property
    def picture(self) -> Picture: ...

    @property
    def now(self) -> float:
        """The daemon's time of its last snapshot."""

    def launch(self, preset_id: str = "") -> None:
        """Opens the launch dialog with that preset selected."""

    def open_details(self, kind: str, *subject: str) -> None:
        """Opens the screen of one thing: ``container`` by its id, ``stream`` by app and name."""

    def show_results(self, run_id: str) -> None: ...

    def replay(self, run_id: str) -> None: ...

    def action_retry(self) -> None:
        """Contacts the daemon again at once."""


class View(Page):
    """A screen of the dashboard. Subclasses define ``content()`` and ``show()``; ``TAB`` is the tab they belong to."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "account", "Include idle power", show=False, id="view_account"),
    ]

    ENTRY: ClassVar[Tab]
    """Its own tab, if it is one of ``VIEWS``."""

    STEPS: ClassVar[tuple[float, float]] = (10.0, 300.0)
    """Seconds of a small and a large step in time."""

    DEFAULT_CSS = """
    View .head { height: auto; }
    """

    def head(self) -> Widget:
        return Vertical(Tabs(self.TAB, self.dashboard.tabs), Timeline(), classes="head")

    def steps(self) -> tuple[float, float]:
        return self.STEPS

    def show(self, picture: Picture) -> None:
        raise NotImplementedError

    @property
    def dashboard(self) -> DashboardApp:
        return cast(DashboardApp, self.app)

    def paint(self, picture: Picture) -> None:
        """Called by the app: the frame, then the body."""
        try:
            tabs, _ = self.query_one(Tabs), self.query_one(KeyFooter)
        except NoMatches:
            return  # the screen is being mounted or removed
        past = picture.playback is not None
        stale = picture.link.state == "lost" and picture.snapshot is not None
        tabs.show(picture.snapshot, "past" if past else "stale" if stale else "paused" if picture.paused else "")
        self.query_one(Timeline).show(picture.playback, picture.snapshot, self.dashboard.now)
        nothing_seen = picture.link.state == "lost" and picture.snapshot is None
        self.query_one(Banner).show(picture.link, None if nothing_seen else picture.age_seconds, picture.paused)
        self.set_class(stale, "-stale")
        self.show(picture)

    def action_account(self) -> None:
        """Asks for the other account of who used the power."""
        latest = self.dashboard.latest
        use = latest.power_use if latest is not None else None
        if use is not None and use.account == "attributional":
            self.dashboard.client.account = "marginal"
            self.notify("Watts of containers and streams exclude idle power")
        else:
            self.dashboard.client.account = "attributional"
            self.notify("Watts of containers and streams include their share of idle power")

    def on_screen_resume(self) -> None:
        self.paint(self.dashboard.picture)

    def on_resize(self) -> None:
        """What is shown depends on the size."""
        if self.is_current:
            self.call_after_refresh(lambda: self.paint(self.dashboard.picture))


class LoadedView(View):
    """A screen that asks the daemon when it comes up, when a run has ended, and on request."""

    def load(self) -> Worker[None]:
        raise NotImplementedError

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.run_ended()

    def run_ended(self) -> None:
        if self.is_current:
            self.load()

    def action_load(self) -> None:
        self.dashboard.action_retry()
        self.load()
