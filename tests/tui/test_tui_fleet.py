"""The fleet page: many daemons at once, one of them lost or slow, and the way into one and back."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.dashboard import (
    NOW,
    ScriptedDaemon,
    run,
    screen_text,
    scripted,
    snapshot,
    stream,
    until,
    with_machine_power,
)
from tests.support.store import ScriptedStore, scripted_store
from wattview.client import Address
from wattview.config import Tui
from wattview.fleet import FleetStore
from wattview.model import StreamClient, StreamEncoder
from wattview.tui.app import Dashboard
from wattview.tui.base_app import BaseApp
from wattview.tui.fleet.app import FleetApp, show
from wattview.tui.fleet.feed import FleetSource, LiveFleet, StoreFleet


@pytest.fixture
def other() -> Iterator[ScriptedDaemon]:
    """A second daemon, of another host."""
    with tempfile.TemporaryDirectory(prefix="wv") as directory, scripted(Path(directory) / "s") as running:
        running.now = of_host("studio-2", power="estimated", currency="EUR", containers=1)
        yield running


def of_host(name: str, at: float = 0.0, *, power: str = "rapl", **changes: Any) -> Any:
    now = snapshot(at, **changes)
    reading = msgspec.structs.replace(now.power, source=power)
    host = msgspec.structs.replace(now.host, hostname=name)
    return with_machine_power(msgspec.structs.replace(now, host=host, power=reading))


@contextlib.asynccontextmanager
async def opened(source: FleetSource, size: tuple[int, int] = (200, 60), **options: Any) -> AsyncIterator[Any]:
    """The fleet page on that source; gives the pilot."""
    await source.start()
    app = FleetApp(source, Tui(**options))
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            yield pilot
    finally:
        await source.stop()


def fleet_of(*daemons: ScriptedDaemon) -> LiveFleet:
    return LiveFleet([Address(one.url) for one in daemons])


def line(app: Any, word: str) -> str:
    """The table's line of that host."""
    return next((one for one in screen_text(app).splitlines() if one.lstrip(" │").startswith(word)), "")


async def live(pilot: Any, hosts: int = 2) -> None:
    await until(pilot, lambda: sum(one.row.state == "live" for one in pilot.app.picture.hosts) == hosts)
    await until(pilot, lambda: screen_text(pilot.app).count("● live") == hosts)


# what it shows


async def test_each_daemon_is_a_row_with_its_figures(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    daemon.now = of_host("studio-1", run=run())
    async with opened(fleet_of(daemon, other)) as pilot:
        await live(pilot)
        first = line(pilot.app, "studio-1")
        for figure in ("● live", "42.0   0.05 rapl", "37.5", "0.7551 USD", "17.1", "9/10", "62 % quick: measuring"):
            assert figure in first
        assert first.replace("│", "").split()[7:10] == ["2", "5", "4"], "streams, players and containers"
        second = line(pilot.app, "studio-2")
        assert "ESTIMATE" in second
        assert "0.7551 EUR" in second


async def test_the_sum_says_of_how_many_hosts_it_is_and_what_of_it_is_an_estimate(
    daemon: ScriptedDaemon, other: ScriptedDaemon
) -> None:
    gone = Address("unix:///nonexistent/wattview.sock")
    source = LiveFleet([Address(daemon.url), Address(other.url), gone])
    async with opened(source, (80, 24)) as pilot:
        await live(pilot)
        text = screen_text(pilot.app)
        assert "84.0 W ±0.10 of 2 of 3 hosts    ESTIMATE  42.0 W of it" in text
        assert "0.7551 EUR/h + 0.7551 USD/h" in text, "two currencies are never one sum"
        assert "4 streams  10 players  5 containers  18/20 exporters" in text
        assert "Hosts 3  ● 2 live  ✗ 1 lost" in text


async def test_a_cost_that_does_not_cover_all_live_hosts_says_so(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    other.now = of_host("studio-2", cost_per_hour=None)
    async with opened(fleet_of(daemon, other)) as pilot:
        await live(pilot)
        assert "Cost   0.7551 USD/h of 1 host" in screen_text(pilot.app)


async def test_what_a_host_does_not_know_is_a_dash_and_no_part_of_the_sum(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(power=None, engine=None, rtmp_server=None, streams=0, containers=0, cost_per_hour=None,
                          carbon_grams_per_hour=None)  # fmt: skip
    async with opened(fleet_of(daemon)) as pilot:
        await live(pilot, 1)
        assert line(pilot.app, "studio-1").split().count("—") == 8
        assert "— W of 0 of 1 host" in screen_text(pilot.app)
        assert " streams" not in screen_text(pilot.app).splitlines()[3]


async def test_the_host_under_the_cursor_shows_its_power(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    async with opened(fleet_of(daemon, other)) as pilot:
        await live(pilot)
        assert "Power of studio-1, last 15 minutes" in screen_text(pilot.app)
        await pilot.press("j")
        await until(pilot, lambda: "Power of studio-2, last 15 minutes" in screen_text(pilot.app))
        assert "ESTIMATE from CPU use" in screen_text(pilot.app)
        assert other.url in screen_text(pilot.app)


# daemons that are lost, slow, or of another time


async def test_a_lost_daemon_keeps_its_last_figures_with_their_age_and_leaves_the_sum(
    daemon: ScriptedDaemon, other: ScriptedDaemon
) -> None:
    async with opened(fleet_of(daemon, other)) as pilot:
        app = pilot.app
        await live(pilot)
        other.stop()
        await until(pilot, lambda: "✗ lost" in line(app, "studio-2"))
        assert "studio-2 is lost" in screen_text(app), "a toast says so"
        assert "42.0" in line(app, "studio-2"), "its last figures stay"
        assert " s" in line(app, "studio-2").partition("lost")[2][:5], "with their age"
        assert "● live" in line(app, "studio-1")
        assert "42.0 W ±0.05 of 1 of 2 hosts" in screen_text(app)
        await pilot.press("j")
        await until(pilot, lambda: "no daemon answers at" in screen_text(app))
        other.start()
        await until(pilot, lambda: "● live" in line(app, "studio-2"), seconds=20)
        assert "studio-2 is back" in screen_text(app)
        assert "84.0 W ±0.10 of 2 hosts" in screen_text(app)


async def test_r_tries_all_lost_daemons_at_once(
    daemon: ScriptedDaemon, other: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FIRST_DELAY_SECONDS", "LONGEST_DELAY_SECONDS"):
        monkeypatch.setattr(f"wattview.tui.feed.{name}", 600.0)
    async with opened(fleet_of(daemon, other)) as pilot:
        await live(pilot)
        other.stop()
        await until(pilot, lambda: pilot.app.picture.hosts[1].retry_seconds > 500)
        other.start()
        await pilot.press("r")
        await live(pilot)


async def test_many_hosts_lost_at_once_give_one_toast(daemon: ScriptedDaemon) -> None:
    aliases = [Path(daemon.socket).with_name(f"s{number}") for number in range(5)]
    for alias in aliases:
        alias.symlink_to(daemon.socket)
    async with opened(LiveFleet([Address(f"unix://{alias}") for alias in aliases])) as pilot:
        await live(pilot, 5)
        daemon.stop()
        await until(pilot, lambda: all(host.row.state == "lost" for host in pilot.app.picture.hosts))
        titles = [toast.title for toast in pilot.app._notifications]
        assert len(titles) < 5
        assert any("hosts are lost" in title for title in titles)


async def test_a_daemon_that_never_answers_blocks_no_key(daemon: ScriptedDaemon) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        source = LiveFleet([Address(f"http://127.0.0.1:{port}"), Address(daemon.url)])
        async with opened(source) as pilot:
            await live(pilot, 1)
            assert "… connecting" in line(pilot.app, f"127.0.0.1:{port}")
            await asyncio.wait_for(pilot.press("j"), 8)
            await until(pilot, lambda: "Power of studio-1" in screen_text(pilot.app), seconds=8)


async def test_a_daemon_that_falls_silent_is_marked_and_leaves_the_sum(
    daemon: ScriptedDaemon, other: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattview.tui.fleet.feed.QUIET_SECONDS", 0.5)
    async with opened(fleet_of(daemon)) as pilot:
        await until(pilot, lambda: "! quiet" in line(pilot.app, "studio-1"))
        assert "— W of 0 of 1 host" in screen_text(pilot.app)
        daemon.say(of_host("studio-1", 1.0))
        await until(pilot, lambda: "● live" in line(pilot.app, "studio-1"))


async def test_a_refused_token_is_shown_in_the_hosts_row(daemon: ScriptedDaemon) -> None:
    daemon.now = {"time": "yesterday"}  # type: ignore[assignment]
    async with opened(fleet_of(daemon)) as pilot:
        await until(pilot, lambda: "another version" in screen_text(pilot.app))
        assert "✗ lost" in screen_text(pilot.app)


async def test_foreign_names_are_shown_literally(daemon: ScriptedDaemon) -> None:
    daemon.now = of_host("[red]x[/]\x1b[31m\n名")
    async with opened(fleet_of(daemon)) as pilot:
        await until(pilot, lambda: screen_text(pilot.app).count("[red]x[/]·[31m·名") >= 2)


# keys


async def test_s_sorts_and_slash_filters_the_table(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    other.now = of_host("atelier-2", power="estimated", at=30.0)
    async with opened(fleet_of(daemon, other)) as pilot:
        table = pilot.app.screen.query_one("#hosts")
        await live(pilot)
        assert [one.row.host for one in table.rows] == ["studio-1", "atelier-2"], "as they were given"
        await pilot.press("s")
        assert [one.row.host for one in table.rows] == ["atelier-2", "studio-1"]
        await pilot.press("S")
        assert [one.row.host for one in table.rows] == ["studio-1", "atelier-2"]
        await pilot.press("slash", *"estim", "enter")
        await until(pilot, lambda: [one.row.host for one in table.rows] == ["atelier-2"])
        await until(pilot, lambda: "Hosts 1 of 2" in screen_text(pilot.app))


async def test_space_holds_the_picture_while_the_hosts_are_followed(daemon: ScriptedDaemon) -> None:
    async with opened(fleet_of(daemon)) as pilot:
        await live(pilot, 1)
        await pilot.press("space")
        await until(pilot, lambda: "Paused" in screen_text(pilot.app))
        daemon.say(of_host("studio-1", 30.0))
        await until(pilot, lambda: pilot.app.source.hosts()[0].row.power_watts > 42.5)
        assert "42.0" in line(pilot.app, "studio-1")
        await pilot.press("space")
        await until(pilot, lambda: "50.0" in line(pilot.app, "studio-1"))


def written(directory: Path) -> list[str]:
    (file,) = directory.glob("wattview-fleet-*.csv")
    return file.read_text().splitlines()


async def test_the_keys_that_every_page_has_work_here(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(fleet_of(daemon)) as pilot:
        app = pilot.app
        await live(pilot, 1)
        theme = app.theme
        await pilot.press("t")
        assert app.theme != theme
        await pilot.press("y")
        assert app.clipboard.splitlines()[:3] == ["Host: studio-1", "State: ● live", "W: 42.0"]
        await pilot.press("e")
        await until(pilot, lambda: "Exported" in screen_text(app))
        header, row = written(tmp_path)
        assert dict(zip(header.split(","), row.split(","), strict=True))["Cost/h"] == "0.7551 USD"
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys" in screen_text(app) and "Sort" in screen_text(app))
        assert "New run" not in screen_text(app)
        await pilot.press("escape", "ctrl+p", *"Reverse")
        await until(pilot, lambda: "Key S" in screen_text(app))
        await pilot.press("escape")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running or app._exit)
    assert app.return_value is None


async def test_keys_of_the_dashboard_in_the_settings_are_known_here(daemon: ScriptedDaemon) -> None:
    async with opened(fleet_of(daemon), keys={"new_run": "f5", "fleet": "f10", "nonsense": "f6"}) as pilot:
        await until(pilot, lambda: "no such key binding: nonsense" in screen_text(pilot.app))


async def test_plain_ascii_where_the_terminal_has_no_more(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    daemon.now = of_host("studio-1", run=run())
    gone = Address("unix:///nonexistent/wattview.sock")
    async with opened(LiveFleet([Address(daemon.url), Address(other.url), gone]), (80, 24), glyphs="ascii") as pilot:
        await until(pilot, lambda: "2 live" in screen_text(pilot.app))
        drawn = "".join(segment.text for strip in pilot.app.screen._compositor.render_strips() for segment in strip)
        assert drawn.isascii(), sorted({c for c in drawn if not c.isascii()})


# into one host, and back


class Script:
    """Runs apps without a terminal, one act after the other: each presses keys in its app, which then must end."""

    def __init__(self, *acts: Callable[[Any], Awaitable[None]]) -> None:
        self.acts = list(acts)
        self.apps: list[BaseApp] = []

    async def __call__(self, app: BaseApp) -> str | None:
        act = self.acts.pop(0)
        self.apps.append(app)
        return await app.run_async(headless=True, size=(120, 40), auto_pilot=act)


async def test_enter_opens_the_hosts_dashboard_and_0_leads_back_to_the_same_row(
    daemon: ScriptedDaemon, other: ScriptedDaemon
) -> None:
    async def into_the_second(pilot: Any) -> None:
        await live(pilot)
        await pilot.press("s", "S", "slash", *"studio", "enter", "t", "j")
        await until(pilot, lambda: pilot.app.screen.query_one("#hosts").row.row.host == "studio-1")
        await pilot.press("enter")

    async def look_and_return(pilot: Any) -> None:
        await until(pilot, lambda: "Power of studio-1" in screen_text(pilot.app))
        assert "0 Fleet" in screen_text(pilot.app)
        await pilot.press("3", "0")

    async def look_and_quit(pilot: Any) -> None:
        await live(pilot)
        table = pilot.app.screen.query_one("#hosts")
        await until(pilot, lambda: table.row is not None and table.row.row.host == "studio-1")
        assert [one.row.host for one in table.rows] == ["studio-2", "studio-1"], "sorted as it was"
        assert pilot.app.screen.query_one("FilterBar").value == "studio"
        await pilot.press("q")

    script = Script(into_the_second, look_and_return, look_and_quit)
    assert await show(fleet_of(daemon, other), Tui(), script) == 0
    page, dashboard, again = script.apps
    assert isinstance(dashboard, Dashboard)
    assert dashboard.client.url == daemon.url
    assert page.theme == dashboard.theme == again.theme != "wattview-dark", "a theme that was chosen stays"


async def test_a_stream_whose_encoder_is_on_another_host_has_its_watts_from_there(
    daemon: ScriptedDaemon, other: ScriptedDaemon
) -> None:
    publisher = StreamClient(id="1", address="192.0.2.7:40001", publishing=True)
    remote = StreamEncoder(match="remote", host="192.0.2.7")
    pushed = stream(0, clients=(publisher,), power_watts=None, server_watts=1.5, encoder=remote)
    daemon.now = msgspec.structs.replace(snapshot(), streams=(pushed,))
    other.encoders["live", "stream0", "192.0.2.7:40001"] = StreamEncoder(
        match="socket", pid=77, program="ffmpeg", kind="unit", name="encode.service", watts=11.25
    )
    alone = Dashboard(daemon.url)
    async with alone.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: alone.latest is not None)
        await pilot.press("4", "enter")
        await until(pilot, lambda: "on 192.0.2.7, another machine" in screen_text(alone))
        assert "— W: server 1.50" in screen_text(alone), "its daemon alone does not know"
    app = Dashboard(daemon.url, others=[("studio-2", Address(other.url))], in_fleet=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.latest is not None)
        await pilot.press("4")
        await until(pilot, lambda: "GET /api/v1/streams/encoder" in other.asked)
        daemon.say(msgspec.structs.replace(daemon.now, time=NOW + 1))
        await until(pilot, lambda: "ffmpeg on studio-2" in screen_text(app))
        assert app.latest.streams[0].power_watts == 12.75
        await pilot.press("enter")
        await until(pilot, lambda: "ffmpeg 77 in unit encode.service on studio-2" in screen_text(app))
        other.encoders["live", "stream0", "192.0.2.7:40001"] = StreamEncoder(match="socket", pid=77, program="ffmpeg")
        app.remote._asked = 0.0
        daemon.say(msgspec.structs.replace(daemon.now, time=NOW + 2))
        await until(pilot, lambda: other.asked.count("GET /api/v1/streams/encoder") == 2)
        daemon.say(msgspec.structs.replace(daemon.now, time=NOW + 3))
        await until(pilot, lambda: app.latest.streams[0].power_watts is None)


async def test_q_in_a_hosts_dashboard_ends_it_all(daemon: ScriptedDaemon, other: ScriptedDaemon) -> None:
    async def enter(pilot: Any) -> None:
        await live(pilot)
        await pilot.press("enter")

    async def quit_there(pilot: Any) -> None:
        await until(pilot, lambda: pilot.app.latest is not None)
        await pilot.press("q")

    script = Script(enter, quit_there)
    assert await show(fleet_of(daemon, other), Tui(), script) == 0
    assert not script.acts


async def test_other_hosts_are_polled_while_one_is_open(
    daemon: ScriptedDaemon, other: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattview.tui.fleet.feed.QUIET_SECONDS", 600.0)  # the scripted daemon says no more
    source = fleet_of(daemon, other)

    async def enter(pilot: Any) -> None:
        await live(pilot)
        await pilot.press("enter")

    async def the_other_is_lost(pilot: Any) -> None:
        other.stop()
        await until(pilot, lambda: source.hosts()[1].row.state == "lost")
        await pilot.press("0")

    async def is_shown(pilot: Any) -> None:
        await until(pilot, lambda: "✗ lost" in line(pilot.app, "studio-2"))
        assert "● live" in line(pilot.app, "studio-1"), "at once, without a new connection"
        await pilot.press("q")

    assert await show(source, Tui(), Script(enter, the_other_is_lost, is_shown)) == 0


async def test_a_dashboard_alone_has_no_way_to_a_fleet(daemon: ScriptedDaemon) -> None:
    app = Dashboard(daemon.url)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.latest is not None)
        assert "Fleet" not in screen_text(app)
        await pilot.press("0")
        await pilot.pause()
        assert app.is_running
        assert not app._exit


# the same page from a store


def store_with_two_hosts(store: ScriptedStore) -> None:
    store.hosts = {
        "encoder-1": {
            "seen": NOW - 2, "power": (61.5, {"source": "rapl"}), "streams": 3, "players": 9, "containers": 4,
            "cpu": 41.0, "power_error": 0.07, "energy_cost": (0.0074, {"currency": "USD"}), "compute_cost": 0.5,
            "carbon": 23.0, "exporters": 10, "exporters_healthy": 10, "targets": 10, "targets_up": 10,
            "run": (1, {"scenario": "quick", "phase": "measuring"}),
        },
        "encoder-2": {"seen": NOW - 200, "targets": 10, "targets_up": 0},
    }  # fmt: skip


def store_fleet(store: ScriptedStore, *addresses: Address, secret: str = "", interval: float = 0.05) -> StoreFleet:
    return StoreFleet(FleetStore(store.url, secret), addresses, interval)


async def test_a_store_fills_the_same_page() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        async with opened(store_fleet(store)) as pilot:
            await until(pilot, lambda: "● live" in line(pilot.app, "encoder-1"))
            row = line(pilot.app, "encoder-1")
            for figure in ("61.5   0.07 rapl", "41.0", "0.5074 USD", "23.0", "10/10", "quick: measuring"):
                assert figure in row
            assert "✗ lost 3 min" in line(pilot.app, "encoder-2")
            assert "61.5 W ±0.07 of 1 of 2 hosts" in screen_text(pilot.app)
            assert store.url in screen_text(pilot.app).splitlines()[0]
            assert "0.0074 USD/h of energy   10 of 10 targets answer" in screen_text(pilot.app)
            await pilot.press("j")
            await until(pilot, lambda: "none of its 10 targets answers" in screen_text(pilot.app))


async def test_a_host_that_dies_keeps_the_figures_that_were_seen_here() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        async with opened(store_fleet(store)) as pilot:
            await until(pilot, lambda: "● live" in line(pilot.app, "encoder-1"))
            store.hosts["encoder-1"] = {"seen": NOW - 90, "targets": 10, "targets_up": 0}
            await until(pilot, lambda: "✗ lost 1 min" in line(pilot.app, "encoder-1"))
            assert "61.5" in line(pilot.app, "encoder-1")
            assert "— W of 0 of 2 hosts" in screen_text(pilot.app)


async def test_a_lost_store_is_a_banner_with_the_reason_and_comes_back_by_itself() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        async with opened(store_fleet(store)) as pilot:
            app = pilot.app
            await until(pilot, lambda: "● live" in line(app, "encoder-1"))
            store.refuse = 503
            await until(pilot, lambda: "✗ No store:" in screen_text(app))
            assert "answered 503: no room" in " ".join(screen_text(app).split())
            assert "what you see is" in screen_text(app)
            assert "61.5" in line(app, "encoder-1")
            assert app.screen.has_class("-stale")
            await asyncio.wait_for(pilot.press("j"), 8)
            store.refuse = 0
            await until(pilot, lambda: "No store" not in screen_text(app), seconds=20)
            assert not app.screen.has_class("-stale")


async def test_no_store_at_all_is_a_banner_and_its_attempts_come_at_growing_intervals() -> None:
    source = StoreFleet(FleetStore("http://127.0.0.1:1"))
    async with opened(source, (80, 24)) as pilot:
        await until(pilot, lambda: "http://127.0.0.1:1 cannot be reached" in " ".join(screen_text(pilot.app).split()))
        await until(pilot, lambda: source.link.retry_seconds > 1.5, seconds=20)


@pytest.mark.usefixtures("unanswered")
async def test_a_hanging_store_blocks_no_key() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        store.hang = True
        async with opened(store_fleet(store)) as pilot:
            await asyncio.wait_for(pilot.press("question_mark"), 8)
            await until(pilot, lambda: "Keys" in screen_text(pilot.app), seconds=8)


async def test_an_empty_store_says_how_to_fill_it() -> None:
    async with scripted_store() as store, opened(store_fleet(store), (80, 24)) as pilot:
        await until(pilot, lambda: ":9600/discovery" in screen_text(pilot.app))
        assert "docs/many-hosts.md" in " ".join(screen_text(pilot.app).replace("│", "").split())


async def test_enter_shows_what_the_store_knows_of_a_host() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        store.past = {"encoder-1": [(NOW - 60, 60.0), (NOW, 62.0)]}
        stream = {"app": "live", "stream": "main"}
        store.series = {
            "wattview_stream_power_watts": [(stream, 4.2)],
            "nginx_rtmp_stream_players": [(stream, 7)],
            "nginx_rtmp_stream_bandwidth_in_bytes": [({"app": "live", "stream": "b"}, 250_000)],
            "wattview_container_power_watts": [({"name": "transcoder"}, 12.3)],
            "docker_container_cpu_percent": [({"name": "transcoder"}, 83.0), ({"name": "idle"}, 0.1)],
        }
        async with opened(store_fleet(store), (120, 40)) as pilot:
            app = pilot.app
            await until(pilot, lambda: "● live" in line(app, "encoder-1"))
            await pilot.press("enter")
            await until(pilot, lambda: "transcoder" in screen_text(app))
            streams, containers = app.screen.query_one("#streams"), app.screen.query_one("#containers")
            assert [(one.app, one.stream, one.power_watts, one.players) for one in streams.rows] == [
                ("live", "b", None, None), ("live", "main", 4.2, 7)]  # fmt: skip
            assert [(one.name, one.power_watts) for one in containers.rows] == [("transcoder", 12.3), ("idle", None)]
            assert any('{host="encoder-1"}' in one["query"] for one in store.asked)
            assert "61.5 W ±0.07  41.0 % CPU  3 streams  9 players  4 containers  0.5074 USD/h" in screen_text(app)
            await pilot.press("escape")
            await until(pilot, lambda: "Hosts 2" in screen_text(app))


async def test_a_host_whose_daemon_is_known_too_opens_its_dashboard() -> None:
    async with scripted_store() as store:
        store_with_two_hosts(store)
        at = Address("http://encoder-1.example:9700", "secret")

        async def enter(pilot: Any) -> None:
            await until(pilot, lambda: "● live" in line(pilot.app, "encoder-1"))
            await pilot.press("enter")

        async def in_the_dashboard(pilot: Any) -> None:
            await pilot.press("q")

        script = Script(enter, in_the_dashboard)
        assert await show(store_fleet(store, at), Tui(), script) == 0
        assert isinstance(script.apps[1], Dashboard)
        assert script.apps[1].client.url == at.url


@pytest.mark.parametrize(("secret", "sent"), [("abc", "Bearer abc"), ("ada:pw", "Basic YWRhOnB3"), ("", "")])
async def test_the_stores_secret_is_sent_as_it_is_meant(secret: str, sent: str) -> None:
    async with scripted_store() as store:
        fleet_store = FleetStore(store.url, secret)
        assert await fleet_store.hosts() == []
        await fleet_store.close()
        assert store.authorization == sent
