"""Cost, carbon and the viewers' opinion, worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.analysis.pricing import cost
from wattview.analysis.qoe import acr_from_vmaf, qoe, seen, stalling_impact
from wattview.config import Cost
from wattview.model import Playback

PRICES = Cost(energy_per_kwh=0.12, cpu_per_hour=0.50, gpu_per_hour=3.0, pue=1.2, carbon_g_per_kwh=380.0)


def test_a_kilowatt_hour_costs_its_price_times_the_overhead_of_the_building() -> None:
    assert cost.energy_cost(3.6e6, PRICES) == pytest.approx(0.144)


def test_an_hour_of_one_busy_cpu_and_half_a_gpu() -> None:
    assert cost.compute_cost(3600, 1800, PRICES) == pytest.approx(2.0)


def test_carbon_is_unknown_until_the_grid_is_set() -> None:
    assert cost.carbon_grams(3.6e6, PRICES) == pytest.approx(456.0)
    assert cost.carbon_grams(3.6e6, Cost()) is None


@pytest.mark.parametrize(
    ("vmaf", "score"), [(20, 1.0), (40, 2.0), (60, 3.0), (80, 4.0), (100, 5.0), (0, 1.0), (110, 5.0), (95.5, 4.775)]
)
def test_vmaf_20_is_bad_and_100_is_excellent(vmaf: float, score: float) -> None:
    assert acr_from_vmaf(vmaf) == pytest.approx(score)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_higher_vmaf_never_lowers_the_qoe_score(one: float, other: float) -> None:
    low, high = sorted((acr_from_vmaf(one), acr_from_vmaf(other)))
    assert 1.0 <= low <= high <= 5.0
    assert acr_from_vmaf(max(one, other)) == high


def test_the_score_names_its_method() -> None:
    score, method = qoe(93.456)
    assert score == pytest.approx(4.6728)
    assert "VMAF 93.46" in method
    assert qoe(None) == (None, "no VMAF was measured")


def watched(viewers: int, stalls: int | None, seconds: float | None) -> Playback:
    return Playback(viewers=viewers, stalls=stalls, stalled_seconds=seconds)


def test_stalls_lower_the_opinion_by_the_term_of_p1203() -> None:
    """Two viewers with four stalls of together 6 s in a minute, worked by hand: each has two, of 3 s, 30 s apart."""
    expected = math.exp(-2 / 9.35158684) * math.exp(-3 / 60 / 0.91890815) * math.exp(-30 / 60 / 11.0567558)
    assert stalling_impact(2, 3.0, 60.0) == pytest.approx(expected)
    score, method = qoe(80.0, watched(2, 4, 6.0), 60.0)
    assert score == pytest.approx(1 + 3 * expected)
    assert "2 stalls, 3.0 s in all, per viewer (ITU-T P.1203.3)" in method


def test_no_stalls_cost_nothing_and_missing_playback_is_reported() -> None:
    assert qoe(80.0, watched(3, 0, 0.0), 60.0)[0] == 4.0
    for nobody in (None, watched(0, None, None), watched(2, None, None)):
        score, method = qoe(80.0, nobody, 60.0)
        assert score == 4.0
        assert method.endswith("; stalls were not measured")


@given(st.integers(1, 50), st.integers(0, 500), st.floats(0, 5000), st.floats(1, 3600), st.floats(20, 100))
def test_the_qoe_score_stays_on_its_scale_and_stalls_never_raise_it(
    viewers: int, stalls: int, waited: float, seconds: float, vmaf: float
) -> None:
    score, _ = qoe(vmaf, watched(viewers, stalls, waited), seconds)
    assert score is not None
    assert 1.0 <= score <= acr_from_vmaf(vmaf)
    more, _ = qoe(vmaf, watched(viewers, stalls, waited + 10.0), seconds)
    assert more is not None
    assert more <= score


def test_playback_is_described_as_far_as_known() -> None:
    known = Playback(
        viewers=2, start_delay_seconds=1.234, stalls=1, stalled_seconds=0.5, received_frames_ratio=0.998,
        end_to_end_delay_seconds=0.6741, end_to_end_delay_percentile_95_seconds=0.7, end_to_end_delay_max_seconds=0.75,
    )  # fmt: skip
    assert seen(known) == (
        "2 viewers: first picture after 1.23 s, 1 stall of 0.5 s, 99.8 % of the frames,"
        " 0.674 s behind the source (95 % within 0.700 s, all within 0.750 s)"
    )
    assert seen(Playback(viewers=1, stalls=0)) == "1 viewer: no stalls"
    assert seen(Playback(viewers=1)) == "1 viewer: playback unknown"
