"""Cost, carbon and the viewers' opinion, worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.analysis import cost
from wattview.analysis.qoe import acr_from_vmaf, qoe
from wattview.config import Cost

PRICES = Cost(energy_per_kwh=0.12, cpu_per_hour=0.50, gpu_per_hour=3.0, pue=1.2, carbon_g_per_kwh=380.0)


def test_a_kilowatt_hour_costs_its_price_times_the_overhead_of_the_building() -> None:
    assert cost.energy_cost(3.6e6, PRICES) == pytest.approx(0.144)


def test_an_hour_of_one_busy_cpu_and_half_a_gpu() -> None:
    assert cost.compute_cost(3600, 1800, PRICES) == pytest.approx(2.0)


def test_carbon_is_unknown_until_the_grid_is_set() -> None:
    assert cost.carbon_grams(3.6e6, PRICES) == pytest.approx(456.0)
    assert cost.carbon_grams(3.6e6, Cost()) is None


def test_what_an_hour_costs_at_this_rate() -> None:
    # 1 kW for an hour and two busy CPUs
    assert cost.cost_per_hour(1000.0, 2.0, 0.0, PRICES) == pytest.approx(0.144 + 1.0)


@pytest.mark.parametrize(
    ("vmaf", "score"), [(20, 1.0), (40, 2.0), (60, 3.0), (80, 4.0), (100, 5.0), (0, 1.0), (110, 5.0), (95.5, 4.775)]
)
def test_vmaf_20_is_bad_and_100_is_excellent(vmaf: float, score: float) -> None:
    assert acr_from_vmaf(vmaf) == pytest.approx(score)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_better_picture_is_never_a_worse_opinion(one: float, other: float) -> None:
    low, high = sorted((acr_from_vmaf(one), acr_from_vmaf(other)))
    assert 1.0 <= low <= high <= 5.0
    assert acr_from_vmaf(max(one, other)) == high


def test_the_method_is_said_with_the_score() -> None:
    score, method = qoe(93.456)
    assert score == pytest.approx(4.6728)
    assert "VMAF 93.46" in method
    assert qoe(None) == (None, "no VMAF was measured")
