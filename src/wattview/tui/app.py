"""The dashboard: one app with nine screens, connected to one daemon.

A worker follows the daemon and posts immutable snapshots; the app keeps the last one, and the active screen renders it,
once per snapshot. Key handlers never wait for the daemon.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import time as wall_clock
from typing import Any, ClassVar, cast

from textual import events, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen

from wattview.client import Address, Client, ClientError
from wattview.config import Tui
from wattview.model import Run, Snapshot
from wattview.tui.base_app import KEYS, MOST_TOASTS, key_names
from wattview.tui.events import Lines
from wattview.tui.feed import Link, LinkChanged, SnapshotArrived, follow
from wattview.tui.fleet.remote_encoders import RemoteEncoders
from wattview.tui.results.screen import ResultsScreen
from wattview.tui.runs.runs_app import RUN_KEYS, RunsApp
from wattview.tui.screens.confirm import Confirm
from wattview.tui.screens.details import Details
from wattview.tui.time_travel.trend_backfill import backfill_or_none
from wattview.tui.time_travel.trend_buffers import TrendBuffers
from wattview.tui.view import LoadedView, Picture, View
from wattview.tui.views import DETAILS, TABS, VIEWS
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tabs

AGE_TICK_SECONDS = 1.0
AHEAD_SECONDS = 1.0
"""Idle time after the first picture before the other screens are created."""

HAND_SECONDS = 0.4
"""No screen is created in advance while keys are pressed, and for this long after."""

TOAST_SECONDS = 60.0
"""An older alert is only a line in the log, not a toast."""

ENDINGS: dict[str, tuple[str, SeverityLevel]] = {
    "done": ("Run finished", "information"),
    "aborted": ("Run aborted", "warning"),
    "failed": ("Run failed", "error"),
    "interrupted": ("Run interrupted", "error"),
}


class Dashboard(RunsApp):
    """The dashboard of the daemon at ``client_url`` (``unix:///path`` or ``http://host:port`` with ``token``).

    ``in_fleet``: it was opened from the fleet page, and a key leads back there; its result is then ``fleet``.
    ``others`` are other machines' names and daemons, which know encoders there. ``replay`` is the id of a run to
    replay first. ``owns_daemon``: the daemon, and a run in progress, end with the dashboard.
    """

    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {view.TAB: view for view in VIEWS}
    tabs = TABS
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(tab.key, f"go('{tab.mode}')", tab.title, show=False, id=f"go_{tab.mode}") for tab in TABS),
        Binding("0", "fleet", "Fleet", id="fleet"),
        *RUN_KEYS,
        *KEYS,
    ]

    def __init__(
        self,
        client_url: str,
        token: str = "",
        settings: Tui | None = None,
        *,
        interval: float = 1.0,
        in_fleet: bool = False,
        replay: str = "",
        ca_file: str = "",
        owns_daemon: bool = False,
        others: Sequence[tuple[str, Address]] = (),
    ) -> None:
        super().__init__(settings if settings is not None else Tui())
        self.client = Client(client_url, token, ca_file=ca_file)
        self.interval = interval
        self.in_fleet = in_fleet
        self.remote = RemoteEncoders(others)
        self.trends = TrendBuffers()
        self.link = Link()
        self.latest: Snapshot | None = None
        self.held: Snapshot | None = None
        self.events = Lines()
        self._arrived = time.monotonic()
        self._lost_since: float | None = None
        self._retry_at = 0.0
        self._retry_now = asyncio.Event()
        self._pressed = 0.0
        self._to_replay = replay
        self._owns_daemon = owns_daemon
        self._seeded = False
        self._hearing = False

    # the picture

    @property
    def picture(self) -> Picture:
        now = time.monotonic()
        link = self.link
        if link.state == "lost":
            link = link._replace(retry_seconds=max(0.0, self._retry_at - now))
        age = now - self._arrived
        if self.playback is not None and self.shown_past is not None:
            return Picture(*self.shown_past, link, age, playback=self.playback)
        shown = self.held if self.held is not None else self.latest
        return Picture(shown, self.trends, link, age, self.held is not None)

    @property
    def now(self) -> float:
        """The daemon's time of its last snapshot."""
        return self.latest.time if self.latest is not None else wall_clock()

    def paint(self) -> None:
        """Renders the picture on the active screen; a screen visible under a dialog is updated too."""
        super().paint()
        picture = self.picture
        with self.batch_update():
            for screen in reversed(self.screen_stack):
                if isinstance(screen, View) and screen.is_mounted:
                    screen.paint(picture)
                if not screen.is_modal:
                    return

    def on_mount(self) -> None:
        self.switch_mode("overview")
        self.check_settings(key_names([type(self), Table, FilterBar, *VIEWS, View]))
        self._follow()
        self.set_interval(AGE_TICK_SECONDS, self._age)

    @work(name="feed", exit_on_error=False)
    async def _follow(self) -> None:
        await follow(self.client, self.post_message, self._retry_now, self.interval)

    def _age(self) -> None:
        """Updates the banner's times while the daemon is silent."""
        if self.link.state != "live" or time.monotonic() - self._arrived > 2 * self.interval + 1:
            self.paint_soon()

    def on_snapshot_arrived(self, message: SnapshotArrived) -> None:
        before, self.latest = self.latest, self.remote.completed(message.snapshot)
        self._arrived = time.monotonic()
        self.trends.record(self.latest)
        if self.remote.due(message.snapshot):
            self._ask_others(message.snapshot)
        if message.snapshot.last_event > self.events.last_event and not self._hearing:
            self._hearing = True
            self._hear(message.snapshot.time)
        if before is None:
            self.set_timer(AHEAD_SECONDS, self._make_ahead)
        if not self._seeded:
            self._seeded = True
            self._seed(message.snapshot.time)
        if self._to_replay:
            self.replay(self._to_replay)
            self._to_replay = ""
        if _run_key(before) != _run_key(self.latest):
            self._run_changed(before.run if before is not None else None, self.latest.run)
        self.paint_soon()

    def on_link_changed(self, message: LinkChanged) -> None:
        if message.link.state != self.link.state:
            if message.link.state == "lost":
                self.events.say(self._daemons_time(), "error", f"daemon {self.client.url}", message.link.reason)
            elif self.link.state == "lost":
                self.events.say(self._daemons_time(), "info", f"daemon {self.client.url}", "answers again")
        self.link = message.link
        self._retry_at = time.monotonic() + message.link.retry_seconds
        if message.link.state == "lost":
            self._seeded = False
        self.paint_soon()

    def _daemons_time(self) -> float:
        """The current time by the daemon's clock, as in its events; by our own until that is known."""
        return wall_clock() if self.latest is None else self.latest.time + time.monotonic() - self._arrived

    @work(name="ahead", group="ahead", exit_on_error=False)
    async def _make_ahead(self) -> None:
        """Creates the screens that were not visited yet, so that the first visit is as quick as any other."""
        for mode in self.MODES:
            await self._no_key()
            if not self.is_running:
                return  # no screen can be added to an app that closes its screens
            await self._init_mode(mode)
        for kind, mode in (("container", "workloads"), ("stream", "streams")):
            await self._no_key()
            if not self.is_running:
                return
            details = self._details(mode, kind)
            await self._get_screen(details)[1]
            details.post_message(events.ScreenResume())  # as a mode's screen is told: it is laid out

    async def _no_key(self) -> None:
        await asyncio.sleep(HAND_SECONDS if time.monotonic() - self._pressed < HAND_SECONDS else 0)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key):
            self._pressed = time.monotonic()
        await super().on_event(event)

    @work(exit_on_error=False)
    async def _hear(self, now: float) -> None:
        """The daemon's new events; alerts are toasts as well."""
        try:
            told = await self.client.events(self.events.last_event)
        except ClientError:
            return  # the next snapshot asks again
        finally:
            self._hearing = False
        alerts = [event for event in self.events.add(told) if event.alert and now - event.time <= TOAST_SECONDS]
        room = max(0, MOST_TOASTS - len(self._notifications))
        for event in alerts[:room]:
            self.notify(event.text, title=event.about, severity="error" if event.level == "error" else "warning")
        if len(alerts) > room:
            self.notify("9 shows all of them.", title="More alerts", severity="warning")
        self.paint_soon()

    @work(exit_on_error=False)
    async def _seed(self, now: float) -> None:
        """Fills the trends with the minutes before the start, so that no graph starts empty. A missing history is not
        an error."""
        found = await backfill_or_none(self.client, now)
        if found is not None and self.latest is not None:
            found.seed(self.trends, self.latest)
            self.paint_soon()

    @work(exit_on_error=False)
    async def _ask_others(self, snapshot: Snapshot) -> None:
        await self.remote.ask(snapshot, self.client.account or "")

    def _run_changed(self, before: Run | None, now: Run | None) -> None:
        self.refresh_bindings()
        if before is None or before.state != "running" or (now is not None and now.state == "running"):
            return
        self._run_ended(before.id)

    @work(exit_on_error=False)
    async def _run_ended(self, run_id: str) -> None:
        try:
            ended = await self.client.run(run_id)
        except ClientError:
            return
        title, severity = ENDINGS.get(ended.state, ENDINGS["done"])
        self.notify(ended.error or "7 shows the results.", title=title, severity=severity)
        for screen in [*self._screens_of("results"), *self._screens_of("scenarios")]:
            if isinstance(screen, LoadedView):
                screen.run_ended()

    def _screens_of(self, mode: str) -> list[Screen[Any]]:
        return self._screen_stacks.get(mode, [])

    async def on_unmount(self) -> None:
        await self.remote.close()
        await self.client.close()

    # keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hides keys that do nothing at the moment."""
        if action == "abort":
            return self.running is not None
        if action == "fleet":
            return self.in_fleet
        return super().check_action(action, parameters)

    async def action_go(self, mode: str) -> None:
        """Shows a screen, complete."""
        if mode in self.MODES:
            with self.batch_update():
                await self.switch_mode(mode)

    def exit(self, *arguments: Any, **options: Any) -> None:
        """No screen is created while all are closed: that ends the app with a traceback."""
        self.workers.cancel_group(self, "ahead")
        super().exit(*arguments, **options)

    def action_fleet(self) -> None:
        self.exit("fleet")

    def open_details(self, kind: str, *subject: str) -> None:
        """Each tab keeps one details screen of each kind and reuses it for what is opened next."""
        details = self._details(self.current_mode, kind)
        if details not in self.screen_stack:
            details.turn_to(subject)
            self.push_screen(details)

    def _details(self, mode: str, kind: str) -> Details:
        name = f"{mode} {kind}"
        if not self.is_screen_installed(name):
            self.install_screen(DETAILS[kind](), name)
        return cast(Details, self.get_screen(name))

    def show_results(self, run_id: str) -> None:
        """Shows only the results of one run."""
        self.call_later(self._show_results, run_id)

    async def _show_results(self, run_id: str) -> None:
        await self.action_go("results")
        for screen in self._screens_of("results"):
            if isinstance(screen, ResultsScreen):
                screen.show_run(run_id)

    async def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        await self.action_go(message.mode)

    async def action_quit(self) -> None:
        """Asks for confirmation if a run would end with the dashboard."""
        run = self.running
        if run is None or not self._owns_daemon:
            await super().action_quit()
            return
        if isinstance(self.screen, Confirm):
            return
        question = f"Run {run.id} is active in the daemon that ends with this dashboard. Finished scenarios are kept."
        self.push_screen(Confirm(question, "Abort it and quit", "Stay", self.exit))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: every screen first."""
        for tab in TABS:
            yield SystemCommand(f"{tab.title}", f"Screen {tab.key}", partial(self.action_go, tab.mode))
        yield from super().get_system_commands(screen)

    def action_pause(self) -> None:
        if self.playback is not None:
            self.action_play()
            return
        self.held = self.latest if self.held is None else None
        self.paint_soon()

    def action_retry(self) -> None:
        self._retry_now.set()


def _run_key(snapshot: Snapshot | None) -> tuple[str, str] | None:
    run = snapshot.run if snapshot is not None else None
    return (run.id, run.state) if run is not None else None


def run(
    client_url: str,
    token: str = "",
    settings: Tui | None = None,
    replay: str = "",
    ca_file: str = "",
    *,
    owns_daemon: bool = False,
    memory: Path | None = None,
) -> int:
    """Runs the dashboard and returns its exit status: 0, or 1 if it crashed. ``memory`` is the file that stores the
    theme."""
    app = Dashboard(client_url, token, settings, replay=replay, ca_file=ca_file, owns_daemon=owns_daemon)
    if memory is not None:
        app.remember_theme(memory)
    app.run()
    return app.return_code or 0
