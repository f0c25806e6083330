"""The wall's model against machines whose power at the wall is known: how often its intervals hold the truth, how far
it is off, what it says outside of what it saw, and that it finds how late a meter is."""

from __future__ import annotations

import random
from statistics import fmean

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calibration import all_judged, coverage, mean_error
from tests.support.wall import IDLE, METERS, MODEL, TICK_SECONDS, Load, SimulatedMeter, WallMachine, calibrated
from wattview.analysis.wall.calibration import MeterFacts, calibrate
from wattview.analysis.wall.least_squares import Singular, Sums, inverted
from wattview.analysis.wall.load_windows import Step
from wattview.analysis.wall.wall_model import IMPORTED_FACTOR, WallModel
from wattview.analysis.windows.energy import NoData
from wattview.model.power.calibration import WallCalibration, WallInputs

pytestmark = pytest.mark.parallel


@pytest.mark.slow
def test_95_percent_intervals_cover_the_truth_in_93_to_97_percent_of_ten_thousand_predictions() -> None:
    by_meter = all_judged()
    every = [one for judged in by_meter.values() for one in judged]
    assert sum(one.asked for one in every) >= 10_000
    assert 0.93 <= coverage(every) <= 0.97
    assert mean_error(every) <= 0.03
    for meter, judged in by_meter.items():
        assert 0.88 <= coverage(judged) <= 0.995, meter
        assert mean_error(judged) <= 0.03, meter


def test_intervals_hold_the_truth_on_a_few_machines_too() -> None:
    every = [one for judged in all_judged(machines=8, predictions=100).values() for one in judged]
    assert 0.9 <= coverage(every) <= 0.99
    assert mean_error(every) <= 0.02


def test_the_energy_of_an_hour_is_within_one_percent_of_the_truth() -> None:
    """A model that was learnt from a meter with a new figure each five seconds."""
    machine, found = calibrated(1, SimulatedMeter(lag=2.0, refresh=5.0, quantum=1.0))
    model = WallModel(found)
    chance = random.Random(3)
    begin, seen = len(machine.truth), len(machine.inputs)
    for _ in range(60):
        machine.run(Load(chance.random()), 60.0)
    said = sum(model.after(one).watts * one.seconds for one in machine.inputs[seen:])
    truth = sum(watts * TICK_SECONDS for _, watts in machine.truth[begin:])
    assert said == pytest.approx(truth, rel=0.01)


def test_the_fewest_steps_are_enough_for_a_machine_with_a_gpu() -> None:
    _, found = calibrated(3, METERS[0], steps=8)
    assert found.terms == ("base", "seen", "gpu")
    assert found.error_percent <= 3.0


@pytest.mark.parametrize("meter", METERS, ids=str)
def test_a_meters_lag_is_determined(meter: SimulatedMeter) -> None:
    _, found = calibrated(2, meter)
    assert found.lag_seconds == pytest.approx(meter.lag, abs=1.0 + meter.refresh / 4)


def test_outside_of_what_was_seen_it_says_so_and_gives_no_interval() -> None:
    machine, found = calibrated(4, METERS[0])
    model = WallModel(found)
    high = found.spans["seen"].high
    inside = model.after(WallInputs(machine.time, 1.0, high, 0.0, 100.0))
    outside = model.after(WallInputs(machine.time + 1, 1.0, 1.5 * high, 0.0, 100.0))
    assert inside.error_watts is not None
    assert inside.outside == ""
    assert outside.error_watts is None
    assert outside.watts > inside.watts
    assert outside.outside.startswith("outside the calibrated range: measured power")


def test_gpu_load_outside_the_calibration_is_out_of_range() -> None:
    machine, found = calibrated(4, METERS[0])
    said = WallModel(found).after(WallInputs(machine.time, 1.0, found.spans["seen"].low, 80.0, 50.0))
    assert "GPU power 80.0 W" in said.outside


def test_another_machine_of_the_model_has_a_wider_interval() -> None:
    machine, found = calibrated(5, METERS[0])
    one = machine.inputs[-1]
    own = WallModel(found).after(one)
    imported = WallModel(msgspec.structs.replace(found, imported=True)).after(one)
    assert own.error_watts is not None
    assert imported.error_watts is not None
    assert imported.watts == own.watts
    assert imported.error_watts >= max(IMPORTED_FACTOR * own.error_watts, 0.05 * own.watts)


def test_a_machine_without_counters_is_calibrated_by_its_cpu_use() -> None:
    machine, meter = WallMachine(7), METERS[0]
    steps = [machine.run(Load(at / 10), 30.0) for at in (0.1, 5, 1, 9, 3, 7, 10, 2, 6)]
    machine.run(IDLE, 10.0)
    readings = meter.readings(machine.truth, machine.chance)
    blind = [one._replace(host_watts=0.0) for one in machine.inputs]
    found = calibrate(blind, readings, steps, MeterFacts("m", meter.refresh, meter.quantum), MODEL, "", machine.time)
    step = machine.run(Load(0.45), 60.0)
    model = WallModel(found)
    said = [model.after(one._replace(host_watts=0.0)).watts for one in machine.inputs]
    truth = fmean(watts for time, watts in machine.truth if time > step.start)
    assert fmean(said[-60:]) == pytest.approx(truth, rel=0.03)
    assert found.error_percent <= 3.0


def test_a_meter_of_another_machine_is_refused() -> None:
    machine, other = WallMachine(8), WallMachine(9)
    steps = [machine.run(Load(share), 30.0) for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.2)]
    for share in (0.9, 0.7, 0.5, 0.3, 0.1, 0.8):
        other.run(Load(share), 30.0)
    readings = METERS[0].readings(other.truth, other.chance)
    with pytest.raises(NoData, match="is it this machine's meter"):
        calibrate(machine.inputs, readings, steps, MeterFacts("m", 1.0, 0.1), MODEL, "rapl", machine.time)


def test_too_few_steps_and_a_silent_meter_are_reported() -> None:
    machine = WallMachine(10)
    steps = [machine.run(Load(share), 30.0) for share in (0.1, 0.5, 0.9)]
    for readings in (METERS[0].readings(machine.truth, machine.chance), []):
        with pytest.raises(NoData, match="at least 6 are needed"):
            calibrate(machine.inputs, readings, steps, MeterFacts("m", 1.0, 0.1), MODEL, "rapl", machine.time)


def test_a_load_that_does_not_change_cannot_be_fitted() -> None:
    inputs = [WallInputs(float(at + 1), 1.0, 50.0, 0.0, 10.0) for at in range(300)]
    meter = [(float(at + 1), 80.0 + at % 2) for at in range(300)]
    steps = [Step(at * 30.0, at * 30.0 + 30.0) for at in range(10)]
    with pytest.raises(NoData, match="did not change from step to step"):
        calibrate(inputs, meter, steps, MeterFacts("m", 1.0, 1.0), MODEL, "rapl", 300.0)


def test_a_busy_machine_is_reported_instead_of_blaming_its_meter() -> None:
    machine = WallMachine(13)
    steps = [machine.run(Load(share), 30.0) for share in (0.93, 0.92, 0.94, 0.92, 0.93, 0.94, 0.93)]
    machine.run(Load(0.93), 10.0)
    readings = METERS[0].readings(machine.truth, machine.chance)
    with pytest.raises(NoData, match="W in all steps: something else keeps it busy"):
        calibrate(machine.inputs, readings, steps, MeterFacts("m", 1.0, 0.1), MODEL, "rapl", machine.time)


def test_a_disturbed_load_step_is_named() -> None:
    machine, meter = WallMachine(11), METERS[0]
    steps = [machine.run(Load(share), 30.0) for share in (0.02, 0.3, 0.6, 0.9, 0.45)]
    start = machine.time
    machine.run(Load(0.2), 15.0)
    machine.run(Load(0.8), 15.0)
    steps.append(Step(start, machine.time))
    machine.run(IDLE, 10.0)
    readings = meter.readings(machine.truth, machine.chance)
    found = calibrate(machine.inputs, readings, steps, MeterFacts("m", 1.0, 0.1), MODEL, "rapl", machine.time)
    assert [remark[:22] for remark in found.remarks if "steady" in remark] == ["step 6 was not steady:"]


@settings(max_examples=15)
@given(
    base=st.floats(5.0, 100.0), slope=st.floats(1.0, 1.5),
    loads=st.lists(st.integers(10, 300), min_size=6, max_size=12, unique=True),
)  # fmt: skip
def test_linear_wall_power_is_fitted_exactly(base: float, slope: float, loads: list[int]) -> None:
    inputs, meter, steps, time = [], [], [], 0.0
    for watts in loads:
        steps.append(Step(time, time + 30.0))
        for _ in range(30):
            time += 1.0
            inputs.append(WallInputs(time, 1.0, float(watts), 0.0, watts / 3.0))
            meter.append((time, base + slope * watts))
    found = calibrate(inputs, meter, steps, MeterFacts("m", 1.0), MODEL, "rapl", time)
    said = WallModel(found).after(WallInputs(time + 1, 1.0, float(min(loads) + max(loads)) / 2, 0.0, 50.0))
    assert said.watts == pytest.approx(base + slope * (min(loads) + max(loads)) / 2, rel=1e-6)
    assert found.error_percent < 1e-3


@given(st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=3, max_size=20))
def test_an_inverse_is_exact_or_absent(rows: list[list[float]]) -> None:
    sums = Sums(3)
    for row in rows:
        sums.add(row, 1.0)
    try:
        inverse = inverted(sums.moments)
    except Singular:
        return
    for i in range(3):
        for j in range(3):
            product = sum(sums.moments[i][k] * inverse[k][j] for k in range(3))
            size = sum(abs(sums.moments[i][k] * inverse[k][j]) for k in range(3))
            assert product == pytest.approx(float(i == j), abs=1e-6 * (1 + size))


def test_a_calibration_is_read_from_its_json_with_fields_that_are_not_known() -> None:
    _, found = calibrated(12, METERS[0])
    text = msgspec.json.encode(found)[:-1] + b',"later":{"more":[1,2]}}'
    assert msgspec.json.decode(text, type=WallCalibration) == found
