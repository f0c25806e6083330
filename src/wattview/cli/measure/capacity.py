"""``wattview capacity``: how many streams fit on a machine before real time is lost, with the power at each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click
from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.results import is_baseline
from wattview.cli import terminal as term
from wattview.cli.run import followed
from wattview.client import Client
from wattview.model import RunRequest, Scenario, ScenarioResult
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import QUANTITIES


class CapacityStep(Struct, frozen=True, kw_only=True):
    """So many streams, measured: whether all kept real time, and the machine's figures; None if unknown."""

    streams: int
    realtime: bool
    mean_watts: float | None = None
    error_watts: float | None = None
    above_baseline_watts: float | None = None
    cpu_percent: float | None = None
    estimated: bool = False
    run: str = ""
    notes: list[str] = []


async def limit_of(holds: Callable[[int], Awaitable[bool]], most: int) -> int:
    """The largest number up to ``most`` that holds, 0 if not even one does: doubled until it does not, then bisected.

    Each number is asked for once. What does not hold is taken to hold with no larger number either.
    """
    good, bad = 0, most + 1
    number = 1
    while number < bad:
        if await holds(number):
            good = number
            number = min(2 * number, most) if number < most else bad
        else:
            bad = number
    while bad - good > 1:
        middle = (good + bad) // 2
        if await holds(middle):
            good = middle
        else:
            bad = middle
    return good


async def capacity(client: Client, scenario: Scenario, baseline: float, most: int, as_json: bool) -> bool:
    """Measures step after step, prints each as it ends and the limit last. True if at least one stream fits."""
    steps: list[CapacityStep] = []
    idle: float | None = None

    async def holds(streams: int) -> bool:
        nonlocal idle
        step, found = await _measured(client, scenario, streams, 0.0 if steps else baseline)
        idle = found if found is not None else idle
        if step.mean_watts is not None and idle is not None:
            step = replace(step, above_baseline_watts=step.mean_watts - idle)
        steps.append(step)
        if not as_json:
            term.say(_line(step))
        return step.realtime

    if not as_json:
        term.say(f"{scenario.resolution} at {scenario.fps} fps and {scenario.bitrate}, {scenario.encoder} "
                 f"{scenario.preset}, {term.duration(scenario.duration)} a step")  # fmt: skip
    limit = await limit_of(holds, most)
    if as_json:
        term.say(term.json_text({"streams": limit, "most": most, "steps": steps}))
    else:
        term.say(term.strong(verdict(limit, most, steps)))
    return limit > 0


def verdict(limit: int, most: int, steps: list[CapacityStep]) -> str:
    if limit == 0:
        return "not even one stream is in real time on this machine"
    [held] = [step for step in steps if step.streams == limit]
    unit = QUANTITIES["power_mean_watts"].unit
    estimate = "ESTIMATE, " if held.estimated else ""
    each = "" if held.above_baseline_watts is None else (
        f", {term.figure(held.above_baseline_watts / limit, 2, unit)} a stream above baseline"
    )  # fmt: skip
    more = f"{limit + 1} fall behind" if limit < most else f"more than {most} were not tried"
    streams = "1 stream fits" if limit == 1 else f"{limit} streams fit"
    return f"{streams}, {more}: {estimate}{term.figure(held.mean_watts, 1, unit, held.error_watts)}{each}"


def _line(step: CapacityStep) -> str:
    more = step.above_baseline_watts
    above = "" if more is None else f", {term.figure(more, 1, 'W')} above baseline"
    cpu = "" if step.cpu_percent is None else f", CPU {step.cpu_percent:.0f} %"
    watts = f"{'~' if step.estimated else ''}{term.figure(step.mean_watts, 1, 'W', step.error_watts)}"
    how = term.good("real time") if step.realtime else term.bad("NOT REAL TIME")
    return f"{step.streams:3} streams  {how}  {watts}{above}{cpu}"


async def _measured(
    client: Client, scenario: Scenario, streams: int, baseline: float
) -> tuple[CapacityStep, float | None]:
    """One step, and the power of its baseline, if it has one."""
    named = replace(scenario, name=f"{scenario.name} {streams}x", streams=streams)
    run = await followed(client, await client.start_run(RunRequest(scenarios=[named], baseline=baseline)))
    if run.results_id is None:
        raise click.ClickException(f"run {run.id} {run.state}: {run.error or 'it has no results'}")
    result = await client.result(run.results_id)
    idle = next((one.power_mean_watts for one in result.scenarios if is_baseline(one.record)), None)
    last = result.scenarios[-1]
    return _step(last, streams, run.id), idle


def _step(one: ScenarioResult, streams: int, run_id: str) -> CapacityStep:
    return CapacityStep(
        streams=streams, realtime=one.record.status == "done" and one.record.realtime is True, run=run_id,
        mean_watts=one.power_mean_watts, error_watts=one.power_error_watts, cpu_percent=one.cpu_mean_percent,
        estimated=is_estimate(one.power_source), notes=one.record.notes or [],
    )  # fmt: skip
