"""The fleet's pages, compared with pictures that a person has looked at (``--snapshot-update`` draws them anew)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.support.dashboard import NOW, until
from wattview.client import Address
from wattview.config import Tui
from wattview.fleet import ContainerUse, HostDetails, HostRow, HostStreamUse
from wattview.tui.feed import Link
from wattview.tui.fleet.app import FleetApp
from wattview.tui.fleet.feed import FleetHost, StoreFleet

pytestmark = [pytest.mark.slow, pytest.mark.parallel]

SIZES = [(80, 24), (120, 40), (200, 60)]
THEMES = ["wattview-dark", "wattview-light"]

ROWS = [
    HostRow(
        host="encoder-1", seen_seconds=0.4, power_watts=146.2, power_error_watts=0.16, power_source="rapl",
        streams=6, players=41, containers=9, cpu_percent=71.3, energy_cost_per_hour=0.0453, cost_per_hour=0.5453,
        currency="EUR", carbon_grams_per_hour=55.6, exporters=9,
        exporters_healthy=9, watts_per_stream=24.4, scenario="1080p 5M", phase="measuring", fraction=0.62,
    ),
    HostRow(
        host="encoder-2", seen_seconds=1.1, power_watts=98.0, power_source="hwmon", streams=4, players=12, containers=3,
        cpu_percent=38.0, energy_cost_per_hour=0.0304, cost_per_hour=0.5304, currency="EUR",
        carbon_grams_per_hour=37.2, exporters=9,
        exporters_healthy=7, watts_per_stream=24.5,
    ),
    HostRow(
        host="edge-berlin-3.example", seen_seconds=0.2, power_watts=11.5, power_source="estimated", cpu_percent=9.4,
        energy_cost_per_hour=0.0014, cost_per_hour=0.5014, currency="USD", exporters=9, exporters_healthy=9,
    ),
    HostRow(
        host="encoder-4", state="lost", reason="no daemon answers at http://encoder-4:9700 (connection refused)",
        seen_seconds=214.0, power_watts=120.7, power_source="rapl", streams=5, players=30, containers=7,
        cpu_percent=55.1, energy_cost_per_hour=0.0374, cost_per_hour=0.5374, currency="EUR",
        carbon_grams_per_hour=45.9, exporters=9,
        exporters_healthy=9,
    ),
    HostRow(host="10.0.7.19:9700", state="connecting"),
]  # fmt: skip


def wander(index: int) -> float:
    """A number between -1 and 1 that wanders."""
    return ((index * 37) % 23 - 11) / 22 + ((index // 7) % 5 - 2) / 4


def trend(watts: float, seconds: float, step: float) -> list[tuple[float, float]]:
    steps = int(seconds / step)
    return [(NOW - seconds + step * index, watts * (1 + 0.15 * wander(index))) for index in range(1, steps + 1)]


class Given:
    """Hosts as they are given, at a moment that stands still."""

    title = "5 daemons"
    empty = "no host"
    age_seconds: float | None = 12.0

    def __init__(self, rows: list[HostRow], link: Link | None = None) -> None:
        self.link = link or Link("live")
        self.changed: Callable[[], object] = lambda: None
        self.rows = rows

    def hosts(self) -> list[FleetHost]:
        return [
            FleetHost(
                row.host, row, trend(row.power_watts, 900, 5) if row.power_watts else (),
                Address(f"http://{row.host.partition(':')[0]}:9700"), "0.1.0", 4.0 if row.state == "lost" else 0.0, NOW,
            )
            for row in self.rows
        ]  # fmt: skip

    def retry(self) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


@pytest.fixture(autouse=True)
def _the_same_time_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattview.tui.fleet.app.wall_clock", lambda: NOW)
    monkeypatch.setattr("wattview.tui.fleet.host_screen.wall_clock", lambda: NOW)


def steady(*keys: str) -> Callable[[Any], Awaitable[None]]:
    async def before(pilot: Any) -> None:
        await until(pilot, lambda: any(table.rows for table in pilot.app.screen.query("#hosts")))
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
        await until(pilot, lambda: not pilot.app._painting)

    return before


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", THEMES)
def test_the_fleet_looks_as_it_did(snap_compare: Any, size: tuple[int, int], theme: str) -> None:
    app = FleetApp(Given(ROWS), Tui(theme=theme))
    assert snap_compare(app, terminal_size=size, run_before=steady())


@pytest.mark.parametrize("theme", ["wattview-colour-blind", "wattview-terminal"])
def test_a_lost_host_in_every_theme(snap_compare: Any, theme: str) -> None:
    app = FleetApp(Given(ROWS), Tui(theme=theme))
    assert snap_compare(app, terminal_size=(80, 24), run_before=steady("j", "j", "j"))


def test_many_hosts_are_scrolled(snap_compare: Any) -> None:
    rows = [
        msgspec.structs.replace(ROWS[index % 3], host=f"host-{index:03}", power_watts=50.0 + index)
        for index in range(120)
    ]
    assert snap_compare(FleetApp(Given(rows)), terminal_size=(120, 40), run_before=steady("G", "k"))


def test_a_lost_store_greys_all(snap_compare: Any) -> None:
    lost = Given(ROWS, Link("lost", "http://metrics:8428 cannot be reached: All connection attempts failed", 4.0))
    lost.title = "http://metrics:8428"
    assert snap_compare(FleetApp(lost), terminal_size=(120, 40), run_before=steady())


class KnownStore(StoreFleet):
    """A store whose answers are given: rows, and the details of whichever host is opened."""

    url = "http://metrics:8428"

    def __init__(self) -> None:
        super().__init__(self)  # type: ignore[arg-type]
        self._link = Link("live")

    def hosts(self) -> list[FleetHost]:
        return [FleetHost(row.host, row, (), None, now=NOW) for row in ROWS[:3]]

    async def details(self, host: str, start: float, end: float, step: float) -> HostDetails:
        streams = [
            HostStreamUse(app="live", stream=f"cam{n}", power_watts=4.0 / n, players=3 * n, bandwidth_in_bytes=3e5)
            for n in (1, 2, 3)
        ]
        containers = [ContainerUse(name=f"transcoder-{n}", power_watts=20.0 / n, cpu_percent=80 / n) for n in (1, 2)]
        power = trend(146.0, 3600, 15)
        return HostDetails(power=power, streams=streams, containers=[*containers, ContainerUse(name="idle")])


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_what_the_store_knows_of_a_host_looks_as_it_did(snap_compare: Any, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await steady("enter")(pilot)
        await until(pilot, lambda: any(table.rows for table in pilot.app.screen.query("#streams")))
        await until(pilot, lambda: not pilot.app._painting)

    assert snap_compare(FleetApp(KnownStore()), terminal_size=size, run_before=before)
