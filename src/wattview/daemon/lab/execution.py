"""One run from start to end: an asyncio task that takes the scenarios through their phases.

The encoders, the viewers and the comparison are child processes. Nothing else happens inside a measured window: no
program is probed, no quality is computed, no results are written.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from wattview.config import Config
from wattview.daemon import children, machine, results_files
from wattview.daemon.events import tell
from wattview.daemon.lab.client_window import WAITING, ClientGone, ClientWindow, WrongTurn
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.destination_choice import can_stamp, destination_of
from wattview.daemon.lab.encoding.encoder_group import EncoderGroup, RunningEncoder
from wattview.daemon.lab.encoding.ffmpeg_process import FfmpegDied
from wattview.daemon.lab.encoding.film import Film, FilmError
from wattview.daemon.lab.encoding.picture_choice import rate_remarks, with_bit_depth
from wattview.daemon.lab.encoding.viewers import with_delay
from wattview.daemon.lab.judging.judge import Judge
from wattview.daemon.lab.judging.vmaf_models import model_of
from wattview.daemon.lab.measured_window import Hold, Surroundings, parts_in, recorded_window, undisturbed
from wattview.daemon.lab.os_errors import os_error_text
from wattview.daemon.lab.run_journal import Journal
from wattview.daemon.lab.run_progress import JudgingSpeed, ProgressClock
from wattview.daemon.lab.scenario_check import (
    MediaError,
    Planned,
    check_on_this_machine,
    media_file,
    pushes_to,
)
from wattview.daemon.lab.scenario_record import MeasuredWindow, record_of, results_of, with_report
from wattview.daemon.lab.steadiness import Steadiness
from wattview.daemon.lab.window_trail import TRAIL_SECONDS, WindowTrail
from wattview.model import EventLevel, Playback, Run, RunState, ScenarioRecord
from wattview.model.run_request import WrongField
from wattview.probes.power.energy_source import moment

log = logging.getLogger("wattview.run")

STOP_PATIENCE_SECONDS = 5.0
ABORT_PATIENCE_SECONDS = 1.0
NO_QUALITY_YET = "quality was not measured: the run ended before"


class Execution:
    """A run in progress. ``ended`` is called with its final state."""

    def __init__(
        self,
        run_id: str,
        plan: list[Planned],
        pause_seconds: float,
        *,
        judging_speed: JudgingSpeed | None,
        config: Config,
        around: Surroundings,
        journal: Journal,
        capabilities: Capabilities,
        ended: Callable[[Run], None],
    ) -> None:
        self.id = run_id
        self._plan = plan
        self._pause_seconds = pause_seconds
        self._config = config
        self._around = around
        self._journal = journal
        self._capabilities = capabilities
        self._ended = ended
        self._folder = journal.folder(run_id)
        scenarios = [planned.scenario for planned in plan]
        self._began = moment()
        self._clock = ProgressClock(
            scenarios, config.scenarios.quality_seconds, pause_seconds,
            pixels_per_second=judging_speed and judging_speed.usual,
        )  # fmt: skip
        self._run = Run(
            id=run_id, state="running", scenarios=scenarios, started=self._began.time,
            pushes_to=pushes_to(plan, around.pushes_to, config.scenarios.targets),
        )  # fmt: skip
        self._group: EncoderGroup | None = None
        self._client: ClientWindow | None = None
        self._machine: dict[str, Any] = {}
        self._encoder_tool: str | None = None
        self._judge = Judge(config.scenarios, capabilities, self._folder)
        self._early_end: RunState | None = None
        self._begun = asyncio.Event()
        self._on_disk = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._go(), name=f"run {self.id}")

    async def on_disk(self) -> Run:
        """The run once its journal is written, or cannot be; the successor of a killed daemon knows it from then on."""
        await self._on_disk.wait()
        return self.snapshot()

    def snapshot(self) -> Run:
        """The run with its current progress and encoders. Cheap."""
        encoders = self._group.statuses if self._group else []
        return replace(self._run, progress=self._clock.now(), encoders=encoders)

    def encoders(self) -> tuple[RunningEncoder, ...]:
        """The encoders that are running."""
        return self._group.running if self._group else ()

    async def end_early(self, state: RunState) -> Run:
        """Stops everything; returns when that is done."""
        assert self._task is not None
        # A task that is cancelled before its first step never reaches its cleanup.
        await self._begun.wait()
        if self._early_end is None:
            self._early_end = state
            self._task.cancel()
        await asyncio.wait([self._task])
        return self._run

    async def _go(self) -> None:
        self._begun.set()
        names = ", ".join(planned.scenario.name for planned in self._plan)
        to = f"; pushes to {self._run.pushes_to}" if self._run.pushes_to else ""
        self._tell("info", f"started, {len(self._plan)} scenarios: {names}{to}")
        state, error = await self._outcome()
        progress = None if state == "interrupted" else self._clock.finished()
        ended = self._began.epoch + moment().boottime
        run = replace(self._run, state=state, ended=ended, error=error, progress=progress)
        try:
            await undisturbed(self._write_end(run))
        except OSError as failure:
            text = os_error_text(failure)
            self._tell("error", f"its end could not be written: {text}")
            if state == "done":
                run = replace(run, state="failed", error=text)
        finally:
            # It is told as ended when the next run can start, and not before.
            self._run = run
            self._on_disk.set()
            self._ended(run)
            said = f"{run.state}: {run.error}" if run.error else run.state
            self._tell("info" if said == "done" else "warning", said)

    async def _write_end(self, run: Run) -> None:
        if run.results_id is not None:
            await self._write_results(run)
        await asyncio.to_thread(self._journal.write, run)

    def _tell(self, level: EventLevel, text: str) -> None:
        tell(level, f"run {self.id}", text)

    async def _outcome(self) -> tuple[RunState, str | None]:
        """Runs everything; returns the final status and the reason."""
        try:
            await self._scenarios()
        except asyncio.CancelledError:
            state = self._early_end or "aborted"
            return state, "the daemon was stopped during this run" if state == "interrupted" else None
        except WrongField as failure:
            return "failed", str(failure)
        except OSError as failure:
            return "failed", os_error_text(failure)
        except Exception as failure:
            log.exception("run %s", self.id)
            return "failed", f"internal error: {failure!r}"
        failed = [record for record in self._run.finished if record.status == "failed"]
        if not failed:
            return "done", None
        text = f"{failed[0].name}: {(failed[0].notes or [''])[0]}"
        if len(failed) == len(self._run.finished):
            return "failed", text
        return "done", f"{len(failed)} of {len(self._run.finished)} scenarios failed; {text}"

    async def _scenarios(self) -> None:
        await undisturbed(asyncio.to_thread(self._journal.write, self.snapshot()))
        self._on_disk.set()
        self._machine = await asyncio.to_thread(machine.describe, self._config.paths.procfs, self._config.paths.sysfs)
        settings = self._config.scenarios
        if any(planned.scenario.type == "streams" for planned in self._plan):
            version = await self._capabilities.version(settings.ffmpeg)
            self._machine = {**self._machine, "ffmpeg": f"{settings.ffmpeg} {version}".strip()}
            self._encoder_tool = f"{children.find_program(settings.ffmpeg)} {version}".strip()
            await check_on_this_machine(self._plan, settings, self._capabilities)
        judged = [one.scenario for one in self._plan if one.scenario.quality and one.scenario.type == "streams"]
        models = {model_of(settings, scenario) for scenario in judged}
        if judged and (fault := await self._judge.prepare(self._encoder_tool or "", models)):
            self._tell("warning", f"quality will not be measured: {fault}")
        for index, planned in enumerate(self._plan):
            if index and self._pause_seconds:
                self._clock.enter(index, "preparing", "pause")
                await asyncio.sleep(self._pause_seconds)
            self._clock.enter(index, "preparing")
            await undisturbed(asyncio.to_thread(self._journal.write, self.snapshot()))
            if planned.scenario.type == "command":
                await self._command(index, planned)
            elif planned.scenario.type == "recording":
                await self._recording(index, planned)
            else:
                await self._scenario(index, planned)

    async def _scenario(self, index: int, planned: Planned) -> None:
        """Runs one scenario. A failure inside costs only this scenario."""
        self._tell("info", f"scenario {index + 1} of {len(self._plan)}: {planned.scenario.name}")
        scenario, settings = planned.scenario, self._config.scenarios
        encodes = scenario.type == "streams"
        remarks: list[str] = []
        try:
            film = await self._film(planned) if encodes else None
        except (MediaError, FilmError) as error:
            await self._keep(index, record_of(planned, None, power_source=None, notes=[f"source: {error}"]))
            return
        if encodes:
            scenario, remarks = await with_bit_depth(scenario, film, settings.ffmpeg, self._capabilities)
            planned = replace(planned, scenario=scenario)
        to, notes = await destination_of(scenario, settings, self._around.rtmp_url, self._capabilities)
        notes += [*(f"source: {remark}" for remark in film.remarks), *rate_remarks(film, scenario)] if film else []
        notes += remarks
        if film and not film.sound and scenario.audio != "none":
            notes.append("source: it has no sound, so the streams have none")
        stamps, lack = await can_stamp(scenario, to, settings.ffmpeg, self._capabilities)
        notes += lack
        group = self._group = EncoderGroup(
            scenario,
            program=settings.ffmpeg,
            folder=self._folder,
            stem=f"{index + 1:02d}",
            film=film,
            destination=to,
            copy_seconds=min(settings.quality_seconds, scenario.duration) if scenario.quality and encodes else None,
            stamps=stamps,
        )
        try:
            window = await self._encode(index, planned, group)
            realtime, complaints = await asyncio.to_thread(group.verdict)
            if window.playback is not None and window.clock_set:
                notes.append("the end-to-end delay was not measured: the clock was set")
            elif window.playback is not None:
                delay, reasons = await asyncio.to_thread(group.delay, window.start_time, window.end_time)
                window = replace(window, playback=with_delay(window.playback, delay))
                notes += reasons
            record = record_of(planned, window, power_source=self._around.power_source(), notes=[*notes, *complaints])
            if encodes:
                record = replace(
                    record, pushed=group.push.pushed, pushed_to=to.shown if to else None, realtime=realtime,
                    encoders=group.statuses,
                )  # fmt: skip
            self._group = None
            pending = [NO_QUALITY_YET] if scenario.quality and encodes else []
            await self._keep(index, replace(record, notes=[*(record.notes or []), *pending] or None))
            self._clock.enter(index, "cooldown")
            await asyncio.sleep(scenario.cooldown)
            if pending:
                self._clock.enter(index, "quality", "comparing what was encoded with its source")
                await self._keep(index, await self._judge.judged(record, group, self._clock.advance))
        except FfmpegDied as death:
            await self._keep(index, record_of(planned, None, power_source=None, notes=[str(death), *notes]))
        finally:
            self._group = None
            await undisturbed(asyncio.to_thread(group.delete_copies))

    async def _command(self, index: int, planned: Planned) -> None:
        """Measures what a client runs between opening and closing a window."""
        scenario = planned.scenario
        client = self._client = ClientWindow()
        self._clock.enter(index, "preparing", WAITING)

        async def hold(trail: WindowTrail, begun: float) -> None:
            if not await client.hold(trail.look, TRAIL_SECONDS, scenario.duration):
                notes.append(f"the window was closed after {scenario.duration:g} s; the command had not ended")

        notes: list[str] = []
        try:
            await client.until_asked()
            window = await self._recorded(index, notes, client.opened, hold, lambda: None)
            client.closed()
            report = await client.reported()
        except ClientGone as gone:
            await self._keep(index, record_of(planned, None, power_source=None, notes=[str(gone)]))
            return
        finally:
            client.closed()
            self._client = None
        record = record_of(planned, window, power_source=self._around.power_source(), notes=report.notes)
        await self._keep(index, with_report(record, report))

    async def _recording(self, index: int, planned: Planned) -> None:
        """Records whatever runs, for the scenario's time or until a client closes the window."""
        scenario, client = planned.scenario, ClientWindow(lease_seconds=math.inf)
        notes: list[str] = []

        async def hold(trail: WindowTrail, begun: float) -> None:
            left = scenario.duration - (time.monotonic() - begun)
            if await client.hold(trail.look, TRAIL_SECONDS, left):
                notes.append("ended early on request")

        self._client = client
        try:
            window = await self._recorded(index, notes, client.opened, hold, lambda: None)
        finally:
            client.closed()
            self._client = None
        record = record_of(planned, window, power_source=self._around.power_source())
        parts, lack = await parts_in(window, self._around)
        lacking = [*(record.notes or []), *([lack] if lack else [])]
        await self._keep(index, replace(record, parts=parts, notes=lacking or None))

    def client_window(self) -> ClientWindow:
        """The window that a client is to open, or has opened. Raises WrongTurn where there is none now."""
        if self._client is None:
            raise WrongTurn("the run has no window for a command now")
        return self._client

    async def _film(self, planned: Planned) -> Film | None:
        """The film behind a scenario, None for a test picture. Raises MediaError, FilmError."""
        settings = self._config.scenarios
        media = media_file(planned.scenario, Path(settings.media_dir))
        return None if media is None else await self._capabilities.film(settings.ffmpeg, media)

    async def _encode(self, index: int, planned: Planned, group: EncoderGroup) -> MeasuredWindow:
        patience = ABORT_PATIENCE_SECONDS  # what failed or was stopped has nothing to bring to an end
        try:
            await group.start()
            window = await self._window(index, planned, group)
            patience = STOP_PATIENCE_SECONDS
            return window
        finally:
            await group.stop(patience)

    async def _window(self, index: int, planned: Planned, group: EncoderGroup) -> MeasuredWindow:
        """Warm-up, then the measured window."""
        scenario = planned.scenario
        notes: list[str] = []
        self._clock.enter(index, "warmup")
        warm = time.monotonic()
        await group.hold(scenario.warmup)
        if scenario.steady:
            notes += await self._until_steady(scenario.steady, group)
        warmup_seconds = time.monotonic() - warm

        async def hold(trail: WindowTrail, begun: float) -> None:
            left = scenario.duration - (time.monotonic() - begun)
            await group.hold(left, trail.look if self._around.meters else None, TRAIL_SECONDS)

        window = await self._recorded(index, notes, group.open_window, hold, group.close_window)
        await asyncio.to_thread(group.push.look)
        return replace(window, warmup_seconds=warmup_seconds)

    async def _recorded(
        self,
        index: int,
        notes: list[str],
        opened: Callable[[], None],
        hold: Hold,
        closed: Callable[[], Playback | None],
    ) -> MeasuredWindow:
        def begun() -> None:
            self._clock.enter(index, "measuring")
            opened()

        return await recorded_window(self._around, self._folder, index + 1, notes, begun, hold, closed)

    async def _until_steady(self, seconds: float, group: EncoderGroup) -> list[str]:
        """Continues the warm-up until power and CPU use are steady. Reports if they were not in time."""
        load = self._around.load
        if load is None:
            return ["the warm-up could not wait for steadiness: there are no readings of the machine"]
        steadiness, steady = Steadiness(), False

        async def look() -> bool:
            nonlocal steady
            steady = steadiness.note(*await load())
            return steady

        await group.hold(seconds, look)
        return [] if steady else [f"power or CPU use was not steady {seconds:g} s after the warm-up"]

    async def _keep(self, index: int, record: ScenarioRecord) -> None:
        """Adds a scenario's record to the run and rewrites the results file: finished scenarios survive a crash."""
        self._clock.enter(index, "saving")
        if self._plan[index].scenario.type == "streams":
            record = replace(record, encoder_tool=self._encoder_tool)
        self._run = replace(self._run, finished=[*self._run.finished[:index], record], results_id=self.id)
        await undisturbed(self._write_results(self._run))

    async def _write_results(self, run: Run) -> None:
        results = results_of(run, self._machine)
        directory = Path(self._config.paths.results)
        path = await asyncio.to_thread(results_files.write, directory, results, self.id)
        # The run's folder is self-contained: it can be archived and sent.
        await asyncio.to_thread(results_files.copy, path, self._folder)
