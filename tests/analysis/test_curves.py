"""Bjøntegaard's differences, against cases worked out by hand, another program's answers, and known noise."""

from __future__ import annotations

import math
import random
from statistics import fmean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scenario_results import result
from wattview.analysis.sweeps.bd_rate import bd_estimate, bd_price, bd_quality
from wattview.analysis.sweeps.confidence import estimate
from wattview.analysis.sweeps.rd_curves import compare_curves
from wattview.analysis.windows.energy import NoData
from wattview.model import CurveDifference, Efficiency, Estimate, RenditionRecord, ScenarioResult

ANCHOR = [(1000.0, 80.0), (2000.0, 88.0), (4000.0, 93.0), (8000.0, 96.0)]


def test_twice_the_rate_for_the_same_quality_is_one_hundred_percent() -> None:
    found = bd_price(ANCHOR, [(2 * rate, vmaf) for rate, vmaf in ANCHOR])
    assert found.percent == pytest.approx(100.0)
    assert (found.quality_from, found.quality_to, found.overlap) == (80.0, 96.0, 1.0)
    assert bd_price(ANCHOR, [(0.7 * rate, vmaf) for rate, vmaf in ANCHOR]).percent == pytest.approx(-30.0)


def test_a_curve_does_not_differ_from_itself() -> None:
    assert bd_price(ANCHOR, ANCHOR).percent == pytest.approx(0.0)
    assert bd_quality(ANCHOR, ANCHOR) == pytest.approx(0.0)


def test_bd_quality_of_a_constant_offset_is_that_offset() -> None:
    assert bd_quality(ANCHOR, [(rate, vmaf + 2) for rate, vmaf in ANCHOR]) == pytest.approx(2.0)


def test_only_the_quality_that_both_reach_counts() -> None:
    better = [(rate, vmaf + 10) for rate, vmaf in ANCHOR[:3]]
    found = bd_price(ANCHOR, better)
    assert (found.quality_from, found.quality_to) == (90.0, 96.0)
    assert found.overlap == pytest.approx(6 / 23)
    assert found.percent < -50


def test_a_logarithmic_curve_is_integrated_exactly() -> None:
    """Quality = 20 ln(rate); the other needs 1.5 times the rate plus a slope that its points follow exactly."""
    first = [(rate, 20 * math.log(rate)) for rate in (50.0, 80.0, 120.0, 200.0)]
    second = [(1.5 * rate, quality) for rate, quality in first]
    assert bd_price(first, second).percent == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (ANCHOR[:2], "has 2 points, at least 3"),
        ([(0.0, 80.0), *ANCHOR[1:]], "not above 0"),
        ([(1.0, 88.0), *ANCHOR[1:]], "two points at the same place"),
        ([(rate, vmaf - 50) for rate, vmaf in ANCHOR], "no quality in common"),
    ],
)
def test_curves_that_cannot_be_compared_say_why(points: list[tuple[float, float]], reason: str) -> None:
    with pytest.raises(NoData, match=reason):
        bd_price(ANCHOR, points)


@given(
    st.lists(
        st.tuples(st.floats(100, 1e5), st.floats(0, 100)), min_size=3, max_size=8, unique_by=lambda p: round(p[1], 2)
    ),
    st.floats(0.1, 10),
)
def test_bd_rate_of_a_constant_factor_is_that_factor(points: list[tuple[float, float]], factor: float) -> None:
    points = [(price, round(quality, 2)) for price, quality in points]
    found = bd_price(points, [(price * factor, quality) for price, quality in points])
    assert found.percent == pytest.approx(100 * (factor - 1), rel=1e-6, abs=1e-6)


def test_another_implementation_gives_the_same_bd_rate() -> None:
    """bjontegaard 1.3.0, method pchip, of these points: -4.417485 % of rate and 0.119693 dB of PSNR. One cubic through
    all points (VCEG-M33) gives -4.420463 %, Akima's curve -4.425245 %."""
    anchor = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
    test = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]
    assert bd_price(anchor, test).percent == pytest.approx(-4.417485, abs=1e-6)
    assert bd_quality(anchor, test) == pytest.approx(0.119693, abs=1e-6)


# with uncertainty


def repeated(points: list[tuple[float, float]], noise: random.Random, spread: float) -> list[tuple[Estimate, Estimate]]:
    return [
        (
            estimate([price * math.exp(noise.gauss(0, spread)) for _ in range(4)]),
            estimate([quality + noise.gauss(0, 0.1) for _ in range(4)]),
        )
        for price, quality in points
    ]


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    noise = random.Random(4)
    cheaper = [(0.8 * price, quality) for price, quality in ANCHOR]
    held = []
    for _ in range(300):
        found = bd_estimate(repeated(ANCHOR, noise, 0.05), repeated(cheaper, noise, 0.05))
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= -20.0 <= found.high)
    assert 0.91 <= fmean(held) <= 0.985


def test_identical_repeats_give_a_certain_verdict() -> None:
    same = [(estimate([price, price]), estimate([quality, quality])) for price, quality in ANCHOR]
    dearer = [(estimate([1.1 * price] * 2), estimate([quality] * 2)) for price, quality in ANCHOR]
    found = bd_estimate(same, dearer)
    assert (found.low, found.high, found.differ) == (pytest.approx(10.0), pytest.approx(10.0), True)
    assert bd_estimate(same, same).differ is False


def test_single_points_and_scattered_ones_have_no_interval() -> None:
    once = [(estimate([price]), estimate([quality])) for price, quality in ANCHOR]
    found = bd_estimate(once, once)
    assert (found.difference.percent, found.low, found.differ) == (pytest.approx(0.0), None, None)
    assert "at least two repeats" in found.verdict
    blurred = [(estimate([price, price]), estimate([quality - 9, quality + 9])) for price, quality in ANCHOR]
    assert "closer together than the scatter of their repeats" in bd_estimate(blurred, blurred).verdict


# from scenarios


def sweep(
    encoder: str, factor: float = 1.0, watts: float = 10.0, repeats: int = 1, **fields: object
) -> list[ScenarioResult]:
    """Four bitrates: an encoder of factor 0.5 needs half of each. A stream draws ``watts`` at VMAF 80, twice at 100."""
    found = []
    for rate, vmaf in ANCHOR:
        for _ in range(repeats):
            power = watts * (1 + (vmaf - 80) / 20)
            one = result(
                20 + 2 * power,
                vmaf,
                net=power,
                encoder=encoder,
                bitrate=f"{rate * factor:g}k",
                vmaf_model="v",
                **fields,
            )
            found.append(msgspec.structs.replace(one, efficiency=Efficiency(watts_per_stream=10 + power)))
    return found


def by_price(differences: list[CurveDifference]) -> dict[str, CurveDifference]:
    return {one.price: one for one in differences}


def test_an_encoder_with_half_the_rate_and_twice_the_power() -> None:
    found = compare_curves([*sweep("libx264"), *sweep("libx265", 0.5, 20.0)], first="libx264", second="libx265")
    [pair] = found.pairs
    assert (pair.first, pair.second) == (
        "2 x 1280x720 30 fps libx264 veryfast", "2 x 1280x720 30 fps libx265 veryfast",
    )  # fmt: skip
    gaps = by_price(pair.differences)
    rate, power = gaps["bitrate_bps"], gaps["net_watts_per_stream"]
    assert (rate.percent, power.percent) == (pytest.approx(-50.0), pytest.approx(100.0))
    assert (rate.quality_from, rate.quality_to, rate.overlap, rate.low) == (80.0, 96.0, 1.0, None)
    assert (rate.quality_gain or 0) > 3.0
    assert power.quality_gain is None, "at no power do both have a quality"
    assert gaps["cost_per_stream_hour"].percent is None
    assert gaps["cost_per_stream_hour"].verdict.startswith("cost per stream-hour is unknown for 2 x 1280x720")
    assert [len(curve.points) for curve in found.curves] == [4, 4]
    assert [point.prices["bitrate_bps"].mean for point in found.curves[0].points] == [1e6, 2e6, 4e6, 8e6]


def test_repeats_give_an_interval_and_a_verdict() -> None:
    found = compare_curves([*sweep("libx264", repeats=2), *sweep("libx265", 0.5, 20.0, repeats=2)])
    power = by_price(found.pairs[0].differences)["net_watts_per_stream"]
    assert (power.low, power.high, power.differ, power.verdict) == (
        pytest.approx(100.0), pytest.approx(100.0), True, "significant",
    )  # fmt: skip


def test_the_rate_is_the_one_that_was_encoded() -> None:
    def encoded(one: ScenarioResult) -> ScenarioResult:
        bits = 900.0 * float((one.record.bitrate or "").removesuffix("k"))
        streams = [
            RenditionRecord(stream=f"x-{at}", resolution="1280x720", fps=30, bitrate="1k", bitrate_bps=bits)
            for at in range(2)
        ]
        return msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, renditions=streams))

    [curve] = compare_curves([encoded(one) for one in sweep("libx264")]).curves
    assert [point.prices["bitrate_bps"].mean for point in curve.points] == pytest.approx([0.9e6, 1.8e6, 3.6e6, 7.2e6])


def test_the_answer_is_a_sentence() -> None:
    """Of repeats that do not scatter the interval is the figure itself."""
    [pair] = compare_curves([*sweep("libx264", repeats=2), *sweep("libx265", 0.69, 21.0, repeats=2)]).pairs
    assert pair.sentence == (
        "libx265 needs 31 % (31 to 31) less bitrate and 2.10 times (2.10 to 2.10) the power above baseline per"
        " stream for the same VMAF as libx264"
    )
    [pair] = compare_curves([*sweep("libx264"), *sweep("libx264", 1.05, 12.0, preset="slow")], quality="vmaf").pairs
    assert pair.sentence == (
        "slow needs 5.0 % more bitrate and 20 % more power above baseline per stream for the same VMAF as veryfast"
    )
    [pair] = compare_curves([*sweep("libx264", repeats=2), *sweep("libx265", repeats=2)]).pairs
    assert "bitrate (+0.0 to +0.0 %: not significant)" in pair.sentence
    [pair] = compare_curves([*sweep("libx264"), *sweep("libx265")[:2]]).pairs
    assert pair.sentence == "", "two points are no curve"


def test_without_power_above_baseline_the_sentence_uses_total_power_per_stream() -> None:
    gross = [msgspec.structs.replace(one, net_efficiency=None) for one in (*sweep("libx264"), *sweep("libx265", 0.5))]
    [pair] = compare_curves(gross).pairs
    assert pair.sentence == "libx265 needs 50 % less bitrate and as much power per stream for the same VMAF as libx264"


def test_only_equal_pictures_are_compared() -> None:
    found = compare_curves([*sweep("libx264"), *sweep("libx265", streams=4), *sweep("libx265", source="film.mp4")])
    assert len(found.curves) == 3
    assert found.pairs == []
    assert "no two curves have the same streams and pictures" in found.reason
    assert "measure each encoder at three bitrates or more" in compare_curves([]).reason


def test_without_words_every_curve_is_held_against_the_first_of_its_kind() -> None:
    found = compare_curves(
        [*sweep("libx264"), *sweep("libx265"), *sweep("libsvtav1"), *sweep("libx264", streams=1),
         *sweep("libx265", streams=1)]
    )  # fmt: skip
    assert [(pair.first.split()[0], pair.first.split()[-2], pair.second.split()[-2]) for pair in found.pairs] == [
        ("2", "libx264", "libx265"), ("2", "libx264", "libsvtav1"), ("1", "libx264", "libx265"),
    ]  # fmt: skip


def test_curves_that_cannot_be_compared_have_a_reason() -> None:
    short = sweep("libx265")[:2]
    [pair] = compare_curves([*sweep("libx264"), *short]).pairs
    assert {one.verdict for one in pair.differences if one.price != "cost_per_stream_hour"} == {
        "the second curve has 2 points, at least 3 are needed"
    }
    assert "use 4 bitrates or more" in pair.remarks[0]
    with pytest.raises(NoData, match="no curve is called 'av1'; measured were: 2 x 1280x720 30 fps libx264 veryfast"):
        compare_curves(sweep("libx264"), second="av1")
    with pytest.raises(NoData, match="quality is one of vmaf, psnr, ssim"):
        compare_curves(sweep("libx264"), quality="beauty")
    assert compare_curves([]).pairs == []


def test_power_of_two_sources_and_vmaf_of_two_models_are_not_compared() -> None:
    [pair] = compare_curves([*sweep("libx264"), *sweep("libx265", power_source="estimated")]).pairs
    gaps = by_price(pair.differences)
    assert gaps["bitrate_bps"].percent == pytest.approx(0.0)
    assert gaps["watts_per_stream"].verdict == "power is not compared: it came from rapl and from estimated"
    phone = [
        msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, vmaf_model="phone"))
        for one in sweep("libx265")
    ]
    [pair] = compare_curves([*sweep("libx264"), *phone]).pairs
    assert {one.verdict for one in pair.differences} == {"VMAF is of different models and cannot be compared: v; phone"}


def test_a_falling_curve_and_a_small_overlap_get_remarks() -> None:
    odd = sweep("libx265")
    odd[1] = msgspec.structs.replace(odd[1], net_efficiency=Efficiency(watts_per_stream=50.0))
    [pair] = compare_curves([*sweep("libx264"), *odd]).pairs
    assert "power above baseline per stream falls as quality rises: noise" in pair.remarks[0]
    better = [msgspec.structs.replace(one, record=msgspec.structs.replace(one.record, vmaf_score=vmaf))
              for one, vmaf in zip(sweep("libx265"), (93.0, 95.0, 97.0, 99.0), strict=True)]  # fmt: skip
    [pair] = compare_curves([*sweep("libx264"), *better]).pairs
    assert "the curves overlap in only 16 % of their quality range" in pair.remarks[-1]


def test_two_machines_are_never_one_curve() -> None:
    found = compare_curves([*sweep("libx264", machine="new"), *sweep("libx265", machine="old")])
    assert (len(found.curves), found.machine) == (1, "new")
    assert "only scenarios of new were used, not 4 of old" in found.left_out
    assert compare_curves([*sweep("libx264", machine="new"), *sweep("libx265", machine="old")], machine="old").machine
