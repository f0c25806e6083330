"""Idle power is what the machine drew at rest, within a stated error, and unknown of a machine that never rested."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
import pytest

from wattview.analysis.attribution.idle import MAX_ERROR, REST, Idle, IdleModel
from wattview.analysis.windows.energy import NoData

pytestmark = pytest.mark.parallel

Law = Callable[[float], float]
"""Watts at a utilisation."""

IDLE_WATTS = 30.0


def linear(use: float) -> float:
    return IDLE_WATTS + 60 * use


def concave(use: float) -> float:
    """A power curve as SPECpower's servers have it: the first load costs most."""
    return IDLE_WATTS + 60 * use**0.7


def lived(
    law: Law,
    *,
    low: float,
    high: float = 1.0,
    hours: float = 1.0,
    noise: float = 0.5,
    start: float = 1e6,
) -> IdleModel:
    """A machine that rests at ``low`` use for two minutes of ten, and works up to ``high``; measured every 5 s."""
    chance = random.Random(1)
    model = IdleModel()
    for at in range(5, int(hours * 3600) + 5, 5):
        use = low if at % 600 < 120 else low + (high - low) * chance.random()
        model = model.add(start + at, 5.0, use, law(use) + chance.gauss(0, noise))
    return model


def holds(found: Idle, truth: float = IDLE_WATTS) -> bool:
    assert found.error_watts is not None
    return abs(found.watts - truth) <= found.error_watts


@pytest.mark.parametrize("law", [linear, concave])
@pytest.mark.parametrize("low", [0.0, 0.002, 0.01])
def test_the_power_at_rest_less_what_its_use_took_is_idle_power(law: Law, low: float) -> None:
    found = lived(law, low=low).idle()
    assert found.method == "regression"
    assert holds(found)
    assert found.watts == pytest.approx(IDLE_WATTS, rel=0.06)


@pytest.mark.parametrize("law", [linear, concave])
@pytest.mark.parametrize("low", [0.03, 0.2, 0.5])
def test_a_machine_that_never_rests_has_no_answer_however_well_a_line_fits(law: Law, low: float) -> None:
    with pytest.raises(
        NoData, match=rf"never at rest: its utilisation was {100 * low:.0f} % or more.*set power.idle_watts"
    ):
        lived(law, low=low, noise=0.0).idle()


def test_the_error_grows_with_what_the_use_may_have_taken() -> None:
    errors = [lived(linear, low=low).idle().error_watts or 0.0 for low in (0.0, 0.002, 0.005, 0.01)]
    assert errors == sorted(errors)
    assert errors[-1] > 2 * errors[0]


def test_a_too_uncertain_idle_power_is_unknown() -> None:
    """Of a machine whose full load is ten times its idle power 1.5 % of it may be anything."""
    with pytest.raises(NoData, match=r"too uncertain, 41\.\d ±1\d\.\d W; run a baseline"):
        lived(lambda use: 30 + 300 * use**0.7, low=0.015).idle()


def test_varying_power_at_rest_is_not_idle_power() -> None:
    """A disc or a GPU in the host's figure: 30 or 60 W without any use."""
    model = IdleModel()
    for at in range(30, 3600, 30):
        model = model.add(float(at), 30.0, 0.001, 60.0 if at % 300 < 150 else 30.0)
    with pytest.raises(NoData, match="too uncertain"):
        model.idle()


def test_a_step_out_of_deep_sleep_is_seen_where_the_machine_sleeps() -> None:
    found = lived(lambda use: 20.0 if use < 0.005 else 30 + 60 * use, low=0.001).idle()
    assert holds(found, 20.0)
    assert (found.error_watts or 0.0) < 3.0


def test_a_single_low_interval_does_not_set_idle_power() -> None:
    model = lived(linear, low=0.0)
    assert model.add(model.time + 5, 5.0, 0.0, 3.0).idle().watts == pytest.approx(IDLE_WATTS, rel=0.04)


def test_an_idle_machine_needs_no_load_to_learn_idle_power() -> None:
    assert holds(lived(linear, low=0.001, high=0.002).idle())


def test_a_gpu_at_rest_is_idle() -> None:
    model = IdleModel()
    for at in range(0, 300, 5):
        model = model.add(1e6 + at, 5.0, 0.0, 70.0)
    assert model.idle() == Idle(70.0, "regression", 0.0)


def test_idle_power_is_unknown_before_two_minutes_at_rest() -> None:
    with pytest.raises(NoData, match=r"too few observations at rest so far \(0 of 4 half minutes\)"):
        IdleModel().idle()
    with pytest.raises(NoData, match=r"too few observations at rest so far \(2 of 4 half minutes\)"):
        lived(linear, low=0.0, hours=60 / 3600).idle()


# baselines


def test_the_busy_part_of_a_baseline_is_subtracted_and_the_rest_of_it_stated() -> None:
    """1 % of use takes 2.4 W of the concave machine: the baseline itself would be 8 % too much."""
    model = lived(concave, low=0.1).add_baseline(1e6 + 3600, 0.01, concave(0.01), 0.2)
    found = model.idle()
    assert found.method == "baseline"
    assert holds(found)
    assert found.watts < concave(0.01) - 1.0


def test_a_baseline_with_too_much_cpu_use_does_not_count() -> None:
    model = lived(concave, low=0.1)
    assert model.add_baseline(model.time, 0.049, concave(0.049)) == model


def test_a_baseline_counts_for_a_day() -> None:
    model = lived(linear, low=0.1)
    model = model.add_baseline(model.time, 0.0, 29.0)
    assert (model.idle().watts, model.idle().method) == (29.0, "baseline")
    later = model.add(model.time + 25 * 3600, 5.0, 0.5, 60.0)
    with pytest.raises(NoData):
        later.idle()


def test_the_more_certain_idle_power_wins() -> None:
    model = lived(linear, low=0.0, noise=0.1)
    assert model.add_baseline(model.time, 0.0, 30.0, 0.01).idle().method == "baseline"
    assert model.add_baseline(model.time, 0.0, 32.0, 5.0).idle().method == "regression"


# time


def test_a_changed_machine_is_learned_again() -> None:
    model = lived(linear, low=0.0)
    chance = random.Random(3)
    for at in range(30, 2 * 3600, 30):
        use = 0.001 if at % 120 < 60 else chance.random()
        model = model.add(1e6 + 3600 + at, 30.0, use, 45 + 60 * use)
    assert model.idle().watts == pytest.approx(45.0, rel=0.03)


def test_a_monotonic_clock_that_restarts_loses_nothing() -> None:
    """The monotonic clock is 0 at every boot: the ages of what was seen go on."""
    before = lived(linear, low=0.0).add_baseline(1e6 + 3600, 0.0, 30.0, 0.1)
    after = before.add(40.0, 5.0, 0.5, 60.0)
    assert (after.idle().watts, after.idle().method) == (30.0, "baseline")
    assert after.add(40.0 + 23.9 * 3600, 5.0, 0.5, 60.0).idle().method == "baseline"
    with pytest.raises(NoData):
        after.add(40.0 + 24.1 * 3600, 5.0, 0.5, 60.0).idle()


def test_learned_idle_power_round_trips_through_its_file() -> None:
    model = lived(linear, low=0.0).add_baseline(1e6, 0.0, 30.0)
    again = msgspec.json.decode(msgspec.json.encode({"rapl": model}), type=dict[str, IdleModel])
    assert again == {"rapl": model}


# a thousand days

LOWS = (0.0005, 0.002, 0.005, 0.01, 0.015, 0.02, 0.05, 0.2, 0.5)


def laws(chance: random.Random) -> tuple[str, float, Law]:
    """A machine: what kind of curve it has, its idle power, and its power at a use."""
    idle = chance.uniform(8, 200)
    span = idle * chance.uniform(0.5, 6)
    kind = chance.choice(("linear", "concave", "convex", "stepped"))
    bend = chance.uniform(0.5, 0.9) if kind == "concave" else chance.uniform(1.1, 2.5) if kind == "convex" else 1.0
    # Sleep states are left where the use is more than so much.
    edges = [chance.choice((REST, 0.05, 0.1, 0.2, 0.4)) for _ in range(2)]
    steps = [chance.uniform(0.05, 0.25) for _ in edges] if kind == "stepped" else [0.0, 0.0]

    def law(use: float) -> float:
        stepped = sum(step for edge, step in zip(edges, steps, strict=True) if use > edge)
        return idle + span * (stepped + (1 - sum(steps)) * use**bend)

    return kind, idle, law


def day(chance: random.Random, low: float) -> Iterator[tuple[float, float, float, float]]:
    """A day of minutes: how busy the machine is, and two of noise: white, and slow as a room gets warmer. It is never
    less busy than ``low``."""
    busy = False
    level = 0.0
    for minute in range(1440):
        if chance.random() < 0.03:
            busy, level = not busy, chance.uniform(low, 1)
        use = min(1.0, max(low, level if busy else low) * chance.uniform(1.0, 1.3))
        yield 60.0 * (minute + 1), use, chance.gauss(0, 1), math.sin(minute / 1440 * 2 * math.pi)


@pytest.mark.slow
def test_stated_errors_cover_the_truth_over_a_thousand_days_of_every_curve() -> None:
    """Whatever the machine's curve, where there is an answer the truth lies within its error in 95 % of days or more;
    and where the machine never rested there is none."""
    outcomes: dict[str, Counter[str]] = {}
    rested: Counter[bool] = Counter()
    for number in range(1000):
        chance = random.Random(number)
        kind, idle, law = laws(chance)
        low, noise = chance.choice(LOWS), idle * chance.choice((0.002, 0.01, 0.03))
        wander = idle * chance.choice((0.0, 0.01))
        model = IdleModel()
        for time, use, white, slow in day(chance, low):
            model = model.add(time, 60.0, use, max(law(use) + noise * white + wander * slow, 0.0))
        try:
            found = model.idle()
        except NoData:
            outcomes.setdefault(kind, Counter())["refused"] += 1
            rested[False] += low <= 0.002
            continue
        assert low <= REST
        assert (found.error_watts or 0.0) <= MAX_ERROR * found.watts
        outcomes.setdefault(kind, Counter())["held" if holds(found, idle) else "missed"] += 1
        rested[True] += low <= 0.002
    for kind, counts in outcomes.items():
        assert counts["missed"] <= 0.05 * counts["held"], (kind, counts)
        assert counts["held"] >= 50, (kind, counts)
    assert rested[True] > 5 * rested[False], "a machine that rests is known"


@pytest.mark.slow
def test_stated_errors_cover_the_truth_after_a_thousand_baselines() -> None:
    outcomes: Counter[str] = Counter()
    for number in range(1000):
        chance = random.Random(number)
        _, idle, law = laws(chance)
        background = chance.choice((0.0005, 0.005, 0.01, 0.015, 0.03, 0.049))
        noise = idle * chance.choice((0.002, 0.01))
        model = IdleModel()
        # A baseline of 15 s in seconds, then an hour of load.
        seconds = [law(background) + chance.gauss(0, noise) for _ in range(15)]
        mean = sum(seconds) / 15
        deviation = math.sqrt(sum((one - mean) ** 2 for one in seconds) / 14)
        for at in range(30, 3600, 30):
            use = chance.uniform(0.1, 1.0)
            model = model.add(float(at), 30.0, use, law(use) + chance.gauss(0, noise))
        model = model.add_baseline(15.0, background, mean, 2.1448 * deviation / math.sqrt(15))
        try:
            outcomes["held" if holds(model.idle(), idle) else "missed"] += 1
        except NoData:
            outcomes["refused"] += 1
    assert outcomes["missed"] <= 0.05 * outcomes["held"], outcomes
    assert outcomes["held"] >= 200, outcomes
