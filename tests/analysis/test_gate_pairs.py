"""The gate on repeats that were measured in turn: what drifts falls on both of a pair, and does not hide the truth."""

from __future__ import annotations

import random

import pytest

from tests.support.scenario_results import result
from wattview.analysis.sweeps.gate import gate
from wattview.analysis.sweeps.gate_bounds import parse_bound
from wattview.model import GateReport, RunResult, ScenarioResult

POWER = parse_bound("power=+1%", "max")


def measured(order: str, power: dict[str, float], drift_watts: float, chance: random.Random) -> GateReport:
    """Baseline ``A`` and candidate ``B`` in this order, a minute each, on a machine that draws so much more with each
    of them, and with 0.1 W of noise. The bound is 1 %."""
    sides: dict[str, list[ScenarioResult]] = {"A": [], "B": []}
    for turn, side in enumerate(order):
        watts = power[side] + drift_watts * turn + chance.gauss(0.0, 0.1)
        sides[side].append(result(watts, name=side, start_time=60.0 + 60.0 * turn, preset=side))
    runs = [RunResult(id=name, path="", test_date="", status="done", scenarios=found) for name, found in sides.items()]
    return gate(*runs, [POWER])


def test_a_drift_many_times_the_difference_does_not_hide_it() -> None:
    equal, two_percent = {"A": 50.0, "B": 50.0}, {"A": 50.0, "B": 51.0}
    for power, verdict in ((equal, "within"), (two_percent, "exceeded")):
        chance = random.Random("drift")
        paired = measured("ABBA" * 4, power, 0.2, chance)
        assert (paired.verdict, paired.repeats_needed) == (verdict, None)
        assert any("in pairs" in remark for remark in paired.remarks)
    after = measured("A" * 8 + "B" * 8, equal, 0.2, random.Random("drift"))
    assert after.verdict == "exceeded", "measured one after the other, the drift is taken for a difference"
    assert not any("in pairs" in remark for remark in after.remarks)


@pytest.mark.parametrize("drift_watts", [0.0, 0.05])
def test_paired_tests_keep_false_alarms_within_5_percent(drift_watts: float) -> None:
    chance = random.Random(f"pairs {drift_watts}")
    said = [measured("ABBA" * 3, {"A": 50.0, "B": 50.5}, drift_watts, chance).verdict for _ in range(200)]
    assert said.count("exceeded") / len(said) <= 0.05


def test_a_repeat_that_fell_behind_removes_its_pair() -> None:
    def side(name: str, *values: float, late: int | None = None) -> RunResult:
        first = 60.0 if name == "A" else 120.0
        scenarios = [
            result(value, name=name, start_time=first + 120.0 * turn, preset=name, realtime=turn != late)
            for turn, value in enumerate(values)
        ]
        return RunResult(id=name, path="", test_date="", status="done", scenarios=scenarios)

    before = side("A", 50.0, 60.0, 70.0, 80.0, 90.0)
    after = side("B", 50.1, 60.0, 5.0, 80.2, 90.1, late=2)
    [check] = gate(before, after, [parse_bound("power=+1", "max")]).checks
    assert check.difference == pytest.approx(0.1)
    assert "of 5 repeats of the candidate 1 not real time" in check.reason


def test_windows_without_times_are_compared_without_pairs() -> None:
    runs = [
        RunResult(id=name, path="", test_date="", scenarios=[result(value, preset=name) for value in values])
        for name, values in (("A", (50.0, 50.1, 49.9)), ("B", (50.1, 50.0, 49.9)))
    ]
    report = gate(*runs, [POWER])
    assert report.verdict == "within"
    assert not report.remarks
