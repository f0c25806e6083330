"""What the report leads with, and what no file can make of it: read as a browser reads it."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.sweep import encoders, sweep
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import AdviceTarget
from wattview.model import CommandRecord, PerExecution, RunResult, ScenarioRecord, ScenarioResult
from wattview.report import svg
from wattview.report.html_page import html_report
from wattview.report.words import distinct, plain

CELL, ROW = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL), re.compile(r"<tr[^>]*>(.*?)</tr>", re.DOTALL)

HOSTILE = (
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "</title></svg><iframe src=//evil.example>",
    '"><a href="javascript:alert(1)">x</a>', "{{ 7 * 7 }}{% raw %}", "&lt;b&gt;", "a\x00b\x1b[31m\x9b2Jc",
    "\u202egnp.exe\u2066\u2069\u200f", "line\u2028break\r\nand\ttab", "[libx264 @ 0x55d0c0ffee00] late", "]]><!--",
)  # fmt: skip
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its text without that of its style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self._in_style = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.style += data
        else:
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def table(page: str, title: str) -> list[list[str]]:
    """The rows of the table under that heading, without markup."""
    body = page.partition(f"<h3>{title}</h3>")[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [[re.sub("<[^>]*>", "", cell).strip() for cell in CELL.findall(row)] for row in ROW.findall(body)]


def estimated(run: RunResult, *, first: int | None = None) -> RunResult:
    """The same run with power that nobody measured: of all scenarios, or of the first ones."""
    changed = [replace(one, power_source="estimated") for one in run.scenarios[:first]]
    return replace(run, scenarios=[*changed, *run.scenarios[len(changed) :]])


# the verdict


def test_the_verdict_comes_first_and_says_how_much_and_how_sure() -> None:
    page = html_report([sweep()], target=AdviceTarget(vmaf_at_least=80))
    said = Reader(page).words
    assert page.index("<h2>Verdict</h2>") == page.index("<h2>")
    assert "<strong>2 x 1280x720 30 fps 2500k libx264 veryfast 2 viewers</strong> meets VMAF ≥ 80" in page
    assert "4 W, 50.0 % less than the next, 2 x 1280x720 30 fps 2500k libx264 medium" in said
    assert "significant: p &lt; 0.0001, Bonferroni-corrected for 3 tests" in page
    assert "Mean of 3 measurements: 4 W, VMAF 88 ± 0.25." in said
    assert "+4 W (+3.68 to +4.32, 98.3 %)" in said


def test_a_report_without_a_target_uses_the_default_and_says_so() -> None:
    said = Reader(html_report([sweep()])).words
    assert "medium 2 viewers meets VMAF ≥ 90 at the lowest power above baseline per stream: 8 W" in said
    assert "Target: VMAF ≥ 90 (the default; --vmaf sets another)." in said
    assert "does not meet it: VMAF 78.0 (95 % interval 77.8 to 78.2)" in said


def test_an_unmet_target_is_the_verdict() -> None:
    page = html_report([sweep()], target=AdviceTarget(vmaf_at_least=99))
    assert "No measured setting meets VMAF ≥ 99." in Reader(page).words


def test_with_a_busy_baseline_the_total_power_decides() -> None:
    run = sweep()
    idle, *rest = run.scenarios
    busy = compared_with_baseline([replace(idle, power_mean_watts=50.0, energy_joules=1500.0), *rest])
    said = Reader(html_report([replace(run, scenarios=busy)], target=AdviceTarget(vmaf_at_least=80))).words
    assert "veryfast 2 viewers meets VMAF ≥ 80 at the lowest power per stream: 19 W" in said
    assert "The power above baseline per stream is not used here" in said


def test_without_quality_the_verdict_is_of_power_alone_and_says_so() -> None:
    run = sweep()
    blind = [replace(one, record=replace(one.record, vmaf_score=None)) for one in run.scenarios]
    said = Reader(html_report([replace(run, scenarios=blind)])).words
    assert "ultrafast 2 viewers takes the lowest power above baseline per stream: 2 W" in said
    assert "No quality was measured" in said
    assert "VMAF ≥" not in said


def test_power_of_two_sources_has_no_verdict_but_the_reason() -> None:
    run = sweep()
    mixed = [replace(one, power_source="estimated" if at % 4 == 3 else "rapl") for at, one in enumerate(run.scenarios)]
    page = html_report([replace(run, scenarios=mixed)], target=AdviceTarget(vmaf_at_least=80))
    assert "No verdict: the settings' power came from different sources" in Reader(page).words


def test_settings_that_all_fell_behind_real_time_are_counted_and_have_no_verdict_but_the_reason() -> None:
    run = sweep()
    late = [replace(one, record=replace(one.record, realtime=False)) for one in run.scenarios]
    said = Reader(html_report([replace(run, scenarios=late)])).words
    assert "No verdict. All 4 settings fell behind real time" in said
    assert "0 settings" not in said


# the circumstances


def test_an_estimate_is_a_banner_and_a_measurement_has_none() -> None:
    assert 'class="banner"' not in html_report([sweep()])
    page = html_report([estimated(sweep())])
    assert page.count('class="banner"') == 1
    assert page.index("Verdict") < page.index("<strong>ESTIMATE</strong>") < page.index("<dl>")
    assert "(estimate)" in page


def test_a_banner_says_how_much_of_the_power_is_an_estimate() -> None:
    page = html_report([estimated(sweep(), first=1)])
    assert "The power of 1 of 13 scenarios was estimated" in Reader(page).words
    assert page.count('<span class="warn">(power estimated)</span>') == 1


def test_machine_source_programs_prices_and_date_are_listed_once() -> None:
    run = sweep()
    known = [
        replace(
            one,
            machine="lab-01, 32 CPUs",
            record=replace(one.record, encoder_tool="/usr/bin/ffmpeg 5.1.9", quality_tool="/opt/ffmpeg 7.0.2"),
        )
        for one in run.scenarios
    ]
    page = html_report([replace(run, scenarios=known, prices="0.12 USD/kWh")])
    listed = re.findall(r"<dt>(.*?)</dt>((?:<dd>.*?</dd>)+)", page)
    assert [(name, re.findall("<dd>(.*?)</dd>", values)) for name, values in listed] == [
        ("Date", ["2025-06-15 15:00:00"]), ("Machine", ["lab-01, 32 CPUs"]), ("Power source", ["rapl"]),
        ("Idle power", ["included (attributional account), except in figures above baseline (marginal account)"]),
        ("Encoded by", ["ffmpeg 5.1.9"]), ("Judged by", ["ffmpeg 7.0.2"]), ("Prices", ["0.12 USD/kWh"]),
    ]  # fmt: skip


# figures


def test_repeats_are_one_line_with_the_interval_of_their_mean() -> None:
    rows = table(html_report([sweep()]), "Energy and power")
    assert [row[0] for row in rows] == ["baseline", "ultrafast", "veryfast", "medium", "slow wasteful"]
    # 34 ± 4.3027 x 0.2 / sqrt(3)
    assert rows[1][1:5] == ["3", "60.0 s", "2040.0 ± 29.8 J", "34.00 ± 0.50 W"]
    assert rows[0][1:5] == ["1", "30.0 s", "900.0 ± 6.0 J", "30.00 ± 0.20 W"]
    assert "All settings: 2 x 1280x720 30 fps 2500k libx264 2 viewers." in html_report([sweep()])


def test_repeats_of_two_runs_are_one_line_too() -> None:
    runs = [sweep(), sweep("20250615_160000", more_watts=0.3)]
    [power] = [row[4] for row in table(html_report(runs), "Energy and power") if row[0] == "medium"]
    assert power.startswith("46.15 ± ")


def test_estimates_and_measurements_are_not_repeats_of_each_other() -> None:
    runs = [sweep(), estimated(sweep("20250615_160000", more_watts=10.0))]
    page = html_report(runs, target=AdviceTarget(vmaf_at_least=80))
    rows = [row for row in table(page, "Energy and power") if row[0].startswith("medium")]
    assert [row[4] for row in rows] == ["56.00 ± 0.50 W", "46.00 ± 0.50 W"]
    assert [row[0].endswith("(power estimated)") for row in rows] == [True, False]
    assert "No verdict: the settings' power came from different sources" in Reader(page).words


def test_late_repeats_are_counted_beside_the_others() -> None:
    run = sweep()
    late = [
        replace(one, record=replace(one.record, realtime=False)) if one.record.name == "medium #3" else one
        for one in run.scenarios
    ]
    rows = table(html_report([replace(run, scenarios=late)]), "Energy and power")
    assert [row[1] for row in rows if row[0] == "medium"] == ["2 (+ 1 not real time)"]


def test_commands_are_judged_by_one_execution() -> None:
    """Their windows hold as many as fitted; two columns that only their units tell apart keep these."""

    def command(name: str, joules: float, status: int = 0) -> ScenarioResult:
        done = CommandRecord(text="x", executions=2, seconds=3.0, exit_status=status)
        record = ScenarioRecord(name=name, type="command", command=done)
        each = PerExecution(seconds=1.5, joules=joules)
        return ScenarioResult(record=record, power_mean_watts=50.0, power_source="rapl", per_execution=each)

    scenarios = [command("slow", 30.0), command("fast", 20.0), command("fast", 1.0, status=255)]
    page = html_report([RunResult(id="r", path="", test_date="", scenarios=scenarios)])
    rows = table(page, "One execution of a command")
    assert rows == [["slow", "1.500 s", "30.00 J"], ["fast", "1.500 s", "20.00 J"]]
    assert "Command s Command J" in Reader(page.replace("</th>", " </th>")).words
    assert [row[1] for row in table(page, "Energy and power") if row[0] == "fast"] == ["1 (+ 1 failed)"]
    assert "fast takes the lowest energy of the command: 20 J" in Reader(page).words


def test_a_remark_is_shown_once_with_its_scenarios() -> None:
    run = sweep()
    noted = [
        replace(
            one,
            reasons={"carbon_grams": "no intensity is set"},
            record=replace(one.record, notes=[f"source: [mov,mp4 @ 0x55d0{at:x}] overread"] if at % 4 == 1 else None),
        )
        for at, one in enumerate(run.scenarios)
    ]
    page = html_report([replace(run, scenarios=noted)])
    remarks = re.findall("<li>(.*?)</li>", page.partition("<h2>Remarks</h2>")[2].partition("</ul>")[0])
    assert [re.sub("<[^>]*>", "", remark) for remark in remarks] == [
        "no carbon: no intensity is set (all scenarios)", "source: [mov,mp4] overread (ultrafast)",
    ]  # fmt: skip
    assert "@ 0x" not in page


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("[libx264 @ 0x55d0c0ffee00] late", "[libx264] late"),
        ("[tls:0x7f00deadbeef] closed", "[tls] closed"),
        ("freed at 0x55aa11223344", "freed"),
        ("codec id '27' (H264 / 0x34363248)", "codec id '27' (H264 / 0x34363248)"),
    ],
)
def test_addresses_are_left_out_and_codec_tags_stay(said: str, shown: str) -> None:
    assert plain(said) == shown


def test_labels_keep_the_words_that_distinguish_them() -> None:
    labels = ["2 x 1280x720 30 fps 1M libx264", "1 x 1280x720 30 fps 2M libx264"]
    assert distinct(labels) == (["2 x 1M", "1 x 2M"], "1280x720 30 fps libx264")
    assert distinct(["1 x 720p", "1 x 720p slow"]) == (["1 x 720p", "1 x 720p slow"], "")
    assert distinct(labels[:1]) == (labels[:1], "")
    assert distinct([]) == ([], "")


# the file


def text_fields(kind: type[msgspec.Struct]) -> list[str]:
    return [
        one.name for one in msgspec.structs.fields(kind)
        if one.type in (str, str | None) or (isinstance(one.type, str) and one.type in ("str", "str | None"))
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_file_is_more_than_text(text: str) -> None:
    """Every field that holds text, of the record, of its analysis and of the run."""
    of_record, of_result = text_fields(ScenarioRecord), text_fields(ScenarioResult)
    assert {"name", "preset", "pushed_to"} <= set(of_record)
    assert {"machine", "currency"} <= set(of_result)
    run = sweep(text)
    scenarios = [
        replace(
            one,
            **dict.fromkeys(of_result, text),
            remarks={text: text},
            reasons={text: text, "carbon_grams": text},
            record=replace(one.record, **dict.fromkeys(set(of_record) - {"type"}, text), notes=[text]),
        )
        for one in run.scenarios
    ]
    fields = dict.fromkeys(text_fields(RunResult), text)
    hostile = replace(run, **{**fields, "error": None}, scenarios=scenarios, remarks=[text])
    page = html_report([hostile, replace(hostile, error=text)], {text: [(one, 1.0) for one in (0.0, 2e9)]})
    usual, found = Reader(html_report([sweep()])), Reader(page)
    assert {tag for tag, _ in found.seen} <= {tag for tag, _ in usual.seen} | {"p", "li", "ul", "span", "strong"}
    assert found.style == usual.style
    assert not CONTROLS.search(page)
    assert " @ 0x" not in page
    assert " ".join(plain(text).split()) in found.words


@pytest.mark.parametrize("runs", [[], [sweep()], [encoders(), estimated(sweep())]], ids=["none", "sweep", "two"])
def test_the_report_loads_nothing_and_runs_no_script(runs: list[RunResult]) -> None:
    page = Reader(html_report(runs, {run.id: [(1.7e9, 1.0), (1.8e9, 2.0)] for run in runs}))
    allowed = {"charset", "name", "content", "class", "lang", "role", "title", "scope", "data-head"}
    drawn = {
        "viewbox", "xmlns", "x", "y", "d", "points", "width", "height", "cx", "cy", "r", "transform", "text-anchor",
    }  # fmt: skip
    assert {name for _, attributes in page.seen for name in attributes} <= allowed | drawn
    assert not {"script", "link", "img", "iframe", "object", "base", "form", "image", "use"} & {
        tag for tag, _ in page.seen
    }
    assert not re.search(r"url\(|@import|expression\(|src\s*:", page.style)
    assert [one["content"] for tag, one in page.seen if tag == "meta" and "content" in one] == [
        "width=device-width, initial-scale=1"
    ]


def test_a_daemon_that_makes_no_report_does_not_load_the_template_engine() -> None:
    script = "import sys, wattview.daemon.api.results; print(sorted({'jinja2', 'markupsafe'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# the plots


def test_every_window_is_labelled_beside_above_or_below() -> None:
    points = [(0.0, 1.0), (1000.0, 1.0)]
    wide, slim, thin = (0.0, 400.0, "wide"), (400.0, 440.0, "a longer name"), (500.0, 505.0, "thin one")
    picture = svg.lines(points, [wide, slim, thin], "W")
    assert re.search(r'<text class="small" x="[0-9.]+" y="\d+">wide</text>', picture)
    assert re.search(r'rotate\(-90\)">a longer name</text>', picture)
    assert picture.count("thin one") == 1, "as a title alone"
    assert svg.names_fit(points, [wide, slim])
    assert not svg.names_fit(points, [wide, slim, thin])


def test_labels_of_points_cover_no_point_and_no_other_label() -> None:
    near = [svg.PlotPoint(f"setting {at}", 10.0 + at % 4, 80.0 + at) for at in range(12)]
    root = ElementTree.fromstring(svg.scatter(near, [0], "W", "VMAF"))
    space = "{http://www.w3.org/2000/svg}"
    boxes = []
    for text in root.iter(f"{space}text"):
        if (text.text or "").startswith("setting"):
            x, y, width = float(text.get("x", "")), float(text.get("y", "")), svg.LETTER * len(text.text or "")
            left = x - width if text.get("text-anchor") == "end" else x
            boxes.append((left, y - svg.LINE + 4, left + width, y + 4))
    dots = [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in root.iter(f"{space}circle")]
    assert len(boxes) >= 6
    for at, (left, top, right, bottom) in enumerate(boxes):
        assert not [dot for dot in dots if left < dot[0] < right and top < dot[1] < bottom]
        others = boxes[at + 1 :]
        assert not [one for one in others if left < one[2] and one[0] < right and top < one[3] and one[1] < bottom]


def test_a_label_without_room_becomes_a_number() -> None:
    label = "a label that is much too long to be written there" * 2
    picture = svg.scatter([svg.PlotPoint(label, 1.0 + at, 80.0) for at in range(3)], [], "W", "VMAF")
    assert re.findall(r'<text class="small" x="[0-9.]+" y="[0-9.]+">([^<]*)</text>', picture) == ["1", "2", "3"]
