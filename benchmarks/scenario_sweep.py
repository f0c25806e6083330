"""Whether the scenario lab tells the truth: one sweep measured twice on a machine whose power follows its CPU use.

A real daemon runs 1, 2 and 4 streams, three bitrates, two presets and a ladder through FFmpeg and nginx-rtmp, each
several times, in two runs; the powercap tree under ``paths.sysfs`` draws power by this machine's real CPU time. The two
runs must not differ by more than their intervals say, heavier settings must draw more, and the advice must be the one
that the figures give when they are sorted by hand.

    python -m benchmarks.scenario_sweep [--repeat 3] [--seconds 10]

About twelve minutes. Whatever else loads the machine is in the figures: look at the idle windows of the two runs first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.table import Result, Row, print_table
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.powercap import simulated_rapl
from wattview.analysis.sweeps.comparison import repeats_of
from wattview.model import Advice, Estimate, Group, Run, RunComparison, RunResult, Scenario

TARGET_VMAF = 80.0
LADDER = [{"resolution": "1280x720"}, {"resolution": "854x480"}, {"resolution": "640x360"}]
SETTINGS: tuple[dict[str, object], ...] = (
    {"name": "1 stream", "preset": "ultrafast"},
    {"name": "2 streams", "preset": "ultrafast", "streams": 2},
    {"name": "4 streams", "preset": "ultrafast", "streams": 4},
    {"name": "1 Mbit/s", "preset": "ultrafast", "bitrate": "1M"},
    {"name": "5 Mbit/s", "preset": "ultrafast", "bitrate": "5M"},
    {"name": "veryfast", "preset": "veryfast"},
    {"name": "ladder", "preset": "ultrafast", "renditions": LADDER},
)
HEAVIER = (("2 streams", "1 stream"), ("4 streams", "2 streams"), ("ladder", "1 stream"))
"""What must draw more than what. Bitrates and presets differ by less than this machine's noise at times."""
MANY_BY_CHANCE = 2
"""Of seven settings, each called different by chance once in twenty, two or more are so once in twenty-three sweeps."""


def scenarios(seconds: float) -> list[Scenario]:
    common = {"bitrate": "2500k", "duration": seconds, "warmup": 2.0, "cooldown": 1.0}
    return [msgspec.convert({**common, **one}, Scenario) for one in SETTINGS]


def measured(daemon: DaemonProcess, seconds: float, repeat: int) -> str:
    """One run of the sweep, from its start to its analysed results; the id."""
    body = {"scenarios": scenarios(seconds), "baseline": seconds, "baseline_after": True, "repeat": repeat}
    answer = daemon.api.post("/api/v1/runs", content=msgspec.json.encode(body))
    assert answer.status_code == 201, answer.text
    run = msgspec.json.decode(answer.content, type=Run)
    while run.state == "running":
        if run.progress is not None:
            left = run.progress.remaining_seconds
            said = f"{run.progress.fraction:6.1%}  {run.progress.scenario or ''} {run.progress.phase}"
            print(f"\r{said:<60}" + ("" if left is None else f"{left / 60:5.1f} min left"), end="", file=sys.stderr)
        time.sleep(1.0)
        run = msgspec.json.decode(daemon.api.get(f"/api/v1/runs/{run.id}").content, type=Run)
    print(f"\r{'':<80}\r", end="", file=sys.stderr)
    assert run.state == "done", f"{run.state}: {run.error}"
    return run.id


def asked(daemon: DaemonProcess, path: str, **parameters: object) -> bytes:
    answer = daemon.api.get(path, params={name: str(value) for name, value in parameters.items()})
    assert answer.status_code == 200, answer.text
    return answer.content


def groups_of(run: RunResult) -> dict[str, Group]:
    """The settings of a run by the names that they have in ``SETTINGS``."""
    return {
        one.valid[0].record.setting or one.valid[0].record.name: one.group()
        for one in repeats_of(run.scenarios)
        if one.valid
    }


def settings_table(first: dict[str, Group], comparison: RunComparison) -> Iterator[str]:
    """What each setting drew in the first run, and what the second made of it."""
    pairs = {pair.first.label: pair for pair in comparison.pairs}
    yield (f"{'setting':<10} {'mean W':>7} {'95 %':>14} {'net a stream':>12} {'VMAF':>5} {'n':>2}  second run")
    for name, group in first.items():
        power = group.figures.get("power_mean_watts")
        pair = pairs.get(group.label)
        against = pair.differences.get("power_mean_watts") if pair else None
        interval = f"{power.low:.2f} to {power.high:.2f}" if power and power.low is not None else "one repeat"
        said = "not in both runs"
        if against is not None:
            said = f"{against.difference:+.2f} W, {against.verdict}"
        columns = (
            f"{name:<10}", text(power, 7, 2), f"{interval:>14}", text(group.figures.get("net_watts_per_stream"), 12, 2),
            text(group.figures.get("vmaf_score"), 5, 1), f"{group.repeats:>2}", f" {said}",
        )  # fmt: skip
        yield " ".join(columns)


def text(estimate: Estimate | None, width: int, places: int) -> str:
    return f"{estimate.mean:>{width}.{places}f}" if estimate else f"{'—':>{width}}"


def cheapest_by_hand(runs: list[RunResult]) -> str | None:
    """The setting with the least power above idle for each stream among those that reach the target: plain sorting."""
    ranked = []
    for repeats in repeats_of(scenario for run in runs for scenario in run.scenarios):
        watts, vmaf = repeats.values("net_watts_per_stream"), repeats.values("vmaf_score")
        if watts and vmaf and sum(vmaf) / len(vmaf) >= TARGET_VMAF:
            ranked.append((sum(watts) / len(watts), repeats.label))
    ranked = [one for one in ranked if one[0] > 0]  # less than idle is noise, and no advice
    return min(ranked, default=(0.0, None))[1]


def measure(repeat: int = 3, seconds: float = 10.0) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            simulated_rapl(directory / "sys") as sysfs,
            running_daemon(
                directory, f"paths.sysfs={sysfs}", "scenarios.quality_seconds=5", command=("up", "--headless")
            ) as daemon,
        ):
            ids = [measured(daemon, seconds, repeat) for _ in range(2)]
            runs = [msgspec.json.decode(asked(daemon, f"/api/v1/results/{one}"), type=RunResult) for one in ids]
            comparison = msgspec.json.decode(asked(daemon, "/api/v1/compare", a=ids[0], b=ids[1]), type=RunComparison)
            advice = msgspec.json.decode(
                asked(daemon, "/api/v1/advice", vmaf=TARGET_VMAF, runs=",".join(ids)), type=Advice
            )
    groups = groups_of(runs[0])
    powers = [pair.differences.get("power_mean_watts") for pair in comparison.pairs]
    yield Row(
        subject=f"sweep twice: of {len(powers)} settings differ from themselves",
        ours=sum(1 for power in powers if power is not None and power.differ is True),
        below=MANY_BY_CHANCE,
    )
    compared = [(heavy, light) for heavy, light in HEAVIER if heavy in groups and light in groups]
    lighter = [
        f"{heavy} drew no more than {light}"
        for heavy, light in compared
        if groups[heavy].figures["power_mean_watts"].mean <= groups[light].figures["power_mean_watts"].mean
    ]
    assert len(compared) == len(HEAVIER), f"the sweep lacks settings: {', '.join(groups)}"
    yield Row(subject=f"sweep: of {len(HEAVIER)} heavier settings drew no more", ours=len(lighter), below=1)
    by_hand = cheapest_by_hand(runs)
    yield Row(subject="sweep: advice that is not the cheapest by hand", ours=int(advice.best != by_hand), below=1)
    yield from settings_table(groups, comparison)
    yield from lighter
    idle = comparison.baseline_watts
    if idle is not None:
        yield f"idle windows, second run less the first: {idle.difference:+.2f} W: {idle.verdict}"
    yield f"advice: {advice.verdict}; by hand: {by_hand}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=10.0, help="of each measured window")
    options = arguments.parse_args()
    print_table(measure(options.repeat, options.seconds))


if __name__ == "__main__":
    main()
