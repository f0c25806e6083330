"""A counter's line: growth over any span, and what a counter that fell has counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.analysis.attribution.counter_interpolation import Trace


def trace(*points: tuple[float, float], most_per_second: float = 4.0) -> Trace:
    found = Trace(most_per_second)
    for at, value in points:
        found.add(at, value)
    return found


def test_growth_is_linear_between_readings_and_unknown_outside() -> None:
    line = trace((10, 500), (20, 520))
    assert line.increase(10, 20) == 20
    assert line.increase(12, 15) == pytest.approx(6)
    assert line.increase(0, 100) == 20
    assert line.increase(30, 40) == 0


def test_a_counter_that_fell_restarted_at_0() -> None:
    assert trace((0, 500), (10, 7)).increase(0, 10) == 7


def test_a_counter_that_stepped_back_slightly_counted_nothing() -> None:
    assert trace((0, 500), (10, 499), (20, 502)).increase(0, 20) == 3


def test_a_repeated_or_late_reading_changes_nothing() -> None:
    assert trace((0, 0), (10, 10), (10, 11), (5, 30)).increase(0, 10) == 10


def test_a_counter_that_was_never_read_has_counted_nothing() -> None:
    assert Trace().increase(0, 10) == 0


times = st.lists(st.integers(0, 1000), min_size=2, max_size=20, unique=True).map(sorted)


@given(times, st.data())
def test_spans_that_touch_add_up_and_forgetting_the_past_changes_nothing(at: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(0, 1e6), min_size=len(at), max_size=len(at)))
    line = trace(*zip(map(float, at), values, strict=True))
    cuts = sorted(data.draw(st.lists(st.floats(-10, 1010), min_size=1, max_size=6)))
    total = 0.0
    for start, end in zip([-20.0, *cuts], [*cuts, 1020.0], strict=True):
        grown = line.increase(start, end)
        assert grown >= 0
        total += grown
        line.forget(end)
    assert total == pytest.approx(trace(*zip(map(float, at), values, strict=True)).increase(-20, 1020), abs=1e-3)
