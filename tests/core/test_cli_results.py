"""What the command line says of measured runs, against figures that were worked out by hand.

A scenario is 10 s of two 720p streams of 30 frames a second and 2.5 Mbit/s, on a machine that draws 20 W when idle:
at 50 W that is 500 J, 25 W a stream, 600 frames of 0.9216 megapixels, and 6.25 MB.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest

from tests.core.conftest import Call
from tests.support.measured_runs import baseline, scenario, write_runs
from wattview.config import load

A, B = "20260101_120000", "20260101_130000"


def repeats(name: str, *watts: float, **fields: object) -> list[dict[str, object]]:
    return [scenario(f"{name} #{at}", power, setting=name, repeat=at, **fields) for at, power in enumerate(watts, 1)]


def line(text: str, begins: str) -> str:
    """The words of the one line that begins so."""
    [found] = [one for one in text.splitlines() if one.startswith(begins)]
    return " ".join(found.split())


# show


def test_a_run_is_shown_with_its_efficiency(call: Call, state: Path) -> None:
    write_runs(state, {A: [baseline(), scenario("quick", 50.0, viewers=3, vmaf_score=93.0)]})
    shown = call("results", "show", A)
    assert shown.exit_code == 0
    of_all, of_net = (line(shown.output.partition("W/stream")[2], name) for name in ("quick", "  above baseline"))
    # 500 J / 600 frames; / 552.96 Mpx; / 0.00625 GB; / (3 x 2 x 10 s / 3600) viewer-hours
    # 500 J at 0.12 a kWh and 10 CPU-seconds at 0.50 an hour, for 20 stream-seconds and 60 viewer-seconds
    assert of_all == "quick 25.00 0.833 0.9042 80.00 8.333 0.253000 0.084333"
    assert of_net == "above baseline 15.00 0.500 0.5425 48.00 5.000 — —"
    assert "±" not in shown.output, "the counter was read at the very ends of the windows"


def test_the_time_between_two_samples_adds_uncertainty(call: Call, state: Path) -> None:
    """Half a second at either end is not between two samples of the window: it is 450 J at least and 550 J at most.
    The baseline's 20 J of doubt come to that of what is net."""
    write_runs(state, {A: [baseline(), scenario("quick", 50.0)]}, off=0.5)
    shown = call("results", "show").output
    whole, _, parts = shown.partition("W/stream")
    assert line(whole, "quick").startswith("quick 50.00 ±5.00 30.00 50.00 500.0 ±50.0 25.0")
    assert line(parts, "quick").startswith("quick 25.00 ±2.50 0.833 ±0.083")
    assert line(shown, "  above baseline").startswith("above baseline 15.00 ±3.50")
    assert "± of a single measurement bounds the error" in shown


def test_repeats_are_one_line_with_the_interval_of_their_mean(call: Call, state: Path) -> None:
    """Three repeats vary by 0.02333 W^2: their mean is known to 4.3027 x 0.15275 / sqrt(3) = 0.38 W."""
    write_runs(state, {A: [baseline(), *repeats("fast", 50.0, 50.2, 49.9), scenario("once", 61.0, preset="slow")]})
    shown = call("results", "show").output
    whole, _, parts = shown.partition("W/stream")
    assert line(whole, "fast ×3").startswith("fast ×3 50.03 ±0.38 30.03 50.03 500.3 ±3.8 25.0")
    assert line(parts, "fast ×3").startswith("fast ×3 25.02 ±0.19")
    assert line(whole, "once").startswith("once 61.00 41.00 61.00 610.0")
    assert "fast #2" not in shown.partition("every scenario")[0]
    assert "±" not in line(whole, "once")


def test_a_note_of_all_repeats_names_their_setting_and_no_address(call: Call, state: Path) -> None:
    noted = [{**one, "notes": ["[libx264 @ 0x55d0c0ffee00] late"]} for one in repeats("fast", 50.0, 50.2, 49.9)]
    write_runs(state, {A: [baseline(), *noted]})
    assert "fast ×3: [libx264] late" in call("results", "show").output


def test_a_setting_under_two_names_stays_two_lines(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("a", 50.0), scenario("b", 60.0)]})
    shown = call("results", "show").output
    assert line(shown.partition("W/stream")[0], "a ").startswith("a 50.00")
    assert line(shown.partition("W/stream")[0], "b ").startswith("b 60.00")


# list


def test_runs_are_listed_with_date_length_power_quality_and_flags(call: Call, state: Path) -> None:
    """25 s are from the begin of the baseline's window to the end of the scenario's, 5 s apart."""
    write_runs(state, {
        A: [baseline(), scenario("quick", 50.0, vmaf_score=93.0)],
        B: [scenario("x", 50.0, vmaf_score=93.0, realtime=False), scenario("y", 61.0, vmaf_score=96.0, streams=4)],
    })  # fmt: skip
    said = call("results").output
    assert line(said, A) == f"{A} 2026-01-01 12:00 25s 50.0 93.0 quick not idle"
    assert line(said, B) == f"{B} 2026-01-01 12:00 25s 50.0–61.0 93.0–96.0 x, y not real time"


def test_an_estimate_an_aborted_run_and_a_broken_file_are_flags(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("x", 50.0)]}, source="estimated")
    file = state / "results" / f"test_results_{A}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "aborted"}))
    (state / "results" / f"test_results_{B}.json").write_text("{")
    said = call("results").output
    assert line(said, A).endswith("x aborted, ESTIMATE")
    assert "not valid JSON" in line(said, B)


# ids


def test_latest_and_an_id_prefix_identify_a_run(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("first", 50.0)], B: [scenario("second", 60.0)]})
    assert call("results", "show", "latest").output.startswith(f"run {B}")
    assert call("results", "show", "20260101_12").output.startswith(f"run {A}")
    said = call("results", "compare", "20260101_12", "latest").output
    assert said.startswith(f"A is run {A}")
    (exported,) = json.loads(call("results", "export", "20260101_13").stdout)
    assert exported["id"] == B


def test_an_ambiguous_id_prefix_is_refused_with_the_matching_ids(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("first", 50.0)], B: [scenario("second", 60.0)]})
    for words in (["show", "2026"], ["compare", "2026", "latest"], ["export", "2026"], ["advise", "2026"]):
        refused = call("results", *words)
        assert refused.exit_code == 2, words
        assert refused.output.splitlines()[-1] == f"Error: '2026' matches 2 ids: {B}, {A}"
    assert call("results", "show", "latest", "--set", f"paths.results={state}/none").exit_code == 1


def test_a_remark_on_every_scenario_is_shown_once(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("a", 50.0), scenario("b", 60.0)]})
    shown = " ".join(call("results", "show").output.split())
    assert shown.count("set cost.carbon_g_per_kwh") == 1
    assert "every scenario: no carbon" in shown


def test_a_baseline_on_a_busy_machine_is_marked_not_idle(call: Call, state: Path) -> None:
    """One of the four CPUs is busy all the time."""
    write_runs(state, {A: [baseline(), scenario("quick", 50.0)]})
    shown = " ".join(call("results", "show").output.split())
    assert "baseline: the machine was NOT IDLE: 25.0 % of its CPU time was used" in shown
    assert shown.count("NOT IDLE") == 1


def test_carbon_is_shown_once_it_is_set(call: Call, state: Path) -> None:
    """25 W for an hour at 400 g a kWh are 10 g."""
    write_runs(state, {A: [scenario("quick", 50.0)]})
    shown = call("results", "show", "--set", "cost.carbon_g_per_kwh=400").output
    assert line(shown.partition("W/stream")[2], "quick").endswith("0.253000 10.00 10.00")


def test_an_estimate_and_a_late_encoder_are_reported(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("late", 50.0, realtime=False)]}, source="estimated")
    shown = call("results", "show").output
    assert "power is an ESTIMATE" in shown
    assert "NOT REAL TIME" in shown
    assert "W/stream" not in shown, "what was not in real time has no efficiency"


def test_file_names_cannot_send_terminal_commands(call: Call, state: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e"
    named = [baseline(), *repeats(evil, 50.0, 51.0, encoder=evil, notes=[evil])]
    write_runs(state, {A: named, B: repeats("other", 50.0, preset=evil)})
    for words in (["list"], ["show", A], ["compare", A, B], ["advise"], ["curves"], ["predict", "--streams", "2"]):
        said = call("results", *words).output
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said), words
    assert "owned" in call("results", "show", A).output


# export


def test_the_efficiency_is_in_the_table_too(call: Call, state: Path) -> None:
    write_runs(state, {A: [baseline(), scenario("quick", 50.0)]})
    idle, values = csv.DictReader(io.StringIO(call("results", "export", "--format", "csv").stdout))
    assert float(values["efficiency_joules_per_frame"]) == pytest.approx(500 / 600)
    assert float(values["net_efficiency_watts_per_stream"]) == pytest.approx(15.0)
    assert (values["run"], values["name"], idle["efficiency_joules_per_frame"]) == (A, "quick", "")


def test_the_report_is_one_file_with_the_power_and_its_windows(call: Call, state: Path, tmp_path: Path) -> None:
    write_runs(state, {A: [baseline(), scenario("quick", 50.0)]})
    page = tmp_path / "report.html"
    assert call("results", "export", "--format", "html", "--output", str(page)).exit_code == 0
    text = page.read_text()
    assert text.count('class="window"') == 2
    # 20 W and 50 W of an axis of 50 W, which is 240 points high and stands at 256
    [path] = re.findall(r'<polyline class="line" points="([^"]*)"', text)
    heights = {float(point.partition(",")[2]) for point in path.split()}
    assert heights == {256 - 240 * 20 / 50, 256 - 240 * 50 / 50}


def test_the_verdict_of_the_report_is_for_the_requested_target(call: Call, state: Path) -> None:
    write_runs(state, {A: [baseline(), scenario("quick", 50.0, vmaf_score=94.0)]})
    assert "meets VMAF ≥ 90 at the lowest" in call("results", "export", "--format", "html").stdout
    assert "No measured setting meets VMAF ≥ 95" in call("results", "export", "--format", "html", "--vmaf", "95").stdout
    refused = call("results", "export", "--format", "html", "--vmaf", "101")
    assert refused.exit_code == 2
    assert "0<=x<=100" in refused.output


def test_parquet_without_pyarrow_says_what_to_install(call: Call, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_runs(state, {A: [scenario("quick", 50.0)]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused = call("results", "export", "--format", "parquet")
    assert refused.exit_code == 1
    assert "pip install '.[parquet]'" in refused.output


def test_a_file_that_cannot_be_written_is_one_line(call: Call, state: Path, tmp_path: Path) -> None:
    refused = call("results", "export", "--output", str(tmp_path / "none" / "report.json"))
    assert refused.exit_code == 1
    assert "No such file or directory" in refused.output
    assert "Traceback" not in refused.output


# compare


def test_repeats_are_compared_with_intervals_and_a_verdict(call: Call, state: Path) -> None:
    """Each side varies by 0.02333 W^2: its mean is known to 4.3027 x 0.15275 / sqrt(3) = 0.38 W, and the difference,
    one of two tests with 4 degrees of freedom each, to 3.4954 x 0.12472 = 0.436 W."""
    write_runs(state, {
        A: [baseline(), *repeats("fast", 50.0, 50.2, 49.9)],
        B: [baseline(21.0), *repeats("slow", 61.0, 60.8, 61.1, preset="slow")],
    })  # fmt: skip
    said = call("results", "compare", A, B).output
    assert line(said, "mean power") == (
        "mean power 50.03 ±0.38 W 60.97 ±0.38 W +10.93 W +21.9 % +10.50 to +11.37 significant"
    )
    assert line(said, "power above baseline  ") == (
        "power above baseline 30.03 W 39.97 W +9.93 W +33.1 % — too few baselines"
    )
    assert line(said, "CPU use").endswith("equal")
    assert "Bonferroni-corrected): power: 2 tests, 97.5 % intervals, cost: 2 tests" in " ".join(said.split())
    assert "A: 2 x 1280x720 30 fps 2500k libx264 veryfast" in said
    assert "B: 2 x 1280x720 30 fps 2500k libx264 slow" in said
    assert "A measured 3 times; B measured 3 times" in said
    assert "idle machine, B − A: +1.00 W" in said


def test_a_difference_that_may_be_chance_is_not_significant(call: Call, state: Path) -> None:
    """2 degrees of freedom, one of two tests: 1 W is known to 6.2053 x sqrt(2/2 + 2/2) = 8.78 W."""
    write_runs(state, {A: repeats("x", 50.0, 52.0), B: repeats("x", 51.0, 53.0)})
    said = call("results", "compare", A, B).output
    assert line(said, "mean power").endswith("-7.78 to +9.78 not significant")


def test_single_runs_are_a_plain_table_that_says_why_there_is_no_interval(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("x", 50.0)], B: [scenario("x", 60.0)]})
    said = call("results", "compare", A, B).output
    assert line(said, "mean power") == "mean power 50.00 W 60.00 W +10.00 W +20.0 %"
    assert "95 %" not in said
    assert "wattview run --repeat 3" in " ".join(said.split())


def test_what_only_one_run_measured_is_named(call: Call, state: Path) -> None:
    write_runs(state, {
        A: [scenario("x", 50.0)],
        B: [scenario("x", 60.0), scenario("y", 70.0, streams=4)],
    })  # fmt: skip
    assert f"only in {B}: 4 x 1280x720" in call("results", "compare", A, B).output
    document = json.loads(call("results", "compare", A, B, "--json").stdout)
    assert document["only_second"] == ["4 x 1280x720 30 fps 2500k libx264 veryfast"]
    assert document["pairs"][0]["differences"]["power_mean_watts"]["difference"] == pytest.approx(10.0)


def test_a_run_that_is_missing_or_broken_cannot_be_compared(call: Call, state: Path) -> None:
    write_runs(state, {A: [scenario("x", 50.0)]})
    missing = call("results", "compare", A, B)
    assert (missing.exit_code, f"no run '{B}'" in missing.output) == (1, True)
    (state / "results" / f"test_results_{B}.json").write_text("{")
    broken = call("results", "compare", A, B)
    assert broken.exit_code == 1
    assert f"run {B}: " in broken.output


# plot


def test_power_is_drawn_with_round_ticks_units_and_named_windows(call: Call, state: Path) -> None:
    write_runs(state, {A: [baseline(), scenario("quick", 50.0)]})
    drawn = call("results", "plot", "latest")
    assert drawn.exit_code == 0, drawn.output
    assert "\x1b" not in drawn.output
    marks = [int(found) for found in re.findall(r"^ *([0-9]+)┼", drawn.output, re.MULTILINE)]
    assert marks == [50, 40, 30, 20]
    assert re.search("├─+ A baseline ─+┤", drawn.output)
    assert re.search(r"^B  quick, 10 s$", drawn.output, re.MULTILINE)
    assert f"run {A}" in drawn.output


def test_curves_bars_and_front_are_drawn_with_their_settings_below(call: Call, encoders: Path) -> None:
    for kind, said in (("bars", "mean power, W"), ("curves", "bitrate, kbit/s"), ("front", "power above baseline")):
        drawn = call("results", "plot", "--kind", kind)
        assert drawn.exit_code == 0, drawn.output
        assert said in drawn.output
        assert re.search(r"^(B  |2000k ).*libx26", drawn.output, re.MULTILINE), "each setting is named"


def test_a_run_without_data_to_plot_says_so(call: Call, state: Path) -> None:
    assert call("results", "plot").exit_code == 1
    write_runs(state, {A: [scenario("quick", 50.0)]})
    refused = call("results", "plot", "--kind", "front")
    assert (refused.exit_code, refused.output) == (1, "Error: no setting has both its power and its VMAF\n")


# advise


@pytest.fixture
def sweep(state: Path) -> Path:
    """Net of 20 W, by stream: 15, 20 and 7.5 W."""
    write_runs(state, {
        A: [
            baseline(),
            *repeats("fast", 50.0, 50.2, 49.8, vmaf_score=93.5),
            scenario("low", 35.0, bitrate="1M", vmaf_score=85.0),
        ],
        B: [baseline(), *repeats("slow", 60.0, 60.2, 59.8, preset="slow", vmaf_score=96.0)],
    })  # fmt: skip
    return state


def test_the_cheapest_setting_that_is_good_enough_is_named_with_its_lead(call: Call, sweep: Path) -> None:
    advised = call("results", "advise", "--vmaf", "93", "--streams", "2")
    assert advised.exit_code == 0
    said = " ".join(advised.output.split())
    assert said.startswith(
        "2 x 1280x720 30 fps 2500k libx264 veryfast meets VMAF ≥ 93, 2 streams or more at the lowest power above"
        " baseline per stream: 15 W, 25.0 % less than the next, 2 x 1280x720 30 fps 2500k libx264 slow;"
        " significant: p < 0.0001"
    )
    assert "20 W +5 W +33.3 %" in said
    assert said.endswith("not eligible: 2 x 1280x720 30 fps 1000k libx264 veryfast: VMAF 85.0")


def test_a_lower_target_a_price_or_named_runs_change_the_advice(call: Call, sweep: Path) -> None:
    assert json.loads(call("results", "advise", "--vmaf", "80", "--json").stdout)["best"].endswith(
        "1000k libx264 veryfast"
    )
    assert json.loads(call("results", "advise", B, "--json").stdout)["best"].endswith("libx264 slow")
    by_cost = json.loads(call("results", "advise", "--vmaf", "93", "--objective", "cost", "--json").stdout)
    assert by_cost["objective"] == "cost_per_stream_hour"
    assert by_cost["choices"][0]["value"] == pytest.approx(0.253)
    assert call("results", "advise", "--vmaf", "90", "--at-most", "14").exit_code == 1


def test_settings_of_another_machine_are_not_compared(call: Call, sweep: Path) -> None:
    """The slow preset of run B, the newest, was measured on another machine than the rest."""
    for stamp, hostname in ((A, "old"), (B, "new")):
        file = sweep / "results" / f"test_results_{stamp}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": {"hostname": hostname, "cpus": 4}}))
    said = " ".join(call("results", "advise", "--vmaf", "80").output.split())
    assert said.startswith("2 x 1280x720 30 fps 2500k libx264 slow meets VMAF ≥ 80")
    assert "only scenarios of new were used, not 5 of old: machines cannot be compared" in said
    assert "1000k libx264 veryfast meets" in call("results", "advise", "--vmaf", "80", "--machine", "old").output
    refused = call("results", "advise", "--machine", "third")
    assert (refused.exit_code, "measured were: new; old" in refused.output) == (1, True)
    assert "the runs are of two machines" in call("results", "compare", A, B).output


def test_an_unmet_target_is_reported(call: Call, sweep: Path) -> None:
    advised = call("results", "advise", "--vmaf", "99")
    assert advised.exit_code == 1
    assert advised.output.startswith("no measured setting meets VMAF ≥ 99")
    assert "VMAF 96.0" in advised.output


def test_what_may_meet_the_target_is_named(call: Call, sweep: Path) -> None:
    write_runs(sweep, {A: [baseline(), *(scenario(f"s #{at}", 50.0 + at / 10, vmaf_score=vmaf)
                                         for at, vmaf in enumerate((89.4, 89.8, 90.2)))]})  # fmt: skip
    advised = call("results", "advise", A, "--vmaf", "90")
    said = " ".join(advised.output.split())
    assert advised.exit_code == 1
    assert said.startswith("no measured setting demonstrably meets VMAF ≥ 90; 1 setting may meet it")
    assert "VMAF 89.8 (95 % interval 88.8 to 90.8)" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--vmaf", "200"), "--vmaf: 0 to 100, not 200"), (("--vmaf", "nan"), "--vmaf: 0 to 100, not nan"),
        (("--qoe", "9"), "--qoe: 1 to 5, not 9"), (("--streams", "0"), "--streams: 1 or more, not 0"),
        (("--at-most", "-1"), "--at-most: 0 or more, not -1"),
    ],
)  # fmt: skip
def test_an_impossible_target_is_a_usage_error(call: Call, sweep: Path, asked: list[str], said: str) -> None:
    refused = call("results", "advise", *asked)
    assert refused.exit_code == 2
    assert refused.output.splitlines()[-1] == f"Error: {said}"


def test_advice_without_any_results_is_status_1(call: Call, state: Path) -> None:
    advised = call("results", "advise")
    assert advised.exit_code == 1
    assert "no setting has been measured yet" in advised.output


# curves and predictions


@pytest.fixture
def encoders(state: Path) -> Path:
    """libx265 needs half of libx264's bitrate, and 3/2 of its power: 15, 18 and 22.5 W a stream for 10, 12 and 15 W."""
    rates = ((1, 40.0, 80.0), (2, 44.0, 90.0), (4, 50.0, 96.0))
    write_runs(state, {
        A: [
            baseline(),
            *(scenario(f"x264 {rate}", watts, bitrate=f"{rate}M", vmaf_score=vmaf) for rate, watts, vmaf in rates),
            *(scenario(f"x265 {rate}", 20 + 1.5 * (watts - 20), bitrate=f"{rate / 2:g}M", vmaf_score=vmaf,
                       encoder="libx265") for rate, watts, vmaf in rates),
        ],
    })  # fmt: skip
    return state


def test_two_encoders_are_compared_at_equal_quality(call: Call, encoders: Path) -> None:
    said = call("results", "curves", "--first", "libx264", "--second", "libx265")
    assert said.exit_code == 0, said.output
    assert "2 x 1280x720 30 fps libx265 veryfast\nagainst 2 x 1280x720 30 fps libx264 veryfast" in said.output
    assert line(said.output, "bitrate").startswith("bitrate -50.0 % — VMAF 80.00 to 96.00 (100 % of both) +")
    assert line(said.output, "power above baseline").startswith("power above baseline per stream +50.0 % —")
    assert "every bitrate of both curves needs at least two repeats" in " ".join(said.output.split())
    assert "use 4 bitrates or more" in said.output


def test_curves_that_do_not_compare_are_status_1_and_say_why(call: Call, state: Path) -> None:
    none = call("results", "curves")
    assert (none.exit_code, none.output.startswith("no setting was measured at several bitrates")) == (1, True)
    write_runs(state, {A: [scenario(f"{rate}", 50.0, bitrate=f"{rate}M", vmaf_score=80.0 + rate) for rate in (1, 2)]})
    alone = call("results", "curves")
    assert alone.exit_code == 1
    assert "no two curves have the same streams and pictures" in alone.output
    missing = call("results", "curves", "--second", "libx265")
    assert missing.exit_code == 1
    assert "no curve is called 'libx265'; measured were: 2 x 1280x720 30 fps libx264 veryfast" in missing.output


@pytest.fixture
def loads(state: Path) -> Path:
    """20 W idle and 10 W a stream."""
    write_runs(state, {
        A: [baseline(), *(scenario(f"{n}", 20.0 + 10.0 * n, streams=n) for n in (1, 2, 4))],
    })  # fmt: skip
    return state


def test_a_prediction_shows_its_fit_and_its_error(call: Call, loads: Path) -> None:
    said = call("results", "predict", "--streams", "3")
    assert said.exit_code == 0, said.output
    assert said.output.startswith("3 x 1280x720 30 fps libx264 veryfast: 50.00 W ±0.00 W\n")
    assert "power of the host (rapl) = 20.00 W + 10.000 W × streams" in said.output
    assert "from 4 different loads in 4 scenarios" in said.output
    document = json.loads(call("results", "predict", "--streams", "3", "--json").stdout)
    assert (document["watts"], document["extrapolated"]) == (pytest.approx(50.0), False)


def test_every_extrapolation_is_marked(call: Call, loads: Path) -> None:
    refused = call("results", "predict", "--streams", "9")
    assert refused.exit_code == 1
    assert "outside of the measured range (0 to 4 streams" in refused.output
    said = call("results", "predict", "--streams", "9", "--extrapolate")
    assert said.exit_code == 0
    assert said.output.startswith("EXTRAPOLATED: 9 x 1280x720 30 fps libx264 veryfast: 110.00 W")
    assert call("results", "predict", "--streams", "0").exit_code == 2
    bad = call("results", "predict", "--streams", "3", "--resolution", "HD")
    assert (bad.exit_code, "not a resolution: 'HD'" in bad.output) == (1, True)


@pytest.mark.parametrize("command", ["list", "show", "compare", "advise", "curves", "predict", "export"])
def test_every_command_on_results_has_help_with_an_example(call: Call, command: str) -> None:
    said = call("results", command, "--help")
    assert said.exit_code == 0
    assert f"Example:\n    wattview results {command}" in said.output.replace("Examples:", "Example:")


# a suite


def test_a_suite_and_the_options_of_one_scenario_do_not_mix(call: Call, tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text('[[scenarios]]\nname = "a"\n[[scenarios]]\nname = "b"\nbitrate = "fast"\n')
    refused = call("run", "--suite", str(suite))
    assert refused.exit_code == 2
    assert "scenarios[1].bitrate: expected a bitrate such as 2500k or 2.5M, got 'fast'" in refused.output
    mixed = call("run", "--suite", str(suite), "--streams", "2")
    assert mixed.exit_code == 2


def test_the_options_of_a_whole_run_overrule_a_suite(tmp_path: Path) -> None:
    from wattview.cli.run import read_request

    suite = tmp_path / "suite.toml"
    suite.write_text('baseline = 30\nrepeat = 2\n[[scenarios]]\nname = "a"\n')
    nothing = dict.fromkeys(("baseline", "repeat", "pause", "name", "quality")) | {"baseline_after": False}
    assert read_request(suite, dict(nothing)).repeat == 2
    asked = read_request(suite, {**nothing, "repeat": 3, "baseline_after": True})
    assert (asked.repeat, asked.baseline, asked.baseline_after) == (3, 30.0, True)
    alone = read_request(None, {**nothing, "preset": "slow", "streams": 2})
    assert (alone.scenarios[0].name, alone.baseline) == ("2x 1280x720 2500k slow", 20.0)
    assert not read_request(None, {**nothing, "quality": False}).scenarios[0].quality
    assert read_request(None, {**nothing, "quality": True}).scenarios[0].quality


# the end of a run


def test_the_headline_says_the_figures_their_meaning_and_what_to_do_next(call: Call, state: Path) -> None:
    from wattview.cli.headline import headline
    from wattview.cli.results.results_source import read_results

    write_runs(state, {
        A: [scenario("idle machine", 20.0, type="baseline"), scenario("quick", 50.0, vmaf_score=93.0)],
        B: [*repeats("x", 50.0, 50.2, 49.9), scenario("late", 61.0, realtime=False)],
    })  # fmt: skip
    quick, late = [headline(run) for run in asyncio.run(read_results(load(), (A, B)))]
    assert quick[0] == "quick: 50.00 W, 30.00 W above baseline, VMAF 93.00, 0.253000 USD a stream-hour"
    assert quick[1].startswith("the machine was NOT IDLE: the increase over baseline is underestimated; next: stop")
    assert late[0].startswith("2 settings: 50.03 to 61.00 W, ")
    assert late[1].startswith("NOT REAL TIME: this machine is too slow for this setting; next: fewer --streams")


def test_the_list_takes_its_options_without_its_name(call: Call, state: Path) -> None:
    write_runs(state, {A: [baseline()]})
    listed = call("results", "--json", "--set", "cost.currency=EUR")
    assert [one["id"] for one in json.loads(listed.stdout)] == [A]
    assert json.loads(call("results", "list", "--json").stdout)[0]["id"] == A
    misplaced = call("results", "--set", "cost.currency=EUR", "show", A)
    assert misplaced.exit_code == 2
    assert "--set goes after the subcommand: show --set" in misplaced.output
    assert call("results", "--set", "cost.nothing=1", "--json").exit_code == 2
