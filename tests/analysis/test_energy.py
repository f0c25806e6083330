"""Energy from a counter: exact at the ends, additive, honest about restarts and gaps."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wattview.analysis.windows.energy import (
    NoData,
    counter_bounds,
    counter_increase,
    integral,
    readings,
    summed,
    tolerated_gap,
)

EVERY_5_S = [(float(at), 100.0 + 10.0 * at) for at in range(0, 65, 5)]


def test_a_constant_power_of_10_watts_over_30_seconds_is_300_joules() -> None:
    assert counter_increase(EVERY_5_S, 10, 40) == 300.0


def test_window_ends_between_samples_are_interpolated() -> None:
    points = [(0.0, 0.0), (5.0, 50.0), (10.0, 150.0), (15.0, 150.0)]
    # 2 s of 10 W, 5 s of 20 W, 1 s of 0 W
    assert counter_increase(points, 3, 11) == pytest.approx(20 + 100 + 0)
    assert counter_increase(points, 1, 2) == pytest.approx(10)


def test_a_sine_of_power_is_measured_within_two_tenths_of_a_percent() -> None:
    def joules(at: float) -> float:
        return 60 * at + 25 * (1 - math.cos(2 * math.pi * at / 20)) * 20 / (2 * math.pi)

    points = [(at * 1.0, joules(at)) for at in range(61)]
    truth = joules(43.7) - joules(13.3)
    assert counter_increase(points, 13.3, 43.7) == pytest.approx(truth, rel=0.002)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (-1, 10, "no sample at or before the start: the first came 1.0 s after it"),
        (55, 62.5, "no sample at or after the end: the last came 2.5 s before it"),
        (10, 10, "ends before it begins"),
        (20, 10, "ends before it begins"),
    ],
)
def test_what_the_samples_do_not_cover_is_not_extrapolated(start: float, end: float, reason: str) -> None:
    with pytest.raises(NoData, match=reason):
        counter_increase(EVERY_5_S, start, end)


def test_no_samples_at_all_are_no_data() -> None:
    with pytest.raises(NoData, match="no samples"):
        counter_increase([], 0, 1)


def test_a_gap_is_no_data_and_names_its_place() -> None:
    points = [(0.0, 0.0), (5.0, 1.0), (70.0, 2.0), (75.0, 3.0)]
    with pytest.raises(NoData, match="no sample for 65 s, 5 s into the window"):
        counter_increase(points, 0, 75)
    with pytest.raises(NoData, match="from 5 s before the window"):
        counter_increase(points, 10, 75)
    assert counter_increase(points, 0, 75, max_gap=65) == 3.0
    assert counter_increase(points, 70, 75) == 1.0


def test_an_energy_counter_that_fell_is_unknown_and_cpu_time_restarts_at_0() -> None:
    points = [(0.0, 1000.0), (5.0, 1050.0), (10.0, 20.0), (15.0, 70.0)]
    with pytest.raises(NoData, match="restarted 10 s into the window"):
        counter_increase(points, 0, 15)
    assert counter_increase(points, 0, 5) == 50.0
    assert counter_increase(points, 10, 15) == 50.0
    assert counter_increase(points, 0, 15, restart="zero") == 50 + 20 + 50


def test_bounds_hold_whatever_the_counter_did_between_two_samples() -> None:
    points = [(0.0, 0.0), (5.0, 50.0), (10.0, 150.0), (15.0, 180.0), (20.0, 190.0)]
    assert counter_bounds(points, 3, 11, lag=0.0, lead=0.0) == (100.0, 180.0)
    assert counter_bounds(points, 5, 10, lag=0.0, lead=0.0) == (100.0, 100.0)
    assert counter_bounds(points, 6, 9, lag=0.0, lead=0.0) == (0.0, 100.0)


def test_a_sample_may_be_older_or_younger_than_its_time_stamp() -> None:
    points = [(0.0, 0.0), (5.0, 50.0), (10.0, 150.0), (15.0, 180.0), (20.0, 190.0)]
    # What the sample at 5 s shows may be what had been counted by 4 s, or by 5.1 s.
    assert counter_bounds(points, 5, 10, lag=1.0, lead=0.1) == (0.0, 180.0)
    assert counter_bounds(points, 3.9, 10, lag=1.0, lead=0.1) == (0.0, 180.0)
    assert counter_bounds(points, 3.9, 10.2, lag=1.0, lead=0.1) == (100.0, 180.0)


def test_a_known_maximum_power_narrows_the_bounds_at_the_ends() -> None:
    points = [(0.0, 0.0), (5.0, 100.0), (10.0, 200.0), (15.0, 300.0)]
    # In 0.3 s at most 9 J were used after the sample at 0 s: the tenth of a second, and what a rate says nothing of.
    least, most = counter_bounds(points, 0.1, 10.0, steepest=30.0, lag=0.0, lead=0.0)
    assert least == pytest.approx(200.0 - 0.3 * 30.0)
    assert most == pytest.approx(200.0)
    # A steepest power below what was counted narrows nothing to less than the growth itself.
    assert counter_bounds(points, 0.1, 10.0, steepest=1.0)[0] <= 198.0


def test_scrapes_a_minute_apart_leave_no_gap_but_a_missing_hour_does() -> None:
    """60 s and some milliseconds, 45 W."""
    points = [(60.0 * at + (0.012 if at % 2 else -0.012), 2700.0 * at) for at in range(-2, 10)]
    assert counter_increase(points, 30, 330) == pytest.approx(13_500.0, rel=1e-3)
    assert counter_increase([point for point in points if point[0] < 100 or point[0] > 130], 30, 330) > 13_000, (
        "one scrape that failed is no gap"
    )
    with pytest.raises(NoData, match="no sample for 180 s"):
        counter_increase([point for point in points if point[0] < 100 or point[0] > 190], 30, 330)
    assert len(readings(points, 0, 300)) == 4


def test_the_allowed_gap_follows_from_at_least_three_intervals() -> None:
    assert tolerated_gap([(0.0, 0.0), (600.0, 1.0), (1200.0, 2.0)]) == 60.0
    assert tolerated_gap([(120.0 * at, 0.0) for at in range(4)]) == 300.0
    assert tolerated_gap([(5.0 * at, 0.0) for at in range(4)]) == 60.0


def test_a_gauge_is_integrated_along_straight_lines() -> None:
    points = [(0.0, 0.0), (10.0, 100.0), (20.0, 100.0)]
    assert integral(points, 0, 20) == pytest.approx(500 + 1000)
    assert integral(points, 5, 15) == pytest.approx((50 + 100) / 2 * 5 + 500)


def test_the_maximum_is_the_largest_reading_inside_the_window_its_ends_included() -> None:
    points = [(0.0, 99.0), (5.0, 10.0), (10.0, 30.0), (15.0, 20.0), (20.0, 99.0)]
    assert max(watts for _, watts in readings(points, 5, 15)) == 30.0
    assert max(watts for _, watts in readings(points, 4, 21)) == 99.0
    assert max(watts for _, watts in readings(points, 0, 5)) == 99.0


def test_a_maximum_is_unknown_where_readings_are_missing() -> None:
    points = [(0.0, 1.0), (5.0, 2.0), (90.0, 3.0)]
    with pytest.raises(NoData, match="no reading inside the window"):
        readings(points, 6, 50)
    with pytest.raises(NoData, match="no reading for 85 s, 5 s into the window"):
        readings(points, 0, 90)
    with pytest.raises(NoData, match="no reading for 65 s"):
        readings(points, 0, 70)
    assert len(readings(points, 0, 60)) == 2


def test_a_sum_leaves_out_times_at_which_a_part_is_unknown() -> None:
    host = [(0.0, 10.0), (5.0, 20.0), (100.0, 30.0)]
    gpu = [(1.0, 1.0), (5.0, 2.0)]
    assert summed([host, gpu]) == [(1.0, 11.0), (5.0, 22.0)]
    assert summed([host]) == host


@st.composite
def counters(draw: st.DrawFn) -> list[tuple[float, float]]:
    """A counter that grows, at irregular times, with an occasional restart from 0."""
    time, value, points = 0.0, draw(st.floats(0, 1e6)), []
    for _ in range(draw(st.integers(2, 20))):
        points.append((time, value))
        time += draw(st.floats(0.1, 30))
        value = draw(st.floats(0, 50)) if draw(st.integers(0, 9)) == 0 else value + draw(st.floats(0, 1000))
    return points


@given(counters(), st.lists(st.floats(0, 1), min_size=3, max_size=3, unique=True))
def test_energy_of_windows_that_touch_adds_up(points: list[tuple[float, float]], cuts: list[float]) -> None:
    start, middle, end = (cut * points[-1][0] for cut in sorted(cuts))
    assume(start < middle < end)
    whole = counter_increase(points, start, end, restart="zero")
    parts = counter_increase(points, start, middle, restart="zero") + counter_increase(
        points, middle, end, restart="zero"
    )
    assert parts == pytest.approx(whole, rel=1e-9, abs=1e-6)


@given(counters(), st.floats(0, 1), st.floats(0, 1))
def test_energy_is_never_negative_and_lies_within_its_bounds(
    points: list[tuple[float, float]], one: float, other: float
) -> None:
    start, end = sorted((one * points[-1][0], other * points[-1][0]))
    assume(start < end)
    joules = counter_increase(points, start, end, restart="zero")
    least, most = counter_bounds(points, start, end, restart="zero")
    assert joules >= 0
    assert least <= joules * (1 + 1e-9) + 1e-6
    assert joules <= most * (1 + 1e-9) + 1e-6


@given(counters(), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_an_additional_sample_on_the_line_changes_nothing(
    points: list[tuple[float, float]], one: float, other: float, where: float
) -> None:
    start, end = sorted((one * points[-1][0], other * points[-1][0]))
    assume(start < end)
    at = min(int(where * len(points)), len(points) - 2)
    (left, before), (right, after) = points[at], points[at + 1]
    assume(after >= before and right - left > 1e-3)
    more = [*points[: at + 1], ((left + right) / 2, (before + after) / 2), *points[at + 1 :]]
    expected = counter_increase(points, start, end, restart="zero")
    assert counter_increase(more, start, end, restart="zero") == pytest.approx(expected, rel=1e-9, abs=1e-6)
