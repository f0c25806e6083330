"""What every screen of the dashboard is: tabs above, keys below, and one method that shows a picture.

A picture is the last snapshot with its trails and the state of the line. A screen renders what it is given; when it
comes to the front it is given the latest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from textual.widget import Widget

from wattview.model import ProbeStatus, Snapshot
from wattview.tui.feed import Link
from wattview.tui.page import Page
from wattview.tui.trails import Trails
from wattview.tui.widgets.banner import Banner
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


class View(Page):
    """A screen of the dashboard. Subclasses say ``content()`` and ``show()``; ``TAB`` is the tab they belong to."""

    def head(self) -> Widget:
        return Tabs(self.TAB)

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
