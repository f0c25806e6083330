"""Screen 7: its pages, marks, comparison, advice and files, against the analysis's own answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.widgets import Input, Select

from tests.support.dashboard import ScriptedDaemon, opened, result, screen_text, until
from tests.support.sweep import NOW, encoders, sweep
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.windows.remarks import remarked, run_remarks
from wattview.model import RunResult
from wattview.tui.plots.panel import Plot
from wattview.tui.results.predict import BEYOND
from wattview.tui.widgets.table import Table


async def results(pilot: Any, *keys: str, rows: str = "Results 5") -> str:
    """The screen with what the daemon has, after some keys."""
    await pilot.press("7")
    await until(pilot, lambda: rows in screen_text(pilot.app))
    await pilot.press(*keys)
    await pilot.pause()
    return screen_text(pilot.app)


def line(text: str, *words: str) -> str:
    """The line that has all the words, "" where there is none (yet)."""
    return next((one for one in text.splitlines() if all(word in one for word in words)), "")


# rows and pages


async def test_every_scenario_of_every_run_is_a_row(daemon: ScriptedDaemon) -> None:
    daemon.results = [result("20250615_140000"), result("20250614_090000", watts=36.0)]
    async with opened(daemon, (200, 60)) as pilot:
        text = await results(pilot, rows="Results 6")
        row = line(text, "1 stream 720p", "20250615_140000")
        for expected in ("2400.0", "40.00", "49.30", "+10.00", "11.5", "85.67"):
            assert expected in row
        slow = line(text, "! 4 streams 720p")
        assert "~64.00" in slow
        assert "estimated, not real time" in slow
        assert "—" in slow


async def test_a_tall_terminal_shows_a_runs_scenarios_and_their_plot(daemon: ScriptedDaemon) -> None:
    daemon.results = [result("20250615_140000"), result("20250614_090000", watts=36.0)]
    async with opened(daemon, (200, 60)) as pilot:
        await results(pilot, "left", rows="Results 6")
        await until(pilot, lambda: "of run 20250615_140000" in screen_text(pilot.app))
        await pilot.press("j")
        await until(pilot, lambda: "Results 3 of run 20250614_090000" in screen_text(pilot.app))
        assert "VMAF against" in screen_text(pilot.app)
        assert len(pilot.app.screen.table.rows) == 3
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "VMAF against" not in screen_text(pilot.app))
        assert "Results 3 of run 20250614_090000" in screen_text(pilot.app)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "Results 3" not in screen_text(pilot.app))


async def test_a_short_results_table_leaves_room_for_the_plot(daemon: ScriptedDaemon) -> None:
    daemon.results = [result()]
    async with opened(daemon, (120, 40)) as pilot:
        assert "VMAF against" in await results(pilot, rows="Results 3")
        daemon.results = [result(f"20250615_{hour}0000") for hour in range(10, 20)]
        await pilot.press("r")
        await until(pilot, lambda: "Results 30" in screen_text(pilot.app))
        assert "VMAF against" not in screen_text(pilot.app)


async def test_repeats_of_a_setting_are_one_row_with_their_interval(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, "j")
        await until(pilot, lambda: "measured 3 times" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        row = line(text, "ultrafast ×3", "2025")
        # Student's t of three repeats: 4.3027 x 0.2 / sqrt(3)
        assert "34.00 ±0.50" in row
        assert "2040.0 ±29.8" in row
        assert "measured 3 times; ± is the 95 % interval" in text
        assert "30.00 ±0.20" in line(text, "baseline", "2025"), "of one measurement: its own error"


async def test_the_pages_show_cost_and_quality_of_the_same_rows(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (200, 60)) as pilot:
        await results(pilot, "j", "right")
        await until(pilot, lambda: "‹Cost›" in screen_text(pilot.app) and "Total USD" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for title in ("Total USD", "Egress", "Stream-hour", "Viewer-hour", "CO₂e g", "SCI"):
            assert title in text
        for expected in ("0.016768", "0.000068", "0.340000", "0.170000", "6.46", "7.14"):
            assert expected in line(text, "│ ultrafast ×3")
        await pilot.press("right")
        await until(pilot, lambda: "Harmonic" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        for title in ("Harmonic", "Worst 1 %", "Worst", "PSNR dB", "SSIM", "QoE 1-5", "Stalls", "Start s", "Real time"):
            assert title in text
        for expected in ("78.00 ±0.25", "77.60", "69.00", "63.00", "36.50", "0.9700", "3.90", "1.80", "yes"):
            assert expected in line(text, "│ ultrafast ×3")
        assert pilot.app.screen.table.row.numbers == (1, 5, 9), "the cursor stays on its row"


async def test_the_reason_for_a_missing_figure_is_under_the_table(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (80, 24)) as pilot:
        assert "a baseline has no picture" in await results(pilot, rows="Results 3")
        await pilot.press("j", "j")
        await until(pilot, lambda: "no FFmpeg with libvmaf was found" in screen_text(pilot.app))
        await until(pilot, lambda: "ESTIMATE" in screen_text(pilot.app))
        await until(pilot, lambda: "not real time" in screen_text(pilot.app))


async def test_an_unreadable_results_file_is_a_row_with_its_reason(daemon: ScriptedDaemon) -> None:
    daemon.results = [RunResult(id="20250101_000000", path="/r/x.json", test_date="", error="line 3: not JSON")]
    async with opened(daemon) as pilot:
        await results(pilot, rows="Results 1")
        await until(pilot, lambda: "line 3: not JSON" in screen_text(pilot.app))
        await pilot.press("enter", "c", "left")
        await until(pilot, lambda: "unreadable" in screen_text(pilot.app))


async def test_without_results_the_screen_says_how_to_get_some(daemon: ScriptedDaemon) -> None:
    daemon.results = []
    async with opened(daemon, (80, 24)) as pilot:
        await results(pilot, rows="press n to run a scenario")
        await pilot.press("right", "right", "right", "right")
        await until(pilot, lambda: "no setting has both VMAF and power" in screen_text(pilot.app))
        await pilot.press("right", "right")
        await until(pilot, lambda: "No setting has been measured yet." in screen_text(pilot.app))
        await pilot.press("o")
        await until(pilot, lambda: "no run to report on" in screen_text(pilot.app))


async def test_bars_have_the_interval_and_f_shows_another_figure(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, "right", "right", "right")
        await until(pilot, lambda: "Results 5: mean power" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "0 W" in line(text, "Scenario", "20", "40")
        assert "▄" * 20 in line(text, "medium ×3", "▄")
        await pilot.press("f")
        await until(pilot, lambda: "power above baseline per stream" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "┼" not in line(text, "ultrafast ×3"), "the noise of the one baseline is not known"


async def test_the_scatter_names_the_point_under_the_cursor(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *["right"] * 4)
        await until(pilot, lambda: "Results 4: the points, one a setting" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "VMAF against power above baseline per stream" in text
        assert "● yes" in line(text, "medium ×3", "92.00")
        assert "○ no" in line(text, "wasteful ×3", "85.00")
        assert (marks(pilot).count("●"), marks(pilot).count("○")) == (3, 1)
        await pilot.press("j", "j", "j", "space")
        await until(pilot, lambda: marks(pilot).count("■") == 1)
        assert "wasteful ×3" in marks(pilot)


def marks(pilot: Any, picture: str = "#scatter") -> str:
    """The scatter's field as text."""
    return "".join(part for one in pilot.app.screen.query_one(picture, Plot)._lines for part, _ in one)


# runs


async def test_enter_on_a_run_shows_its_scenarios_alone_and_escape_all(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep(), result("20250614_090000")]
    async with opened(daemon) as pilot:
        await results(pilot, "left", rows="Results 8")
        await until(pilot, lambda: "enter shows the scenarios" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "ultrafast, veryfast, medium, wasteful" in line(text, "20250615_150000", "done")
        await pilot.press("j", "enter")
        await until(pilot, lambda: "Results 3 of run 20250614_090000" in screen_text(pilot.app))
        await pilot.press("escape")
        await until(pilot, lambda: "Results 8" in screen_text(pilot.app))


# remarks


def unquiet() -> RunResult:
    """The machine had other work in the baseline before, and draws more in the one after it."""
    run = sweep()
    idle = run.scenarios[0]
    after = msgspec.structs.replace(idle.record, name="baseline after", start_time=NOW)
    scenarios = [msgspec.structs.replace(idle, cpu_mean_percent=25.0), *run.scenarios[1:],
                 msgspec.structs.replace(idle, record=after, power_mean_watts=40.0)]  # fmt: skip
    scenarios = remarked(compared_with_baseline(scenarios))
    return msgspec.structs.replace(run, scenarios=scenarios, remarks=run_remarks(scenarios))


async def test_a_baseline_that_was_not_idle_is_marked_wherever_its_figures_are_shown(daemon: ScriptedDaemon) -> None:
    daemon.results = [unquiet()]
    async with opened(daemon, (200, 60)) as pilot:
        text = await results(pilot, rows="Results 6")
        assert "not idle" in line(text, "baseline", "30.00 ±0.20")
        assert "baseline not idle, within drift" in line(text, "│ ultrafast ×3")
        assert "!+4.00 ±89.75" in line(text, "│ ultrafast ×3")
        assert "within drift" not in line(text, "│ medium ×3"), "16 W more, of which the baselines differ by 10"
        assert "the machine was NOT IDLE: 25.0 % of its CPU time was used" in text
        await pilot.press("j")
        await until(pilot, lambda: "the baselines of the run differ by 10.00 W, which is more" in flowing(pilot))
        for page in ("Cost", "Quality"):
            await pilot.press("right")
            await until(pilot, lambda page=page: f"‹{page}›" in screen_text(pilot.app))
            assert "baseline not idle" in line(screen_text(pilot.app), "│ medium ×3")
        await pilot.press("left", "left", "left")
        await until(pilot, lambda: "differing by 10.00 W; from the first to the last" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "not idle, within drift" in line(text, "20250615_150000", "done")
        assert "baseline: the machine was NOT IDLE" in text


async def test_a_comparison_shows_the_remarks_of_each_column(daemon: ScriptedDaemon) -> None:
    daemon.results = [unquiet(), sweep("20250614_150000")]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, "j", "space", "space", "c", rows="Results 11")
        await until(pilot, lambda: "Remarks" in screen_text(pilot.app))
        assert "baseline not idle" in line(screen_text(pilot.app), "Remarks")
        await pilot.press("g")
        await until(pilot, lambda: "A: its increase over baseline is not meaningful" in screen_text(pilot.app))
        assert "B: its baseline (baseline) was not idle: the increase" in screen_text(pilot.app)
        await pilot.press("escape", "left", "space", "space", "c")
        await until(pilot, lambda: "Comparison of 2" in screen_text(pilot.app))
        await until(pilot, lambda: "the idle machine less A's: -5.00 W" in screen_text(pilot.app))
        await pilot.press("j")
        await until(pilot, lambda: "A: its baseline (baseline) was not idle" in screen_text(pilot.app))
        assert "B: its baseline" not in screen_text(pilot.app)


async def test_a_run_reports_scenarios_not_in_real_time(daemon: ScriptedDaemon) -> None:
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, "left", rows="Results 3")
        await until(pilot, lambda: "NOT REAL TIME: 4 streams 720p 2500k" in screen_text(pilot.app))
        assert "estimated, 1 not real time" in line(screen_text(pilot.app), "20250615_140000")


# comparison


async def test_marked_scenarios_are_compared_with_intervals_and_a_verdict(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, "j", "space", "space", "space")
        assert len(pilot.app.screen.table.marked) == 3
        assert not pilot.app.picture.paused, "space marks here"
        await pilot.press("c")
        await until(pilot, lambda: "≠" in line(screen_text(pilot.app), "Mean W"))
        text = screen_text(pilot.app)
        assert "A ultrafast ×3" in text
        assert "C medium ×3" in text
        assert "38.00 ±0.50   +11.8 % ≠" in line(text, "Mean W")
        assert "=" in line(text, "PSNR dB")
        await pilot.press("j", "j", "j")
        await until(pilot, lambda: "B less A: +4.00 W" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "B less A: +4.00 W (+11.8 %), 99.2 % interval +3.21 to +4.79 W: significant: p < 0.0001" in text
        assert "Bonferroni-corrected for 6 tests" in flowing(pilot)
        assert "C less A: +12.00 W (+35.3 %)" in text
        await pilot.press("escape")
        await until(pilot, lambda: "Results 5" in screen_text(pilot.app))


async def test_a_narrow_terminal_scrolls_through_the_columns(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (80, 24)) as pilot:
        await results(pilot, "j", *["space"] * 4, "c")
        await until(pilot, lambda: "; column B," in screen_text(pilot.app))
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: "; column D," in screen_text(pilot.app))
        await until(pilot, lambda: "D wasteful" in screen_text(pilot.app))
        await pilot.press("left", "left")
        await until(pilot, lambda: "; column B," in screen_text(pilot.app))
        await pilot.press("left")
        await until(pilot, lambda: "Results 5" in screen_text(pilot.app))


async def test_what_was_measured_once_is_compared_without_a_verdict(daemon: ScriptedDaemon) -> None:
    daemon.results = [result("20250615_140000"), result("20250614_090000", watts=36.0)]
    async with opened(daemon) as pilot:
        await results(pilot, "j", "space", "j", "j", "space", "c", rows="Results 6")
        await until(pilot, lambda: "?" in line(screen_text(pilot.app), "Energy J"))
        assert "-10.0 % ?" in line(screen_text(pilot.app), "Energy J", "2400.0", "2160.0")
        await pilot.press("j")
        await until(pilot, lambda: "too few repeats: each side needs at least two" in flowing(pilot))


async def test_power_of_different_sources_is_not_compared(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await results(pilot, "j", "space", "space", "c", rows="Results 3")
        await until(pilot, lambda: "Remarks" in screen_text(pilot.app))
        await pilot.press("g")
        await until(
            pilot, lambda: "power is not compared: it came from rapl and from estimated" in screen_text(pilot.app)
        )


async def test_enter_shows_every_figure_of_one_scenario(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon) as pilot:
        await results(pilot, "j", "enter")
        await until(pilot, lambda: "One scenario" in screen_text(pilot.app))
        assert "0.567 ±0.008" in line(screen_text(pilot.app), "J/frame")


async def test_a_single_scenario_is_not_compared(daemon: ScriptedDaemon) -> None:
    async with opened(daemon) as pilot:
        await results(pilot, "c", rows="Results 3")
        await until(pilot, lambda: "Nothing to compare yet" in screen_text(pilot.app))


async def test_runs_are_compared_setting_by_setting(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep("20250615_150000"), sweep("20250614_150000", more_watts=2.0),
                      sweep("20250613_150000", repeats=1)]  # fmt: skip
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, "left", "space", "space", "space", "c", rows="Results 15")
        await until(pilot, lambda: "Comparison of 3" in screen_text(pilot.app) and "≠" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert line(text, "Idle machine W").count("0.00 ?") == 2
        assert "B: the idle machine less A's: 0.00 W: too few repeats: each side needs at least two" in text
        assert "all tests hold together at the 5 % level (Bonferroni-corrected): power: " in flowing(pilot)
        await pilot.press("j")
        await until(pilot, lambda: "B measured 3 times" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "2 x 1280x720 30 fps 2500k libx264 ultrafast" in text
        assert "C measured once" in text
        assert "36.00 ±0.50    +5.9 % ≠" in line(text, "Mean W")


async def test_a_replaced_setting_is_reported(daemon: ScriptedDaemon) -> None:
    daemon.results = [
        msgspec.structs.replace(run, scenarios=run.scenarios[:2]) for run in (sweep(), result("20250614_150000"))
    ]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, "left", "space", "space", "c", rows="Results 4")
        await until(pilot, lambda: "Idle machine W" in screen_text(pilot.app))
        await pilot.press("j")
        await until(pilot, lambda: "but another setting: 1 x 1280x720 30 fps 2500k" in screen_text(pilot.app))


async def test_runs_without_a_common_setting_say_so(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep(), result("20250614_150000")]
    async with opened(daemon) as pilot:
        await results(pilot, "left", "space", "space", "c", rows="Results 8")
        await until(pilot, lambda: "B: the runs have no setting in common; the idle machine" in screen_text(pilot.app))
        assert "only in 20250614_150000: 1 x 1280x720 30 fps 2500k" in flowing(pilot)


# advice


async def advice(pilot: Any, expected: str, **fields: str) -> str:
    """The screen once the answer to what the fields ask is there."""
    for name, value in fields.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = value
    await until(pilot, lambda: expected in screen_text(pilot.app))
    return screen_text(pilot.app)


async def test_the_advice_is_a_sentence_and_a_ranking_with_reasons(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *["right"] * 6)
        text = await advice(pilot, "meets VMAF ≥ 85, 2 streams or more", vmaf="85", streams="2")
        assert "may meet it: VMAF 85.0 (95 % interval 84.8" in line(text, "-  2 x", "libx264 slow")
        assert "libx264 veryfast 2 viewers meets VMAF ≥ 85, 2 streams or more at the lowest power above" in text
        assert "4 W" in line(text, "libx264 veryfast", "the best")
        assert "+3.77 to +4.23" in line(text, "libx264 medium", "8 W", "+4 W", "significant")
        assert "rejected: VMAF 78.0" in line(text, "-  2 x", "libx264 ultrafast")
        await pilot.press("j")
        await until(pilot, lambda: "Place 2: 8 W, +4 W above the best, interval" in screen_text(pilot.app))
        pilot.app.screen.query_one("#objective", Select).value = "cost"
        text = await advice(pilot, "No measured setting meets", most="0.2")
        assert "rejected: cost per stream-hour 0.38" in line(text, "-  2 x", "libx264 veryfast")


async def test_an_invalid_field_is_named_and_nothing_is_sent(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *["right"] * 6)
        await advice(pilot, "meets VMAF ≥ 90")
        asked = daemon.asked.count("GET /api/v1/advice")
        await advice(pilot, "VMAF ≥: 0 to 100", vmaf="900")
        await advice(pilot, "Streams ≥: a number, not 'two'", vmaf="90", streams="two")
        assert daemon.asked.count("GET /api/v1/advice") == asked


async def test_only_marked_runs_are_considered_in_advice(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep(), sweep("20250614_150000", more_watts=2.0)]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, "G", "space", *["right"] * 6, rows="Results 10")
        await advice(pilot, "from 20250614_150000: 2 good enough, 1 may be, 1 rejected", vmaf="85")


# curves


CURVES = ["right"] * 5


async def test_two_encoders_are_compared_in_a_sentence(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *CURVES, rows="Results 12")
        await until(pilot, lambda: "for the same VMAF as libx264." in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert re.search(
            r"libx265 needs 31 % \(31 to 31\) less bitrate and 2\.10 times \(2\.0\d to 2\.1\d\) the power", text
        )
        assert "VMAF against bitrate" in text
        assert "bitrate, kbit/s" in text, "the axis' title"
        assert "reference" in line(text, "A 1 x 1280x720 30 fps libx264 fast", "70.0 to 94.0", "1000 to 8000")
        assert "-31.0 % ≠" in line(text, "B 1 x 1280x720 30 fps libx265 fast", "+110.", "690 to 5520")
        assert (marks(pilot, "#curve-picture").count("A"), marks(pilot, "#curve-picture").count("B")) == (5, 4), "VMAF"
        assert "bitrate -31.0 % (-31." in text
        assert "over VMAF 70.0 to 94.0, 100 % of both" in text


async def test_the_marked_curve_is_the_reference(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *CURVES, rows="Results 12")
        await until(pilot, lambda: "for the same VMAF as libx264." in screen_text(pilot.app))
        await pilot.press("j", "space")
        await until(pilot, lambda: "libx264 needs 45 %" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "more bitrate and 52 %" in text
        assert "less power above baseline per stream for the same VMAF as libx265." in text
        assert "reference" in line(text, "● B 1 x 1280x720")
        await pilot.press("k", "space")
        await until(
            pilot, lambda: "● A 1 x" in screen_text(pilot.app) and "libx265 needs 31 %" in screen_text(pilot.app)
        )
        assert "● B" not in screen_text(pilot.app), "one curve is the reference"


async def test_f_and_v_put_another_price_and_another_quality_on_the_axes(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *CURVES, "f", rows="Results 12")
        await until(pilot, lambda: "VMAF against power above baseline per stream" in screen_text(pilot.app))
        assert "8.40 to 16.59" in line(screen_text(pilot.app), "B 1 x 1280x720")
        await pilot.press("v")
        await until(pilot, lambda: "PSNR against" in screen_text(pilot.app))
        await until(pilot, lambda: "curve has two points at the same place" in screen_text(pilot.app))
        await pilot.press("v", "v", "f", "f", "f")
        await until(pilot, lambda: "VMAF against bitrate" in screen_text(pilot.app))


async def test_curves_are_sorted_and_filtered_as_any_table(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *CURVES, rows="Results 12")
        await until(pilot, lambda: "for the same VMAF as libx264." in screen_text(pilot.app))
        await pilot.press("s", "s", "S")
        await until(pilot, lambda: "Bitrate▴" in screen_text(pilot.app))
        letters = [row.letter for row in pilot.app.screen.query_one("#curve-table", Table).rows]
        assert letters == ["B", "A"], "-31 % before what is held against itself"
        await pilot.press("slash", *"x265", "enter")
        await until(pilot, lambda: "A 1 x 1280x720" not in screen_text(pilot.app))


async def test_enter_expands_the_text_over_the_plot(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders(repeats=1)]
    reason = "interval not known: every bitrate of both curves needs at least two repeats"
    async with opened(daemon, (80, 24)) as pilot:
        await results(pilot, *CURVES, rows="Results 12")
        await until(pilot, lambda: "libx265 needs 31 % less bitrate" in screen_text(pilot.app))
        assert "? nobody" not in line(screen_text(pilot.app), "-31.0 % ?")
        await pilot.press("enter")
        await until(pilot, lambda: reason in " ".join(screen_text(pilot.app).split()))
        assert "VMAF against" not in screen_text(pilot.app)
        await pilot.press("enter")
        await until(pilot, lambda: "VMAF against" in screen_text(pilot.app))


async def test_an_impossible_comparison_has_a_reason(daemon: ScriptedDaemon) -> None:
    run = encoders()
    alone = [one for one in run.scenarios if one.record.encoder != "libx265"]
    other = [
        msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, resolution="640x360"))
        for one in run.scenarios if one.record.encoder == "libx265"
    ]  # fmt: skip
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *CURVES)
        await until(pilot, lambda: "measure each encoder at three bitrates or more" in screen_text(pilot.app))
        daemon.results = [msgspec.structs.replace(run, scenarios=alone)]
        await pilot.press("r")
        await until(pilot, lambda: "there is no other curve to compare it with" in screen_text(pilot.app))
        daemon.results = [msgspec.structs.replace(run, scenarios=[*alone, *other])]
        await pilot.press("left", "right")
        await until(pilot, lambda: "no two curves have the same streams and pictures" in screen_text(pilot.app))


async def test_the_screen_works_with_a_daemon_that_has_no_curves(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, rows="Results 12")
        daemon.stop()
        await pilot.press(*CURVES)
        await until(pilot, lambda: "no daemon answers at" in screen_text(pilot.app))


# prediction


PREDICT = ["right"] * 8


async def asked(pilot: Any, expected: str, **fields: str) -> str:
    """The screen once the answer to what the fields ask is there."""
    for name, value in fields.items():
        pilot.app.screen.query_one(f"#predict-{name}", Input).value = value
    await until(pilot, lambda: expected in flowing(pilot))
    return screen_text(pilot.app)


def flowing(pilot: Any) -> str:
    """What is on the screen, without the ends of its lines."""
    return " ".join(screen_text(pilot.app).replace("│", " ").split())


async def test_a_load_between_those_measured_has_its_power_and_its_error(daemon: ScriptedDaemon) -> None:
    """30 W idle and 10 W a stream: the fit misses what it has not seen by the repeats' 0.02 W alone."""
    daemon.results = [encoders()]
    async with opened(daemon, (160, 50)) as pilot:
        await results(pilot, *PREDICT, rows="Results 12")
        text = await asked(pilot, "60.00 W ±0.02 W 3 x 1280x720 30 fps libx264 medium", preset="medium", streams="3")
        assert "Power of the host (rapl) = 30.00 W + 10.000 W × streams" in text
        assert "± is the leave-one-out error: how far the fit misses 4 loads, each left out in turn." in text
        assert "measured range: 0 to 4 streams, 0.0 to 110.6 megapixels a second." in flowing(pilot)
        assert "30.00" in line(text, "0 idle", "0.0")
        assert line(text, "2 streams", "55.3").split()[-2:] == ["0.00", "│"], "by how much it misses that"
        picture = marks(pilot, "#load-picture")
        assert (picture.count("■"), picture.count("○")) == (2, 5), "each also in the legend"
        await pilot.press("j", "j")
        await until(pilot, lambda: "without it the fit predicts 50.0" in screen_text(pilot.app))
        assert "measured 3 times: 50.00 W" in screen_text(pilot.app)


async def test_a_prediction_starts_from_a_measured_setting(daemon: ScriptedDaemon) -> None:
    run = encoders()
    scenarios = [
        msgspec.structs.replace(
            one, record=msgspec.structs.replace(one.record, resolution="640x360", fps=25, outputs=None)
        )
        for one in run.scenarios
    ]
    daemon.results = [msgspec.structs.replace(run, scenarios=scenarios)]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *PREDICT, rows="Results 12")
        await asked(pilot, "3 x 640x360 25 fps libx264 medium")
        await asked(pilot, "2 x 640x360 25 fps", streams="2")
        await pilot.press("left", "right")
        await asked(pilot, "2 x 640x360 25 fps")


async def test_a_prediction_outside_the_measured_range_needs_extrapolate(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *PREDICT, rows="Results 12")
        text = await asked(
            pilot, "are outside of the measured range (0 to 4 streams, 0.0 to 110.6 megapixels a second)",
            preset="medium", streams="8",
        )  # fmt: skip
        assert "110.00 W" not in text
        assert "Measure it (n), or extrapolate with Beyond (tab)" in flowing(pilot)
        assert "■" not in marks(pilot, "#load-picture")
        assert "4 streams" in line(text, "70.00"), "what was measured is seen all the same"
        pilot.app.screen.query_one("#predict-beyond", Select).value = BEYOND
        await asked(pilot, "EXTRAPOLATED 110.00 W")
        assert "the error does not hold there" in flowing(pilot)


async def test_an_invalid_question_is_named_and_not_sent(daemon: ScriptedDaemon) -> None:
    daemon.results = [encoders()]
    async with opened(daemon, (80, 24)) as pilot:
        await results(pilot, *PREDICT, rows="Results 12")
        await asked(pilot, "30.00 W + 10.000 W × streams")
        before = daemon.asked.count("GET /api/v1/prediction")
        await asked(pilot, "Streams: a whole number, not 'many'", streams="many")
        await asked(pilot, "Frames a second: 1 to 240", streams="2", fps="0")
        await asked(pilot, "Picture: such as 1280x720", fps="30", picture=" , ")
        assert daemon.asked.count("GET /api/v1/prediction") == before
        await asked(pilot, "not a resolution: 'HD'", picture="HD")
        await asked(pilot, "nothing was measured of libx266", picture="1280x720", encoder="libx266")
        await asked(pilot, "nothing to predict from: see above")


async def test_without_a_sweep_it_says_what_is_needed(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon, (120, 40)) as pilot:
        await results(pilot, *PREDICT)
        await asked(pilot, "2 different settings were measured, at least 3 are needed")


# files


def written(directory: Path, pattern: str) -> str:
    (file,) = directory.glob(pattern)
    return file.read_text()


async def test_without_a_browser_the_report_is_written_and_its_path_shown(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("wattview.tui.export.open_page", lambda path: False)
    daemon.results = [sweep()]
    async with opened(daemon) as pilot:
        await results(pilot, "o")
        await until(pilot, lambda: "Open it in a browser" in screen_text(pilot.app))
    assert json.loads(written(tmp_path, "wattview-report-*.html")) == ["html", ["20250615_150000"]]


async def test_the_report_opens_in_the_browser_where_there_is_one(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opened_pages: list[Path] = []
    monkeypatch.setattr("wattview.tui.export.open_page", lambda path: opened_pages.append(path) or True)
    daemon.results = [sweep()]
    async with opened(daemon) as pilot:
        await results(pilot, "o")
        await until(pilot, lambda: "The report is open" in screen_text(pilot.app))
    assert [page.suffix for page in opened_pages] == [".html"]


@pytest.mark.parametrize(("downs", "kind"), [(0, "csv"), (1, "json"), (2, "html")])
async def test_e_exports_the_same_file_as_the_command_line(
    daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, downs: int, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.results = [sweep(), sweep("20250614_150000")]
    async with opened(daemon) as pilot:
        await results(pilot, "e", *["down"] * downs, rows="Results 10")
        await until(pilot, lambda: "all runs; enter writes the file" in screen_text(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "Exported" in screen_text(pilot.app))
    assert json.loads(written(tmp_path, f"wattview-results-*.{kind}")) == [kind, ["20250615_150000", "20250614_150000"]]


async def test_e_exports_the_table_too(daemon: ScriptedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    daemon.results = [sweep()]
    async with opened(daemon) as pilot:
        await results(pilot, "e", "end", "enter")
        await until(pilot, lambda: "Exported" in screen_text(pilot.app))
    assert "ultrafast ×3" in written(tmp_path, "wattview-results-*.csv")


async def test_a_failing_daemon_leaves_the_last_data_on_screen(daemon: ScriptedDaemon) -> None:
    daemon.results = [sweep()]
    async with opened(daemon) as pilot:
        await results(pilot)
        daemon.stop()
        await pilot.press("r", "right")
        await until(pilot, lambda: "could not be read again" in screen_text(pilot.app))
        await until(pilot, lambda: "ultrafast ×3" in screen_text(pilot.app))


async def test_a_name_from_outside_is_not_read_as_markup(daemon: ScriptedDaemon) -> None:
    run = sweep(repeats=1)
    evil = msgspec.structs.replace(run.scenarios[1].record, name="[red]x[/] \x1b[2J", setting=None)
    scenarios = [run.scenarios[0], msgspec.structs.replace(run.scenarios[1], record=evil), *run.scenarios[2:]]
    daemon.results = [msgspec.structs.replace(run, scenarios=scenarios)]
    async with opened(daemon) as pilot:
        text = await results(pilot, "j", "space", "space", "c")
        await until(pilot, lambda: "Comparison of 2" in screen_text(pilot.app))
        text = screen_text(pilot.app)
        assert "[red]x[/]" in text
        assert "\x1b" not in text
