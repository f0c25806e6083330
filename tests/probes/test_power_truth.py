"""The energy that the probe reports, against machines whose power is known."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest

from tests.conftest import ConfigFactory
from tests.support.clock import BOOT, EPOCH, FakeClock, RunningClock
from tests.support.powercap import (
    Bursts,
    Constant,
    Curve,
    PowercapTree,
    Scaled,
    SimulatedZone,
    Sine,
    Spikes,
    Square,
    curve,
    machine,
)
from wattview.model import PowerReading
from wattview.probes.power.probe import PowerProbe

REPOSITORY = Path(__file__).parents[2]

CURVES: dict[str, Curve] = {
    "constant": Constant(65.0),
    "sine": Sine(80.0, 60.0, 7.3),
    "square": Square(15.0, 140.0, 2.6),
}


class Simulation:
    """A probe on a simulated machine, both on the same hand-turned clock."""

    def __init__(self, tree: PowercapTree, make_config: ConfigFactory, *sets: str) -> None:
        self.tree = tree
        self.clock = FakeClock()
        self.probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}", *sets), clock=self.clock)

    def run(self, seconds: float, hz: float = 10.0) -> PowerReading:
        """Lets time pass, sampled by the clock, and reads at its end."""
        for _ in range(round(seconds * hz)):
            self.clock.advance(1 / hz)
            self.tree.write(self.clock.seconds)
            self.probe.sample()
        return self.probe.read()


def host_energy(start: PowerReading, end: PowerReading) -> float:
    assert start.host_joules_total is not None
    assert end.host_joules_total is not None
    return end.host_joules_total - start.host_joules_total


@pytest.mark.parametrize("bits", [32, 18], ids=["wide", "wrapping"])
@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("shape", CURVES)
def test_energy_of_30_seconds_is_within_two_permille_of_the_truth(
    shape: str, sockets: int, bits: int, tmp_path: Path, make_config: ConfigFactory
) -> None:
    package = CURVES[shape]
    zones = machine(
        package,
        sockets=sockets,
        core=Scaled(package, 0.6),
        uncore=Scaled(package, 0.1),
        dram=Constant(9.0),
        mmio=True,
        bits=bits,
    )
    simulation = Simulation(PowercapTree(tmp_path, zones), make_config)
    start = simulation.run(2.0)
    end = simulation.run(30.0)
    window = (start.time - EPOCH, end.time - EPOCH)
    truth = simulation.tree.host_joules(window[1]) - simulation.tree.host_joules(window[0])
    assert end.monotonic - start.monotonic == pytest.approx(30.0)
    assert host_energy(start, end) == pytest.approx(truth, rel=0.002)
    before = {zone.path: zone.joules_total for zone in start.zones}
    for zone in end.zones:
        true = simulation.tree.joules(zone.path, window[1]) - simulation.tree.joules(zone.path, window[0])
        assert zone.joules_total - before[zone.path] == pytest.approx(true, rel=0.002), zone.path
    if bits == 18:
        assert truth > 10 * zones[0].range_uj / 1e6, "the counters were meant to wrap many times"


def test_the_platform_is_counted_alone_where_it_has_a_counter(tmp_path: Path, make_config: ConfigFactory) -> None:
    zones = machine(Sine(80, 60, 7.3), sockets=2, dram=Constant(9), psys=Sine(260, 130, 7.3), bits=20, mmio=True)
    simulation = Simulation(PowercapTree(tmp_path, zones), make_config)
    start = simulation.run(2.0)
    end = simulation.run(30.0)
    assert host_energy(start, end) == pytest.approx(
        Sine(260, 130, 7.3).joules(32.0) - Sine(260, 130, 7.3).joules(2.0), rel=0.002
    )
    assert [(zone.package, zone.zone) for zone in end.zones if zone.counted] == [("psys", "psys")]


def test_power_is_the_mean_of_the_last_second(tmp_path: Path, make_config: ConfigFactory) -> None:
    simulation = Simulation(PowercapTree(tmp_path, machine(Square(20, 120, 10), dram=Constant(5))), make_config)
    assert simulation.run(0.5).host_watts is None
    high = simulation.run(3.5)
    assert high.host_watts == pytest.approx(125, rel=0.001)
    assert {zone.zone: zone.watts for zone in high.zones} == {
        "package-0": pytest.approx(120, rel=0.001),
        "dram": pytest.approx(5, rel=0.001),
    }
    assert simulation.run(3.0).host_watts == pytest.approx(25, rel=0.001)


def test_the_peak_shows_a_burst_that_the_mean_hides(tmp_path: Path, make_config: ConfigFactory) -> None:
    burst = Square(10, 210, 1.0)
    simulation = Simulation(PowercapTree(tmp_path, machine(burst)), make_config)
    reading = simulation.run(4.0)
    assert reading.host_watts == pytest.approx(110, rel=0.001)
    assert reading.host_peak_watts == pytest.approx(210, rel=0.001)


class RunningMachine:
    """A probe on a machine that goes on while it is read."""

    def __init__(self, tmp_path: Path, make_config: ConfigFactory, zones: list[SimulatedZone]) -> None:
        self.tree = PowercapTree(tmp_path, zones)
        self.clock = RunningClock(self.tree.write)
        self.probe = PowerProbe(make_config(f"paths.sysfs={tmp_path}"), clock=self.clock, pause=self.clock.pause)

    def readings(self, count: int) -> Iterator[tuple[PowerReading, float]]:
        """So many readings, ten a second, each with the true mean power in the time that it is of."""
        chance = random.Random(1)
        while count:
            self.clock.advance(chance.uniform(0.095, 0.105))
            self.probe.sample()
            reading, trail = self.probe.read(), self.probe.trail(EPOCH - BOOT)
            if reading.host_error_watts is not None:
                count -= 1
                assert reading.watts_span == pytest.approx((trail[0].time, trail[-1].time), abs=1e-5)
                yield reading, self.watts(trail[0].time - EPOCH, trail[-1].time - EPOCH)

    def watts(self, begin: float, end: float) -> float:
        return (self.tree.host_joules(end) - self.tree.host_joules(begin)) / (end - begin)


def updated(zones: list[SimulatedZone], seconds: float) -> list[SimulatedZone]:
    """The same zones with counters that are updated each so many seconds, one after the other."""
    return [
        zone._replace(update_seconds=seconds, phase_seconds=seconds * number / len(zones))
        for number, zone in enumerate(zones)
    ]


SHARP: dict[str, Curve] = {
    **CURVES,
    "fast square": Square(15.0, 140.0, 0.31),
    "spikes": Spikes(20.0, 400.0, 0.77, 0.005),
    "bursts": Bursts(20.0, 300.0),
}


@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("interval", [0.001, 0.01, 0.05, 1.0])
@pytest.mark.parametrize("shape", SHARP)
def test_the_truth_lies_within_the_error(
    shape: str, interval: float, sockets: int, tmp_path: Path, make_config: ConfigFactory
) -> None:
    zones = machine(SHARP[shape], sockets=sockets, core=Constant(3.0), dram=Constant(6.0))
    running = RunningMachine(tmp_path, make_config, updated(zones, interval))
    errors = []
    for reading, truth in running.readings(250):
        assert reading.host_watts is not None
        assert reading.host_error_watts is not None
        assert abs(reading.host_watts - truth) <= reading.host_error_watts + 1e-3
        errors.append(reading.host_error_watts / truth)
    assert fmean(errors) < 0.005 + 5 * interval, "it says something of its size"


@pytest.mark.parametrize("interval", [0.001, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("sockets", [1, 2])
def test_the_maximum_of_a_constant_power_is_that_power(
    sockets: int, interval: float, tmp_path: Path, make_config: ConfigFactory
) -> None:
    zones = updated(machine(Constant(45.0), sockets=sockets), interval)
    running = RunningMachine(tmp_path, make_config, zones)
    for _ in range(150):
        running.clock.advance(0.1)
        running.probe.sample()
        reading = running.probe.read()
        if reading.host_watts is not None:
            assert reading.host_watts == pytest.approx(45.0 * sockets, rel=0.12)
            assert reading.host_watts <= (reading.host_peak_watts or 0.0) <= 45.0 * sockets * 1.12


def test_a_short_spike_shows_as_its_part_between_two_samples(tmp_path: Path, make_config: ConfigFactory) -> None:
    running = RunningMachine(tmp_path, make_config, updated(machine(Spikes(20.0, 100.0, 3.0, 0.1)), 0.001))
    readings = [reading for reading, _ in running.readings(200)]
    peaks = [reading.host_peak_watts or 0.0 for reading in readings]
    means = [reading.host_watts or 0.0 for reading in readings]
    assert 69.0 < max(peaks) < 121.5, "between half of the spike and all of it"
    assert max(means) == pytest.approx(30.0, rel=0.02), "a tenth of it, in the mean over a second"


def test_a_counter_that_paused_is_read_quickly_again(tmp_path: Path, make_config: ConfigFactory) -> None:
    running = RunningMachine(tmp_path, make_config, updated(machine(Sine(80.0, 60.0, 7.3)), 0.001))
    list(running.readings(20))
    quick = running.tree.zones
    for interval in (0.45, 0.001):
        running.tree.zones = {path: zone._replace(update_seconds=interval) for path, zone in quick.items()}
        for _ in range(60):
            running.clock.advance(0.1)
            running.probe.sample()
    running.clock.advance(300.0)
    for reading, truth in running.readings(50):
        assert abs((reading.host_watts or 0.0) - truth) <= (reading.host_error_watts or 0.0) + 1e-3
    assert (reading.host_error_watts or 0.0) < 0.01 * truth


def test_a_counter_that_slows_down_is_detected(tmp_path: Path, make_config: ConfigFactory) -> None:
    running = RunningMachine(tmp_path, make_config, updated(machine(Bursts(20.0, 300.0)), 0.001))
    list(running.readings(20))
    running.tree.zones = {path: zone._replace(update_seconds=0.012) for path, zone in running.tree.zones.items()}
    list(running.readings(3))
    for reading, truth in running.readings(200):
        assert abs((reading.host_watts or 0.0) - truth) <= (reading.host_error_watts or 0.0) + 1e-3


@pytest.mark.parametrize("hz", [1.0, 4.0, 50.0])
def test_the_sampling_rate_does_not_change_the_energy(hz: float, tmp_path: Path, make_config: ConfigFactory) -> None:
    simulation = Simulation(
        PowercapTree(tmp_path, machine(Square(15, 140, 2.6), bits=24)), make_config, f"power.sample_hz={hz}"
    )
    start = simulation.run(2.0, hz)
    end = simulation.run(30.0, hz)
    truth = simulation.tree.host_joules(32.0) - simulation.tree.host_joules(2.0)
    assert host_energy(start, end) == pytest.approx(truth, rel=0.002)


@pytest.fixture
def running_machine(tmp_path: Path) -> Iterator[tuple[Path, float]]:
    """The simulator as a process of its own, as others run it: its sysfs root, and its start on the monotonic clock."""
    origin = time.monotonic()
    command = [sys.executable, "-m", "tests.support.powercap", str(tmp_path / "sys"), "--curve", "square:15,140,2.6"]
    command += ["--sockets", "2", "--mmio", "--bits", "20", "--hz", "500", "--origin", repr(origin)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
            yield tmp_path / "sys", origin
        finally:
            process.terminate()
            process.wait(10)


def measured_and_true(machine: tuple[Path, float], make_config: ConfigFactory, seconds: float) -> tuple[float, float]:
    """The energy of so many seconds in real time, the probe sampled by a clock of its own."""
    sysfs, origin = machine
    probe = PowerProbe(make_config(f"paths.sysfs={sysfs}"))
    stop = threading.Event()

    def clock() -> None:
        while not stop.wait(1 / probe.sample_hz):
            probe.sample()

    sampling = threading.Thread(target=clock)
    sampling.start()
    try:
        start = probe.read()
        stop.wait(seconds)
        end = probe.read()
    finally:
        stop.set()
        sampling.join()
        probe.close()
    package = curve("square:15,140,2.6")
    truth = package.joules(end.monotonic - origin) - package.joules(start.monotonic - origin)
    return host_energy(start, end), 2 * 1.1 * truth


def test_energy_in_real_time_is_correct(running_machine: tuple[Path, float], make_config: ConfigFactory) -> None:
    measured, true = measured_and_true(running_machine, make_config, 4.0)
    # A counter may be a few milliseconds behind its time on a busy machine, at each end.
    assert measured == pytest.approx(true, rel=0.02)


@pytest.mark.slow
def test_energy_of_30_seconds_in_real_time_is_within_two_permille_of_the_truth(
    running_machine: tuple[Path, float], make_config: ConfigFactory
) -> None:
    measured, true = measured_and_true(running_machine, make_config, 30.0)
    assert measured == pytest.approx(true, rel=0.002)
