"""Intervals and differences against tables and published examples."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.analysis.sweeps.confidence import difference, estimate, holm, judged_together, t_cdf, t_quantile
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
    assert found.verdict == "no difference is shown: the interval holds 0"
    assert found.p_value == pytest.approx(0.36612, abs=1e-5)


def test_a_clear_difference_is_called_one() -> None:
    found = difference([50.1, 50.0, 49.9, 50.2], [45.0, 45.2, 44.9, 45.1])
    assert found.differ is True
    assert found.verdict == "they differ"
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.low is not None
    assert found.low > 4.5


def test_single_runs_are_never_called_different() -> None:
    found = difference([50.0], [10.0, 11.0])
    assert (found.difference, found.differ, found.low) == (39.5, None, None)
    assert "at least two repeats" in found.verdict


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


# many questions at once


def test_holms_p_values_are_those_of_the_textbook() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 no smaller than the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def gap(p_value: float | None, differ: bool | None) -> Difference:
    return Difference(difference=1.0, differ=differ, p_value=p_value, verdict="they differ" if differ else "no")


def test_a_difference_that_does_not_stand_among_many_may_be_chance() -> None:
    found = judged_together([("a", gap(0.001, True)), ("b", gap(0.03, True)), ("c", gap(0.5, False))])
    assert [one.differ for one in found] == [True, False, False]
    assert [one.p_adjusted for one in found] == pytest.approx([0.003, 0.06, 0.5])
    assert (found[1].verdict, found[1].judged_together) == ("may be chance: 3 questions were asked at once", 3)
    assert found[1].p_value == 0.03


def test_one_thing_in_two_units_is_one_question_and_what_nobody_can_say_is_none() -> None:
    found = judged_together([("power", gap(0.04, True)), ("power", gap(0.03, True)), ("b", gap(None, None))])
    assert [(one.differ, one.p_adjusted) for one in found] == [(True, 0.04), (True, 0.04), (None, None)]
    sure = judged_together([("a", gap(None, True)), ("b", gap(None, False))])
    assert [(one.differ, one.p_adjusted) for one in sure] == [(True, 0.0), (False, 1.0)]


def test_of_many_comparisons_of_the_same_few_raise_a_false_alarm() -> None:
    """Twenty figures of two settings that do not differ, three repeats each, two hundred times over."""
    noise = random.Random(11)
    alarms = corrected = 0
    for _ in range(200):
        gaps = [
            (at, difference([noise.gauss(50, 1) for _ in range(3)], [noise.gauss(50, 1) for _ in range(3)]))
            for at in range(20)
        ]
        alarms += any(one.differ for _, one in gaps)
        corrected += any(one.differ for one in judged_together(gaps))
    assert alarms > 80
    assert corrected <= 16
