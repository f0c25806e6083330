"""One calibration, from the first idle second to the model: load steps, and the daemon's data on each."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import NamedTuple

import click

from wattview.analysis.wall.calibration import MeterFacts, calibrate, least_step_seconds
from wattview.analysis.wall.load_windows import EDGE_SECONDS, SETTLE_SECONDS, WINDOW_SECONDS, Step
from wattview.analysis.windows.energy import NoData
from wattview.cli import terminal as term
from wattview.cli.calibrate.load_steps import Encoders, LoadStep, steps_of, usable_encoders
from wattview.cli.progress import progress_bars
from wattview.client import Client
from wattview.daemon.children import ProgramMissing
from wattview.foreign_text import one_line
from wattview.model.power.calibration import WallCalibration, WallInputs, WallSamples

STEP_SECONDS = 30.0

POLL_SECONDS = 1.0
OVERLAP_SECONDS = 30.0
"""Overlap of successive requests: a meter's reading arrives later than it was taken."""

AFTER_SECONDS = 8.0
"""How long the meter is followed after the last step, in addition to two refresh intervals."""

IDLE_PERCENT = 10.0
"""A machine with more CPU use than this without our encoders is not idle."""


class Plan(NamedTuple):
    """The steps, their length, how long the meter is followed afterwards, and the encoders."""

    steps: list[LoadStep]
    step_seconds: float
    after_seconds: float
    cpu_encoder: str
    gpu_encoder: str

    @property
    def seconds(self) -> float:
        return len(self.steps) * self.step_seconds + self.after_seconds


ProgressLine = Callable[[str, float, float], None]
"""Tells the user what goes on, which part of the whole is done, and how many seconds are left."""


async def plan_of(client: Client, ffmpeg: str, count: int, step_seconds: float | None, meter: str) -> Plan:
    """Raises ClickException if nothing can be calibrated here."""
    snapshot = await client.snapshot()
    await _check_no_run(client)
    samples = await client.wall_samples(time.time(), meter)
    if samples.reason:
        raise click.ClickException(samples.reason)
    try:
        cpu_encoder, gpu_encoder = await usable_encoders(ffmpeg, bool(snapshot.gpus))
    except ProgramMissing as error:
        raise click.ClickException(str(error)) from None
    if not cpu_encoder:
        raise click.ClickException(f"{ffmpeg} has no encoder that works here; see wattview doctor")
    refresh = samples.refresh_seconds or 1.0
    least = SETTLE_SECONDS + EDGE_SECONDS + refresh + max(WINDOW_SECONDS, refresh)
    if step_seconds is not None and step_seconds < least:
        raise click.UsageError(
            f"--step-seconds: the meter has a new figure each {refresh:.1f} s: give at least {least:.0f}"
        )
    steps = steps_of(count, samples.machine.cpus or 1, bool(gpu_encoder))
    seconds = step_seconds or max(STEP_SECONDS, round(least_step_seconds(refresh)))
    return Plan(steps, seconds, AFTER_SECONDS + 2.0 * refresh, cpu_encoder, gpu_encoder)


async def calibrated(client: Client, plan: Plan, ffmpeg: str, meter: str, *, force: bool) -> WallCalibration:
    """Runs the plan. Never leaves encoders running. Raises ClickException."""
    seen = _Seen(client, meter)
    encoders = Encoders(ffmpeg, plan.cpu_encoder, plan.gpu_encoder)
    spans: list[Step] = []
    with _progress() as say:
        try:
            for number, step in enumerate(plan.steps):
                name = f"step {number + 1} of {len(plan.steps)}: {step.words}"
                await _check_no_run(client)
                start = time.time()
                encoders.start(step)
                await _wait(seen, say, name, plan, number * plan.step_seconds, plan.step_seconds, encoders)
                spans.append(Step(start, time.time()))
                encoders.stop()
                if number == 0:
                    _check_idle(seen, spans[0], force)
        except ProgramMissing as error:
            raise click.ClickException(str(error)) from None
        finally:
            encoders.stop()
        done = len(plan.steps) * plan.step_seconds
        await _wait(seen, say, "the last readings of the meter", plan, done, plan.after_seconds)
    return seen.fitted(spans, [number for number, step in enumerate(plan.steps) if step == LoadStep()])


async def _wait(
    seen: _Seen, say: ProgressLine, name: str, plan: Plan, done: float, seconds: float,
    encoders: Encoders | None = None,
) -> None:  # fmt: skip
    start = time.monotonic()
    while (left := start + seconds - time.monotonic()) > 0:
        await asyncio.sleep(min(POLL_SECONDS, left))
        await seen.take()
        if encoders is not None and (problem := encoders.problem()):
            raise click.ClickException(problem)
        done_now = done + time.monotonic() - start
        say(f"{name}, {seen.words}", done_now / plan.seconds, max(0.0, plan.seconds - done_now))


async def _check_no_run(client: Client) -> None:
    run = (await client.snapshot()).run
    if run is not None and run.state == "running":
        raise click.ClickException(f"the run {run.id} is active: wait for its end, or stop it")


def _check_idle(seen: _Seen, step: Step, force: bool) -> None:
    percent = seen.cpu_percent([step])
    if percent is not None and percent > IDLE_PERCENT and not force:
        raise click.ClickException(
            f"the machine is not idle: {percent:.0f} % of its CPU time is in use, so idle power cannot be measured;"
            " stop other programs, or use --force"
        )


class _Seen:
    """The data received from the daemon so far."""

    def __init__(self, client: Client, meter: str) -> None:
        self._client = client
        self._meter = meter
        self._inputs: dict[float, WallInputs] = {}
        self._points: dict[float, float] = {}
        self._last: WallSamples | None = None
        self._began = time.time()

    async def take(self) -> None:
        after = max(self._began, time.time() - OVERLAP_SECONDS)
        self._last = await self._client.wall_samples(after, self._meter)
        self._inputs |= {one.time: one for one in self._last.inputs}
        self._points |= dict(self._last.meter)

    @property
    def words(self) -> str:
        """The current power by both sides."""
        inputs = self._inputs[max(self._inputs)] if self._inputs else None
        watts = self._points[max(self._points)] if self._points else None
        own = None if inputs is None else inputs.host_watts + inputs.gpu_watts
        return f"wall {term.figure(watts, 1, 'W')}, machine {term.figure(own, 1, 'W')}"

    def cpu_percent(self, steps: Sequence[Step]) -> float | None:
        """Mean CPU use of these steps, without their first seconds."""
        inside = [
            one.cpu_percent
            for one in self._inputs.values()
            for step in steps
            if step.start + SETTLE_SECONDS < one.time - one.seconds and one.time <= step.end
        ]
        return fmean(inside) if inside else None

    def fitted(self, spans: Sequence[Step], idle: Sequence[int]) -> WallCalibration:
        last = self._last
        if last is None:
            raise click.ClickException("the daemon reported no power of this machine")
        percent = self.cpu_percent([spans[number] for number in idle])
        remarks = []
        if percent is not None and percent > IDLE_PERCENT:
            remarks.append(f"the machine was not idle: other programs used {percent:.0f} % of its CPU time")
        facts = MeterFacts(self._meter or "wall", last.refresh_seconds or 1.0, last.resolution_watts or 0.0)
        inputs = [self._inputs[at] for at in sorted(self._inputs)]
        meter, source = sorted(self._points.items()), last.power_source
        try:
            return calibrate(inputs, meter, spans, facts, last.machine, source, time.time(), remarks)
        except NoData as lack:
            raise click.ClickException(f"no calibration: {lack.reason}") from None


@contextlib.contextmanager
def _progress() -> Iterator[ProgressLine]:
    """A bar on a terminal; elsewhere a line for each step."""
    with progress_bars() as add:
        show = add("")
        steps: set[str] = set()

        def say(words: str, done: float, left: float) -> None:
            step = words.partition(",")[0]
            if sys.stderr.isatty():
                show(done, words, term.time_left(left))
            elif step not in steps:
                steps.add(step)
                term.say(f"{one_line(words)}, {term.time_left(left)}", err=True)

        yield say
