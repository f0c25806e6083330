"""How ``wattview capacity`` looks for the limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattview.cli.measure.capacity import CapacityStep, limit_of, verdict


async def asked(limit: int, most: int) -> tuple[int, list[int]]:
    numbers: list[int] = []

    async def holds(number: int) -> bool:
        numbers.append(number)
        return number <= limit

    return await limit_of(holds, most), numbers


@given(limit=st.integers(0, 80), most=st.integers(1, 64))
async def test_the_limit_is_found_in_few_steps_and_none_is_asked_twice(limit: int, most: int) -> None:
    found, numbers = await asked(limit, most)
    assert found == min(limit, most)
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) <= 2 * math.ceil(math.log2(most + 1)) + 1
    assert all(1 <= number <= most for number in numbers)


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (0, "not even one stream is in real time on this machine"),
        (1, "1 stream fits, 2 fall behind: 30.0 W, 10.00 W a stream above baseline"),
        (5, "5 streams fit, 6 fall behind: 30.0 W, 2.00 W a stream above baseline"),
        (64, "64 streams fit, more than 64 were not tried: 30.0 W, 0.16 W a stream above baseline"),
    ],
)
def test_the_verdict_says_what_fits_and_what_it_takes(limit: int, says: str) -> None:
    steps = [CapacityStep(streams=limit, realtime=True, mean_watts=30.0, above_baseline_watts=10.0)]
    assert verdict(limit, 64, steps) == says


def test_an_estimate_is_marked_and_unknown_power_has_no_number() -> None:
    assert "ESTIMATE, 30.0 W" in verdict(
        2, 64, [CapacityStep(streams=2, realtime=True, mean_watts=30.0, estimated=True)]
    )
    assert verdict(2, 64, [CapacityStep(streams=2, realtime=True)]) == "2 streams fit, 3 fall behind: —"
