"""The screens behind the number keys: what they show, open, sort and filter."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from textual import work
from textual.app import ComposeResult
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tests.support.dashboard import (
    NOW,
    ScriptedDaemon,
    container,
    exporter,
    gpu,
    opened,
    power_use,
    result,
    run,
    screen_text,
    snapshot,
    stream,
    until,
)
from wattview.config import Tui
from wattview.model import EncoderStatus, HistorySeries, ProbeStatus, ScenarioRecord, StreamEncoder
from wattview.tui.app import Dashboard
from wattview.tui.plots.panel import Plot
from wattview.tui.screens.confirm import Confirm
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.views import TABS
from wattview.tui.widgets.table import Table


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.mode)
async def test_every_number_key_opens_its_screen(daemon: ScriptedDaemon, tab: object) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press(tab.key)
        await until(pilot, lambda: pilot.app.current_mode == tab.mode)
        assert f"‹{tab.key} {tab.short or tab.title}›" in screen_text(pilot.app).splitlines()[0]


async def test_a_click_on_a_key_in_the_footer_does_what_the_key_does(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.click("KeyFooter", offset=(screen_text(pilot.app).splitlines()[-1].index("? Help"), 0))
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "Help")


async def test_the_keys_of_a_range_are_one_item_of_the_footer(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "[ ] Range " in screen_text(pilot.app).splitlines()[-1])


async def test_a_click_on_a_tab_goes_there(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        x = screen_text(pilot.app).splitlines()[0].index("7 Results") + 2
        await pilot.click("Tabs", offset=(x, 0))
        await until(pilot, lambda: pilot.app.current_mode == "results")


# power


def power_history(start: float, end: float, step: float, watts: float = 40.0) -> list[HistorySeries]:
    times = [start + step * index for index in range(int((end - start) / step) + 1)]
    return [
        HistorySeries('wattview_machine_power_watts{source="rapl"}', [(t, watts + i % 3) for i, t in enumerate(times)]),
        HistorySeries(
            'wattview_host_energy_joules_total{source="rapl"}', [(t, 7e5 + 41.6 * (t - start)) for t in times]
        ),
        HistorySeries('rapl_power_watts{package="package-0",zone="core"}', [(t, 25.0) for t in times]),
    ]


async def test_power_gives_least_mean_and_largest_of_the_range(daemon: ScriptedDaemon) -> None:
    daemon.series = power_history(NOW - 3600, NOW, 5.0)
    async with opened(daemon) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "41.6" in screen_text(pilot.app))
        host = next(line for line in screen_text(pilot.app).splitlines() if "A host" in line)
        # 41.6 W is the growth of the energy counter over the range; the readings say 41 W.
        assert host.split()[3:7] == ["42.0", "40.0", "41.6", "42.0"]
        core = next(line for line in screen_text(pilot.app).splitlines() if "package-0 core" in line)
        assert core.split()[4:8] == ["28.0", "25.0", "25.0", "25.0"]
        assert "not added" in core


async def test_brackets_change_the_range_up_to_a_week(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("2")
        for label in ("15 min", "1 h", "6 h", "24 h", "7 days", "7 days"):
            await pilot.press("right_square_bracket")
            await until(pilot, lambda label=label: f"Power, {label}" in screen_text(pilot.app))
        for _ in range(8):
            await pilot.press("left_square_bracket")
        await until(pilot, lambda: "Power, 1 min" in screen_text(pilot.app))


async def test_the_cursor_reads_a_value_and_its_time(daemon: ScriptedDaemon) -> None:
    daemon.series = power_history(NOW - 3600, NOW, 5.0)
    async with opened(daemon) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.screen.past is not None)
        await pilot.press("left", "h", "h")
        await until(pilot, lambda: "host: 4" in screen_text(pilot.app))
        line = next(line for line in screen_text(pilot.app).splitlines() if "host: 4" in line)
        assert line.split()[0].startswith("15:06:3")


async def test_a_long_range_is_a_plot_of_all_sources_with_the_scenarios_named(daemon: ScriptedDaemon) -> None:
    daemon.series = power_history(NOW - 3600, NOW, 5.0)
    record = ScenarioRecord(name="x264 720p", start_time=NOW - 1800, end_time=NOW - 900)
    daemon.past_runs = [run("finished", state="done", progress=None, ended=NOW - 900, finished=[record])]
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("2", *["right_square_bracket"] * 2)

        def drawn() -> str:
            lines = pilot.app.screen.query_one(Plot)._lines
            return "\n".join("".join(text for text, _ in line) for line in lines)

        await until(pilot, lambda: "x264 720p" in drawn())
        picture = drawn()
        assert {"A", "C"} <= set(picture), "host and core, by the letters in the table"
        assert "25┼" in picture
        assert "0┼" not in picture.replace("30┼", "").replace("40┼", ""), "the scale fits the values"
        await pilot.press("z")
        await until(pilot, lambda: any(line.startswith(" 0┼") for line in drawn().splitlines()))
        await pilot.press("enter")
        await until(pilot, lambda: "Power of host, 1 h" in screen_text(pilot.app))
        assert "C" not in drawn()


async def test_a_graph_says_that_there_is_no_history(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(power=None)
    async with opened(daemon) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "the history has nothing here yet" in screen_text(pilot.app))


# containers and streams


async def test_containers_sort_by_s_and_turn_around_by_shift_s(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(containers=6)
    async with opened(daemon) as pilot:
        await pilot.press("3")
        table = pilot.app.screen.query_one("#containers")

        def names() -> list[str]:
            return [row.container.name for row in table.rows]

        assert names()[0] == "nginx-rtmp"
        await pilot.press("s")  # from watts to CPU, largest first
        assert table.columns[table.sort_column].title == "CPU %"
        assert names()[0] == "nginx-rtmp"
        await pilot.press("S")
        assert names()[0] == "alertmanager"
        while table.sort_column is not None:
            await pilot.press("s")
        await pilot.press("s")  # by name
        assert names() == sorted(names())


async def test_a_filter_narrows_while_it_is_typed_and_escape_drops_it(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(containers=6)
    async with opened(daemon) as pilot:
        await pilot.press("3", "slash", *"TRANS")
        await until(pilot, lambda: "Containers 2 of 6" in screen_text(pilot.app))
        await pilot.press("enter")
        await pilot.press("j")
        assert pilot.app.screen.query_one("#containers").row.container.name == "transcoder-b"
        await pilot.press("slash", "escape")
        await until(pilot, lambda: "Containers 6" in screen_text(pilot.app))


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        (["3", "slash", *"type"], "type"),
        (["4", "slash", *"rex", "backspace"], "re"),
        (["at", *"1430"], "1430"),
        (["ctrl+p", *"theme"], "theme"),
        (["n", "tab", *"quiet"], "quiet"),
    ],
)
async def test_keys_typed_at_once_reach_what_earlier_keys_opened(
    daemon: ScriptedDaemon, keys: list[str], typed: str
) -> None:
    async with opened(daemon) as pilot:
        for key in keys:
            pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: isinstance(pilot.app.focused, Input) and pilot.app.focused.value == typed)
        assert not pilot.app._notifications, "no letter was a key of the table: e exports, y copies"


async def test_a_container_opens_with_its_limits_labels_and_history(daemon: ScriptedDaemon) -> None:
    one = container(
        0, labels={"com.example": "[b]x"}, memory_limit_bytes=512 << 20, pid=4711, memory_rss_bytes=100 << 20
    )
    daemon.now = msgspec.structs.replace(daemon.now, containers=(one,))
    daemon.series = [HistorySeries('docker_container_cpu_percent{name="nginx-rtmp"}', [(NOW - 600, 12.0)])]
    async with opened(daemon) as pilot:
        await pilot.press("3", "enter")
        await until(pilot, lambda: "pid 4711" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for expected in ("example/nginx-rtmp:1", "the limit of 512 MiB", "100 MiB anonymous", "com.example = [b]x"):
            assert expected in text
        await until(pilot, lambda: pilot.app.screen._past._points["cpu"] == [(NOW - 600, 12.0)])
        daemon.say(snapshot(5.0, containers=0))
        await until(pilot, lambda: "no longer running" in screen_text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: "no container is running" in screen_text(pilot.app))


async def test_a_container_opens_to_graphs_over_a_range_that_fits_and_to_its_events(daemon: ScriptedDaemon) -> None:
    daemon.series = [HistorySeries('wattview_container_power_watts{name="nginx-rtmp"}', [(NOW - 800, 3.0)])]
    daemon.tell("warning", "container nginx-rtmp", "has failed and was restarted (once)", at=-60.0)
    daemon.tell("info", "container grafana", "has ended", at=-50.0)
    async with opened(daemon) as pilot:
        await pilot.press("3", "enter")
        await until(pilot, lambda: "Power, 15 min" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for title in ("CPU % of a core", "Memory % of its limit", "Network in, line: out"):
            assert f"{title}, 15 min" in text
        assert "has failed" in text
        assert "has ended" not in text
        first = pilot.app.screen
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "Power, 1 h" in screen_text(pilot.app))
        await pilot.press("escape", "down", "enter")
        await until(pilot, lambda: "transcoder-a" in screen_text(pilot.app) and pilot.app.screen is first)
        assert "nginx-rtmp:1" not in screen_text(pilot.app)


async def test_a_stream_opens_with_its_clients(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("4", "enter")
        await until(pilot, lambda: "publisher" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "192.0.2.7" in text
        assert "H264 High, 1280x720 at 30.0 fps" in text
        daemon.say(snapshot(5.0, streams=0))
        await until(pilot, lambda: "no longer live" in screen_text(pilot.app))


async def test_an_empty_streams_screen_says_how_to_publish(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(streams=0)
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "aac -f flv rtmp://127.0.0.1:1935/live/NAME" in screen_text(pilot.app))
        assert pilot.app.screen.query_one(PowerGraph).display
        daemon.say(snapshot(5.0, streams=1))
        await until(pilot, lambda: "Power of live/stream0" in screen_text(pilot.app))
        assert "NAME" not in screen_text(pilot.app)
        assert not pilot.app.screen.query_one(PowerGraph).display


async def test_the_log_leaves_room_to_the_power_until_it_is_long(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("9")
        power = pilot.app.screen.query_one(PowerGraph)
        await until(pilot, lambda: power.display)
        for number in range(40):
            daemon.tell("warning", f"container worker-{number}", "is unhealthy")
        daemon.say(snapshot(5.0))
        await until(pilot, lambda: "40 warnings" in screen_text(pilot.app))
        assert not power.display


async def test_an_interrupted_stream_gives_a_toast_and_a_log_line(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        later = snapshot(5.0, streams=1)
        assert later.rtmp_server is not None
        daemon.say(replace(later, rtmp_server=replace(later.rtmp_server, uptime_seconds=1.0)))
        await until(pilot, lambda: "was cut off" in screen_text(pilot.app))
        await pilot.press("9")
        await until(pilot, lambda: "stream live/stream1" in screen_text(pilot.app))


async def test_many_alerts_at_once_leave_the_screen_readable(daemon: ScriptedDaemon) -> None:
    """Each is in the log; of the toasts the last says so."""
    async with opened(daemon) as pilot:
        for number in range(20):
            daemon.tell("warning", f"container web-{number}", "has failed and was restarted", alert=True)
        daemon.say(snapshot(5.0))
        await until(pilot, lambda: "More alerts" in screen_text(pilot.app))
        titles = [toast.title for toast in pilot.app._notifications]
        assert titles == ["container web-0", "container web-1", "container web-2", "More alerts"]
        await pilot.press("9")
        await until(pilot, lambda: "container web-19" in screen_text(pilot.app))


# GPU


async def test_a_missing_gpu_has_the_probes_reason(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "no NVIDIA driver is loaded" in screen_text(pilot.app))


async def test_a_gpu_shows_its_figures_and_a_dash_for_missing_ones(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(gpus=(gpu(),), probes=(ProbeStatus(probe="gpu", state="ok"),))
    async with opened(daemon) as pilot:
        assert "0 NVIDIA L4 61.2 W, 43 %, 2.0 GiB, 54 °C" in screen_text(pilot.app)
        await pilot.press("5")
        await until(pilot, lambda: "driver 550.1" in screen_text(pilot.app))
        lines = screen_text(pilot.app).splitlines()
        line = next(line for line in lines if "NVIDIA L4" in line)
        assert line.replace("│", "").split()[3:] == ["61.2", "72", "43", "12", "4", "2048", "—", "54", "1700", "—"]
        assert "Encodes   2 streams at 60 fps, 4.0 ms behind" in screen_text(pilot.app)
        process = next(line for line in lines if "ffmpeg" in line)
        assert "ffmpeg 811 300 21 12" in " ".join(process.replace("│", "").split())


async def test_a_gpu_is_shown_over_a_range_with_its_events(daemon: ScriptedDaemon) -> None:
    one, other = gpu(), gpu(1, name="NVIDIA T4")
    daemon.now = snapshot(gpus=(one, other))
    daemon.tell("error", one.called, "reports XID error 79")
    use = [(NOW - 600 + 5.0 * index, 40.0 + index % 20) for index in range(120)]
    daemon.series = [HistorySeries(f'wattview_gpu_utilization_percent{{uuid="{one.uuid}"}}', use)]
    async with opened(daemon, (160, 50)) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "Use, line: encoder, 15 min" in screen_text(pilot.app))
        assert "reports XID error 79" in screen_text(pilot.app)
        assert "-10:00" in screen_text(pilot.app)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "Use, line: encoder, 1 h" in screen_text(pilot.app))
        await pilot.press("down")
        await until(pilot, lambda: "none since the daemon's log began" in screen_text(pilot.app))
        assert "reports XID error 79" not in screen_text(pilot.app)


async def test_help_fits_its_columns_on_every_screen(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        for key in "123456789":
            await pilot.press(key, "question_mark")
            dialog = pilot.app.screen.query_one("#keys")
            text = str(cast(Static, dialog).render())
            assert [line for line in text.splitlines() if cell_len(line) > dialog.size.width] == []
            keys = [line for line in text.splitlines() if line.startswith("  ")]
            assert len(keys) == len(set(keys))
            await pilot.press("escape")


# scenarios


async def test_a_run_shows_its_encoders_and_its_power_over_the_baseline(daemon: ScriptedDaemon) -> None:
    def joules(at: float, total: float) -> object:
        power = msgspec.structs.replace(snapshot(at).power, host_joules_total=total, host_watts=48.0)
        return snapshot(at, run=run(), power=power)

    daemon.now = joules(-80.0, 1000.0)
    async with opened(daemon) as pilot:
        # The idle window ran from -70 to -40 s at 30 W; then the streams draw more.
        for at, total in ((-70.0, 1300.0), (-40.0, 2200.0), (0.0, 4120.0)):
            daemon.say(joules(at, total))
            await until(pilot, lambda at=at: pilot.app.latest.time == NOW + at)
        await pilot.press("6")
        await until(pilot, lambda: "idle window 30.0 W   difference +18.0 W" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "2 of 2, measuring" in text
        assert "quick-1" in text
        assert "1.00x" in text


async def test_a_slow_encoder_is_marked_and_alerted(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon) as pilot:
        daemon.say(snapshot(5.0, run=run(encoders=[EncoderStatus(stream="quick-1", speed=0.6)])))
        await until(pilot, lambda: "behind real time: 0.60x" in screen_text(pilot.app))


async def test_enter_on_a_preset_opens_the_dialog_with_it(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: "Ladder" in screen_text(pilot.app))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "Launch" and pilot.app.screen.presets)
        await until(pilot, lambda: pilot.app.screen.choice.is_suite)


# exporters, log


async def test_exporters_show_health_with_reason_and_the_doctors_fix(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(exporters=(exporter("rapl-exporter"), exporter("cadvisor", healthy=False, reachable=False,
                                                                         reason="connection refused")))  # fmt: skip
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "✗ unhealthy" in screen_text(pilot.app))
        await pilot.press("j")
        await until(pilot, lambda: "connection refused" in screen_text(pilot.app))
        await pilot.press("tab")
        await until(pilot, lambda: "Fix: sudo setcap" in screen_text(pilot.app))
        await pilot.press("y")
        assert pilot.app.clipboard == "sudo setcap cap_dac_read_search+ep /usr/bin/python3"


async def test_a_large_screen_says_who_scrapes_the_exporter_and_what_happened_to_it(daemon: ScriptedDaemon) -> None:
    scraped = {"scrapes": 412, "scraped": NOW - 3, "scraper": "Prometheus/3.5.0 at 10.0.0.2", "scraped_bytes": 41_984}
    daemon.now = snapshot(exporters=(exporter("rapl-exporter", **scraped), exporter("cadvisor")))
    daemon.tell("warning", "exporter cadvisor", "unhealthy: no answer within 10 s", at=-60.0)
    async with opened(daemon, (200, 60)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: "412 times since the daemon started" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "Prometheus/3.5.0 at 10.0.0.2" in text
        assert "41.0 KiB on the wire" in text
        await pilot.press("j")
        await until(pilot, lambda: "by nobody yet" in screen_text(pilot.app))
        await until(pilot, lambda: "no answer within 10 s" in screen_text(pilot.app))
        await pilot.press("tab")
        await until(pilot, lambda: "y copies it" in screen_text(pilot.app))


async def test_an_encoder_has_the_bitrate_that_the_server_receives(daemon: ScriptedDaemon) -> None:
    """FFmpeg's tee muxer reports none. A ladder's outputs are streams of their own."""
    ladder = run(encoders=[EncoderStatus(stream="a-1"), EncoderStatus(stream="b-1")])
    streams = tuple(
        stream(0, name=name, bandwidth_in_bytes=rate)
        for name, rate in (("a-1-720p", 250_000.0), ("a-1-360p", 62_500.0), ("b-1", 125_000.0), ("b-10", 999_000.0))
    )
    daemon.now = replace(snapshot(run=ladder), streams=streams)
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("6")
        table = pilot.app.screen.query_one("#encoders", Table)
        await until(pilot, lambda: [one.bitrate_bps for one in table.rows] == [2_500_000.0, 1_000_000.0])


async def test_the_log_keeps_what_happened_newest_first_and_filters(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        daemon.say(snapshot(5.0, containers=3))
        daemon.say(snapshot(6.0, containers=3, streams=3))
        await pilot.press("9")
        await until(pilot, lambda: "stream live/stream2" in screen_text(pilot.app))
        table = pilot.app.screen.query_one("#events")
        assert [row.event.about for row in table.rows] == ["stream live/stream2", "container grafana"]
        await pilot.press("slash", *"grafana", "enter")
        await until(pilot, lambda: len(table.rows) == 1)
        assert table.row.event.text == "has ended"


async def test_the_log_has_what_happened_before_the_dashboard_was_opened_without_a_toast(
    daemon: ScriptedDaemon,
) -> None:
    daemon.tell("warning", "stream live/cam1", "was cut off", at=-3600.0, alert=True)
    daemon.tell("info", "daemon", "ready", at=-7200.0)
    async with opened(daemon) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: "stream live/cam1" in screen_text(pilot.app))
        assert [row.event.about for row in log_rows(pilot)] == ["stream live/cam1", "daemon"]
        assert not pilot.app._notifications


async def test_the_log_marks_what_the_dashboard_says_itself(daemon: ScriptedDaemon) -> None:
    daemon.tell("info", "daemon", "ready", at=-60.0)
    async with opened(daemon) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: len(log_rows(pilot)) == 1)
        daemon.stop()
        await until(pilot, lambda: len(log_rows(pilot)) == 2)
        daemon.start()
        await pilot.press("r")
        await until(pilot, lambda: len(log_rows(pilot)) == 3)
        assert [(row.own, row.event.level) for row in log_rows(pilot)] == [
            (True, "info"), (True, "error"), (False, "info"),
        ]  # fmt: skip
        assert "dashboard" in screen_text(pilot.app)


async def test_v_shows_warnings_and_errors_then_errors_then_all(daemon: ScriptedDaemon) -> None:
    for level in ("info", "warning", "error"):
        daemon.tell(level, "source power", f"an {level}")
    async with opened(daemon) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: len(log_rows(pilot)) == 3)
        shown = []
        for _ in range(3):
            await pilot.press("v")
            shown.append([row.event.level for row in log_rows(pilot)])
        assert shown == [["error", "warning"], ["error"], ["error", "warning", "info"]]


async def test_the_newest_event_stays_in_view_until_the_cursor_is_moved(daemon: ScriptedDaemon) -> None:
    for number in range(60):
        daemon.tell("info", "daemon", f"event {number}", at=float(number - 60))
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: "event 59" in screen_text(pilot.app))
        daemon.say(snapshot(1.0, streams=3))
        await until(pilot, lambda: "stream live/stream2: is live" in screen_text(pilot.app))
        await pilot.press("down", "down")
        row = pilot.app.screen.query_one("#events").row
        daemon.say(snapshot(2.0, streams=4))
        await until(pilot, lambda: len(log_rows(pilot)) == 62)
        assert pilot.app.screen.query_one("#events").row == row


async def test_the_log_can_be_exported_and_a_line_copied(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.tell("warning", "media server", "port 1935 is taken", at=-60.0)
    async with opened(daemon) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: len(log_rows(pilot)) == 1)
        await pilot.press("y", "e")
        assert "What: port 1935 is taken" in pilot.app.clipboard
        assert written(tmp_path, "log")[1] == "06-15 15:05:40,! warning,daemon,media server,port 1935 is taken"


def log_rows(pilot: Any) -> list[Any]:
    return pilot.app.screen.query_one("#events").rows


# what keys do everywhere


def written(directory: Path, table: str = "streams") -> list[str]:
    (file,) = directory.glob(f"wattview-{table}-*.csv")
    return file.read_text().splitlines()


async def test_e_exports_the_table_as_csv(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.now = msgspec.structs.replace(
        daemon.now, streams=(stream(0, name='a,"b'), stream(1, bandwidth_in_bytes=None))
    )
    async with opened(daemon) as pilot:
        await pilot.press("4", "e")
        await until(pilot, lambda: "Exported" in screen_text(pilot.app))
    header, first, second = written(tmp_path)
    assert header.startswith("Stream,W,Encoder,Codec,Size,fps,Mbit/s")
    assert first.startswith('"live/a,""b",,,H264')
    assert ",315000.0," in first, "figures are exported in full"
    assert second.split(",")[6] == "", "unknown is empty, and no zero"


async def test_streams_show_their_encoders_and_where_these_run(daemon: ScriptedDaemon) -> None:
    encoders = (
        StreamEncoder(match="socket", pid=4242, program="ffmpeg", kind="unit", name="encode.service", watts=3.25),
        StreamEncoder(match="remote", host="192.0.2.7"),
        StreamEncoder(match="none", reason="give the daemon CAP_SYS_PTRACE"),
    )
    daemon.now = msgspec.structs.replace(
        daemon.now,
        streams=tuple(stream(number, encoder=one, server_watts=0.5) for number, one in enumerate(encoders)),
    )
    async with opened(daemon, (160, 40)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "unit encode" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "on 192.0.2.7" in text
        assert "not found" in text
        await pilot.press("enter")
        await until(pilot, lambda: "ffmpeg 4242 in unit encode.service" in screen_text(pilot.app))
        assert "server 0.50, encoder 3.25" in screen_text(pilot.app)


async def test_i_switches_the_account_and_tables_say_that_idle_is_included(daemon: ScriptedDaemon) -> None:
    daemon.now = msgspec.structs.replace(daemon.now, power_use=power_use(0.0))
    async with opened(daemon, (160, 40)) as pilot:
        await until(pilot, lambda: "containers" in screen_text(pilot.app))
        assert "W include idle power" not in screen_text(pilot.app)
        await pilot.press("i")
        assert pilot.app.client.account == "attributional"  # type: ignore[attr-defined]
        shared = power_use(
            0.0, account="attributional", includes_idle=True, idle_watts=None, idle_method=None, containers_watts=32.0
        )
        daemon.say(msgspec.structs.replace(daemon.now, time=daemon.now.time + 1, power_use=shared))
        await until(pilot, lambda: "W include idle power" in screen_text(pilot.app))
        await pilot.press("i")
        assert pilot.app.client.account == "marginal"  # type: ignore[attr-defined]


async def test_an_export_that_cannot_be_written_says_why(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    async with opened(daemon) as pilot:
        gone.rmdir()
        await pilot.press("4", "e")
        await until(pilot, lambda: "was not exported" in screen_text(pilot.app))


async def test_y_copies_the_row(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("4", "y")
        assert pilot.app.clipboard.splitlines()[0] == "Stream: live/stream0"


async def test_space_freezes_the_screen_while_collecting_continues(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("space")
        await until(pilot, lambda: "Paused" in screen_text(pilot.app))
        daemon.say(snapshot(9.0, containers=1))
        await until(pilot, lambda: len(pilot.app.trends["power",]) == 2)
        assert "Containers 4" in screen_text(pilot.app)
        await pilot.press("space")
        await until(pilot, lambda: "Containers 1" in screen_text(pilot.app))


async def test_t_cycles_through_our_themes(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        seen = [pilot.app.theme]
        for _ in range(4):
            await pilot.press("t")
            seen.append(pilot.app.theme)
        assert seen[0] == seen[4]
        assert len(set(seen)) == 4


async def test_help_lists_the_keys_that_work_here_and_no_others(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (120, 50), keys={"quit": "ctrl+d"}) as pilot:
        await pilot.press("2", "question_mark")
        await until(pilot, lambda: "Keys" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "Longer" in text
        assert "Compare" not in text
        assert any(line.split("│")[1:] and "^d" in line and "Quit" in line for line in text.splitlines())
        await pilot.press("escape", "7", "question_mark")
        await until(pilot, lambda: "Compare" in screen_text(pilot.app))


@pytest.mark.parametrize("keys", [("1",), ("2",), ("3", "enter"), ("4", "enter"), ("5",), ("7",), ("comma",)])
async def test_help_explains_each_key_and_symbol_once(daemon: ScriptedDaemon, keys: tuple[str, ...]) -> None:
    daemon.results = [result("20250615_140000")]
    async with opened(daemon, (120, 60)) as pilot:
        await pilot.press(*keys)
        await pilot.press("question_mark")
        await until(pilot, lambda: "an estimate, not a measurement" in screen_text(pilot.app))
        lines = [line for _, lines in pilot.app.screen._groups for line in lines]
        shown = [key for keys, _ in lines for key in keys.split(" ")]
        assert len(set(shown)) == len(shown)
        assert len({meaning for _, meaning in lines}) == len(lines)
        for sign in "~!±≠":
            assert any(line.strip("│ ").startswith(f"{sign} ") for line in _dialog(screen_text(pilot.app)))


def _dialog(text: str) -> list[str]:
    return [line[22:98] for line in text.splitlines()]


async def test_a_repeated_warning_is_one_toast_and_covers_neither_notes_nor_footer(
    daemon: ScriptedDaemon,
) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        for speed in (0.91, 0.92, 0.93):
            pilot.app.notify(f"is behind real time: {speed:.2f}x", title="encoder a-1", severity="warning")
        await until(pilot, lambda: "behind real time: 0.91x" in screen_text(pilot.app))
        assert len(pilot.app._notifications) == 1
        lines = screen_text(pilot.app).splitlines()
        assert "behind real time" in "".join(lines[1:8])
        assert lines[-1].endswith("q Quit")
        pilot.app.clear_notifications()
        pilot.app.notify("is behind real time: 0.90x", title="encoder a-1", severity="warning")
        assert not pilot.app._notifications


async def test_keys_can_be_changed(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, keys={"new_run": "f5", "table_down": "down,w"}) as pilot:
        await pilot.press("n")
        await pilot.press("w")
        assert pilot.app.screen.query_one("#containers").row.container.name == "transcoder-a"
        await pilot.press("f5")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "Launch")


async def test_the_palette_offers_screens_and_keys(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"Exporters")
        await until(pilot, lambda: "Screen 8" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.current_mode == "exporters")


class Searching(ModalScreen[None]):
    """Looks for its child when mounted, and goes on in a worker."""

    def compose(self) -> ComposeResult:
        yield Static(id="child")

    def on_mount(self) -> None:
        self.query_one("#child")
        self.search()

    @work
    async def search(self) -> None:
        for _ in range(60):
            self.query_one("#child")
            await asyncio.sleep(0)


async def test_a_screen_may_close_while_it_mounts_or_works(daemon: ScriptedDaemon) -> None:
    """Which it does on a busy machine, where its children are gone before its own messages are through."""
    async with opened(daemon) as pilot:
        for steps in range(60):
            pilot.app.push_screen(Searching())
            for _ in range(steps):
                await asyncio.sleep(0)
            pilot.app.pop_screen()
            await pilot.pause()
        await pilot.press("3")
        await until(pilot, lambda: pilot.app.current_mode == "workloads")


async def test_q_quits(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit)
    assert pilot.app.return_code == 0


async def test_plain_ascii_where_the_terminal_has_no_more(daemon: ScriptedDaemon) -> None:
    daemon.now = msgspec.structs.replace(snapshot(run=run()), streams=(stream(0, name="名"),))
    async with opened(daemon, (80, 24), glyphs="ascii") as pilot:
        for key in "123456789":
            await pilot.press(key)
            await pilot.pause()
            drawn = "".join(segment.text for strip in pilot.app.screen._compositor.render_strips() for segment in strip)
            assert drawn.isascii(), f"screen {key}: {sorted({c for c in drawn if not c.isascii()})}"


async def test_the_log_says_what_an_event_is_about_in_a_narrow_terminal_too(daemon: ScriptedDaemon) -> None:
    daemon.tell("info", "source node", "works", at=-10.0)
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("9")
        await until(pilot, lambda: "works" in screen_text(pilot.app))
        # The line below the table names it too, but without its level.
        assert any("source node" in line and "info" in line for line in screen_text(pilot.app).splitlines())


async def test_a_prepared_screen_is_the_one_that_opens(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattview.tui.app.AHEAD_SECONDS", 0.001)
    async with opened(daemon) as pilot:
        await until(pilot, lambda: all(pilot.app._screens_of(tab.mode) for tab in TABS))
        made = {tab.mode: pilot.app._screens_of(tab.mode)[0] for tab in TABS}
        for tab in TABS:
            await pilot.press(tab.key)
            await until(pilot, lambda tab=tab: pilot.app.screen is made[tab.mode])
            assert f"‹{tab.key} {tab.title}›" in screen_text(pilot.app).splitlines()[0]


async def test_a_theme_that_was_changed_elsewhere_is_on_every_screen(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("3", "2", "t", "3")
        await until(pilot, lambda: pilot.app.current_mode == "workloads")
        light = pilot.app.get_theme(pilot.app.theme).background
        assert pilot.app.screen.styles.background.hex.lower() == light
        assert pilot.app.screen.query_one("#trend").styles.background != pilot.app.screen.styles.border


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.mode)
async def test_the_important_keys_fit_in_80_columns(daemon: ScriptedDaemon, tab: object) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press(tab.key)
        await until(pilot, lambda: pilot.app.current_mode == tab.mode)
        footer = screen_text(pilot.app).splitlines()[-1]
        assert footer.endswith(("? Help q Quit", "? Help  q Quit"))
        assert ("c Compare" if tab.mode == "results" else "n New run") in footer
        assert len(footer) <= 80


# leaving


async def test_the_end_of_a_run_with_the_dashboard_is_asked_about(daemon: ScriptedDaemon) -> None:
    daemon.now = msgspec.structs.replace(daemon.now, run=run())
    app = Dashboard(daemon.url, settings=Tui(), owns_daemon=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.running is not None)
        await pilot.press("q")
        await until(pilot, lambda: "Run 20250615_150600 is active" in " ".join(screen_text(app).split()))
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert app.is_running
        await pilot.press("q", "y")
        await until(pilot, lambda: app._exit)


@pytest.mark.parametrize(("goes_on", "owns"), [(False, True), (True, False)])
async def test_quitting_asks_only_if_something_would_end(daemon: ScriptedDaemon, goes_on: bool, owns: bool) -> None:
    daemon.now = msgspec.structs.replace(daemon.now, run=run() if goes_on else None)
    app = Dashboard(daemon.url, settings=Tui(), owns_daemon=owns)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.latest is not None)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
