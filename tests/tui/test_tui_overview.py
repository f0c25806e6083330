from __future__ import annotations

import re

import msgspec
import pytest
from textual.widgets import Digits

from tests.support.dashboard import (
    NOW,
    ScriptedDaemon,
    exporter,
    gpu,
    opened,
    power_use,
    run,
    screen_text,
    snapshot,
    stream,
    until,
)
from wattview.model import EncoderStatus, HistorySeries, ProbeStatus, WallPower
from wattview.tui.plots.graph import Graph
from wattview.tui.screens.power_graph import power_series
from wattview.tui.widgets.host import cores_and_bar, levels
from wattview.tui.widgets.power_now import PowerNow


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_overview_shows_every_source_at_every_size(daemon: ScriptedDaemon, size: tuple[int, int]) -> None:
    async with opened(daemon, size) as pilot:
        text = screen_text(pilot.app)
        for expected in (
            "measured by RAPL, peak 48.2 W", "0.7551 USD/h", "17.1 g CO₂/h", "37.5 %", "2.41 1.98 1.20", "5.22",
            "10.48", "Containers 4", "nginx-rtmp", "83.4", "200", "Streams 2", "live/stream0", "1280x720", "2.52",
            "12:34", "no NVIDIA driver is loaded", "9 healthy", "1 not", "15:06:40",
        ):  # fmt: skip
            assert expected in text or (expected == "15:06:40" and size[0] == 80), f"{expected!r} is not on the screen"


async def test_figures_follow_the_snapshots(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        daemon.say(snapshot(7.0, containers=1, streams=0, cost_per_hour=0.25))
        await until(pilot, lambda: "0.2500 USD/h" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "Containers 1" in text
        assert "transcoder-a" not in text
        assert "no stream is live; press n to run one" in text


async def test_an_estimate_is_marked_as_one(daemon: ScriptedDaemon) -> None:
    power = msgspec.structs.replace(daemon.now.power, source="estimated", zones=(), host_peak_watts=None)
    daemon.now = snapshot(power=power)
    async with opened(daemon, (80, 24)) as pilot:
        assert "ESTIMATE" in screen_text(pilot.app)
        assert "measured" not in screen_text(pilot.app)


async def test_gpus_that_the_host_does_not_see_are_in_the_figure(daemon: ScriptedDaemon) -> None:
    """42 W by RAPL, and 61.25 W by the GPU."""
    daemon.now = snapshot(gpus=(gpu(),))
    async with opened(daemon, (120, 40)) as pilot:
        shown = pilot.app.screen.query_one(PowerNow)
        assert shown.query_one(Digits).value.split() == ["103.2", "W"]
        text = screen_text(pilot.app)
        assert "measured by RAPL, GPUs by NVML" in text
        assert "±— W" in text, "NVML does not say how exact it is"
        assert "GPUs             61.2 W" in text
        await pilot.press("2")
        await until(pilot, lambda: "GPU 0 NVIDIA L4" in screen_text(pilot.app))
        lines = screen_text(pilot.app).splitlines()
        assert "103.2" in next(line for line in lines if "A host" in line)
        card = next(line for line in lines if "GPU 0 NVIDIA L4" in line)
        assert "added" in card
        assert "not added" not in card


async def test_a_silent_gpu_makes_the_figure_unknown_and_is_named(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(gpus=(gpu(power_watts=None),))
    async with opened(daemon, (120, 40)) as pilot:
        assert pilot.app.screen.query_one(PowerNow).query_one(Digits).value == "-"
        assert "GPU 0 does not report its power" in screen_text(pilot.app)


async def test_the_error_is_shown_beside_the_power(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        assert "±0.05 W" in screen_text(pilot.app)


@pytest.mark.parametrize(
    ("wall", "words"),
    [
        (WallPower(source="meter", time=0, monotonic=0, watts=58.2, error_watts=0.6), "58.2 W ±0.60 W"),
        (WallPower(source="calibrated", time=0, monotonic=0, watts=57.9, error_watts=1.2),
         "57.9 W ±1.20 W"),
        (WallPower(source="calibrated", time=0, monotonic=0, watts=99.0, reason="outside the calibrated range"),
         "99.0 W"),
    ],
    ids=["meter", "calibrated", "outside"],
)  # fmt: skip
async def test_wall_power_names_its_source_and_that_costs_use_it(
    daemon: ScriptedDaemon, wall: WallPower, words: str
) -> None:
    daemon.now = snapshot(wall=wall)
    async with opened(daemon, (120, 40)) as pilot:
        text = screen_text(pilot.app)
        assert words in " ".join(next(line for line in text.splitlines() if "at the wall" in line).split())
        assert f"of the wall, {'by its meter' if wall.source == 'meter' else 'calibrated'}" in text
        assert wall.reason in text


async def test_zones_that_are_not_added_say_so(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        lines = screen_text(pilot.app).splitlines()
        core = next(line for line in lines if " core " in line)
        dram = next(line for line in lines if " dram " in line)
        assert "28.0 W (not added)" in core
        assert "4.1 W" in dram
        assert "not added" not in dram


async def test_the_hourly_cost_is_shown_with_its_parts(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(cost_per_hour=None, compute_cost_per_hour=None)
    async with opened(daemon, (120, 40)) as pilot:
        text = screen_text(pilot.app)
        assert "— USD/h" in text
        assert "energy 0.0051 + compute —" in text


async def test_what_is_unknown_is_a_dash_and_never_a_zero(daemon: ScriptedDaemon) -> None:
    bare = stream(0, name="bare", bandwidth_in_bytes=None, width=None, height=None, uptime_seconds=None)
    host = msgspec.structs.replace(daemon.now.host, cpu_percent=None)
    daemon.now = snapshot(host=host, cost_per_hour=None, compute_cost_per_hour=None, carbon_grams_per_hour=None)
    daemon.now = msgspec.structs.replace(daemon.now, streams=(bare,))
    async with opened(daemon, (80, 24)) as pilot:
        text = screen_text(pilot.app)
        line = next(line for line in text.splitlines() if "live/bare" in line)
        assert line.split()[1:] == ["—", "H264", "—", "30.0", "—", "2", "—"]
        assert "— USD/h" in text
        assert "CPU     — %" in text


async def test_empty_parts_say_what_is_missing_and_how_to_get_it(daemon: ScriptedDaemon) -> None:
    probes = (
        ProbeStatus(probe="power", state="refused", reason="energy_uj is readable by root only", fix="run as root"),
        ProbeStatus(probe="containers", state="absent", reason="no Docker answers", fix="sudo apt install docker.io"),
    )
    daemon.now = snapshot(containers=0, streams=0, power=None, host=None, probes=probes)
    async with opened(daemon) as pilot:
        text = screen_text(pilot.app)
        assert "no Docker answers; sudo apt install docker.io" in " ".join(text.split())
        assert "energy_uj is readable by root only" in text
        assert "power refused" in text


async def test_a_run_shows_its_phase_progress_and_time_left(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon, (80, 24)) as pilot:
        line = screen_text(pilot.app).splitlines()[1]
        assert "quick 2/2" in line
        assert "measuring" in line
        assert "62.0 %" in line
        assert "0:38 left" in line


async def test_an_encoder_that_falls_behind_is_reported(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run(encoders=[EncoderStatus(stream="a", speed=0.71)]))
    async with opened(daemon) as pilot:
        assert "0.71x: not real time" in screen_text(pilot.app)


async def test_exporters_in_one_line(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(exporters=(exporter("rapl-exporter"), exporter("cadvisor")))
    async with opened(daemon, (80, 24)) as pilot:
        assert "✓ 2 healthy" in screen_text(pilot.app)


async def test_the_graph_begins_with_the_history(daemon: ScriptedDaemon) -> None:
    points = [(daemon.now.time - 290.0 + 5 * index, 40.0) for index in range(58)]
    daemon.series = [HistorySeries('wattview_machine_power_watts{source="rapl"}', points)]
    async with opened(daemon) as pilot:
        trend = pilot.app.trends["power",]
        await until(pilot, lambda: len(pilot.app.trends["power",]) >= 59)
        trend = pilot.app.trends["power",]
        assert list(trend)[:58] == points
        assert trend[-1][0] == daemon.now.time
        drawn = pilot.app.screen.query_one(Graph)._lines
        filled = sum(text.count("⣿") for text, _ in drawn[-2])
        assert filled > 0.9 * (drawn and sum(len(text) for text, _ in drawn[-2]) - 8)


async def test_rows_update_without_losing_the_cursor(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("j", "j")
        table = pilot.app.screen.query_one("#containers")
        name = table.row.container.name
        changed = tuple(
            msgspec.structs.replace(one, cpu_percent=99.9 if one.name == name else one.cpu_percent)
            for one in daemon.now.containers
        )
        daemon.say(msgspec.structs.replace(snapshot(5.0), containers=changed))
        await until(pilot, lambda: table.rows[0].container.name == name)
        assert table.row.container.name == name


async def test_who_used_the_power_is_stacked_and_its_legend_has_the_figures(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(0.0, power_use=power_use(0.0))
    async with opened(daemon, (160, 40)) as pilot:
        await until(pilot, lambda: "idle 22.0" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for part in ("containers 10.0", "encoders 6.0", "rest 4.0", "idle 22.0 ±0.6 W, by baseline"):
            assert part in text


async def test_workloads_other_than_containers_are_a_separate_layer(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(0.0, power_use=power_use(0.0, workloads_watts=19.0))
    async with opened(daemon, (160, 40)) as pilot:
        await until(pilot, lambda: "others 3.0" in screen_text(pilot.app))
        assert "rest 1.0" in screen_text(pilot.app)
        total, *layers = power_series(pilot.app.picture)
        await until(pilot, lambda: pilot.app.trends["others",])
        assert [one.tone for one in layers] == ["layer0", "layer1", "layer2", "layer3", "layer4"]
        assert sum(one.points[-1][1] for one in layers) == pytest.approx(total.points[-1][1])


async def test_the_parts_are_stacked_too_where_each_has_its_share_of_idle_power(daemon: ScriptedDaemon) -> None:
    use = power_use(0.0, idle_watts=None, includes_idle=True, containers_watts=30.0, unattributed_watts=6.0)
    daemon.now = snapshot(0.0, power_use=use)
    async with opened(daemon, (160, 40)) as pilot:
        await until(pilot, lambda: "containers 30.0" in screen_text(pilot.app))
        assert [one.tone for one in power_series(pilot.app.picture)[1:]] == ["layer1", "layer2", "layer4"]


async def test_while_idle_power_is_unknown_the_reason_is_reported(daemon: ScriptedDaemon) -> None:
    unknown = power_use(
        0.0,
        idle_watts=None,
        containers_watts=None,
        encoders_watts=None,
        unattributed_watts=None,
        reason="not yet known",
    )
    daemon.now = snapshot(0.0, power_use=unknown)
    async with opened(daemon) as pilot:
        await until(pilot, lambda: "who used it: not yet known" in screen_text(pilot.app))
        assert "Power, last 5 minutes" in screen_text(pilot.app)


async def test_containers_are_sorted_by_watts_or_else_by_cpu(daemon: ScriptedDaemon) -> None:
    first, second, third, fourth = daemon.now.containers
    given = (
        first,
        second,
        msgspec.structs.replace(third, power_watts=1.0),
        msgspec.structs.replace(fourth, power_watts=2.0),
    )
    daemon.now = msgspec.structs.replace(daemon.now, containers=given)
    async with opened(daemon) as pilot:
        rows = pilot.app.screen.query_one("#containers").rows
        assert [row.container.name for row in rows] == ["grafana", "transcoder-b", "nginx-rtmp", "transcoder-a"]


async def test_wall_power_is_shown_beside_the_processors_power(daemon: ScriptedDaemon) -> None:
    wall = WallPower(source="meter", time=7.0, monotonic=7.0, watts=91.4, error_watts=0.96)
    daemon.say(msgspec.structs.replace(snapshot(7.0), wall=wall, embodied_grams_per_hour=28.5, prices_stale=True))
    async with opened(daemon, (120, 40)) as pilot:
        await until(pilot, lambda: "at the wall" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "91.4 W ±0.96 W" in text
        assert "of the wall, by its meter" in text
        assert "embodied 28.5 g CO₂/h" in text
        assert "by the grid's last known values" in text
        unknown = msgspec.structs.replace(wall, watts=None, error_watts=None, reason="rack has not answered for 31 s")
        daemon.say(msgspec.structs.replace(snapshot(8.0), wall=unknown))
        await until(pilot, lambda: "rack" in screen_text(pilot.app))
        await pilot.press("2")
        await until(pilot, lambda: "wall (meter)" in screen_text(pilot.app))
        assert "all that is billed" in screen_text(pilot.app)


async def test_a_large_screen_shows_what_a_person_wants_at_once_and_neither_half_is_blank(
    daemon: ScriptedDaemon,
) -> None:
    daemon.now = snapshot(run=run(), power_use=power_use(0.0), containers=12, streams=5)
    daemon.tell("warning", "container grafana", "is unhealthy", at=-30.0)
    async with opened(daemon, (200, 60)) as pilot:
        for second in range(1, 40):
            daemon.say(snapshot(float(second), run=run(), power_use=power_use(float(second)), containers=12, streams=5))
        await until(pilot, lambda: pilot.app.latest.time == NOW + 39)
        await until(pilot, lambda: "container grafana: is unhealthy" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for expected in (
            "Load 2.41 1.98 1.20", "Memory 6.0 of 16.0 GiB", "Network ↓5.22 ↑10.48", "package-0", "(not added)",
            "live/stream4", "worker-011", "2 of 2, measuring", "9 healthy",
        ):  # fmt: skip
            assert expected in text
        assert all(re.search(rf" {core} [█▉▊▋▌▍▎▏░]+ +\d+ %", text) for core in range(8)), "a bar for each core"
        body = [line.ljust(200) for line in text.splitlines()[1:-1]]
        for half in (slice(0, 100), slice(100, 200)):
            blank = sum(not line[half].strip(" │╭╮╰╯─") for line in body)
            assert blank < len(body) / 2


async def test_panes_appear_and_disappear_with_the_terminal_size(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        assert "Load 2.41" in screen_text(pilot.app)
        assert not pilot.app.screen.query_one("#events").display
        await pilot.resize_terminal(200, 60)
        await until(pilot, lambda: pilot.app.screen.query_one("#events").display)
        await until(pilot, lambda: "Memory 6.0 of 16.0 GiB" in screen_text(pilot.app))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Memory 6.0 of" not in screen_text(pilot.app))
        await until(pilot, lambda: pilot.app.screen.query_one("#tables").size.height >= 8)


def test_a_core_is_a_block_of_its_load_and_an_unknown_one_is_a_dot() -> None:
    assert levels((0.0, 49.0, 100.0, None)) == "▁▄█·"
    assert cores_and_bar((0.0, 100.0), 50.0, 10) == "▁█ ███▌░░░"
    assert cores_and_bar((50.0,) * 64, 50.0, 10) == "█████░░░░░", "more cores than cells are one bar"
