"""A daemon that is not there, goes away, comes back, or says nothing."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.strip import Strip

from tests.support.dashboard import ScriptedDaemon, opened, screen_text, snapshot, until
from wattview.client import Client
from wattview.line_stream import lines as lines_of
from wattview.tui.app import Dashboard
from wattview.tui.feed import Link, LinkChanged, follow
from wattview.tui.notice import Notice
from wattview.tui.views import TABS, VIEWS
from wattview.tui.widgets.banner import banner_text
from wattview.tui.widgets.table import Table


async def test_a_missing_daemon_is_a_banner_with_its_fix_and_keys_still_work() -> None:
    app = Dashboard("unix:///nonexistent/wattview.sock")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.link.state == "lost" and "No daemon" in screen_text(app))
        assert "what you see" not in screen_text(app), "nothing is seen yet"
        assert "Power then" not in screen_text(app)
        assert "wattview up" in " ".join(screen_text(app).split())
        await pilot.press("7")
        await until(pilot, lambda: app.current_mode == "results")
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys" in screen_text(app))


async def test_a_lost_daemon_leaves_its_last_data_with_their_age_and_comes_back_by_itself(
    daemon: ScriptedDaemon,
) -> None:
    async with opened(daemon) as pilot:
        app = pilot.app
        daemon.stop()
        await until(pilot, lambda: "No daemon" in screen_text(app))
        text = screen_text(app)
        assert "what you see is" in text
        assert " now" not in text.replace("try now", ""), "what is stale is not now"
        assert "nginx-rtmp" in text, "the last data must stay readable"
        assert app.screen.has_class("-stale")
        daemon.now = snapshot(30.0, containers=1)
        daemon.start()
        await until(pilot, lambda: app.link.state == "live" and "Containers 1" in screen_text(app), seconds=15)
        assert not app.screen.has_class("-stale")
        assert "No daemon" not in screen_text(app)


async def test_r_tries_again_at_once(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattview.tui.feed.FIRST_DELAY_SECONDS", 3600.0)
    async with opened(daemon) as pilot:
        app = pilot.app
        daemon.stop()
        await until(pilot, lambda: app.link.state == "lost")
        assert app.link.retry_seconds == 3600
        daemon.start()
        await pilot.press("r")
        await until(pilot, lambda: app.link.state == "live")


async def test_attempts_come_at_growing_intervals() -> None:
    waits: list[float] = []
    client = Client("unix:///nonexistent/wattview.sock")
    now = asyncio.Event()

    def tell(message: object) -> None:
        if isinstance(message, LinkChanged):
            waits.append(message.link.retry_seconds)
            now.set()

    task = asyncio.create_task(follow(client, tell, now))
    while len(waits) < 7:  # noqa: ASYNC110  each turn of the loop is an attempt
        await asyncio.sleep(0)
    task.cancel()
    await client.close()
    assert waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_a_silent_daemon_is_reported_and_blocks_no_key(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        app = pilot.app
        app._arrived -= 30.0
        await until(pilot, lambda: "not answered for 3" in screen_text(app))
        await asyncio.wait_for(pilot.press("j"), 2)
        assert app.screen.query_one("#containers").row.container.name == "transcoder-a"


@pytest.mark.usefixtures("unanswered")
async def test_a_hanging_daemon_blocks_no_screen(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        daemon.hang = True
        for key, mode in (("7", "results"), ("8", "exporters"), ("1", "overview")):
            await asyncio.wait_for(pilot.press(key), 4)
            await until(pilot, lambda mode=mode: pilot.app.current_mode == mode, seconds=4)


@pytest.mark.usefixtures("unanswered")
async def test_a_daemon_that_stops_answering_blocks_no_key_on_any_screen(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        daemon.hang = True
        daemon.tell("info", "daemon", "this event is never given")
        daemon.say(snapshot(1.0))
        for tab in TABS:
            await asyncio.wait_for(pilot.press(tab.key, "down", "question_mark", "escape"), 6)
            assert pilot.app.current_mode == tab.mode


async def test_a_snapshot_is_rendered_on_the_active_screen_only(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(daemon) as pilot:
        for tab in TABS:
            await pilot.press(tab.key)
        await pilot.press("3")
        shown: list[str] = []
        for view in VIEWS:
            monkeypatch.setattr(view, "show", lambda self, picture: shown.append(self.TAB))
        daemon.say(snapshot(5.0))
        await until(pilot, lambda: pilot.app.latest.time == snapshot(5.0).time and bool(shown))
        assert set(shown) == {"workloads"}


async def test_what_has_not_changed_is_not_drawn_again_on_any_screen(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Table[Any]] = []
    draw = Table.render_line

    def counted(self: Table[Any], y: int) -> Strip:
        drawn.append(self)
        return draw(self, y)

    async with opened(daemon) as pilot:
        for tab in TABS:
            await pilot.press(tab.key)
            await pilot.pause()
            time = daemon.now.time
            with monkeypatch.context() as patch:
                patch.setattr(Table, "render_line", counted)
                # Younger than a second: not even an uptime is another.
                daemon.say(msgspec.structs.replace(daemon.now, time=time + 0.001))
                await until(pilot, lambda time=time: pilot.app.latest.time > time)
                await pilot.pause()
            assert not drawn, f"{tab.title}: {drawn}"


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.randoms())
def test_lines_of_a_stream_are_complete_at_any_chunk_boundary(lines: list[bytes], random: Random) -> None:
    text = b"".join(line + b"\n" for line in lines)
    cuts = sorted(random.randrange(len(text) + 1) for _ in range(5))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]

    async def told() -> list[bytes]:
        return [line async for line in lines_of(httpx.Response(200, content=_stream(pieces)), 5.0)]

    assert asyncio.run(told()) == lines


async def _stream(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_a_daemon_of_another_version_is_a_banner_not_a_traceback(daemon: ScriptedDaemon) -> None:
    daemon.now = {"time": "yesterday"}  # type: ignore[assignment]
    app = Dashboard(daemon.url)
    async with app.run_test() as pilot:
        await until(pilot, lambda: "another version" in screen_text(app))


@pytest.mark.parametrize("key", ["1", "3", "4", "9"])
async def test_foreign_names_are_shown_literally(daemon: ScriptedDaemon, key: str) -> None:
    hostile = "[red]x[/]\x1b[31m\n\x9b名"
    now = snapshot()
    daemon.now = msgspec.structs.replace(
        now,
        streams=(msgspec.structs.replace(now.streams[0], name=hostile),),
        containers=(msgspec.structs.replace(now.containers[0], name=hostile, health="healthy"),),
        host=msgspec.structs.replace(now.host, hostname=hostile),
    )
    async with opened(daemon, (200, 60)) as pilot:
        ill = msgspec.structs.replace(daemon.now.containers[0], health="unhealthy")
        daemon.say(msgspec.structs.replace(daemon.now, containers=(ill,), time=daemon.now.time + 1))
        await until(pilot, lambda: "is unhealthy" in screen_text(pilot.app))
        await pilot.press(key, "enter")
        await until(pilot, lambda: "[red]x[/]·[31m··名" in screen_text(pilot.app))
        drawn = "".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
        assert drawn.isprintable()


async def test_every_way_of_running_an_app_looks_for_cycles_rarely(daemon: ScriptedDaemon) -> None:
    default = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        app = Dashboard(daemon.url)  # the fleet's page awaits run_async, where others call run
        await app.run_async(headless=True, auto_pilot=lambda pilot: _leave(app))
        assert gc.get_threshold()[0] > 1_000
    finally:
        gc.set_threshold(*default)


async def _leave(app: Dashboard) -> None:
    app.exit()


async def test_objects_replaced_by_a_theme_change_are_freed(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every screen; what the garbage collector is told to leave alone would stay for ever."""
    monkeypatch.setattr("wattview.tui.app.AHEAD_SECONDS", 0.001)
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    async with opened(daemon) as pilot:
        app = pilot.app
        await until(pilot, lambda: all(app._screen_stacks.get(mode) for mode in app.MODES))
        await until(pilot, lambda: not any(one.name == "ahead" for one in app.workers))
        await pilot.press("t")
        await pilot.pause()
        app.tidy_up()
        gc.unfreeze()
        assert gc.collect() < 1_000
        gc.freeze()


async def test_a_visible_toast_is_not_repeated(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        for text in ("one", "one", "two", "one"):
            pilot.app.notify(text, title="A title")
            await pilot.pause()
        assert [one.message for one in pilot.app._notifications] == ["one", "two"]


@pytest.mark.timeout(20)
async def test_a_late_toast_blocks_nothing(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A screen puts up the toasts that are left, and their time may run out between its look and their timer; the wall
    clock may jump in between too."""
    async with opened(daemon) as pilot:
        monkeypatch.setattr(Notice, "has_expired", property(lambda notice: False))
        for seconds in (-60.0, 0.0, 1e-9):
            pilot.app.notify(f"a toast of {seconds} s", timeout=seconds)
        await until(pilot, lambda: pilot.app.screen.query("Toast"))
        monkeypatch.undo()
        await until(pilot, lambda: not pilot.app.screen.query("Toast"))
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.current_mode == "workloads")


async def test_toasts_that_are_no_longer_due_leave_nothing_behind(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        pilot.app.notify("text", timeout=60)
        await until(pilot, lambda: pilot.app.screen.query("Toast"))
        pilot.app.clear_notifications()
        await until(pilot, lambda: not pilot.app.screen.query("ToastHolder"))


def test_toasts_outlast_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for hours in (-72, 72):
        notice = Notice("text", timeout=5.0)
        with monkeypatch.context() as context:
            context.setattr("time.time", partial(lambda now, shift: now + shift, time.time(), 3600 * hours))
            assert 4.0 < notice.time_left <= 5.0
            assert not notice.has_expired


def test_the_banner_says_the_state_and_the_key() -> None:
    assert banner_text(Link("live"), 0.5, paused=False) == ""
    assert "12 s old" in banner_text(Link("lost", "gone", 4.0), 12.0, paused=False)
    assert "in 4 s" in banner_text(Link("lost", "gone", 4.0), 12.0, paused=False)
    refused = Link("lost", "no such token", 4.0, "The daemon refuses the token")
    assert banner_text(refused, None, paused=False).startswith("✗ The daemon refuses the token: no such token.")
    assert "Paused" in banner_text(Link("live"), 0.5, paused=True)
