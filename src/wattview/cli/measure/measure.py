"""``wattview measure``: runs a command unchanged, in a window that the daemon measures."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import click
from msgspec import Struct
from msgspec.structs import replace

from wattview.cli import terminal as term
from wattview.cli.measure import child, command_line
from wattview.cli.measure.child import CommandTimes
from wattview.cli.measure.gpu_time import followed
from wattview.cli.progress import progress_bars
from wattview.cli.results.show import print_result
from wattview.client import CallRefused, Client, ClientError
from wattview.config import Config
from wattview.daemon.lab.client_window import WAITING
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.foreign_text import one_line
from wattview.model import (
    REALTIME_SPEED,
    CommandRecord,
    CommandReport,
    EncoderStatus,
    RenditionRecord,
    Run,
    RunRequest,
    RunResult,
    ScenarioResult,
)
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import PER_EXECUTION, QUANTITIES, counted
from wattview.model.scenarios import window
from wattview.model.source import total

SHORT_SECONDS = 2.0
"""A shorter command is repeated in the same window until the total reaches this: the energy of a window hardly longer
than a counter's update interval is too uncertain."""

INTERRUPTED = 128 + signal.SIGINT
"""The exit status after Ctrl-C between two executions; one that it interrupts has its own."""

NO_QUALITY = "quality was not measured: "

MOST_NAME = 90

ALIVE_SECONDS = 5.0
POLL_SECONDS = 0.1


class OwnCommand(Struct, frozen=True):
    """A command and the name of its result."""

    name: str
    words: tuple[str, ...]


class MeasureRequest(Struct, frozen=True, kw_only=True):
    """The request: the commands, which are measured in turn; repeats, seconds of the baseline, warm-up runs, and the
    files to compare; ``quality`` finds these in FFmpeg's command."""

    commands: tuple[OwnCommand, ...]
    repeat: int = 1
    warmup: int = 0
    baseline: float = 20.0
    once: bool = False
    quality: bool = False
    reference: Path | None = None
    output: Path | None = None

    def files(self, command: Sequence[str]) -> tuple[Path, Path] | None:
        """Source and output to compare. Known only after the command has run."""
        if self.reference is not None and self.output is not None:
            return self.reference, self.output
        return command_line.files(command) if self.quality else None

    @property
    def compares(self) -> bool:
        """Whether the quality of an output is asked for."""
        return self.quality or self.reference is not None

    def of(self, scenario: str) -> OwnCommand:
        """The command of a run's scenario, which is named after it and the number of the repeat."""
        name = scenario.rpartition(" #")[0] if self.repeat > 1 else scenario
        return next(one for one in self.commands if one.name == name)


def commands_of(words: tuple[str, ...], against: Sequence[str], names: Sequence[str]) -> tuple[OwnCommand, ...]:
    """The command, and those to measure in turn with it, by the given names or those of the programs. Raises
    click.UsageError."""
    found = [words]
    for text in against:
        try:
            found.append(tuple(shlex.split(text)))
        except ValueError as error:
            raise click.UsageError(f"--against {text!r}: {error}") from None
        if not found[-1]:
            raise click.UsageError("--against: the command is empty")
    if len(names) > len(found):
        raise click.UsageError(
            f"--name is given {len(names)} times, and there are {len(found)} commands (--against adds one)"
        )
    programs = [Path(one[0]).name for one in found]
    numbered = programs if len(set(programs)) == len(programs) else [f"{one} {n}" for n, one in enumerate(programs, 1)]
    named = [one[:MOST_NAME] for one in (*names, *numbered[len(names):])]  # fmt: skip
    if len(set(named)) < len(named):
        raise click.UsageError("two commands have the same name; give each its own --name")
    return tuple(OwnCommand(*each) for each in zip(named, found, strict=True))


def check(asked: MeasureRequest) -> None:
    """Raises click.UsageError for what cannot be measured."""
    if (asked.reference is None) != (asked.output is None):
        raise click.UsageError("--reference and --output go together")
    if asked.reference is not None and len(asked.commands) > 1:
        raise click.UsageError("--reference and --output are those of one command; with --against use --quality")
    for command in asked.commands:
        if asked.quality and command_line.ffmpeg_at(command.words) is None:
            raise click.UsageError("--quality reads FFmpeg's command; for another give --reference FILE --output FILE")
        if asked.repeat + asked.warmup > 1 and command_line.asks_before_overwriting(command.words):
            raise click.UsageError("FFmpeg asks before it overwrites its output: add -y to its command")


async def measure(client: Client, config: Config, asked: MeasureRequest, json_file: Path | None) -> int:
    """Measures it; prints the result on standard error. Ctrl-C ends it early; what was measured is kept. Returns the
    command's exit status."""
    for command in asked.commands:
        if problem := child.why_not_runnable(command.words):
            term.say(term.bad(problem[1]), err=True)
            return problem[0]
    capabilities = Capabilities()
    if asked.compares:
        from wattview.daemon.lab.judging.two_files import why_not_compared

        if reason := await why_not_compared(config.scenarios, capabilities):
            raise click.UsageError(reason)
    for command in asked.commands * asked.warmup:
        if status := (await child.execute(command.words)).status:
            term.say(term.bad(f"the warm-up ended with exit status {status}; nothing was measured"), err=True)
            return status
    scenarios = [window(command.name, "command") for command in asked.commands]
    request = RunRequest(scenarios=scenarios, baseline=asked.baseline, repeat=asked.repeat, alternate=True)
    run = await client.start_run(request)
    try:
        status = await _windows(client, config, asked, run, capabilities)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        await _stop(client, run)
        status = INTERRUPTED
    except BaseException:
        with contextlib.suppress(ClientError):
            await client.stop_run(run.id)
        raise
    run = await client.run(run.id)
    if run.results_id is None:
        term.say(term.bad(f"run {run.id} {run.state}: {run.error or 'it has no results'}"), err=True)
        return status or 1
    result = await client.result(run.results_id)
    if json_file is not None:
        await asyncio.to_thread(json_file.write_text, term.json_text(result) + "\n")
    with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the command
        print_result(result)
        for line in summary(result):
            term.say(term.strong(term.wrap(line, "")))
        if len(run.finished) < len(run.scenarios):
            done = sum(not one.fault for one in run.finished)
            term.say(term.bad(f"ended early: {done} of {counted(len(run.scenarios), 'window')} measured and kept"))
    return status


async def _stop(client: Client, run: Run) -> None:
    """Ends the run early, unless it has just ended by itself."""
    with contextlib.suppress(CallRefused):
        await client.stop_run(run.id)


async def _windows(client: Client, config: Config, asked: MeasureRequest, run: Run, capabilities: Capabilities) -> int:
    """One window per repeat. Returns the exit status of the last execution; a failure ends the run."""
    first = sum(scenario.type != "command" for scenario in run.scenarios)
    gpus = client if await _has_gpus(client) else None
    for index in range(first, len(run.scenarios)):
        run = await _until(client, run, lambda now, index=index: _waits(now, index))  # type: ignore[misc]
        if run.state != "running":
            return 1
        command = asked.of(run.scenarios[index].name)
        async with _held(client, run.id):
            done = await _executions(command.words, gpus, once=asked.once)
            await client.close_window(run.id)
            report = await _report(command, done, capabilities)
            try:
                report = await _judged(config, asked, command, report, capabilities)
            except asyncio.CancelledError:
                report = replace(report, notes=[*report.notes, f"{NO_QUALITY}it was interrupted"])
                raise
            finally:
                await client.report_command(run.id, report)
                run = await _until(client, run, lambda now, count=index: len(now.finished) > count)  # type: ignore[misc]
        if done[-1].status and index + 1 < len(run.scenarios):
            await _stop(client, run)
            break
    await _until(client, run, lambda _: False)
    return done[-1].status


def _waits(run: Run, index: int) -> bool:
    """Whether a run has reached its scenario's window."""
    progress = run.progress
    return progress is not None and progress.scenario_index == index and progress.message == WAITING


async def _until(client: Client, run: Run, there: Callable[[Run], bool]) -> Run:
    """Follows the run until then, or to its end; shows the time left of a baseline."""
    shown = False
    while run.state == "running" and not there(run):
        progress = run.progress
        if progress is not None and progress.phase in ("warmup", "measuring") and sys.stderr.isatty():
            seconds = next((one.duration for one in run.scenarios if one.name == progress.scenario), 0.0)
            left = max(seconds - progress.elapsed_seconds, 0.0)
            print(f"\r{one_line(progress.scenario or '')}: {term.duration(left)} left \x1b[K", end="", file=sys.stderr)
            shown = True
        await asyncio.sleep(POLL_SECONDS)
        run = await client.run(run.id)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    return run


@contextlib.asynccontextmanager
async def _held(client: Client, run_id: str) -> AsyncIterator[None]:
    """Opens the window, and keeps it alive until the end of the block."""
    await client.open_window(run_id)

    async def alive() -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            with contextlib.suppress(ClientError):
                await client.open_window(run_id)

    task = asyncio.create_task(alive())
    try:
        yield
    finally:
        task.cancel()


async def _has_gpus(client: Client) -> bool:
    """Whether the machine has GPUs, or may have some that cannot be read."""
    try:
        return bool(await client.gpus())
    except CallRefused:
        return True


async def _executions(command: Sequence[str], gpus: Client | None, *, once: bool) -> list[CommandTimes]:
    """Runs the command once, or as often as needed to fill the shortest window. ``gpus``: who reads its GPU time."""
    again = not once and not command_line.asks_before_overwriting(command)
    done = [await _execution(command, gpus)]
    while again and done[-1].status == 0 and sum(one.seconds for one in done) < SHORT_SECONDS:
        done.append(await _execution(command, gpus))
    return done


async def _execution(command: Sequence[str], gpus: Client | None) -> CommandTimes:
    if gpus is None:
        return await child.execute(command)
    times, seconds, reason = await followed(gpus, lambda started: child.execute(command, started))
    return replace(times, gpu_seconds=seconds, gpu_reason=reason)


async def _report(command: OwnCommand, done: Sequence[CommandTimes], capabilities: Capabilities) -> CommandReport:
    """What is known as soon as the command has ended."""
    record = CommandRecord(
        text=command_line.shown(command.words),
        executions=len(done),
        seconds=sum(one.seconds for one in done),
        cpu_seconds=sum(one.cpu_seconds for one in done),
        exit_status=done[-1].status,
        gpu_seconds=total(one.gpu_seconds for one in done),
    )
    notes = [f"the command ended with exit status {record.exit_status}"] if record.exit_status else []
    if len(done) > 1:
        notes.append(f"it takes {record.seconds / len(done):.2f} s, and was run {len(done)} times in the window")
    if reason := next((one.gpu_reason for one in done if one.gpu_reason), ""):
        notes.append(f"its GPU time is not known: {reason}")
    encoder, realtime = encoder_of(command, done)
    tool = await _encoder_tool(command.words, capabilities)
    return CommandReport(command=record, encoder=encoder, realtime=realtime, notes=notes, encoder_tool=tool)


async def _encoder_tool(command: Sequence[str], capabilities: Capabilities) -> str | None:
    """The path and the version of the FFmpeg that ran; None for another program."""
    at = command_line.ffmpeg_at(command)
    if at is None:
        return None
    from wattview.daemon.children import find_program

    return f"{find_program(command[at])} {await capabilities.version(command[at])}".strip()


def encoder_of(command: OwnCommand, done: Sequence[CommandTimes]) -> tuple[EncoderStatus | None, bool | None]:
    """FFmpeg's reports over all executions, and whether it kept real time, None if it need not."""
    reports = [one.progress for one in done if one.progress is not None]
    if len(reports) < len(done):
        return None, None
    played = sum(one.out_seconds or 0.0 for one in reports)
    seconds = sum(one.seconds for one in done)
    status = EncoderStatus(
        stream=command.name,
        frames=sum(one.frames or 0 for one in reports),
        speed=round(played / seconds, 4) if played and seconds else None,
        dropped_frames=sum(one.dropped_frames or 0 for one in reports),
        duplicated_frames=sum(one.duplicated_frames or 0 for one in reports),
        bitrate_bps=reports[-1].bitrate_bps,
    )
    if not command_line.is_live(command.words) or status.speed is None:
        return status, None
    return status, status.speed >= REALTIME_SPEED and not status.dropped_frames


async def _judged(
    config: Config, asked: MeasureRequest, command: OwnCommand, report: CommandReport, capabilities: Capabilities
) -> CommandReport:
    """The report with the scores of the output if they are asked for, or the reason why there are none."""
    if report.command.exit_status or not asked.compares:
        return report
    from wattview.daemon.lab.judging.scores import QualityFailed
    from wattview.daemon.lab.judging.two_files import compared
    from wattview.daemon.lab.os_errors import os_error_text

    files = asked.files(command.words)
    if files is None:
        note = f"{NO_QUALITY}input and output of the command are not one file each; give --reference FILE --output FILE"
        return replace(report, notes=[*report.notes, note])
    try:
        with progress_bars(estimated=True) as add:
            show = add("comparing")
            scores, record, content = await compared(
                config.scenarios, *files, lambda part: show(part, "comparing"), capabilities
            )
    except (QualityFailed, OSError) as failure:
        why = os_error_text(failure) if isinstance(failure, OSError) else str(failure)
        return replace(report, notes=[*report.notes, NO_QUALITY + why])
    quality: RenditionRecord = record
    return replace(
        report, quality=quality, content=content, vmaf_model=scores.vmaf_model, quality_tool=scores.tool or None
    )


def summary(run: RunResult) -> list[str]:
    """A line for each command: means of one execution over all of its windows that count, or over all if none does."""
    by_name: dict[str, list[ScenarioResult]] = {}
    for one in run.scenarios:
        if one.record.command is not None:
            by_name.setdefault(one.record.setting_name, []).append(one)
    return [_summary(name, [one for one in every if not one.record.fault] or every) for name, every in by_name.items()]


def _summary(name: str, measured: Sequence[ScenarioResult]) -> str:
    said = []
    for figure in PER_EXECUTION:
        quantity = QUANTITIES[figure]
        values = [value for one in measured if (value := quantity.of(one)) is not None]
        if values and len(values) == len(measured):
            value = sum(values) / len(values)
            said.append(f"{quantity.words} {term.quantity(quantity, value, None, measured[0].currency)}")
    estimate = "ESTIMATE, " if any(is_estimate(one.power_source) for one in measured) else ""
    failed = " (failed)" if measured[0].record.fault == "failed" else ""
    return f"{name}{failed}: {estimate}{'; '.join(said)}"
