"""Back in time on every screen: each key, the line of time, a run shown again, and what happens at the edges."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.dashboard import (
    NOW,
    ScriptedDaemon,
    opened,
    power_use,
    run,
    screen_text,
    snapshot,
    until,
    with_machine_power,
)
from wattview.model import HistorySeries, Recorded, Run, Scenario, Snapshot
from wattview.tui.screens.power_graph import power_series
from wattview.tui.time_travel.timeline import Timeline
from wattview.tui.views import TABS

FIRST = NOW - 7200.0
"""The scripted history begins two hours ago."""


def remembered(at: float) -> Snapshot | None:
    """The past: its power tells the time, in watts, by the seconds since FIRST."""
    if not FIRST <= at <= NOW + 3600:
        return None
    before = snapshot(at - NOW, recorded=Recorded(first=FIRST, last=NOW, sampled=at - 1.0, interval_seconds=5.0))
    assert before.power is not None
    watts = (at - FIRST) / 100.0
    return with_machine_power(
        replace(before, power=replace(before.power, host_watts=watts), power_use=power_use(at - NOW))
    )


@pytest.fixture
def past(daemon: ScriptedDaemon) -> ScriptedDaemon:
    daemon.past = remembered
    return daemon


def shown_at(pilot: Any) -> float | None:
    """How many seconds before NOW the picture on the screen is; None where it is live."""
    picture = pilot.app.picture
    return None if picture.playback is None else NOW - picture.snapshot.time


async def at(pilot: Any, back: float) -> None:
    await until(pilot, lambda: shown_at(pilot) == pytest.approx(back))


@pytest.mark.parametrize(
    ("keys", "back"),
    [
        (["comma"], 10),
        (["comma", "comma", "comma"], 30),
        (["comma", "comma", "full_stop"], 10),
        (["less_than_sign"], 300),
        (["less_than_sign", "less_than_sign", "greater_than_sign", "comma"], 310),
    ],
)
async def test_keys_go_back_and_forth_in_time(past: ScriptedDaemon, keys: list[str], back: float) -> None:
    async with opened(past) as pilot:
        await pilot.press(*keys)
        await at(pilot, back)


@pytest.mark.parametrize("keys", [["L"], ["full_stop"], ["greater_than_sign"]])
async def test_one_key_returns_to_live_and_so_does_going_on_past_now(past: ScriptedDaemon, keys: list[str]) -> None:
    async with opened(past) as pilot:
        await pilot.press("comma")
        await at(pilot, 10)
        past.say(snapshot(1.0))
        await pilot.press(*keys)
        await until(pilot, lambda: shown_at(pilot) is None)
        await until(pilot, lambda: pilot.app.picture.snapshot.time == NOW + 1)
        assert "PAST" not in screen_text(pilot.app)


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.mode)
async def test_every_screen_shows_that_it_is_in_the_past_and_how_far(past: ScriptedDaemon, tab: Any) -> None:
    async with opened(past, (80, 24)) as pilot:
        await pilot.press(tab.key, "less_than_sign")
        back = 150 if tab.mode == "power" else 300
        await at(pilot, back)
        line = screen_text(pilot.app).splitlines()[1]
        assert line.startswith(" PAST ")
        assert ("2 min 30 s ago" if tab.mode == "power" else "5 min ago") in line
        assert "●" in line
        assert "L: live" in line


async def test_the_screens_show_the_figures_of_that_moment(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        assert pilot.app.screen.query_one("PowerNow Digits").value.strip() == "69.0 W"


async def test_trend_buffers_follow_playback(past: ScriptedDaemon) -> None:
    times = [NOW - 1200 + 5 * index for index in range(241)]
    past.series = [
        HistorySeries('wattview_machine_power_watts{source="rapl"}', [(t, t - NOW) for t in times]),
        HistorySeries('docker_container_cpu_percent{name="nginx-rtmp"}', [(t, 7.0) for t in times]),
        HistorySeries('wattview_container_power_watts{name="nginx-rtmp"}', [(t, 3.0) for t in times]),
        HistorySeries('wattview_stream_power_watts{app="live",stream="stream0"}', [(t, 2.0) for t in times]),
        HistorySeries('nginx_rtmp_stream_bandwidth_in_bytes{app="live",stream="stream0"}', [(t, 9.0) for t in times]),
    ]
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        trends = pilot.app.picture.trends
        assert trends["power",][-1] == (NOW - 300, -300)
        assert trends["power",][0][0] == NOW - 1200
        container = pilot.app.picture.snapshot.containers[0]
        assert trends["container", container.id][-1][0] == NOW - 300
        assert trends["container", container.id, "power"][-1] == (NOW - 300, 3.0)
        assert trends["stream", "live", "stream0"][-1] == (NOW - 300, 9.0)
        assert trends["stream", "live", "stream0", "power"][-1] == (NOW - 300, 2.0)
        await pilot.press("full_stop")
        await at(pilot, 290)
        assert pilot.app.picture.trends["power",][-1] == (NOW - 290, -290)


async def test_the_stack_starts_with_the_history(past: ScriptedDaemon) -> None:
    times = [NOW - 300 + 5 * index for index in range(60)]
    names = {
        "wattview_idle_power_watts": 20.0,
        "wattview_unattributed_power_watts": 4.0,
        'wattview_container_power_watts{name="a"}': 5.0,
        'wattview_container_power_watts{name="b"}': 6.0,
        "wattview_workloads_outside_power_watts": 1.5,
    }
    past.series = [HistorySeries(name, [(t, watts) for t in times]) for name, watts in names.items()]
    past.now = snapshot(power_use=power_use(0.0))
    async with opened(past) as pilot:
        trends = pilot.app.trends
        await until(pilot, lambda: len(trends["idle",]) > 60)
        assert trends["containers",][0] == (times[0], 11.0)
        assert trends["encoders",][0] == (times[0], 0.0)
        assert (trends["others",][0], trends["rest",][0]) == ((times[0], 2.5), (times[0], 1.5))
        assert trends["used",][0] == (times[0], 35.0)


async def test_power_is_there_from_the_start_where_idle_power_is_not_known(past: ScriptedDaemon) -> None:
    times = [NOW - 300 + 5 * index for index in range(60)]
    names = {"wattview_unattributed_power_watts": 24.0, 'wattview_container_power_watts{name="a"}': 5.0}
    past.series = [HistorySeries(name, [(t, watts) for t in times]) for name, watts in names.items()]
    past.now = snapshot(power_use=power_use(0.0, idle_watts=None, includes_idle=True))
    async with opened(past) as pilot:
        await until(pilot, lambda: len(pilot.app.trends["used",]) > 60)
        assert power_series(pilot.app.picture)[0].points[0] == (times[0], 29.0)


async def test_playback_has_the_chosen_speed_and_space_pauses_it(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        assert "held 1x" in screen_text(pilot.app)
        await pilot.press("plus", "plus", "plus")
        await until(pilot, lambda: "held 10x" in screen_text(pilot.app))
        await pilot.press("p")
        await until(pilot, lambda: "▶ 10x" in screen_text(pilot.app))
        await until(pilot, lambda: (shown_at(pilot) or 0.0) < 295)
        await pilot.press("minus", "space")
        await until(pilot, lambda: "held 5x" in screen_text(pilot.app))
        held = pilot.app.playback.at
        pilot.app._tick()
        assert pilot.app.playback.at == held
        assert pilot.app._clock is None, "no clock ticks while nothing plays"


async def test_playing_on_arrives_at_now(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("comma")
        await at(pilot, 10)
        await pilot.press("plus", "plus", "plus", "plus", "p")
        await until(pilot, lambda: pilot.app.playback is None)


@pytest.mark.parametrize(
    ("text", "back"),
    [("20 min", 1200), ("14:30", 2200), ("2025-06-15 15:00", 400), ("-1h", 3600)],
)
async def test_a_time_can_be_written(past: ScriptedDaemon, text: str, back: float) -> None:
    async with opened(past) as pilot:
        await pilot.press("at")
        await until(pilot, lambda: "Go to a time" in screen_text(pilot.app))
        pilot.app.screen.query_one("Input").value = text
        await pilot.press("enter")
        await at(pilot, back)


async def test_an_invalid_time_is_reported_and_escape_keeps_the_moment(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("at", *"soon", "enter")
        await until(pilot, lambda: "not a time: 'soon'" in screen_text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: "Go to a time" not in screen_text(pilot.app))
        assert shown_at(pilot) is None


async def test_a_click_on_the_timeline_travels_there(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        line = screen_text(pilot.app).splitlines()[1]
        left, right = line.index("├"), line.index("┤")
        await pilot.click(Timeline, offset=((left + right) // 2, 0))
        await until(pilot, lambda: 430 < (shown_at(pilot) or 0) < 470)  # the middle of a quarter of an hour


async def test_the_history_begins_somewhere_and_no_step_goes_before(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        await pilot.press(*["less_than_sign"] * 30)
        await at(pilot, NOW - FIRST)


async def test_a_moment_outside_the_history_is_refused_and_the_live_view_stays(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("at", *"3d", "enter")
        await until(pilot, lambda: "the history does not reach there" in screen_text(pilot.app))
        assert pilot.app.playback is None


async def test_without_a_history_the_user_is_informed_and_the_live_view_stays(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("comma")
        await until(pilot, lambda: "the history does not reach there" in screen_text(pilot.app))
        assert pilot.app.playback is None


async def test_playback_gives_no_events_or_alerts(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        heard = len(pilot.app.events)
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        assert len(pilot.app.events) == heard
        assert pilot.app.trends["power",][-1][0] == NOW, "what is live is collected apart from it"


async def test_losing_the_daemon_keeps_the_past_on_screen(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("less_than_sign")
        await at(pilot, 300)
        past.stop()
        await until(pilot, lambda: pilot.app.link.state == "lost")
        await pilot.press("comma")
        await until(pilot, lambda: "That moment cannot be shown" in screen_text(pilot.app))
        await at(pilot, 300)
        assert "No daemon" in screen_text(pilot.app)
        past.start()
        await pilot.press("r")
        await until(pilot, lambda: pilot.app.link.state == "live")
        await pilot.press("comma")
        await at(pilot, 310)


@pytest.mark.usefixtures("unanswered")
async def test_a_slow_daemon_blocks_no_key_and_skipped_moments_are_not_requested(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        gate = asyncio.Event()
        asked: list[float] = []
        real = pilot.app.client.snapshot

        async def slow(moment: float | None = None) -> Snapshot:
            asked.append(moment or 0.0)
            await gate.wait()
            return await real(moment)

        pilot.app.client.snapshot = slow
        await pilot.press(*["comma"] * 8)
        assert pilot.app.playback.at == NOW - 80
        assert asked == [NOW - 10]
        gate.set()
        await at(pilot, 80)
        assert asked == [NOW - 10, NOW - 80]


async def test_the_keys_of_time_are_in_the_help(past: ScriptedDaemon) -> None:
    async with opened(past, (120, 60)) as pilot:
        await pilot.press("comma")
        await at(pilot, 10)
        await pilot.press("question_mark")
        await until(pilot, lambda: "Back in time" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for words in ("Forward in time", "Far back in time", "Go to a time", "Play", "Faster", "Slower", "Live"):
            assert words in text


async def test_playback_keys_are_hidden_while_live(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("p", "plus", "L")
        assert pilot.app.playback is None
        assert "Play" not in screen_text(pilot.app).splitlines()[-1]


async def test_power_steps_by_its_range_and_escape_returns_to_live(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        await pilot.press("2", "right_square_bracket", "comma")
        await at(pilot, 90)
        await until(pilot, lambda: "1 min 30 s ago; esc: live" in screen_text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: shown_at(pilot) is None)


# a run again

RUN = Run(
    id="20250615_143000", state="done", started=NOW - 2200, ended=NOW - 2000,
    scenarios=[Scenario(name="quick", duration=60)],
)  # fmt: skip


async def replaying(pilot: Any, begins: float = 2200.0) -> None:
    await until(pilot, lambda: pilot.app.playback is not None and pilot.app.playback.title == RUN.id)
    await until(pilot, lambda: (shown_at(pilot) or math.inf) <= begins)


async def test_a_run_plays_from_its_start_and_stops_at_its_end(past: ScriptedDaemon) -> None:
    past.past_runs = [RUN]
    past.past = lambda moment: replace_run(remembered(moment))
    async with opened(past) as pilot:
        pilot.app.replay(RUN.id)
        await replaying(pilot)
        assert pilot.app.playback.playing
        await until(pilot, lambda: " RUN  20250615_143000" in screen_text(pilot.app))
        assert "of 3:20" in screen_text(pilot.app)
        assert "quick" in screen_text(pilot.app), "with its progress, as while it ran"
        await pilot.press("plus", "plus", "plus", "plus")
        pilot.app.playback.go(NOW - 2001)
        await until(pilot, lambda: not pilot.app.playback.playing)
        await at(pilot, 2000)
        await pilot.press("greater_than_sign")
        assert pilot.app.playback.at == NOW - 2000, "no step leaves the run"
        await pilot.press("p")
        assert pilot.app.playback.playing
        await until(pilot, lambda: (shown_at(pilot) or 0) > 2100)
        await pilot.press("L")
        await until(pilot, lambda: shown_at(pilot) is None)


def replace_run(picture: Snapshot | None) -> Snapshot | None:
    return None if picture is None else replace(picture, run=run())


async def test_p_on_the_results_replays_that_run(past: ScriptedDaemon) -> None:
    past.past_runs = [RUN]
    past.results = [replace(past.results[0], id=RUN.id)]
    async with opened(past) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: "1 stream 720p 2500k" in screen_text(pilot.app))
        await pilot.press("p")
        await replaying(pilot)
        assert pilot.app.current_mode == "overview"


async def test_a_run_without_a_journal_is_replayed_over_its_windows(past: ScriptedDaemon) -> None:
    async with opened(past) as pilot:
        pilot.app.replay(past.results[0].id)
        await until(pilot, lambda: pilot.app.playback is not None)
        assert (pilot.app.playback.first, pilot.app.playback.last) == (NOW - 4045, NOW - 3835)


async def test_a_run_lost_from_the_history_is_reported(past: ScriptedDaemon) -> None:
    past.past_runs = [replace(RUN, started=FIRST - 500, ended=FIRST - 400)]
    async with opened(past) as pilot:
        pilot.app.replay(RUN.id)
        await until(pilot, lambda: "cannot be shown again" in screen_text(pilot.app))
        assert "the history does not reach there" in screen_text(pilot.app)
        assert pilot.app.playback is None


async def test_playback_of_a_partly_recorded_run_starts_where_the_history_does(past: ScriptedDaemon) -> None:
    past.past_runs = [replace(RUN, started=FIRST - 100, ended=FIRST + 100)]
    async with opened(past) as pilot:
        pilot.app.replay(RUN.id)
        await until(pilot, lambda: pilot.app.playback is not None)
        assert (pilot.app.playback.first, pilot.app.playback.last) == (FIRST, FIRST + 100)
        await until(pilot, lambda: "no longer has the start of the run" in screen_text(pilot.app))


async def test_an_unknown_run_is_reported(past: ScriptedDaemon) -> None:
    past.results = []
    async with opened(past) as pilot:
        pilot.app.replay("20200101_000000")
        await until(pilot, lambda: "cannot be shown again" in screen_text(pilot.app))
