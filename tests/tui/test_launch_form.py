"""What the launch form makes of its fields: single settings, sweeps, ladders, and what it refuses."""

from __future__ import annotations

import time

import pytest

from wattview.model import Rendition, RunPlan, RunRequest, Scenario, ScenarioPreset
from wattview.tui.runs import launch_form
from wattview.tui.runs.launch_form import Form

CHOSEN = launch_form.choice(ScenarioPreset(id="x", title="x", scenarios=[Scenario(name="mine")]))


def form(**changed: str) -> Form:
    return launch_form.read({**launch_form.texts(CHOSEN), **changed}, CHOSEN)


def scenarios(**changed: str) -> list[Scenario]:
    made = form(**changed)
    assert made.errors == {}
    assert made.request is not None
    return made.request.scenarios


def test_what_is_shown_is_what_would_run() -> None:
    """Each field of a scenario with everything set comes back as it was."""
    full = Scenario(
        name="all", streams=2, bitrate="3M", resolution="1920x1080", fps=50, duration=30.0, source="film.mkv",
        encoder="libx265", preset="slow", rate_control="crf", crf=28, gop_seconds=4.0, viewers=3,
        renditions=[Rendition(resolution="1920x1080"), Rendition(resolution="640x360", fps=25, bitrate="800k")],
    )  # fmt: skip
    chosen = launch_form.choice(ScenarioPreset(id="x", title="x", scenarios=[full]))
    shown = launch_form.texts(chosen)
    assert shown["renditions"] == "1920x1080, 640x360@25=800k"
    made = launch_form.read(shown, chosen)
    assert made == Form(RunRequest(scenarios=[full], baseline=launch_form.DEFAULT_BASELINE_SECONDS), {})


def test_no_scenario_name_contradicts_its_setting() -> None:
    def names(**fields: str) -> list[str]:
        return [one.name for one in scenarios(name="mine", **fields)]

    assert names(duration="30") == ["mine"]
    assert names(bitrate="1M,4M") == ["1x 1280x720 1M", "1x 1280x720 4M"]
    assert names(streams="2", preset="veryfast,medium") == ["2x 1280x720 2500k", "2x 1280x720 2500k medium"]
    assert names(bitrate="1M", viewers="1,2") == ["1x 1280x720 1M 1", "1x 1280x720 1M 2"]


def test_a_sweep_measures_each_combination_under_a_name_of_its_own() -> None:
    found = scenarios(bitrate="2M, 4M,8M", preset="veryfast,medium", name="sweep")
    assert [(one.bitrate, one.preset) for one in found] == [
        (bitrate, preset) for bitrate in ("2M", "4M", "8M") for preset in ("veryfast", "medium")
    ]
    assert [one.name for one in found][:2] == ["sweep 2M veryfast", "sweep 2M medium"]


def test_a_crf_requires_its_rate_control_and_can_be_swept() -> None:
    assert scenarios()[0].crf is None
    assert [one.crf for one in scenarios(rate_control="crf", crf="20,26,32")] == [20, 26, 32]


def test_a_ladder_is_recorded_as_its_outputs() -> None:
    [one] = scenarios(renditions="1280x720, 854x480@25, 640x360=800k")
    assert one.renditions == [
        Rendition(resolution="1280x720"), Rendition(resolution="854x480", fps=25),
        Rendition(resolution="640x360", bitrate="800k"),
    ]  # fmt: skip
    assert scenarios(renditions="")[0].renditions is None


def test_frame_rates_are_written_as_numbers_or_fractions() -> None:
    found = scenarios(fps="25, 60000/1001", renditions="640x360@29.97, 320x180@24000/1001")
    assert [one.fps for one in found] == [25, 59.94]
    assert found[0].renditions == [
        Rendition(resolution="640x360", fps=29.97), Rendition(resolution="320x180", fps=23.976)
    ]  # fmt: skip


def test_a_vmaf_model_may_be_chosen() -> None:
    assert [scenarios(vmaf_model=text)[0].vmaf_model for text in ("", "neg", "vmaf_4k_v0.6.1")] == [
        None, "neg", "vmaf_4k_v0.6.1",
    ]  # fmt: skip


def test_streams_can_be_discarded() -> None:
    assert scenarios(push="no")[0].push is False
    assert scenarios(push="yes")[0].push is True


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (None, None, "It takes about 1 min 40 s, until 12:01:"),  # a daemon that does not say
        (98.0, 102.0, "It takes about 1 min 40 s, until 12:01:"),
        (90.0, 260.0, "It takes 1 min 30 s to 4 min 20 s, as the last runs did, until 12:01 to 12:04:"),
        (80.0, 95.0, "It takes 1 min 20 s to 1 min 35 s, as the last runs did, until 12:01:"),
        (80.0, None, "It takes at least 1 min 20 s, until 12:01 or later:"),
    ],
)
def test_the_preview_says_how_long_the_run_takes_if_known(least: float | None, most: float | None, said: str) -> None:
    request = form().request
    assert request is not None
    noon = time.mktime((2025, 6, 15, 12, 0, 0, 0, 0, -1))
    plan = RunPlan(scenarios=request.scenarios, seconds=100.0, least_seconds=least, most_seconds=most)
    preview = launch_form.preview(request, plan, noon)
    assert said in preview
    assert ("(how fast is not known here yet)" in preview) == (least is not None and most is None)


@pytest.mark.parametrize(
    ("field", "text"),
    [("bitrate", "2M,fast"), ("preset", "slow,quick"), ("encoder", "libx266"), ("renditions", "720p"),
     ("renditions", "1280x720 854x480"), ("push", "maybe"), ("crf", "99"), ("gop_seconds", "0"), ("viewers", "51"),
     ("name", ""), ("rate_control", "vbr"), ("fps", "1/0"), ("fps", "fast"), ("vmaf_model", "best"),
     ("repeat", "2,3"), ("bitrate", ",")],
)  # fmt: skip
def test_a_wrong_field_is_named(field: str, text: str) -> None:
    made = form(**{field: text})
    assert made.request is None
    assert list(made.errors) == [field]
    assert "expected" in made.errors[field]


def test_too_many_combinations_are_refused() -> None:
    many = ",".join(str(number) for number in range(1, 13))
    made = form(streams=many, fps=many)
    assert made.request is None
    assert "144 combinations" in made.errors["name"]
