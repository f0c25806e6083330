from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from msgspec.structs import replace
from textual.widgets import Input, OptionList

from tests.support.dashboard import PRESETS, ScriptedDaemon, opened, result, run, screen_text, snapshot, until
from tests.support.sweep import sweep
from wattview.client import Client
from wattview.model import RunProgress, RunRequest, Scenario, ScenarioPreset
from wattview.tui.runs.launch import Launch
from wattview.tui.runs.launch_form import FIELDS
from wattview.tui.view import View
from wattview.tui.widgets.pane import Pane


async def dialog(pilot: Any) -> Launch:
    await pilot.press("n")
    await until(pilot, lambda: isinstance(pilot.app.screen, Launch) and pilot.app.screen.presets)
    return pilot.app.screen


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_n_and_enter_start_the_first_preset(daemon: ScriptedDaemon, size: tuple[int, int]) -> None:
    async with opened(daemon, size) as pilot:
        await dialog(pilot)
        assert "1 stream 720p 2.5 Mbit/s" in screen_text(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert daemon.posted[0] == RunRequest(scenarios=PRESETS[0].scenarios)
        await until(pilot, lambda: pilot.app.running is not None)
        await until(pilot, lambda: "preparing" in screen_text(pilot.app))


@pytest.mark.usefixtures("unanswered")
async def test_keys_pressed_before_the_presets_are_there_lose_nothing(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        daemon.hang = True
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, Launch))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert daemon.posted == []


async def test_typed_fields_survive_the_arrival_of_presets(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = asyncio.Event()
    presets = Client.presets

    async def later(client: Client) -> list[ScenarioPreset]:
        await there.wait()
        return await presets(client)

    monkeypatch.setattr(Client, "presets", later)
    async with opened(daemon) as pilot:
        await pilot.press("n", "tab", *"quiet")
        launch = pilot.app.screen
        name, streams = launch.query_one("#name", Input), launch.query_one("#streams", Input)
        there.set()
        await until(pilot, lambda: launch.presets)
        await pilot.press(*"er")
        assert name.value == "quieter"
        assert launch.form.request.scenarios[-1] == replace(PRESETS[0].scenarios[-1], name="quieter")
        launch.query_one("#presets").focus()
        await pilot.press("down")
        await until(pilot, lambda: streams.value == "4")
        assert name.value == PRESETS[1].scenarios[-1].name, "another preset is chosen, and all its values with it"


async def test_a_preset_fills_the_fields_and_the_preview(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        await pilot.press("down")
        await until(pilot, lambda: launch.query_one("#streams", Input).value == "4")
        await until(pilot, lambda: launch.plan is not None)
        preview = launch.query_one("#preview", Pane).content.plain
        assert preview.startswith("4 streams of testsrc2, each 1280x720 at 30 fps and 2500k, libx264 veryfast.")
        # The idle window that is put in has a warm-up of its own.
        assert re.search(r"It takes about 1 min 33 s, until \d\d:\d\d: 20 s of idle first, 1 min measured", preview)


async def test_a_suite_is_started_as_it_is(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        await pilot.press("down", "down")
        await until(pilot, lambda: launch.query_one("#streams", Input).disabled)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert daemon.posted[0] == RunRequest(scenarios=PRESETS[2].scenarios)


async def test_edited_fields_are_what_runs(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        launch = await dialog(pilot)
        launch.query_one("#streams", Input).focus()
        await pilot.press("3")
        await pilot.press("tab")
        assert launch.focused is launch.query_one("#bitrate")
        await pilot.press(*"900k", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        idle, scenario = daemon.posted[0].scenarios
        assert idle == PRESETS[0].scenarios[0]
        assert (scenario.streams, scenario.bitrate, scenario.resolution) == (3, "900k", "1280x720")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", ""), ("streams", "0"), ("streams", "65"), ("streams", "two"), ("bitrate", "fast"),
        ("resolution", "720p"),
        ("fps", "0"), ("duration", "0"), ("duration", "-1"), ("source", ""), ("preset", "quick"), ("baseline", "-5"),
        ("repeat", "0"),
    ],
)  # fmt: skip
async def test_a_wrong_field_is_named_while_it_is_typed_and_nothing_starts(
    daemon: ScriptedDaemon, field: str, text: str
) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        launch = await dialog(pilot)
        launch.query_one(f"#{field}", Input).value = text
        await until(pilot, lambda: launch.form.request is None)
        assert launch.query_one(f"#{field}").has_class("-invalid")
        label = next(one.label for one in FIELDS if one.name == field)
        assert f"{label}:" in screen_text(pilot.app)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert daemon.posted == []
        assert pilot.app.screen is launch


async def test_an_encoder_that_does_not_work_on_the_daemons_machine_says_so_at_once(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (120, 40)) as pilot:
        launch = await dialog(pilot)
        await until(pilot, lambda: launch.lacking)
        field = launch.query_one("#encoder", Input)
        for name, reason in (("h264_nvenc", "Cannot load libcuda"), ("libx264, libsvtav1", "does not have it")):
            field.value = name
            await until(pilot, lambda: launch.form.request is None)
            assert reason in launch.query_one("#error", Pane).content.plain
            field.value = "libx265"
            await until(pilot, lambda: launch.form.request is not None)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: daemon.posted)
        assert daemon.posted[0].scenarios[-1].encoder == "libx265"


async def test_what_the_daemon_refuses_is_shown_at_its_field(daemon: ScriptedDaemon) -> None:
    daemon.refuse_runs = (
        422,
        {"error": "scenarios[0].source: no file film.mkv in the media directory", "field": "scenarios[0].source"},
    )
    async with opened(daemon, (80, 24)) as pilot:
        launch = await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: launch.query_one("#source").has_class("-invalid"))
        assert launch.focused is launch.query_one("#source")
        assert "Source: no file film.mkv" in screen_text(pilot.app)


async def test_a_second_run_is_refused_in_the_dialog_and_can_be_tried_again(daemon: ScriptedDaemon) -> None:
    daemon.refuse_runs = (409, {"error": "run 20250615_150600 is active", "field": ""})
    async with opened(daemon) as pilot:
        await dialog(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "is active" in screen_text(pilot.app))
        daemon.refuse_runs = None
        await pilot.press("enter")
        await until(pilot, lambda: len(daemon.posted) == 1)


async def test_two_enters_start_one_run(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await dialog(pilot)
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert len(daemon.posted) == 1


@pytest.mark.usefixtures("unanswered")
async def test_a_slow_daemon_does_not_block_the_dialog(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        daemon.hang = True
        await pilot.press("enter")
        await asyncio.wait_for(pilot.press("down"), 2)
        assert launch.query_one("#presets", OptionList).highlighted == 1
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))


async def test_errors_only_the_daemon_knows_appear_while_typing(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        launch = await dialog(pilot)
        await until(pilot, lambda: launch.plan is not None)
        launch.query_one("#resolution", Input).value = "1279x720"
        await until(pilot, lambda: launch.query_one("#resolution").has_class("-invalid"))
        assert "Resolution: 1279x720: width and height must be even numbers" in screen_text(pilot.app)
        launch.query_one("#resolution", Input).value = "1280x720"
        launch.query_one("#source", Input).value = "film.mkv"
        await until(pilot, lambda: "Source: no file film.mkv in the media directory" in screen_text(pilot.app))
        assert daemon.posted == []


async def test_from_n_to_a_running_stream_in_under_ten_keystrokes(daemon: ScriptedDaemon) -> None:
    keys = ["n", "tab", "tab", "4", "enter"]  # a preset, its number of streams changed
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press(keys[0])
        await until(pilot, lambda: isinstance(pilot.app.screen, Launch) and pilot.app.screen.choice.idle is not None)
        await pilot.press(*keys[1:])
        await until(pilot, lambda: pilot.app.running is not None)
        assert daemon.posted[0].scenarios[1].streams == 4
    assert len(keys) < 10


SUITE = ScenarioPreset(
    id="suite:night.toml", title="night.toml", suite=True, repeat=3, pause=5.0, baseline=30.0, baseline_after=True,
    scenarios=[Scenario(name="fast", preset="fast"), Scenario(name="slow", preset="slow")], seconds=400.0,
)  # fmt: skip
BROKEN = ScenarioPreset(
    id="suite:broken.toml", title="broken.toml", suite=True, scenarios=[], error="scenarios[0].fps: expected a number"
)


async def test_a_suite_file_is_started_with_its_own_baseline_repeats_and_pauses(daemon: ScriptedDaemon) -> None:
    daemon.presets = [SUITE, BROKEN]
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        await until(pilot, lambda: launch.query_one("#repeat", Input).value == "3")
        await until(pilot, lambda: launch.plan is not None)
        preview = launch.query_one("#preview", Pane).content.plain
        assert "all of it 3 times, idle again last" in preview
        launch.query_one("#repeat", Input).value = "2"
        await until(pilot, lambda: launch.form.request is not None and launch.form.request.repeat == 2)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert daemon.posted[0] == RunRequest(
            scenarios=SUITE.scenarios, baseline=30.0, baseline_after=True, repeat=2, pause=5.0
        )


async def test_a_suite_that_cannot_be_read_says_why_and_is_not_started(daemon: ScriptedDaemon) -> None:
    daemon.presets = [SUITE, BROKEN]
    async with opened(daemon, (120, 40)) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: "✗ broken.toml: scenarios[0].fps" in screen_text(pilot.app))
        assert "2 ×3" in screen_text(pilot.app)
        assert "6 min 40 s" in screen_text(pilot.app)
        launch = await dialog(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "This suite cannot be started." in screen_text(pilot.app))
        assert "scenarios[0].fps: expected a number" in screen_text(pilot.app)
        await pilot.press("enter", "ctrl+s")
        await pilot.pause()
        assert daemon.posted == []
        assert pilot.app.screen is launch


async def test_enter_on_a_run_shows_its_results_alone(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep(), result("20250614_090000")]
    daemon.past_runs = [run("finished", id="20250614_090000", state="done", results_id="20250614_090000")]
    async with opened(daemon) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: "20250614_090000" in screen_text(pilot.app))
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "Results 3 of run 20250614_090000" in screen_text(pilot.app))


async def test_x_asks_and_y_aborts(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("x")
        await until(pilot, lambda: "Abort run 20250615_150600?" in screen_text(pilot.app))
        await pilot.press("y")
        await until(pilot, lambda: daemon.stopped == ["20250615_150600"])
        await until(pilot, lambda: pilot.app.running is None)
        await until(pilot, lambda: "Run aborted" in screen_text(pilot.app))


async def test_x_and_n_let_it_run(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon) as pilot:
        await pilot.press("x", "n")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert daemon.stopped == []


async def test_x_does_nothing_where_nothing_runs(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await pilot.press("x")
        await pilot.pause()
        assert isinstance(pilot.app.screen, View)
        assert "Abort run" not in screen_text(pilot.app)


async def test_the_baseline_field_is_the_length_of_the_idle_window(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        launch.query_one("#baseline", Input).value = "30"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, View))
        assert [one.duration for one in daemon.posted[0].scenarios] == [30.0, 60.0]
        assert daemon.posted[0].baseline == 0.0


async def test_a_preset_without_an_idle_window_gets_one_unless_it_is_set_to_0(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        launch = await dialog(pilot)
        await pilot.press("down")
        await until(pilot, lambda: launch.query_one("#streams", Input).value == "4")
        assert launch.form.request is not None
        assert launch.form.request.baseline == 20.0
        launch.query_one("#baseline", Input).value = "0"
        await until(pilot, lambda: launch.form.request is not None and launch.form.request.baseline == 0.0)
        assert "idle" not in launch.query_one("#preview", Pane).content.plain


async def test_the_end_of_a_run_is_announced_and_its_results_are_read(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: "GET /api/v1/results" in daemon.asked)
        asked = daemon.asked.count("GET /api/v1/results")
        daemon.finish()
        await until(pilot, lambda: "Run finished" in screen_text(pilot.app))
        await until(pilot, lambda: daemon.asked.count("GET /api/v1/results") > asked)


async def test_a_run_that_failed_says_why(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon) as pilot:
        daemon.finish(state="failed", error="ffmpeg is not installed")
        await until(pilot, lambda: "Run failed" in screen_text(pilot.app))
        assert "ffmpeg is not installed" in screen_text(pilot.app)


async def test_r_records_what_runs_and_ends_it(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: daemon.posted and pilot.app.running is not None)
        [scenario] = daemon.posted[0].scenarios
        assert (scenario.type, scenario.name[:10], daemon.posted[0].baseline) == ("recording", "recording ", 0.0)
        progress = RunProgress(
            phase="measuring", scenario=scenario.name, scenario_index=0, scenario_count=1, fraction=0.0,
            elapsed_seconds=5.0, remaining_seconds=None,
        )  # fmt: skip
        daemon.say(snapshot(run=run(scenarios=[scenario], progress=progress, encoders=[])))
        await until(pilot, lambda: scenario.name in screen_text(pilot.app))
        await pilot.press("R")
        await until(pilot, lambda: daemon.closed_windows)
        assert daemon.stopped == []
        await until(pilot, lambda: "Run finished" in screen_text(pilot.app))


async def test_r_beside_a_run_says_that_it_is_recorded_anyway(daemon: ScriptedDaemon) -> None:
    daemon.now = snapshot(run=run())
    async with opened(daemon) as pilot:
        await pilot.press("R")
        await until(pilot, lambda: "is recorded already" in screen_text(pilot.app))
        assert (daemon.posted, daemon.closed_windows) == ([], [])
