"""The fit of power on streams and pixels, and what it says of settings that were not measured."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scenario_results import baseline, result
from wattview.analysis.sweeps.fit import fit_power, outside, watts_at
from wattview.analysis.sweeps.loads import IDLE, load_of, measured
from wattview.analysis.sweeps.prediction import Question, predict
from wattview.analysis.windows.energy import NoData
from wattview.model import Load, Output, ScenarioResult


def cases(base: float, per_stream: float, per_megapixel: float) -> list[tuple[Load, float]]:
    loads = [IDLE] + [
        Load(float(streams), streams * 30 * pixels / 1e6)
        for streams in (1, 2, 4) for pixels in (640 * 360, 1280 * 720, 1920 * 1080)
    ]  # fmt: skip
    return [(load, base + per_stream * load.streams + per_megapixel * load.megapixels) for load in loads]


def test_a_fit_recovers_a_linear_law() -> None:
    fit = fit_power(cases(30.0, 2.0, 0.1))
    assert fit.terms == ("streams", "megapixels")
    assert (fit.base_watts, fit.watts_per_stream, fit.joules_per_megapixel) == (
        pytest.approx(30.0), pytest.approx(2.0), pytest.approx(0.1),
    )  # fmt: skip
    assert fit.error_watts == pytest.approx(0.0, abs=1e-9)
    assert watts_at(fit, Load(3.0, 3 * 30 * 0.9216)) == pytest.approx(30 + 6 + 0.1 * 82.944)


def test_a_sweep_of_streams_alone_fits_only_streams() -> None:
    points = [(Load(float(n), n * 27.648), 25.0 + 5.0 * n) for n in (0, 1, 2, 4)]
    fit = fit_power(points)
    assert len(fit.terms) == 1
    assert watts_at(fit, Load(3.0, 3 * 27.648)) == pytest.approx(40.0)
    assert outside(fit, Load(3.0, 3 * 27.648)) == ""
    assert "outside of the measured range" in outside(fit, Load(3.0, 3 * 62.2))


def test_a_load_outside_the_measured_range_is_marked() -> None:
    fit = fit_power(cases(30.0, 2.0, 0.1))
    for beyond in (Load(5.0, 100.0), Load(2.0, 300.0), Load(4.0, 1.0), Load(-1.0, 0.0)):
        assert "0 to 4 streams" in outside(fit, beyond)
    for load, _ in cases(30.0, 2.0, 0.1):
        assert outside(fit, load) == ""


def test_the_error_is_that_of_settings_left_out() -> None:
    """Three points on no straight line: leaving one out, the line through the other two misses it by 4, 2 and 4 W. One
    power for all would miss them by 16, 2 and 14 W."""
    points = [(Load(1.0, 0.0), 10.0), (Load(2.0, 0.0), 22.0), (Load(3.0, 0.0), 30.0)]
    assert fit_power(points).error_watts == pytest.approx(math.sqrt((16 + 4 + 16) / 3))


def test_too_few_settings_give_no_fit() -> None:
    points = [(Load(1.0, 1.0), 10.0), (Load(1.0, 1.0), 11.0), (Load(2.0, 2.0), 12.0)]
    with pytest.raises(NoData, match="2 different settings were measured, at least 3"):
        fit_power(points)


def test_the_load_of_a_scenario() -> None:
    assert load_of(result(50)) == Load(2.0, pytest.approx(2 * 30 * 0.9216), pytest.approx(2.5 / 27.648, rel=1e-5))
    assert load_of(baseline(20)) == IDLE
    assert load_of(result(50, realtime=False)) is None
    assert load_of(result(50, resolution="HD")) is None
    assert measured([baseline(20.0), result(None), result(50)]) == [(IDLE, 20.0), (load_of(result(50)), 50.0)]


def test_every_rendition_has_its_own_frames() -> None:
    ladder = [Output(resolution="1280x720", fps=30), Output(resolution="640x360", fps=15)]
    found = load_of(result(50, outputs=ladder, bitrate="2500k,400k"))
    assert found is not None
    assert (found.streams, found.megapixels) == (2.0, pytest.approx(2 * (30 * 0.9216 + 15 * 0.2304)))
    rates = [(30 * 0.9216, 2.5), (15 * 0.2304, 0.4)]
    mean = sum(rate * math.log(bits / rate) for rate, bits in rates) / sum(rate for rate, _ in rates)
    assert found.bits_per_pixel == pytest.approx(math.exp(mean), rel=1e-5)


@pytest.mark.parametrize(
    "fields",
    [{"bitrate": None}, {"bitrate": "fast"}, {"bitrate": "0"}, {"rate_control": "crf", "crf": 23},
     {"bitrate": "1M,2M", "outputs": [Output(resolution="640x360", fps=30)] * 3}],
)  # fmt: skip
def test_a_load_is_known_without_bits_per_pixel(fields: dict[str, object]) -> None:
    found = load_of(result(50, **fields))
    assert found is not None
    assert (found.streams, found.bits_per_pixel) == (2.0, None)


def test_power_unrelated_to_the_load_is_not_fitted() -> None:
    points = [
        (Load(float(n), n * 27.648), watts) for n, watts in ((1, 30.0), (2, 40.0), (3, 30.0), (4, 40.0), (5, 30.0))
    ]
    with pytest.raises(NoData, match="does not depend on streams or pixels"):
        fit_power(points)


def test_power_that_falls_with_the_load_is_not_fitted() -> None:
    points = [(Load(float(n), n * 27.648), 33.2 - 0.02 * n) for n in (0, 1, 2, 4)]
    with pytest.raises(NoData, match="does not depend on streams or pixels"):
        fit_power(points)


@given(st.floats(1, 500), st.floats(0.1, 50), st.floats(0.001, 2))
def test_any_straight_law_is_found_again(base: float, per_stream: float, per_megapixel: float) -> None:
    fit = fit_power(cases(base, per_stream, per_megapixel))
    for load, watts in cases(base, per_stream, per_megapixel):
        assert watts_at(fit, load) == pytest.approx(watts, rel=1e-3)


# from scenarios


def sweep(machine: str | None = None, **fields: object) -> list[ScenarioResult]:
    """Idle 20 W, 3 W a stream, 0.1 J a megapixel: 1, 2 and 4 streams of 360p, 720p and 1080p."""
    found = [baseline(20.0, machine)]
    for streams in (1, 2, 4):
        for resolution, megapixels in (("640x360", 0.2304), ("1280x720", 0.9216), ("1920x1080", 2.0736)):
            watts = 20 + streams * (3 + 0.1 * 30 * megapixels)
            found.append(result(watts, streams=streams, resolution=resolution, machine=machine, **fields))
    return found


def test_a_setting_between_those_measured() -> None:
    found = predict(sweep(), Question(streams=3))
    assert found.watts == pytest.approx(20 + 3 * (3 + 3 * 0.9216))
    assert found.load == Load(3.0, pytest.approx(3 * 30 * 0.9216))
    assert found.error_watts == pytest.approx(0.0, abs=1e-9)
    assert (found.extrapolated, found.remarks, found.scenarios, found.fit.settings) == (False, [], 10, 10)
    assert (found.of, found.power_source) == ("libx264 veryfast", "rapl")
    ladder = predict(sweep(), Question(streams=2, resolutions=("1280x720", "640x360")))
    assert ladder.watts == pytest.approx(20 + 2 * (3 + 3 * (0.9216 + 0.2304)))


def test_measured_loads_are_listed_with_their_leave_one_out_prediction() -> None:
    """1, 2 and 3 streams of 10, 22 and 30 W: a line through the other two says 14, 20 and 34 W."""
    points = [result(watts, streams=streams) for streams, watts in ((1, 10.0), (2, 21.9), (2, 22.1), (3, 30.0))]
    found = predict(points, Question(streams=2))
    assert [(one.load.streams, one.repeats) for one in found.measured] == [(1.0, 1), (2.0, 2), (3.0, 1)]
    assert [one.watts for one in found.measured] == pytest.approx([10.0, 22.0, 30.0])
    assert [one.left_out_watts for one in found.measured] == pytest.approx([14.0, 20.0, 34.0])
    assert found.spans == "1 to 3 streams, 27.6 to 82.9 megapixels a second"
    assert found.formula.endswith(" a second") or found.formula.endswith(" streams")


def test_a_busy_idle_window_is_reported() -> None:
    idle, *loads = sweep()
    busy = msgspec.structs.replace(idle, remarks={"not idle": "the machine was NOT IDLE: 25.0 %"})
    assert predict([busy, *loads], Question(streams=3)).remarks == [
        "the machine was NOT IDLE in b, where the fit assumes it idle"
    ]


def test_outside_the_measured_range_there_is_no_prediction_by_default() -> None:
    with pytest.raises(NoData, match=r"8 streams .* outside of the measured range \(0 to 4 streams.*measure it"):
        predict(sweep(), Question(streams=8))
    found = predict(sweep(), Question(streams=8, extrapolate=True))
    assert found.extrapolated is True
    assert found.remarks[0].startswith("EXTRAPOLATED: 8 streams")
    assert found.watts == pytest.approx(20 + 8 * (3 + 3 * 0.9216))


def test_encoders_and_presets_are_never_fitted_together() -> None:
    others = [result(2 * (one.power_mean_watts or 0), streams=one.record.streams, resolution=one.record.resolution,
                     preset="slow") for one in sweep()[1:]]  # fmt: skip
    fast = predict([*sweep(), *others[:4]], Question(streams=3))
    assert fast.of == "libx264 veryfast"
    assert fast.remarks == ["also measured: libx264 slow"]
    slow = predict([*sweep(), *others], Question(streams=3, preset="slow"))
    assert (slow.of, slow.scenarios) == ("libx264 slow", 10)
    with pytest.raises(NoData, match="nothing was measured of libx265"):
        predict(sweep(), Question(streams=3, encoder="libx265"))
    with pytest.raises(NoData, match="nothing was measured with its streams"):
        predict([], Question(streams=3))
    with pytest.raises(NoData, match="not a resolution: 'HD'"):
        predict(sweep(), Question(streams=3, resolutions=("HD",)))


def test_machines_and_power_sources_are_never_fitted_together() -> None:
    mixed = [*sweep("new"), *(result(900, streams=3, machine="old") for _ in range(5))]
    found = predict(mixed, Question(streams=3))
    assert (found.machine, found.watts) == ("new", pytest.approx(20 + 3 * (3 + 3 * 0.9216)))
    assert found.remarks == ["only scenarios of new were used, not 5 of old: machines cannot be compared"]
    estimated = [*sweep(), result(500, streams=3, power_source="estimated")]
    assert predict(estimated, Question(streams=3)).scenarios == 10
    guess = predict(sweep(power_source="estimated")[1:], Question(streams=3))
    assert any("ESTIMATE" in remark for remark in guess.remarks)
