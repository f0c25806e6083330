"""Suite files: what they mean, and that whatever is wrong in one is said by its field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.daemon.lab.presets import PRESETS
from wattview.daemon.lab.scenario_check import plan_of
from wattview.daemon.lab.suite import default_suite, load_suite
from wattview.model import Rendition, RunRequest, Scenario
from wattview.model.run_request import WrongField

NOWHERE = Path("/nowhere")


def suite(*scenarios: object, **top: object) -> RunRequest:
    return load_suite(json.dumps({"scenarios": list(scenarios), **top}).encode())


def test_the_batch_form_of_other_programs_is_read() -> None:
    request = suite(
        {"type": "baseline", "name": "idle", "duration": 60, "bitrate": "N/A", "resolution": "N/A", "count": 0},
        {"type": "single", "name": "one", "bitrate": "2500k", "resolution": "1280x720", "fps": 30, "duration": 120,
         "stabilization": 10, "cooldown": 5, "outputs": [{"resolution": "1280x720", "fps": 30}]},
        {"type": "multi", "name": "four", "count": 4, "bitrate": "1500k"},
        {"type": "multi", "name": "mixed", "bitrates": ["1000k", "2500k", "5M"]},
        {"type": "single", "name": "ladder", "bitrate": "5M", "fps": 30,
         "outputs": [{"resolution": "854x480", "fps": 30}, {"resolution": "1920x1080", "fps": 30}]},
    )  # fmt: skip
    idle, one, four, mixed, ladder = request.scenarios
    assert idle == Scenario(name="idle", type="baseline", duration=60)
    assert one == Scenario(
        name="one", bitrate="2500k", resolution="1280x720", fps=30, duration=120, warmup=10, cooldown=5
    )
    assert (four.streams, four.bitrate) == (4, "1500k")
    assert (mixed.streams, mixed.bitrates) == (3, ["1000k", "2500k", "5M"])
    assert ladder.resolution == "1920x1080"
    assert ladder.renditions == [Rendition(resolution="854x480", fps=30), Rendition(resolution="1920x1080", fps=30)]


def test_toml_says_the_same_as_json(tmp_path: Path) -> None:
    path = tmp_path / "suite.toml"
    path.write_text('repeat = 3\nbaseline = 20\n[[scenarios]]\nname = "x"\nencoder = "libx265"\nviewers = 2\n', "utf-8")
    assert load_suite(path) == suite({"name": "x", "encoder": "libx265", "viewers": 2}, repeat=3, baseline=20)


def test_the_suite_that_comes_with_the_product_can_be_run() -> None:
    plan = plan_of(default_suite(), NOWHERE)
    assert plan[0].scenario.type == plan[-1].scenario.type == "baseline"
    assert len({planned.scenario.name for planned in plan}) == len(plan) > 5


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_every_preset_can_be_run_and_has_a_baseline(preset: Any) -> None:
    plan = plan_of(RunRequest(scenarios=preset.scenarios), NOWHERE)
    assert plan[0].scenario.type == "baseline"
    assert any(planned.scenario.type == "streams" for planned in plan)


def test_the_first_preset_is_one_stream_of_720p_for_a_minute() -> None:
    first = PRESETS[0]
    assert (first.id, first.title) == ("1x720p", "1 stream 720p 2.5 Mbit/s")
    streams = [scenario for scenario in first.scenarios if scenario.type == "streams"]
    assert [(one.streams, one.resolution, one.bitrate, one.duration) for one in streams] == [
        (1, "1280x720", "2500k", 60)
    ]


WRONG: list[tuple[str, str, object]] = [
    ("scenarios[0].bitrate", "expected a bitrate such as 2500k or 2.5M, got 'fast'", {"name": "x", "bitrate": "fast"}),
    ("scenarios[0].bitrate", "got 2500", {"name": "x", "bitrate": 2500}),
    ("scenarios[0].bitrates[1]", "got '-1k'", {"name": "x", "bitrates": ["1M", "-1k"]}),
    ("scenarios[0].count", "got 0", {"name": "x", "type": "multi", "count": 0}),
    ("scenarios[0].count", "expected type multi", {"name": "x", "type": "single", "count": 2}),
    ("scenarios[0].count", "it duplicates streams", {"name": "x", "count": 2, "streams": 2}),
    ("scenarios[0].stabilization", "got 'long'", {"name": "x", "stabilization": "long"}),
    ("scenarios[0].outputs[0].resolution", "1280x720", {"name": "x", "outputs": [{"resolution": "big"}]}),
    ("scenarios[0].type", "expected one of baseline", {"name": "x", "type": "double"}),
    ("scenarios[0].type", "got None", {"name": "x", "type": None}),
    ("scenarios[0].name", "missing", {"bitrate": "1M"}),
    ("scenarios[0].name", "characters on one line", {"name": ""}),
    ("scenarios[0].name", "characters on one line", {"name": "a\nb"}),
    ("scenarios[0].bitrat", "no such field; did you mean bitrate?", {"name": "x", "bitrat": "1M"}),
    ("scenarios[0].encoder", "got 'x264'", {"name": "x", "encoder": "x264"}),
    ("scenarios[0].duration", "got -5", {"name": "x", "duration": -5}),
    ("scenarios[0].fps", "got 'fast'", {"name": "x", "fps": "fast"}),
    ("scenarios[0]", "got 5", 5),
]


@pytest.mark.parametrize(("field", "says", "scenario"), WRONG)
def test_what_is_wrong_is_named(field: str, says: str, scenario: object) -> None:
    with pytest.raises(WrongField) as refused:
        suite(scenario)
    assert refused.value.field == field
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "scenarios: expected a list"),
        (b"{", "not valid JSON"),
        (b"[[scenarios]]\nname = ", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"scenarios": []}', "at least one"),
        (b'{"scenarios": {}}', "expected a list"),
        (b'{"scenarios": [{"name": "x"}], "repeats": 3}', "repeats: no such field; did you mean repeat?"),
        (b'{"scenarios": [{"name": "x"}], "repeat": 0}', "repeat: expected a whole number, 1 to 500, got 0"),
        (b'{"scenarios": ' + b"[" * 100_000, "not"),
        (b'{"scenarios": [{"name": "x", "duration": ' + b"9" * 6000 + b"}]}", "a number that is too long"),
        (b"x" * 1_100_000, "larger than"),
    ],
    ids=range(11),
)
def test_a_file_that_is_not_a_suite_is_refused_in_one_line(content: bytes, says: str) -> None:
    with pytest.raises(WrongField, match=says) as refused:
        load_suite(content)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_a_json_file_without_an_object_is_not_read_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text("[]")
    with pytest.raises(WrongField, match="expected an object with a list of scenarios"):
        load_suite(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WrongField, match="No such file"):
        load_suite(tmp_path / "none.toml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["name", "type", "count", "streams", "bitrate", "bitrates", "resolution", "fps", "duration", "stabilization",
     "cooldown", "outputs", "renditions", "encoder", "preset", "crf", "viewers", "source"]
)  # fmt: skip
VALUES = JSON | st.sampled_from(
    ["x", "single", "multi", "baseline", "2500k", "1280x720", [{"resolution": "640x360", "fps": 30}], ["1M"], 4, 30]
)


@given(
    st.lists(st.dictionaries(FIELDS, VALUES, max_size=8) | JSON, max_size=3), st.dictionaries(st.text(max_size=8), JSON)
)
def test_no_suite_breaks_the_reader(scenarios: list[object], top: dict[str, object]) -> None:
    try:
        request = load_suite(json.dumps({**top, "scenarios": scenarios}).encode())
    except WrongField as refused:
        assert str(refused)
        return
    assert len(request.scenarios) == len(scenarios)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    with pytest.raises(WrongField):
        load_suite(content)


# the plan


def plan(*scenarios: Scenario, **options: Any) -> list[tuple[str, str]]:
    request = RunRequest(scenarios=list(scenarios), **options)
    return [(planned.scenario.name, planned.scenario.type) for planned in plan_of(request, NOWHERE)]


A, B = Scenario(name="a"), Scenario(name="b")


def test_repeats_are_interleaved_between_two_baselines() -> None:
    assert plan(A, B, repeat=2, baseline=5, baseline_after=True) == [
        ("baseline", "baseline"), ("a #1", "streams"), ("b #1", "streams"), ("a #2", "streams"), ("b #2", "streams"),
        ("baseline after", "baseline"),
    ]  # fmt: skip


def test_a_repeat_knows_its_setting_and_its_number() -> None:
    planned = plan_of(RunRequest(scenarios=[A], repeat=3), NOWHERE)
    assert [(one.setting, one.repeat, one.field) for one in planned] == [("a", n, "scenarios[0]") for n in (1, 2, 3)]
    (once,) = plan_of(RunRequest(scenarios=[A]), NOWHERE)
    assert (once.setting, once.repeat) == (None, None)


def test_long_names_stay_apart_when_they_are_numbered() -> None:
    long = [Scenario(name="x" * 99 + end) for end in "ab"]
    with pytest.raises(WrongField) as refused:
        plan(*long, repeat=2)
    assert refused.value.field == "scenarios[1].name"
    names = [name for name, _ in plan(Scenario(name="x" * 100), repeat=12)]
    assert len(set(names)) == 12
    assert max(map(len, names)) == 100


def test_the_baseline_that_is_put_in_never_takes_a_scenarios_name() -> None:
    named = Scenario(name="baseline")
    assert plan(named, baseline=5)[0] == ("baseline (idle)", "baseline")


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("repeat", {}, {"repeat": 100, "scenarios": 11}),
    ("baseline_after", {}, {"baseline_after": True}),
    ("scenarios[0].preset", {"preset": "p4"}, {}),
    ("scenarios[0].preset", {"encoder": "h264_nvenc", "preset": "10"}, {}),
    ("scenarios[0].crf", {"rate_control": "crf"}, {}),
    ("scenarios[0].crf", {"crf": 20}, {}),
    ("scenarios[0].crf", {"rate_control": "crf", "crf": 60}, {}),
    ("scenarios[0].bitrates", {"bitrates": ["1M", "2M"], "streams": 3}, {}),
    ("scenarios[0].bitrates[1]", {"bitrates": ["1M", "2"]}, {}),
    ("scenarios[0].renditions[0].resolution", {"renditions": [Rendition(resolution="641x360")]}, {}),
    ("scenarios[0].renditions[1].bitrate",
     {"renditions": [Rendition(resolution="640x360"), Rendition(resolution="640x360", bitrate="5")]}, {}),
    ("scenarios[0].audio_bitrate", {"audio_bitrate": "128"}, {}),
    ("scenarios[0].viewers", {"streams": 64, "viewers": 50}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "change", "options"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_cannot_be_run_is_refused_by_its_field(
    field: str, change: dict[str, Any], options: dict[str, Any]
) -> None:
    count = options.pop("scenarios", 1)
    scenarios = [Scenario(name=f"x{index}", **change) for index in range(count)]
    with pytest.raises(WrongField) as refused:
        plan(*scenarios, **options)
    assert refused.value.field == field
