"""A run's window against the truth: a simulated machine, the probe, the recording beside the results, the analysis.

Time is virtual and goes on while the probe reads; the power has a known curve, and the counters are updated by the
hardware now and then. What is asserted is the error.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.clock import EPOCH, RunningClock
from tests.support.powercap import Bursts, Constant, Curve, PowercapTree, SimulatedZone, Spikes, Square, machine
from wattview.analysis.results import analyse
from wattview.config import Cost
from wattview.daemon.lab import window_trail
from wattview.daemon.lab.window_trail import Meters, WindowReadings, WindowTrail, own_evidence
from wattview.model import ScenarioRecord, ScenarioResult, TrailPoint
from wattview.probes import SourceError
from wattview.probes.power.energy_source import Moment
from wattview.probes.power.probe import PowerProbe

CURVES: dict[str, Curve] = {
    "constant": Constant(45.0),
    "square": Square(15.0, 140.0, 1.7),
    "fast square": Square(15.0, 140.0, 0.31),
    "spikes": Spikes(20.0, 400.0, 0.77, 0.005),
    "bursts": Bursts(20.0, 300.0),
}


class Bench:
    """A machine with a power clock of ten samples a second, and windows that are recorded as in a run."""

    def __init__(self, directory: Path, make_config: ConfigFactory, zones: list[SimulatedZone], update: float) -> None:
        zones = [
            zone._replace(update_seconds=update, phase_seconds=update * number / len(zones))
            for number, zone in enumerate(zones)
        ]
        self.tree = PowercapTree(directory / "sys", zones)
        self.folder = directory / "run"
        self.folder.mkdir()
        self.clock = RunningClock(self.tree.write)
        config = make_config(f"paths.sysfs={directory / 'sys'}")
        self.probe = PowerProbe(config, clock=self.clock, pause=self.clock.pause)
        self.chance = random.Random(3)
        self.gpus: list[str] = []
        self.gpu_curve: Curve | None = None
        self.other_source_after = float("inf")
        self.set_by = 0.0
        self.set_after: float | None = None

    def go(self, seconds: float) -> None:
        """The clock's samples for that long."""
        until = self.clock.seconds + seconds
        while self.clock.seconds < until:
            self.clock.advance(min(self.chance.uniform(0.095, 0.105), max(until - self.clock.seconds, 1e-4)))
            try:
                self.probe.sample()
            except SourceError:
                continue

    def truth(self, result: ScenarioResult) -> float:
        """The joules that the processors have used in a window."""
        start, end = result.record.start_time, result.record.end_time
        assert start is not None
        assert end is not None
        return self.tree.host_joules(end - EPOCH) - self.tree.host_joules(start - EPOCH)

    def break_zone(self, path: str) -> None:
        """Its counter holds no number, from before the first reading."""
        self.tree.freeze(path)
        (self.tree.directory(path) / "energy_uj").write_text("\n")

    def gpu_samples(self) -> list[tuple[float, str, float]]:
        if self.gpu_curve is None:
            return []
        at = self.clock().time
        return [(at, 'wattview_host_energy_joules_total{source="nvml"}', self.gpu_curve.joules(self.clock.seconds))]

    async def window(self, seconds: float, place: int = 1) -> ScenarioResult:
        async def trail(epoch: float) -> list[TrailPoint]:
            self.go(0.2)
            return self.probe.trail(epoch)

        async def sample() -> Moment | None:
            return self.probe.sample_now()

        async def readings() -> WindowReadings:
            self.clock.advance(0.003)
            power = self.probe.read()
            faults = "; ".join(f"{fault.part}: {fault.reason}" for fault in power.faults)
            source = power.source if self.clock.seconds < self.other_source_after else "hwmon"
            return WindowReadings(
                self.gpu_samples(), source, self.gpus, faults if power.host_joules_total is None else ""
            )

        window = WindowTrail(Meters(trail, sample, readings), self.clock)
        start = await window.open()
        await window.opened()
        begun = self.clock.seconds
        while self.clock.seconds < begun + seconds:
            self.go(min(0.3, begun + seconds - self.clock.seconds))
            if self.set_after is not None and self.clock.seconds >= begun + self.set_after:
                self.clock.set_by, self.set_after = self.clock.set_by + self.set_by, None
            await window.look()
        end = await window.close()
        await window.closed()
        window.write(self.folder, place)
        record = ScenarioRecord(name="one", start_time=start, end_time=end, duration=seconds)
        evidence = own_evidence(self.folder, place, record)
        assert evidence is not None
        return analyse(record, evidence, Cost())


UPDATES = [(0.001, 1), (0.001, 2), (0.01, 2), (0.05, 1), (1.0, 2)]


@pytest.mark.parametrize(("update", "sockets"), UPDATES)
@pytest.mark.parametrize("shape", CURVES)
async def test_the_truth_of_a_ten_second_window_lies_within_its_error(
    shape: str, update: float, sockets: int, tmp_path: Path, make_config: ConfigFactory
) -> None:
    bench = Bench(tmp_path, make_config, machine(CURVES[shape], sockets=sockets, dram=Constant(6.0)), update)
    bench.go(5.0)
    for place in (1, 2, 3):
        result = await bench.window(10.0 + bench.chance.random(), place)
        assert result.energy_joules is not None, result.reasons
        assert result.energy_error_joules is not None
        truth = bench.truth(result)
        assert abs(result.energy_joules - truth) <= result.energy_error_joules + 1e-3
        assert result.energy_error_joules <= truth * (0.002 + 1.2 * min(update, 0.25)), "it says something"
        if update < 0.1:
            assert result.energy_joules == pytest.approx(truth, rel=0.003 + 0.2 * update)
        assert result.power_max_watts is not None
        assert result.power_mean_watts is not None
        assert result.power_max_watts >= result.power_mean_watts


@pytest.mark.parametrize(("update", "sockets"), UPDATES)
async def test_the_maximum_of_a_constant_power_is_that_power(
    update: float, sockets: int, tmp_path: Path, make_config: ConfigFactory
) -> None:
    bench = Bench(tmp_path, make_config, machine(Constant(45.0), sockets=sockets), update)
    bench.go(5.0)
    result = await bench.window(20.0)
    assert result.power_max_watts == pytest.approx(45.0 * sockets, rel=0.06)
    assert result.power_percentile_watts is not None
    for percent in ("5", "50", "95"):
        assert result.power_percentile_watts[percent] == pytest.approx(45.0 * sockets, rel=0.06)


async def test_a_spike_before_the_window_does_not_count(tmp_path: Path, make_config: ConfigFactory) -> None:
    """300 W for 50 ms, 0.42 s before a window at 40 W, and once more half a second after it."""
    bench = Bench(tmp_path, make_config, machine(Spikes(40.0, 260.0, 6.0, 0.05)), 0.001)
    bench.go(5.9 - bench.clock.seconds)
    bench.go(0.52)
    result = await bench.window(5.0)
    assert result.record.start_time is not None
    assert 6.4 < result.record.start_time - EPOCH < 6.7
    assert result.power_max_watts == pytest.approx(40.0, rel=0.02)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.3])
async def test_a_spike_in_the_window_shows_within_a_tenth_of_a_second(
    length: float, tmp_path: Path, make_config: ConfigFactory
) -> None:
    bench = Bench(tmp_path, make_config, machine(Spikes(40.0, 260.0, 12.0, length)), 0.001)
    bench.go(10.0)
    result = await bench.window(5.0)
    assert result.power_max_watts is not None
    least = 40.0 + 260.0 * min(1.0, length / 0.2)
    most = 40.0 + 260.0 * min(1.0, length / 0.07)
    assert least * 0.98 <= result.power_max_watts <= most * 1.02


async def test_a_window_that_is_shorter_than_the_historys_interval_has_every_figure(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    bench = Bench(tmp_path, make_config, machine(Square(20.0, 60.0, 1.0)), 0.001)
    bench.go(5.0)
    result = await bench.window(1.0)
    assert result.power_mean_watts == pytest.approx(40.0, rel=0.03)
    assert result.power_max_watts == pytest.approx(60.0, rel=0.03)
    assert result.power_percentile_watts is not None
    assert result.power_percentile_watts["5"] == pytest.approx(20.0, rel=0.1)
    assert result.power_percentile_watts["95"] == pytest.approx(60.0, rel=0.1)


async def test_a_package_that_cannot_be_read_makes_the_window_unknown_and_says_why(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    bench = Bench(tmp_path, make_config, machine(Constant(50.0), sockets=2, dram=Constant(5.0)), 0.001)
    bench.break_zone("intel-rapl:1")
    bench.go(5.0)
    result = await bench.window(3.0)
    assert (result.energy_joules, result.power_mean_watts, result.power_max_watts) == (None, None, None)
    assert "intel-rapl:1" in result.reasons["energy_joules"]
    assert (result.cost_energy, result.cost_total) == (None, None)


async def test_gpus_that_cannot_be_read_make_the_window_unknown(tmp_path: Path, make_config: ConfigFactory) -> None:
    bench = Bench(tmp_path, make_config, machine(Constant(50.0)), 0.001)
    bench.gpus = ["nvml"]
    bench.go(3.0)
    result = await bench.window(3.0)
    assert result.energy_joules is None
    assert "GPUs" in result.reasons["energy_joules"]
    assert (result.gpu_energy_joules, result.inapplicable) == (None, {})


async def test_the_energy_of_gpus_is_added_to_that_of_the_processor(
    tmp_path: Path, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """50 W beside a GPU that takes 100 W, and 300 W for the two seconds in the middle of the window."""
    monkeypatch.setattr(window_trail, "READINGS_SECONDS", 0.0)  # the other clocks of this test are virtual
    bench = Bench(tmp_path, make_config, machine(Constant(50.0)), 0.001)
    bench.gpus = ["nvml"]
    bench.gpu_curve = Spikes(100.0, 200.0, 9.0, 2.0)
    bench.go(7.0)
    result = await bench.window(6.0)
    assert result.record.start_time is not None
    assert result.record.end_time is not None
    gpu = bench.gpu_curve.joules(result.record.end_time - EPOCH) - bench.gpu_curve.joules(
        result.record.start_time - EPOCH
    )
    assert result.power_source == "rapl+nvml"
    assert result.gpu_energy_joules == pytest.approx(gpu, rel=0.002)
    assert result.energy_joules == pytest.approx(bench.truth(result) + gpu, rel=0.002)
    assert result.energy_error_joules is not None
    assert abs(result.energy_joules - bench.truth(result) - gpu) <= result.energy_error_joules
    assert result.power_max_watts == pytest.approx(350.0, rel=0.03)


async def test_a_source_that_changes_in_the_window_makes_it_unknown(tmp_path: Path, make_config: ConfigFactory) -> None:
    bench = Bench(tmp_path, make_config, machine(Constant(50.0)), 0.001)
    bench.go(3.0)
    bench.other_source_after = bench.clock.seconds + 2.0
    result = await bench.window(4.0)
    assert result.energy_joules is None
    assert "the source of power changed" in result.reasons["energy_joules"]


@pytest.mark.parametrize("set_by", [0.3, -0.3, -3.0, 3.0, -3600.0, 3600.0, 86400.0 * 400, -86400.0 * 3000])
@pytest.mark.parametrize("after", [0.0, 4.0])
async def test_setting_the_clock_changes_neither_the_length_of_a_window_nor_its_power(
    set_by: float, after: float, tmp_path: Path, make_config: ConfigFactory
) -> None:
    """Also just before a window, when the probe's samples still have the old times."""
    bench = Bench(tmp_path, make_config, machine(Constant(45.0)), 0.001)
    bench.gpus, bench.gpu_curve = ["nvml"], Constant(30.0)
    bench.go(5.0)
    if after:
        bench.set_by, bench.set_after = set_by, after
    else:
        bench.clock.set_by = set_by
    result = await bench.window(10.0)
    assert result.window_seconds == pytest.approx(10.0, abs=0.1)
    assert result.energy_joules is not None, result.reasons
    assert result.energy_joules == pytest.approx(75.0 * result.window_seconds, rel=0.01)
    assert result.power_mean_watts == pytest.approx(75.0, rel=0.01)
    assert result.power_max_watts is not None
    assert result.power_max_watts < 80.0
    start = result.record.start_time
    assert start is not None
    assert start - EPOCH == pytest.approx(5.2 + (0.0 if after else set_by), abs=0.1)
