"""The fleet's app: the page of many hosts, and switching to one host's dashboard and back.

Tasks outside of the apps follow the hosts for as long as the command runs. A dashboard is a separate app with its own
connection, so that no data of one host can appear on another's screen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import time as wall_clock
from typing import Any, ClassVar

import msgspec
from textual import constants
from textual.binding import BindingType
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen

from wattview.client import Address
from wattview.config import Tui
from wattview.fleet import FleetStore
from wattview.tui.app import Dashboard
from wattview.tui.base_app import KEYS, MOST_TOASTS, BaseApp, key_names
from wattview.tui.fleet.feed import FleetHost, FleetSource, LiveFleet, StoreFleet
from wattview.tui.fleet.host_screen import StoreHost
from wattview.tui.fleet.hosts_screen import CursorPlace, Fleet, FleetPage, FleetPicture
from wattview.tui.view import View
from wattview.tui.views import VIEWS
from wattview.tui.widgets.filter_bar import FilterBar
from wattview.tui.widgets.table import Table

TICK_SECONDS = 1.0


class FleetApp(BaseApp):
    """The page of the hosts of ``source``, which is followed elsewhere. Its result is the key of the host to open."""

    BINDINGS: ClassVar[list[BindingType]] = [*KEYS]

    def __init__(self, source: FleetSource, settings: Tui | None = None, place: CursorPlace | None = None) -> None:
        super().__init__(settings if settings is not None else Tui())
        self.source = source
        self.place = place if place is not None else CursorPlace()
        self._held: list[FleetHost] | None = None
        self._states: dict[str, str] = {}

    def get_default_screen(self) -> Screen[Any]:
        return Fleet()

    @property
    def picture(self) -> FleetPicture:
        source = self.source
        hosts = source.hosts() if self._held is None else self._held
        link = source.link
        age = None if link.state == "live" else source.age_seconds
        return FleetPicture(hosts, source.title, source.empty, link, age, self._held is not None, wall_clock())

    def on_mount(self) -> None:
        self.check_settings(key_names([type(self), Dashboard, Table, FilterBar, *VIEWS, View]))
        self.source.changed = self.paint_soon
        self.set_interval(TICK_SECONDS, self.paint_soon)

    def on_unmount(self) -> None:
        self.source.changed = lambda: None

    def paint(self) -> None:
        super().paint()
        picture = self.picture
        self._tell_changes(self.source.hosts())
        with self.batch_update():
            for screen in self.screen_stack:
                if isinstance(screen, FleetPage) and screen.is_mounted:
                    screen.paint(picture)

    def _tell_changes(self, hosts: Sequence[FleetHost]) -> None:
        """A toast for a host that is lost or back; one toast for many."""
        before, self._states = self._states, {host.key: host.row.state for host in hosts}
        lost = [host for host in hosts if host.row.state == "lost" and before.get(host.key) in ("live", "quiet")]
        back = [host for host in hosts if host.row.state == "live" and before.get(host.key) == "lost"]
        kinds: tuple[tuple[list[FleetHost], str, SeverityLevel], ...] = (
            (lost, "lost", "error"), (back, "back", "information"),
        )  # fmt: skip
        for some, title, severity in kinds:
            if len(some) > MOST_TOASTS:
                names = ", ".join(host.row.host for host in some[:MOST_TOASTS])
                self.notify(f"{names} and {len(some) - MOST_TOASTS} more", title=f"{len(some)} hosts are {title}",
                            severity=severity)  # fmt: skip
                continue
            for host in some:
                self.notify(host.row.reason or "answers again", title=f"{host.row.host} is {title}", severity=severity)

    def open_host(self, host: FleetHost) -> None:
        """Opens its dashboard if its daemon's address is known, else the store's view of it."""
        if host.address is not None and isinstance(self.screen, Fleet):
            self.place.keep(self.screen)
            self.exit(host.key)
        elif isinstance(self.source, StoreFleet) and not isinstance(self.screen, ModalScreen):
            self.push_screen(StoreHost(self.source.store, host.key))

    def action_pause(self) -> None:
        self._held = self.source.hosts() if self._held is None else None
        self.paint_soon()

    def action_retry(self) -> None:
        self.source.retry()


async def show(
    source: FleetSource, settings: Tui, run_app: Callable[[BaseApp], Awaitable[str | None]] = BaseApp.run_async
) -> int:
    """Runs the fleet page, and the dashboards opened from it, until one of them is closed. Returns an exit status."""
    place = CursorPlace()
    await source.start()
    try:
        while True:
            page = FleetApp(source, settings, place)
            opened = await run_app(page)
            settings = msgspec.structs.replace(settings, theme=page.theme)
            address = next((host.address for host in source.hosts() if host.key == opened), None)
            if address is None:
                return page.return_code or 0
            others = [(one.row.host, one.address) for one in source.hosts() if one.address and one.key != opened]
            dashboard = Dashboard(
                address.url, address.token, settings, in_fleet=True, ca_file=address.ca_file, others=others
            )
            then = await run_app(dashboard)
            settings = msgspec.structs.replace(settings, theme=dashboard.theme)
            if then != "fleet":
                return dashboard.return_code or 0
    finally:
        await source.stop()


def run(addresses: Sequence[Address], settings: Tui, store: FleetStore | None = None) -> int:
    """Follows these daemons, or the hosts that ``store`` knows, and shows the fleet."""

    visit = constants.DRIVER is not None  # a browser session of textual-serve

    async def main() -> int:
        source = LiveFleet(addresses) if store is None else StoreFleet(store, addresses)
        if not visit:
            return await show(source, settings)
        from wattview.tui.web_visit import end_visit, run_in_visit

        try:
            return await show(source, settings, run_in_visit)
        finally:
            end_visit()

    return asyncio.run(main())
