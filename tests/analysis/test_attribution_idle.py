"""Idle power is found from what a machine draws while it works, and is not said before it is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import pytest

from wattview.analysis.attribution.idle import IdleModel
from wattview.analysis.windows.energy import NoData

Law = Callable[[float], float]


def linear(use: float) -> float:
    return 30 + 60 * use


def concave(use: float) -> float:
    """A power curve as SPECpower's servers have it: the first load costs most."""
    return 30 + 60 * use**0.7


def lived(
    law: Law, *, low: float, high: float = 1.0, hours: float = 1.0, noise: float = 0.5, seed: int = 1
) -> IdleModel:
    """A machine that works between ``low`` and ``high`` use, measured every 5 s with half a watt of noise."""
    chance = random.Random(seed)
    model = IdleModel()
    for at in range(0, int(hours * 3600), 5):
        use = low + (high - low) * (0.5 + 0.5 * math.sin(at / 600)) * chance.random()
        model = model.add(1e6 + at, 5.0, use, law(use) + chance.gauss(0, noise))
    return model


@pytest.mark.parametrize("low", [0.0, 0.1, 0.3])
def test_the_intercept_of_a_machine_that_is_never_idle_is_found(low: float) -> None:
    found = lived(linear, low=low).idle()
    assert found.method == "regression"
    assert found.watts == pytest.approx(30.0, rel=0.02)
    assert found.error_watts is not None
    # Where the machine rests at times, the lowest of many half minutes is a little below the mean of all.
    assert abs(found.watts - 30.0) < (0.5 if low == 0.0 else 4 * found.error_watts)


def test_a_curve_that_rises_steeply_first_is_still_met_near_the_axis() -> None:
    found = lived(concave, low=0.0).idle()
    assert found.watts == pytest.approx(30.0, rel=0.06)


def test_idle_power_is_never_above_the_lowest_power_of_half_a_minute() -> None:
    model = lived(concave, low=0.4)
    unbounded = model.idle().watts
    assert unbounded > 35.0
    for _ in range(12):
        model = model.add(model.time + 5, 5.0, 0.4, 33.0)
    assert model.idle().watts <= 33.0


def test_a_single_low_interval_is_chance_and_no_bound() -> None:
    model = lived(linear, low=0.0)
    assert model.add(model.time + 5, 5.0, 0.0, 3.0).idle().watts == pytest.approx(30.0, rel=0.03)


def test_a_machine_that_does_nothing_needs_no_line() -> None:
    found = lived(linear, low=0.001, high=0.002).idle()
    assert found.watts == pytest.approx(30.0, rel=0.02)


def test_a_gpu_at_rest_is_idle() -> None:
    model = IdleModel()
    for at in range(0, 300, 5):
        model = model.add(1e6 + at, 5.0, 0.0, 70.0)
    found = model.idle()
    assert (found.watts, found.method) == (pytest.approx(70.0), "regression")


def test_before_utilisation_has_varied_there_is_no_answer() -> None:
    chance = random.Random(2)
    model = IdleModel()
    for at in range(0, 3600, 5):
        model = model.add(1e6 + at, 5.0, chance.uniform(0.58, 0.62), 66.0 + chance.gauss(0, 0.5))
    with pytest.raises(NoData, match="utilisation has not varied enough"):
        model.idle()


def test_before_there_are_enough_intervals_there_is_no_answer() -> None:
    with pytest.raises(NoData, match="too few intervals so far"):
        IdleModel().idle()
    with pytest.raises(NoData, match="too few intervals so far"):
        lived(linear, low=0.0, hours=0.02).idle()


def test_power_that_has_nothing_to_do_with_utilisation_gives_no_answer() -> None:
    with pytest.raises(NoData, match="does not follow utilisation"):
        lived(lambda use: 90 - 60 * use, low=0.2, noise=0.0).idle()


def test_a_baseline_window_goes_before_the_line_for_a_day() -> None:
    model = lived(linear, low=0.1)
    model = model.add_baseline(model.time, 0.01, 29.0)
    assert (model.idle().watts, model.idle().method) == (29.0, "baseline")
    assert model.add_baseline(model.time, 0.5, 70.0).idle().watts == 29.0, "something else ran in that window"
    later = model.add(model.time + 25 * 3600, 5.0, 0.5, 60.0)
    with pytest.raises(NoData):
        later.idle()


def test_a_machine_that_was_changed_is_learnt_anew() -> None:
    model = lived(linear, low=0.1)
    chance = random.Random(3)
    for at in range(0, 30 * 3600, 30):
        use = 0.1 + 0.8 * chance.random()
        model = model.add(1e6 + 3600 + at, 30.0, use, 45 + 60 * use)
    assert model.idle().watts == pytest.approx(45.0, rel=0.02)


def test_what_was_learnt_survives_being_written_down() -> None:
    model = lived(linear, low=0.1).add_baseline(1e6, 0.0, 30.0)
    again = msgspec.json.decode(msgspec.json.encode({"rapl": model}), type=dict[str, IdleModel])
    assert again == {"rapl": model}
