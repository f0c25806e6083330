"""What the power clock's ticks promise, most of which only read the counters: the same energy, maxima and bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from tests.conftest import ConfigFactory
from tests.probes.test_power_truth import SHARP, RunningMachine, host_energy, updated
from tests.support.clock import EPOCH
from tests.support.powercap import Constant, Curve, Sine, Spikes, machine
from wattview.model import PowerReading
from wattview.probes.power.energy_source import Measurement, Moment
from wattview.probes.power.samples import Samples


def ticked(running: RunningMachine, seconds: float) -> None:
    """So long only the clock runs, ten times a second."""
    for _ in range(round(seconds * 10)):
        running.clock.advance(0.1)
        running.probe.tick()


def read_each_second(running: RunningMachine, seconds: int) -> Iterator[PowerReading]:
    for _ in range(seconds):
        ticked(running, 1.0)
        yield running.probe.read()


@pytest.mark.parametrize("interval", [0.001, 0.05, 1.0])
@pytest.mark.parametrize("shape", SHARP)
def test_the_truth_lies_within_the_error(
    shape: str, interval: float, tmp_path: Path, make_config: ConfigFactory
) -> None:
    zones = machine(SHARP[shape], sockets=2, core=Constant(3.0), dram=Constant(6.0), bits=24)
    running = RunningMachine(tmp_path, make_config, updated(zones, interval))
    errors = []
    ticked(running, 3.0)
    for reading in read_each_second(running, 40):
        assert reading.watts_span is not None
        assert reading.host_watts is not None
        assert reading.host_error_watts is not None
        begin, end = (moment - EPOCH for moment in reading.watts_span)
        truth = running.watts(begin, end)
        assert abs(reading.host_watts - truth) <= reading.host_error_watts + 1e-3
        errors.append(reading.host_error_watts / truth)
        assert 1.0 <= end - begin <= 1.7 + interval
        assert running.clock.seconds - end < 0.1 + 2 * interval, "and it is of now"
    assert fmean(errors) < 0.005 + 5 * interval, "it says something of its size"


@pytest.mark.parametrize("asked", [1, 30], ids=["asked each second", "asked once"])
def test_energy_does_not_depend_on_how_often_it_is_read(asked: int, tmp_path: Path, make_config: ConfigFactory) -> None:
    running = RunningMachine(tmp_path, make_config, machine(Sine(80.0, 60.0, 7.3), sockets=2, bits=18))
    ticked(running, 2.0)
    start = running.probe.read()
    for _ in range(30 // asked):
        ticked(running, asked)
        end = running.probe.read()
    truth = running.tree.host_joules(end.time - EPOCH) - running.tree.host_joules(start.time - EPOCH)
    assert host_energy(start, end) == pytest.approx(truth, rel=0.002)


def test_the_largest_power_since_the_last_question_has_every_tick_in_it(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    running = RunningMachine(tmp_path, make_config, updated(machine(Spikes(20.0, 100.0, 60.0, 0.2)), 0.001))
    running.clock.seconds = 50.0
    ticked(running, 8.0)
    before, update_seconds = running.probe.since_last()
    assert before == pytest.approx(20.0, rel=0.05)
    assert update_seconds == pytest.approx(0.001, rel=0.5)
    ticked(running, 7.0)
    peak, _ = running.probe.since_last()
    assert peak == pytest.approx(120.0, rel=0.05), "a spike of two ticks, five seconds ago"
    ticked(running, 2.0)
    assert running.probe.since_last()[0] == pytest.approx(20.0, rel=0.05), "it is told once"


@pytest.mark.parametrize("curve", [Constant(45.0), Sine(80.0, 60.0, 7.3)])
def test_every_point_of_a_trail_that_is_followed_has_a_close_bound(
    curve: Curve, tmp_path: Path, make_config: ConfigFactory
) -> None:
    running = RunningMachine(tmp_path, make_config, updated(machine(curve), 0.001))
    ticked(running, 5.0)
    running.probe.trail(0.0)
    ticked(running, 1.0)
    running.probe.trail(0.0)
    ticked(running, 1.0)
    trail = running.probe.trail(0.0)
    assert len(trail) >= 10
    assert all(point.most_joules - point.joules <= 0.005 * 140.0 for point in trail)


def test_a_counter_that_fails_between_two_requests_is_reported_at_the_next(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    zones = machine(Constant(45.0), sockets=2, dram=Constant(5.0))
    running = RunningMachine(tmp_path, make_config, zones)
    ticked(running, 5.0)
    assert running.probe.read().host_joules_total is not None
    ticked(running, 1.0)
    running.tree.remove("intel-rapl:1")
    ticked(running, 1.0)
    reading = running.probe.read()
    assert reading.host_joules_total is None
    assert [fault.part for fault in reading.faults if "intel-rapl:1" in fault.part]


def test_the_largest_of_powers_that_are_not_known_is_not_0_w() -> None:
    """A package cannot be read now: the sum is unknown, and so is its maximum."""
    samples = Samples()
    for second in (0.0, 1.0, 2.0):
        at = Moment(EPOCH + second, second, second)
        samples.add(at, Measurement(None if second else 5), counts=False, quick=False, again=True)
    assert samples.take_peak() is None
