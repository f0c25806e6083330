"""Intervals and differences against tables and published examples."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.analysis.sweeps.confidence import (
    AskedTest,
    Component,
    corrected,
    difference,
    estimate,
    judged_together,
    level_text,
    t_cdf,
    t_quantile,
    variance,
)
from wattview.analysis.windows.energy import NoData
from wattview.model import Difference


@pytest.mark.parametrize(
    ("probability", "freedom", "t"),
    [
        (0.975, 1, 12.7062), (0.975, 2, 4.3027), (0.975, 4, 2.7764), (0.975, 9, 2.2622), (0.975, 30, 2.0423),
        (0.95, 5, 2.0150), (0.995, 3, 5.8409), (0.975, 120, 1.9799), (0.9995, 1, 636.6192),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_the_table(probability: float, freedom: int, t: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(t, rel=1e-4)


@pytest.mark.parametrize(
    ("probability", "freedom", "t"),
    [
        (0.975, 1.37, 6.885073156641705), (0.9999, 2.5, 34.867969321116306), (0.99999, 4, 23.332182700855984),
        (0.9999995, 3, 130.15458956192757), (0.51, 7, 0.025977941569516962),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_scipy_far_in_the_tail_and_for_broken_degrees_of_freedom(
    probability: float, freedom: float, t: float
) -> None:
    """scipy.stats.t.ppf of SciPy 1.17."""
    assert t_quantile(probability, freedom) == pytest.approx(t, rel=1e-9)


@given(st.floats(0.501, 0.9999), st.floats(0.5, 500))
def test_the_quantile_is_the_inverse_of_the_distribution(probability: float, freedom: float) -> None:
    assert t_cdf(t_quantile(probability, freedom), freedom) == pytest.approx(probability, abs=1e-9)


def test_the_distribution_is_symmetric() -> None:
    assert t_cdf(0.0, 3) == pytest.approx(0.5)
    assert t_cdf(-1.5, 3) + t_cdf(1.5, 3) == pytest.approx(1.0)


def test_the_interval_of_five_repeats() -> None:
    # mean 50, standard deviation 1.5811, t(4) = 2.7764: 50 ± 1.9632
    found = estimate([48.0, 49.0, 50.0, 51.0, 52.0])
    assert (found.mean, found.count) == (50.0, 5)
    assert found.standard_deviation == pytest.approx(1.5811, abs=1e-4)
    assert (found.low, found.high) == (pytest.approx(48.0368, abs=1e-4), pytest.approx(51.9632, abs=1e-4))


def test_one_repeat_has_no_interval_and_none_is_no_data() -> None:
    found = estimate([50.0])
    assert (found.mean, found.low, found.high, found.standard_deviation) == (50.0, None, None, None)
    with pytest.raises(NoData):
        estimate([])


def test_welch_on_two_samples_of_different_spread() -> None:
    """Worked by hand: means 20 and 22; variances 2.5 and 40/3; df = (0.5 + 10/3)^2 / (0.5^2/4 + (10/3)^2/3)."""
    found = difference([18.0, 19.0, 20.0, 21.0, 22.0], [18.0, 20.0, 24.0, 26.0])
    freedom = (0.5 + 10 / 3) ** 2 / (0.5**2 / 4 + (10 / 3) ** 2 / 3)
    half = t_quantile(0.975, freedom) * (0.5 + 10 / 3) ** 0.5
    assert found.difference == pytest.approx(-2.0)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    assert (found.low, found.high) == (pytest.approx(-2 - half), pytest.approx(-2 + half))
    assert found.differ is False
    assert found.verdict == "not significant: p = 0.37"
    assert found.p_value == pytest.approx(0.36612, abs=1e-5)


def test_a_clear_difference_is_significant() -> None:
    found = difference([50.1, 50.0, 49.9, 50.2], [45.0, 45.2, 44.9, 45.1])
    assert found.differ is True
    assert found.verdict == "significant: p < 0.0001"
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.low is not None
    assert found.low > 4.5


def test_single_runs_are_never_called_different() -> None:
    found = difference([50.0], [10.0, 11.0])
    assert (found.difference, found.differ, found.low) == (39.5, None, None)
    assert found.verdict == "too few repeats: each side needs at least two"


def test_repeats_that_never_varied() -> None:
    assert difference([1.0, 1.0], [1.0, 1.0]).differ is False
    assert difference([2.0, 2.0], [1.0, 1.0]).differ is True


def test_the_interval_holds_the_truth_in_nineteen_of_twenty_cases() -> None:
    chance = random.Random(20250102)
    held = 0
    for _ in range(2000):
        found = estimate([chance.gauss(50.0, 2.0) for _ in range(4)])
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 50.0 <= found.high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_equal_settings_are_called_different_in_one_of_twenty_cases() -> None:
    chance = random.Random(7)
    wrong = 0
    for _ in range(2000):
        found = difference([chance.gauss(50.0, 1.0) for _ in range(5)], [chance.gauss(50.0, 4.0) for _ in range(3)])
        wrong += bool(found.differ)
    assert wrong / 2000 == pytest.approx(0.05, abs=0.02)


A, C = [50.1, 50.0, 49.7, 50.2, 50.4], [49.1, 49.9, 49.2, 49.6, 50.3]


def test_test_and_interval_are_those_of_scipy() -> None:
    """scipy.stats.ttest_ind(A, C, equal_var=False), its confidence_interval at 95 % and at 1 - 0.05/6."""
    found = difference(A, C)
    assert (found.p_value, found.degrees_of_freedom) == pytest.approx((0.11591000267051912, 6.021313627897035))
    assert (found.low, found.high) == pytest.approx((-0.15266859615747463, 1.0726685961574907))
    one_of_six = corrected(found, 6)
    assert (one_of_six.low, one_of_six.high) == pytest.approx((-0.5065862964415738, 1.4265862964415899))
    assert one_of_six.p_adjusted == pytest.approx(6 * 0.11591000267051912)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    found = estimate(A)
    assert (found.low, found.high) == pytest.approx((49.7586032429268, 50.401396757073194))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10))
def test_the_variance_is_that_of_the_standard_library(values: list[float]) -> None:
    assert variance(values) == pytest.approx(statistics.variance(values), rel=1e-9, abs=1e-9)


def test_two_repeats_against_many_use_the_pooled_variance_if_larger() -> None:
    """Two repeats that agree by chance would make a difference of nothing; scipy's pooled variance has 4 degrees of
    freedom and an interval of ±1.68, Welch's standard error of 0.405 is smaller than the pooled 0.604."""
    found = difference([2.0, 2.1], [2.0, 2.5, 1.2, 3.1])
    assert found.standard_error == pytest.approx(0.6038936164590581)
    assert found.degrees_of_freedom == pytest.approx(3.091283222260574)


def test_noise_that_all_repeats_share_is_part_of_the_interval() -> None:
    """Variances of 0.02 and 0.05 of the two means with 4 degrees of freedom each, and a shared one of 0.1 with 2."""
    shared = Component(0.1, 2.0)
    first, second = (
        [50.0 + 0.2 * at for at in (-1, 0, 1, 0.5, -0.5)],
        [49.0 + 0.316 * at for at in (-1, 0, 1, 0.5, -0.5)],
    )
    alone, found = difference(first, second), difference(first, second, shared=shared)
    own = [variance(side) / 5 for side in (first, second)]
    assert found.difference == alone.difference
    assert found.standard_error == pytest.approx((sum(own) + 0.1) ** 0.5)
    freedom = (sum(own) + 0.1) ** 2 / (own[0] ** 2 / 4 + own[1] ** 2 / 4 + 0.1**2 / 2)
    assert found.degrees_of_freedom == pytest.approx(freedom)
    assert (alone.differ, found.differ) == (True, False)


def test_values_that_were_computed_in_another_order_are_equal() -> None:
    found = difference([0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2])
    assert (found.differ, found.verdict) == (False, "equal: no repeat varied")
    assert difference([0.1 + 0.2, 0.1 + 0.2], [0.3, 0.3]).differ is False


# many tests at once


def gap(t: float, freedom: float = 8.0) -> Difference:
    """With a standard error of 1."""
    p_value = 2 * (1 - t_cdf(abs(t), freedom))
    return Difference(
        difference=t, differ=None, verdict="", standard_error=1.0, degrees_of_freedom=freedom, p_value=p_value
    )


def test_the_level_is_shared_by_the_families_and_in_a_family_by_its_tests() -> None:
    """Of power two tests, of quality one: 0.05 / 2 / 2 and 0.05 / 2."""
    found = judged_together(
        [AskedTest("power", 0, gap(3.0)), AskedTest("power", 1, gap(1.0)), AskedTest("quality", 0, gap(3.0))]
    )
    assert [one.judged_together for one in found] == [4, 4, 2]
    assert [one.confidence for one in found] == pytest.approx([0.9875, 0.9875, 0.975])
    assert [one.p_adjusted for one in found] == pytest.approx([4 * 0.017072, 1.0, 2 * 0.017072], rel=1e-4)
    assert [one.differ for one in found] == [False, False, True]
    assert found[0].verdict == "not significant: p = 0.07, Bonferroni-corrected for 4 tests"
    assert [one.family for one in found] == ["power", "power", "quality"]


def test_one_quantity_in_two_units_is_one_test_and_what_was_not_tested_is_none() -> None:
    watts, joules, untested = gap(3.0), gap(3.0), Difference(difference=1.0, differ=None, verdict="too few repeats")
    found = judged_together(
        [AskedTest("power", 0, watts), AskedTest("power", 0, joules), AskedTest("power", 1, untested)]
    )
    assert [one.judged_together for one in found] == [1, 1, 1]
    assert [one.differ for one in found] == [True, True, None]
    assert found[0].verdict == "significant: p = 0.02"
    of_two_settings = judged_together([AskedTest("power", 0, watts), AskedTest("power", 1, joules)])
    assert [one.judged_together for one in of_two_settings] == [2, 2]


def test_answers_that_are_read_together_are_corrected_for_all_of_them() -> None:
    [one] = judged_together([AskedTest("power", 0, gap(3.0))], together=3)
    assert (one.judged_together, one.differ) == (3, False)


@given(st.floats(-40, 40), st.floats(1.0, 50.0), st.integers(1, 500))
def test_the_verdict_and_the_interval_always_agree(t: float, freedom: float, tests: int) -> None:
    found = corrected(gap(t, freedom), tests)
    assert found.low is not None
    assert found.high is not None
    assert found.differ is not (found.low <= 0.0 <= found.high)
    assert found.p_adjusted is not None
    assert found.differ is (found.p_adjusted < 0.05) or found.p_adjusted == pytest.approx(0.05, rel=1e-6)
    assert found.verdict.startswith("significant" if found.differ else "not significant")


def test_levels_are_written_with_the_digits_that_count() -> None:
    written = [level_text(1 - 0.05 / tests) for tests in (1, 2, 3, 6, 45, 1000)]
    assert written == ["95 %", "97.5 %", "98.3 %", "99.17 %", "99.89 %", "99.995 %"]
