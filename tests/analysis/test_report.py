"""The HTML report: whole in itself, safe with any name, and true to the figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.axis import ticks
from wattview.model import Efficiency, RunResult, ScenarioRecord, ScenarioResult
from wattview.report import svg
from wattview.report.html_page import html_report

HOSTILE = '<script>alert("1")</script> & "quotes" \' ✓'
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Collects the text, the tags and the attributes of a page, and minds that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def scenario(name: str, watts: float | None, vmaf: float | None = None, **fields: object) -> ScenarioResult:
    asked: dict[str, object] = {
        "type": "streams", "streams": 1, "resolution": "1280x720", "fps": 30.0, "bitrate": "2500k",
        "start_time": 1000.0, "end_time": 1060.0,
    }  # fmt: skip
    record = ScenarioRecord(name=name, vmaf_score=vmaf, **(asked | fields))  # type: ignore[arg-type]
    return ScenarioResult(
        record=record, duration_seconds=60.0, power_mean_watts=watts, power_source="estimated", currency="EUR",
        energy_joules=None if watts is None else watts * 60, cost_total=0.00125,
        net_efficiency=None if watts is None else Efficiency(watts_per_stream=watts - 20),
        reasons={} if watts is not None else {"power_mean_watts": f"no samples {HOSTILE}"},
    )  # fmt: skip


def run(*scenarios: ScenarioResult, run_id: str = "20250102_030405", error: str | None = None) -> RunResult:
    return RunResult(
        id=run_id, path="/x", test_date="2025-01-02", status="done", scenarios=list(scenarios), error=error
    )


def test_the_report_is_self_contained() -> None:
    page = Page(html_report([run(scenario("a", 31.25, 90.0))], {"20250102_030405": [(1000.0, 30.0), (1060.0, 31.0)]}))
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name in ("src", "href") or name.startswith("on")]
    assert not re.search(r"url\(|@import", html_report([]))


def test_the_figures_are_on_the_page() -> None:
    text = Page(html_report([run(scenario("a", 31.25, 90.125))])).text
    for figure in ("1875.0 J", "31.25 W", "0.001250 EUR", "90.12", "60.0 s", "20250102_030405", "ESTIMATE"):
        assert figure in text


def test_nothing_from_a_file_becomes_markup() -> None:
    hostile = run(
        scenario(HOSTILE, 30.0, 90.0, bitrate=HOSTILE, notes=[HOSTILE]),
        scenario(HOSTILE, None, preset=HOSTILE),
        scenario("b", 40.0, 95.0, preset="slow"),
        run_id=HOSTILE,
    )
    page = Page(html_report([hostile, run(error=HOSTILE)], {HOSTILE: [(990.0, 30.0), (1090.0, 31.0)]}))
    assert "script" not in page.tags
    assert page.text.count('alert("1")') >= 6


@given(st.text(max_size=40), st.floats(0.1, 1e5), st.floats(0, 100))
def test_any_name_gives_a_page_that_parses(name: str, watts: float, vmaf: float) -> None:
    Page(html_report([run(scenario(name, watts, vmaf), scenario("b", watts * 2, vmaf, preset=name))]))


def test_an_unknown_figure_is_a_dash_with_its_reason() -> None:
    text = html_report([run(scenario("a", None))])
    assert '<span title="unknown">–</span>' in text
    assert "no mean power: no samples" in Page(text).text


def test_a_scenario_that_was_not_in_real_time_is_marked_and_wins_nothing() -> None:
    text = Page(html_report([run(scenario("slow", 50.0, 90.0, realtime=False))])).text
    assert "not real time" in text
    assert "Power by setting" not in text
    assert "No verdict. The only setting fell behind real time" in text


def test_the_report_shows_efficiency_with_its_uncertainty() -> None:
    """500 ± 50 J in 10 s for two streams are 25 ± 2.5 W each; less a baseline of 20 ± 2 W, 15 ± 3.5 W."""
    idle = ScenarioResult(
        record=ScenarioRecord(name="idle", type="baseline"), window_seconds=10.0, energy_joules=200.0,
        energy_error_joules=20.0,
    )  # fmt: skip
    one = ScenarioResult(
        record=ScenarioRecord(name="x", streams=2),
        duration_seconds=10.0,
        window_seconds=10.0,
        energy_joules=500.0,
        energy_error_joules=50.0,
        baseline="idle",
        net_energy_joules=300.0,
        efficiency=Efficiency(watts_per_stream=25.0, cost_per_stream_hour=0.25),
        net_efficiency=Efficiency(watts_per_stream=15.0),
        currency="EUR",
    )
    text = Page(html_report([run(idle, one)])).text
    assert "W/streamStream-hour" in text
    assert "x25.00 ± 2.50 W0.250000 EUR" in text
    assert "above baseline15.00 ± 3.50 W–" in text


def test_a_run_without_a_curve_says_that_there_is_none() -> None:
    assert "The history has no power over time for this run" in html_report([run(scenario("a", 30.0))])
    assert "no power over time" not in html_report([run(scenario("a", 30.0))], {"20250102_030405": [(1000.0, 30.0)]})


def test_repeats_are_one_bar_with_its_interval() -> None:
    runs = [run(scenario("a", watts), run_id=f"2025010{at}_000000") for at, watts in enumerate((30.0, 31.0, 32.0))]
    text = Page(html_report(runs)).text
    # 31 ± 4.3027 x 1 / sqrt(3)
    assert "31 W ± 2.5, 3 repeats (estimate)" in text
    assert "30 W, once (estimate)" in Page(html_report(runs[:1])).text


def test_the_front_is_named() -> None:
    page = Page(
        html_report(
            [
                run(
                    scenario("a", 30.0, 90.0),
                    scenario("b", 40.0, 95.0, preset="slow"),
                    scenario("c", 45.0, 92.0, preset="fast"),
                )
            ]
        )
    )
    items = [line for line in re.findall(r"1 x [^V]*VMAF [0-9.]+(?: on the front)?", page.text) if ": " in line]
    assert [item.endswith("on the front") for item in items] == [True, True, False]


RATES = ((1, 80.0), (2, 88.0), (4, 93.0), (8, 96.0))


def test_a_sweep_of_two_encoders_has_its_curves_and_its_differences() -> None:
    """libx265 needs half the bitrate, and draws twice as much above idle."""
    found = [
        scenario(f"{encoder} {rate}", 20 + watts * rate, vmaf, encoder=encoder, bitrate=f"{rate * factor:g}M")
        for encoder, factor, watts in (("libx264", 1.0, 2.0), ("libx265", 0.5, 4.0))
        for rate, vmaf in RATES
    ]
    page = Page(html_report([run(*found)]))
    assert page.tags.count("polyline") >= 4
    for heading in ("Quality and bitrate", "Quality and power over the bitrates", "At equal quality"):
        assert heading in page.text
    said = " ".join(page.text.split())
    assert "1 x 1280x720 30 fps libx2651 x 1280x720 30 fps libx264-50.0 %bitrate–80.00 to 96.00" in said
    assert "+100.0 %power above baseline per stream" in said


def test_the_report_shows_the_power_fit() -> None:
    found = [scenario("idle", 20.0, type="baseline", streams=None)]
    found += [scenario(f"{n}", 20.0 + 10.0 * n, streams=n, encoder="libx264") for n in (1, 2, 4)]
    assert "libx264: 20.00 W + 10.000 W × streams (± 0.00 W, 4 loads)" in Page(html_report([run(*found)])).text


def test_the_report_separates_machines() -> None:
    mine, other = (
        [msgspec.structs.replace(scenario("a", watts), machine=machine) for watts in (30.0, 31.0)]
        for machine in ("mine", HOSTILE)
    )
    page = Page(html_report([run(*mine), run(*other)]))
    assert page.text.count("Measured on ") == 2
    assert page.text.count("2 repeats") == 2
    assert "Measured on" not in html_report([run(*mine)])
    assert "script" not in page.tags


def test_the_report_shows_the_remarks_of_a_run() -> None:
    assert "<p>2 baselines, &lt;differ&gt;.</p>" in html_report(
        [msgspec.structs.replace(run(scenario("a", 30.0)), remarks=["2 baselines, <differ>"])]
    )


def test_no_runs_are_a_page_too() -> None:
    assert "0 runs, 0 scenarios, 0 settings" in Page(html_report([])).text


# the plots


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 50, [0, 10, 20, 30, 40, 50]), (0, 3, [0, 1, 2, 3]), (88, 96, [88, 90, 92, 94, 96]),
        (0.001, 0.004, [0.001, 0.002, 0.003, 0.004]),
        (5, 5, [4.7, 4.8, 4.9, 5.0, 5.1, 5.2, 5.3]), (0, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
    ],
)  # fmt: skip
def test_axes_have_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axes_hold_their_range_and_are_not_crowded(low: float, span: float) -> None:
    marks = ticks(low, low + span)
    assert marks[0] <= low + 1e-6 * span
    assert marks[-1] >= low + span * (1 - 1e-6)
    assert 2 <= len(marks) <= 8


def test_a_line_begins_and_ends_where_the_axes_say() -> None:
    root = ElementTree.fromstring(svg.lines([(100.0, 0.0), (200.0, 50.0)], [(100.0, 150.0, "half")], "W"))
    space = "{http://www.w3.org/2000/svg}"
    line = root.find(f"{space}polyline")
    window = root.find(f"{space}rect")
    assert line is not None
    assert window is not None
    assert line.get("points") == "70.0,256.0 744.0,16.0"
    assert (window.get("x"), window.get("width")) == ("70.0", "337.0")


@pytest.mark.parametrize(("span", "word"), [(599.0, "seconds"), (600.0, "minutes"), (10_800.0, "hours")])
def test_a_time_axis_has_a_suitable_unit(span: float, word: str) -> None:
    picture = svg.lines([(100.0, 1.0), (100.0 + span, 2.0)], [], "W")
    assert f">{word}</text>" in picture
    assert picture.count("<text") <= 20


def test_a_line_is_broken_where_samples_are_missing() -> None:
    points = [(float(at), 1.0) for at in (*range(100), *range(400, 500))]
    assert svg.lines(points, [], "W").count("<polyline") == 2
    slow = [(60.0 * at, 1.0) for at in range(10)]
    assert svg.lines(slow, [], "W").count("<polyline") == 1


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=3000), st.integers(10, 500))
def test_a_line_of_fewer_points_keeps_its_peaks_and_its_ends(values: list[float], most: int) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    found = svg.fewer(points, most)
    assert len(found) <= max(most, 10)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert set(found) <= set(points)
    assert (min(value for _, value in found), max(value for _, value in found)) == (min(values), max(values))


def test_bars_are_as_long_as_their_values() -> None:
    root = ElementTree.fromstring(
        svg.bars([svg.Bar("a", 10.0), svg.Bar("b", 20.0, 18.0, 22.0), svg.Bar("c", -5.0)], "W")
    )
    widths = [float(rect.get("width", "nan")) for rect in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[2] == pytest.approx(widths[0] / 2, abs=0.2)


def test_every_curve_has_a_mark_and_a_dash_of_its_own() -> None:
    found = [svg.PlotCurve(f"<{at}>", ((1.0, 80.0), (2.0, 90.0))) for at in range(3)]
    picture = svg.curves(found, "kbit/s", "VMAF")
    root = ElementTree.fromstring(picture)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [line.get("class") for line in lines] == ["trace trace0", "trace trace1", "trace trace2"]
    assert {line.get("points") for line in lines} == {"70.0,256.0 744.0,16.0"}
    assert picture.count("&lt;1&gt;") == 3, "the label, and a title on each point"


def test_an_empty_plot_has_no_picture() -> None:
    assert (
        svg.curves([], "x", "y") == svg.lines([], [], "W") == svg.bars([], "W") == svg.scatter([], [], "x", "y") == ""
    )
