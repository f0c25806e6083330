"""The energy that the probe reports, against machines whose power is known."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.clock import EPOCH, FakeClock
from tests.support.powercap import Constant, Curve, PowercapTree, Scaled, Sine, Square, curve, machine
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


@pytest.mark.parametrize("shape", CURVES)
def test_the_truth_lies_within_the_error_where_counters_are_up_to_a_millisecond_old(
    shape: str, tmp_path: Path, make_config: ConfigFactory
) -> None:
    simulation = Simulation(PowercapTree(tmp_path, machine(CURVES[shape], sockets=2)), make_config)
    simulation.run(2.0)
    old, wrong = random.Random(1), 0
    for _ in range(200):
        simulation.clock.advance(0.1)
        simulation.tree.write(simulation.clock.seconds - old.uniform(0.0, 0.001))
        simulation.probe.sample()
        reading, trail = simulation.probe.read(), simulation.probe.trail()
        begin, end = trail[0][0] - EPOCH, trail[-1][0] - EPOCH
        truth = (simulation.tree.host_joules(end) - simulation.tree.host_joules(begin)) / (end - begin)
        assert reading.host_watts is not None
        assert reading.host_error_watts is not None
        assert abs(reading.host_watts - truth) <= reading.host_error_watts
        assert reading.host_error_watts < 0.01 * 2 * 140, "it says something of its size"
        wrong += abs(reading.host_watts - truth) > 0.05 * reading.host_error_watts
    assert wrong > 50, "the counters were meant to be late"


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


def test_energy_in_real_time_is_true(running_machine: tuple[Path, float], make_config: ConfigFactory) -> None:
    measured, true = measured_and_true(running_machine, make_config, 4.0)
    # A counter may be a few milliseconds behind its time on a busy machine, at each end.
    assert measured == pytest.approx(true, rel=0.02)


@pytest.mark.slow
def test_energy_of_30_seconds_in_real_time_is_within_two_permille_of_the_truth(
    running_machine: tuple[Path, float], make_config: ConfigFactory
) -> None:
    measured, true = measured_and_true(running_machine, make_config, 30.0)
    assert measured == pytest.approx(true, rel=0.002)
