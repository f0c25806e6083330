"""A machine whose power at the wall is known: a not quite linear function of CPU, GPU and a fan that lags with the
temperature; and meters that see it as real ones do: late, rounded, seldom, and sometimes not at all."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from wattview.analysis.wall.calibration import MeterFacts, calibrate, least_step_seconds
from wattview.analysis.wall.load_windows import Step
from wattview.analysis.wall.wall_model import WallModel
from wattview.daemon.wall.wall import Wall
from wattview.model.power.calibration import MachineModel, WallCalibration, WallInputs

TICK_SECONDS = 0.5

MODEL = MachineModel(cpu="Simulated 16-Core", cpus=16, product="Example Server 1", board="Example Board")


def uncalibrated(state: Path) -> Wall:
    """The wall of a machine that has no calibration."""
    return Wall(state, MODEL, None, tuple, 15.0)


class Load(NamedTuple):
    """How busy the CPUs and the GPU are (0 to 1), and how much each busy CPU takes, of what it usually does."""

    cpu: float
    gpu: float = 0.0
    weight: float = 1.0


IDLE = Load(0.01)


class WallMachine:
    """Advances in ticks. ``truth`` is every tick (end, wall watts); ``inputs`` what the machine's counters said of each
    second."""

    def __init__(self, seed: int, gpu_watts: float = 0.0) -> None:
        self.chance = random.Random(seed)
        draw = self.chance.uniform
        self.idle_watts, self.busy_watts = draw(15.0, 40.0), draw(60.0, 180.0)
        self.bend = draw(0.85, 1.0)
        """Power rises less than CPU use: the clock falls."""
        self.gpu_idle, self.gpu_busy = (15.0, gpu_watts) if gpu_watts else (0.0, 0.0)
        self.board_watts, self.board_per_cpu = draw(10.0, 40.0), draw(0.0, 8.0)
        self.unseen = draw(1.01, 1.12)
        """What regulators and memory without a counter add to RAPL's packages."""
        self.fan_watts, self.fan_seconds = draw(0.0, 12.0), draw(20.0, 120.0)
        self.loss_fixed, self.loss_share, self.loss_square = draw(3.0, 12.0), draw(0.02, 0.06), draw(0.00005, 0.0003)
        self.noise_watts = draw(0.3, 1.5)
        """Disks, network, other cards."""
        self.time = 1_700_000_000.0
        self.truth: list[tuple[float, float]] = []
        self.inputs: list[WallInputs] = []
        self._noise = 0.0
        self._warm = self._seen(IDLE)
        self._second: list[tuple[float, float, float]] = []

    def _cpu_watts(self, load: Load) -> float:
        return self.idle_watts + self.busy_watts * load.weight * load.cpu**self.bend

    def _gpu_watts(self, load: Load) -> float:
        return self.gpu_idle + self.gpu_busy * load.gpu

    def _seen(self, load: Load) -> float:
        return self._cpu_watts(load) + self._gpu_watts(load)

    def run(self, load: Load, seconds: float) -> Step:
        start = self.time
        for _ in range(round(seconds / TICK_SECONDS)):
            self._tick(load)
        return Step(start, self.time)

    def _tick(self, load: Load) -> None:
        chance = self.chance
        cpu = min(1.0, max(0.0, load.cpu * (1.0 + chance.gauss(0.0, 0.04)) + abs(chance.gauss(0.0, 0.004))))
        now = load._replace(cpu=cpu)
        cpu_watts, gpu_watts = self._cpu_watts(now), self._gpu_watts(now)
        self._warm += (1.0 - math.exp(-TICK_SECONDS / self.fan_seconds)) * (cpu_watts + gpu_watts - self._warm)
        full = self.idle_watts + self.busy_watts + self.gpu_idle + self.gpu_busy
        fan = self.fan_watts * (0.15 + min(1.2, self._warm / full) ** 2)
        keep = math.exp(-TICK_SECONDS / 4.0)
        self._noise = keep * self._noise + math.sqrt(1.0 - keep**2) * chance.gauss(0.0, self.noise_watts)
        board = self.board_watts + self.board_per_cpu * cpu + self._noise
        inside = cpu_watts * self.unseen + gpu_watts + board + fan
        wall = inside + self.loss_fixed + self.loss_share * inside + self.loss_square * inside**2
        self.time += TICK_SECONDS
        self.truth.append((self.time, wall))
        self._second.append((cpu_watts, gpu_watts, 100.0 * cpu))
        if len(self._second) * TICK_SECONDS >= 1.0:
            means = [sum(column) / len(self._second) for column in zip(*self._second, strict=True)]
            self.inputs.append(WallInputs(self.time, 1.0, *means))
            self._second.clear()


class SimulatedMeter(NamedTuple):
    """A meter that shows, ``lag`` seconds late, the mean since its last refresh, rounded to ``quantum`` watts; asked
    every ``asked`` seconds it leaves out that share ``lost`` of answers."""

    lag: float
    refresh: float
    quantum: float
    lost: float = 0.05
    asked: float = 1.0

    def readings(self, truth: Sequence[tuple[float, float]], chance: random.Random) -> list[tuple[float, float]]:
        shown = list(self._shown(truth))
        found, at = [], 0
        time, end = truth[0][0] + self.lag + self.refresh, truth[-1][0] + self.lag
        while time < end:
            while at + 1 < len(shown) and shown[at + 1][0] <= time:
                at += 1
            new = not found or shown[at][1] != found[-1][1]
            if shown[at][0] <= time and chance.random() >= self.lost and new:
                found.append((time, shown[at][1]))
            time += self.asked * chance.uniform(0.95, 1.05)
        return found

    def _shown(self, truth: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
        ticks = round(self.refresh / TICK_SECONDS)
        for start in range(0, len(truth) - ticks + 1, ticks):
            part = truth[start : start + ticks]
            watts = sum(value for _, value in part) / len(part)
            yield part[-1][0] + self.lag, round(watts / self.quantum) * self.quantum


def steps_of_load(count: int, gpu: bool) -> list[Load]:
    """As ``wattview calibrate`` goes: idle, encoders of growing weight, the GPU, idle again."""
    weights = (0.85, 1.0, 1.15)
    busy = count - 2 - (3 if gpu else 0)
    loads = [Load((at + 1) / busy, weight=weights[at % 3]) for at in range(busy)]
    more = [Load(0.1, gpu=share) for share in (0.3, 0.6, 1.0)] if gpu else []
    rest = loads[1::2]
    turns = [one for pair in zip(reversed(rest), rest, strict=True) for one in pair][: len(rest)]
    return [IDLE, *loads[::2], *more, IDLE, *turns]


METERS = (
    SimulatedMeter(lag=0.5, refresh=1.0, quantum=0.1, lost=0.0),
    SimulatedMeter(lag=1.0, refresh=1.0, quantum=1.0, lost=0.1),
    SimulatedMeter(lag=2.0, refresh=2.0, quantum=0.1, lost=0.1),
    SimulatedMeter(lag=6.0, refresh=2.0, quantum=1.0, lost=0.05),
    SimulatedMeter(lag=1.0, refresh=5.0, quantum=0.1, lost=0.05),
    SimulatedMeter(lag=4.0, refresh=5.0, quantum=1.0, lost=0.05),
    SimulatedMeter(lag=0.5, refresh=10.0, quantum=0.1, lost=0.05),
    SimulatedMeter(lag=3.0, refresh=10.0, quantum=1.0, lost=0.1),
)

PREDICTED_SECONDS = 5


class Judged(NamedTuple):
    """What came of predictions on one machine: how many intervals held the truth, of how many, the relative errors of
    all predictions, the relative half-widths, and how many lay outside of the calibrated range."""

    held: int
    asked: int
    errors: list[float]
    widths: list[float]
    outside: int


def calibrated(
    seed: int, meter: SimulatedMeter, steps: int = 14, seconds: float = 30.0
) -> tuple[WallMachine, WallCalibration]:
    """A machine with a GPU in one of three cases, calibrated in so many steps."""
    chance = random.Random(f"meter {seed}")
    machine = WallMachine(seed, gpu_watts=chance.uniform(60.0, 250.0) if seed % 3 == 0 else 0.0)
    loads = steps_of_load(steps, gpu=seed % 3 == 0)
    seconds = max(seconds, least_step_seconds(meter.refresh))
    machine.run(IDLE, 30.0)
    plan = [machine.run(load, seconds) for load in loads]
    machine.run(IDLE, 15.0)
    facts = MeterFacts("simulated", meter.refresh, meter.quantum)
    readings = meter.readings(machine.truth, chance)
    return machine, calibrate(machine.inputs, readings, plan, facts, MODEL, "rapl", machine.time)


def calibrated_and_judged(seed: int, meter: SimulatedMeter, predictions: int) -> Judged:
    """Calibrates a machine, lets encoders come and go on it, and predicts so many times five seconds."""
    machine, calibration = calibrated(seed, meter)
    model = WallModel(calibration)
    for one in machine.inputs:
        model.after(one)
    begin, seen = len(machine.truth), len(machine.inputs)
    loads = live_loads(random.Random(f"load {seed}"), gpu=seed % 3 == 0)
    while len(machine.inputs) - seen < predictions * PREDICTED_SECONDS:
        load, lasts = next(loads)
        machine.run(load, round(lasts))
    truth = [watts for _, watts in machine.truth[begin:]]
    ticks = round(PREDICTED_SECONDS / TICK_SECONDS)
    judged = Judged(0, 0, [], [], 0)
    for at in range(predictions):
        part = machine.inputs[seen + at * PREDICTED_SECONDS : seen + (at + 1) * PREDICTED_SECONDS]
        means = [fmean(column) for column in zip(*part, strict=True)][2:]
        said = model.after(WallInputs(part[-1].time, float(PREDICTED_SECONDS), *means))
        watts = fmean(truth[at * ticks : (at + 1) * ticks])
        judged.errors.append((said.watts - watts) / watts)
        if said.error_watts is None:
            judged = judged._replace(outside=judged.outside + 1)
            continue
        judged.widths.append(said.error_watts / watts)
        held = abs(said.watts - watts) <= said.error_watts
        judged = judged._replace(asked=judged.asked + 1, held=judged.held + held)
    return judged


def live_loads(chance: random.Random, gpu: bool) -> Iterator[tuple[Load, float]]:
    """Encoders that come and go, for ever: a load and how long it stays."""
    while True:
        share = chance.random() if chance.random() < 0.85 else 0.01
        yield (
            Load(
                max(0.01, share), chance.random() if gpu and chance.random() < 0.6 else 0.0, chance.uniform(0.85, 1.15)
            ),
            chance.uniform(5.0, 120.0),
        )
