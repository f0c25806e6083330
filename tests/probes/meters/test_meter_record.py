"""What a meter's answers become, held against a power that is known."""

from __future__ import annotations

import random

import pytest

from tests.support.clock import FakeClock
from tests.support.wall_meters import PlayedMeter, busy_machine, energy
from wattview.probes import SourceBroken
from wattview.probes.meters.answer import MeterAnswer, Outlet, together
from wattview.probes.meters.meter_record import MeterRecord

HOUR = 3600.0


def follow(
    record: MeterRecord,
    clock: FakeClock,
    meter: PlayedMeter,
    seconds: float,
    *,
    step: float = 3.6,
    lost: float = 0.0,
    wraps_at: float | None = None,
) -> None:
    """Asks the meter at its interval for so long, of which a part of the answers is lost."""
    dice = random.Random(4)
    until = clock.seconds + seconds
    while clock.seconds < until - 1e-9:
        clock.advance(record.interval_seconds)
        if dice.random() < lost:
            record.failed(SourceBroken("has not answered"))
            continue
        watts, joules = meter.at(clock.seconds)
        if joules is not None and wraps_at is not None:
            joules %= wraps_at
        record.take(clock(), MeterAnswer(watts, joules, step, wraps_at))


def joules(record: MeterRecord, clock: FakeClock) -> float:
    found = record.reading(clock())[1]
    assert found is not None
    return found


@pytest.mark.parametrize("joules_step", [None, 3.6, 60.0, 3600.0])
@pytest.mark.parametrize(("refresh", "lag", "watts_step"), [(1, 0, 0.1), (5, 2, 1.0), (10, 0.5, 1.0)])
def test_the_energy_of_an_hour_is_within_one_percent_whatever_the_meter(
    refresh: float, lag: float, watts_step: float, joules_step: float | None
) -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(busy_machine, refresh=refresh, lag=lag, watts_step=watts_step, joules_step=joules_step)
    follow(record, clock, meter, 100, step=joules_step or 1, lost=0.05)
    start, before = clock.seconds, joules(record, clock)
    follow(record, clock, meter, HOUR, step=joules_step or 1, lost=0.05)
    truth = energy(busy_machine, start, clock.seconds)
    assert joules(record, clock) - before == pytest.approx(truth, rel=0.01)
    assert record.since == FakeClock()().time + 2.0
    assert record.refresh_seconds == pytest.approx(max(refresh, 2.0), rel=0.15)
    assert record.resolution_watts == watts_step


def test_energy_between_two_steps_of_a_coarse_counter_follows_the_power() -> None:
    """A watt-hour is 36 s at 100 W: over a minute the bare counter would be off by 60 %."""
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(lambda at: 100.0, joules_step=3600.0)
    follow(record, clock, meter, 200, step=3600)
    for _ in range(20):
        before = joules(record, clock)
        follow(record, clock, meter, 10, step=3600)
        assert joules(record, clock) - before == pytest.approx(1000, rel=0.01)


def test_no_energy_is_lost_when_a_counter_wraps_or_restarts() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(lambda at: 100.0 + at % 7)
    follow(record, clock, meter, 600, wraps_at=36_000)
    wrapped = joules(record, clock)
    assert wrapped == pytest.approx(energy(lambda at: 100.0 + at % 7, 2, 600), rel=0.01)
    fresh = PlayedMeter(lambda at: 100.0 + at % 7, counted_before=-60_000.0)  # switched off and on: it counts from 0
    follow(record, clock, fresh, 600)
    assert joules(record, clock) - wrapped == pytest.approx(energy(lambda at: 100.0 + at % 7, 600, 1200), rel=0.01)


def test_no_energy_is_made_up_over_a_gap_of_a_meter_that_does_not_count() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(busy_machine, joules_step=None)
    follow(record, clock, meter, 100)
    before = joules(record, clock)
    record.failed(SourceBroken("nobody answers"))
    clock.advance(120)
    watts, gone, fault = record.reading(clock())
    assert (watts, gone) == (None, None)
    assert fault is not None
    assert fault.reason == "nobody answers"
    follow(record, clock, meter, 2)
    assert joules(record, clock) == 0 < before, "it counts anew, as a counter that was reset"
    assert record.since == clock().time, "a window that reaches into the gap has no energy that is known"


def test_a_counter_includes_use_during_an_outage() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(busy_machine)
    follow(record, clock, meter, 100)
    before, since = joules(record, clock), record.since
    clock.advance(600)
    follow(record, clock, meter, 2)
    assert joules(record, clock) - before == pytest.approx(energy(busy_machine, 100, clock.seconds), rel=0.01)
    assert record.since == since


@pytest.mark.parametrize("refresh", [1, 5, 10])
def test_a_meter_that_repeats_old_values_is_detected(refresh: float) -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    meter = PlayedMeter(busy_machine, refresh=refresh, joules_step=None)
    follow(record, clock, meter, 300)
    old = MeterAnswer(*meter.at(clock.seconds))
    for _ in range(100):
        clock.advance(2)
        record.take(clock(), old)
    watts, energy_now, fault = record.reading(clock())
    assert (watts, energy_now) == (None, None)
    assert fault is not None
    assert "is stuck" in fault.reason
    follow(record, clock, meter, 4)
    assert record.reading(clock())[0] is not None
    assert record.since > clock().time - 5, "what it used while it stood still is not known"


def test_a_steady_load_is_not_a_stuck_meter() -> None:
    for step in (None, 3600.0):
        clock, record = FakeClock(), MeterRecord(2.0)
        follow(record, clock, PlayedMeter(lambda at: 45.2, watts_step=1.0, joules_step=step), HOUR, step=step or 1)
        assert record.reading(clock())[0] == 45


def test_a_meter_that_stops_under_load_is_detected() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    for _ in range(100):
        clock.advance(2)
        record.take(clock(), MeterAnswer(80.0, 5000.0, 3.6))
    assert record.reading(clock())[0] is None


def test_an_impossible_power_is_a_fault_and_not_a_sample() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    record.take(clock(), MeterAnswer(4_294_967_295.0))
    watts, _, fault = record.reading(clock())
    assert watts is None
    assert fault is not None
    assert "is not a possible power behind a meter" in fault.reason


def test_a_sum_of_outlets_never_lacks_one_silently() -> None:
    outlets = [Outlet("1", 20.0, 100.0), Outlet("2", None, 50.0), Outlet("3", 5.0, 7.0)]
    assert together(outlets, ()).watts is None
    assert together(outlets, ("1", "3")).watts == 25.0
    with pytest.raises(SourceBroken, match="no outlet '4'"):
        together(outlets, ("1", "4"))


def test_a_meter_that_never_answers_is_a_fault_when_its_first_answer_is_overdue() -> None:
    clock, record = FakeClock(), MeterRecord(2.0)
    assert record.reading(clock()) == (None, None, None)
    clock.advance(11)
    fault = record.reading(clock())[2]
    assert fault is not None
    assert fault.reason == "has not answered for 11 s"
