"""How often a comparison of equal settings says that they differ, and how often an interval holds the truth.

    python -m benchmarks.false_alarms [REPETITIONS]

prints the table of docs/methodology.md. Everything goes through the product's own functions: scenarios with their
baselines are compared as two settings of a run, as two runs, and as the settings of an advice. The noise of a figure is
normal, or exponential, which is as skewed as other programs on a machine make it. Seeded: every run prints the same.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator

from benchmarks.table import Result, Row
from wattview.analysis.results import compared_with_baseline
from wattview.analysis.sweeps.advice import AdviceTarget, advise
from wattview.analysis.sweeps.comparison import compare_runs
from wattview.analysis.sweeps.confidence import difference, estimate
from wattview.analysis.sweeps.side_by_side import side_by_side
from wattview.model import Efficiency, RunResult, ScenarioRecord, ScenarioResult

Noise = Callable[[random.Random], float]
"""Of a mean of 0 and a standard deviation of 1."""

NOISES: dict[str, Noise] = {
    "normal": lambda chance: chance.gauss(0.0, 1.0),
    "exponential": lambda chance: chance.expovariate(1.0) - 1.0,
}
REPEATS = (2, 3, 5, 10)
REPETITIONS = 1000
SETTINGS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower")
SECONDS = 60.0


def baseline(chance: random.Random, noise: Noise, start: float) -> ScenarioResult:
    record = ScenarioRecord(name="baseline", type="baseline", start_time=start, end_time=start + SECONDS)
    return ScenarioResult(record=record, power_mean_watts=20.0 + noise(chance), power_source="rapl")


def scenario(chance: random.Random, noise: Noise, preset: str, start: float) -> ScenarioResult:
    """One of settings that are all equal: 50 W and VMAF 90, with noise of 1 W, 1 VMAF and 1 dB of PSNR."""
    watts, cpu = 50.0 + noise(chance), 120.0 + noise(chance)
    record = ScenarioRecord(
        name=preset, type="streams", streams=2, resolution="1280x720", fps=30.0, bitrate="2500k", encoder="libx264",
        preset=preset, realtime=True, start_time=start, end_time=start + SECONDS, duration=SECONDS,
        vmaf_score=90.0 + noise(chance), psnr_score=40.0 + noise(chance),
    )  # fmt: skip
    return ScenarioResult(
        record=record, power_mean_watts=watts, power_source="rapl", energy_joules=watts * SECONDS,
        duration_seconds=SECONDS, window_seconds=SECONDS, cpu_seconds=cpu, cpu_mean_percent=cpu / 2.4,
        efficiency=Efficiency(watts_per_stream=watts / 2, joules_per_frame=watts / 60),
        cost_energy=watts * SECONDS / 3.6e6, cost_compute=cpu / 3600, cost_total=watts * SECONDS / 3.6e6 + cpu / 3600,
    )  # fmt: skip


def measured(chance: random.Random, noise: Noise, presets: tuple[str, ...], repeats: int, after: bool) -> RunResult:
    """A run: a baseline, each setting in turn, all of them so many times, and a baseline ``after`` them."""
    scenarios = [baseline(chance, noise, 0.0)]
    for _ in range(repeats):
        scenarios += [scenario(chance, noise, preset, 100.0 * (len(scenarios) + 1)) for preset in presets]
    if after:
        scenarios.append(baseline(chance, noise, 1e6))
    return RunResult(id="r", path="", test_date="", scenarios=compared_with_baseline(scenarios))


def two_settings(chance: random.Random, noise: Noise, repeats: int) -> bool:
    """Two settings of one run: any figure differs."""
    run = measured(chance, noise, SETTINGS[:2], repeats, after=False)
    columns = [[one for one in run.scenarios if one.record.preset == preset] for preset in SETTINGS[:2]]
    return any(gap.differ for gaps in side_by_side(columns).differences for gap in gaps.values())


def two_runs(chance: random.Random, noise: Noise, repeats: int, after: bool = False) -> bool:
    """One setting in two runs: any figure, or the idle machine, differs."""
    first, second = (measured(chance, noise, SETTINGS[:1], repeats, after) for _ in range(2))
    found = compare_runs(first, second)
    gaps = [gap for pair in found.pairs for gap in pair.differences.values()]
    return any(gap.differ for gap in (*gaps, *([found.baseline_watts] if found.baseline_watts else [])))


def two_runs_with_two_baselines(chance: random.Random, noise: Noise, repeats: int) -> bool:
    return two_runs(chance, noise, repeats, after=True)


def best_of(count: int, objective: str) -> Callable[[random.Random, Noise, int], bool]:
    """The best of so many equal settings: it differs from any other."""

    def advised(chance: random.Random, noise: Noise, repeats: int) -> bool:
        run = measured(chance, noise, SETTINGS[:count], repeats, after=False)
        choices = advise(run.scenarios, AdviceTarget(), objective).choices
        return any(one.difference.differ for one in choices if one.difference is not None)

    return advised


DESIGNS: dict[str, Callable[[random.Random, Noise, int], bool]] = {
    "two settings of a run": two_settings,
    "two runs, a baseline each": two_runs,
    "two runs, two baselines each": two_runs_with_two_baselines,
    "advice, best of 3": best_of(3, "power_mean_watts"),
    "advice, best of 8": best_of(8, "power_mean_watts"),
}


def mean_holds(chance: random.Random, noise: Noise, repeats: int) -> bool:
    found = estimate([noise(chance) for _ in range(repeats)])
    return found.low is not None and found.high is not None and found.low <= 0.0 <= found.high


def difference_holds(chance: random.Random, noise: Noise, repeats: int) -> bool:
    found = difference(*([noise(chance) for _ in range(repeats)] for _ in range(2)))
    return found.low is not None and found.high is not None and found.low <= 0.0 <= found.high


def difference_of_unequal_holds(chance: random.Random, noise: Noise, repeats: int) -> bool:
    """Against two repeats."""
    found = difference([noise(chance) for _ in range(repeats)], [noise(chance) for _ in range(2)])
    return found.low is not None and found.high is not None and found.low <= 0.0 <= found.high


INTERVALS: dict[str, Callable[[random.Random, Noise, int], bool]] = {
    "mean": mean_holds,
    "difference of two means": difference_holds,
    "difference from a mean of 2": difference_of_unequal_holds,
}


def share(
    event: Callable[[random.Random, Noise, int], bool], noise: str, repeats: int, repetitions: int = REPETITIONS
) -> float:
    """In how many cases it happens, 0 to 1."""
    chance = random.Random(f"{noise} {repeats}")
    return sum(event(chance, NOISES[noise], repeats) for _ in range(repetitions)) / repetitions


def measure() -> Iterator[Result]:
    for name, design in DESIGNS.items():
        worst = max(share(design, noise, 5, 400) for noise in NOISES)
        yield Row(subject=f"false alarms, {name}", ours=100 * worst, unit="%", below=7.0)
    yield "400 comparisons each, 5 repeats, normal or exponential noise, whichever is worse"


def print_tables(repetitions: int) -> None:
    counts = " | ".join(f"n = {count}" for count in REPEATS)
    for title, events, factor in (("False alarms, %", DESIGNS, 1), ("Coverage of 95 % intervals, %", INTERVALS, 10)):
        print(f"| {title} | noise | {counts} |\n|---|---|{'---|' * len(REPEATS)}")
        for name, event in events.items():
            for noise in NOISES:
                cells = (f"{100 * share(event, noise, count, factor * repetitions):.1f}" for count in REPEATS)
                print(f"| {name} | {noise} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    print_tables(int(sys.argv[1]) if len(sys.argv) > 1 else REPETITIONS)
