"""How often the intervals of the wall's calibration hold the truth, and how far it is from it, on simulated machines.

    python -m benchmarks.calibration [MACHINES]

Each machine has a curve, a fan, losses and noise of its own (``tests.support.wall``). It is calibrated as ``wattview
calibrate`` does it, through one of the meters; then encoders come and go, and each five seconds of it are predicted
and held against the truth. Seeded: every run prints the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import fmean

from benchmarks.table import Result, Row
from tests.support.wall import METERS, Judged, SimulatedMeter, calibrated_and_judged

MACHINES = 48
PREDICTIONS = 230


def all_judged(machines: int = MACHINES, predictions: int = PREDICTIONS) -> dict[SimulatedMeter, list[Judged]]:
    """The machines by the meter that they were calibrated with."""
    found: dict[SimulatedMeter, list[Judged]] = {}
    for seed in range(machines):
        meter = METERS[seed % len(METERS)]
        found.setdefault(meter, []).append(calibrated_and_judged(seed, meter, predictions))
    return found


def coverage(judged: list[Judged]) -> float:
    """The share of predictions whose interval held the truth, of those that had one."""
    return sum(one.held for one in judged) / sum(one.asked for one in judged)


def mean_error(judged: list[Judged]) -> float:
    """The mean of the absolute relative errors, of all predictions."""
    return fmean(abs(error) for one in judged for error in one.errors)


def measure() -> Iterator[Result]:
    every = [one for judged in all_judged().values() for one in judged]
    yield Row(subject="wall: intervals that miss the truth", ours=100 * (1 - coverage(every)), unit="%", below=7.0)
    yield Row(subject="wall: mean error of the calibration", ours=100 * mean_error(every), unit="%", below=3.0)


def print_tables(machines: int) -> None:
    by_meter = all_judged(machines)
    print("| meter: late by, refreshes each, in steps of, answers lost | held the truth | mean error | ± |")
    print("|---|---|---|---|")
    for meter, judged in [*by_meter.items(), (None, [one for ones in by_meter.values() for one in ones])]:
        name = f"{meter.lag:g} s, {meter.refresh:g} s, {meter.quantum:g} W, {meter.lost:.0%}" if meter else "all"
        width = fmean(width for one in judged for width in one.widths)
        print(f"| {name} | {coverage(judged):.1%} | {mean_error(judged):.2%} | {width:.1%} |")
    every = [one for ones in by_meter.values() for one in ones]
    rates = sorted(one.held / one.asked for one in every)
    asked, outside = sum(one.asked for one in every), sum(one.outside for one in every)
    print(f"\n{asked} predictions on {len(every)} machines, {outside} more outside of the calibrated range.")
    print(f"Of single machines: the worst {rates[0]:.0%}, a tenth below {rates[len(rates) // 10]:.0%}.")


if __name__ == "__main__":
    print_tables(int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES)
