"""Scenarios, run one after another: warm-up, a measured window, cool-down, then the quality of what was encoded.

``Runner`` is what the daemon holds: it takes requests, knows the present and the past runs, and stops what it started.
One run is an asyncio task that goes through the phases; the encoders and the comparison are child processes. Nothing
else happens inside a measured window: no file is written, no program is probed, no quality is computed.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from wattview import __version__
from wattview.config import Config
from wattview.daemon import machine, quality, results_files
from wattview.daemon.capabilities import Capabilities
from wattview.daemon.encoder_group import EncoderGroup
from wattview.daemon.encoders import EncoderDied
from wattview.daemon.run_journal import Journal
from wattview.daemon.run_progress import ProgressClock
from wattview.daemon.scenario_check import InvalidScenario, MediaError, media_file, scenarios_of
from wattview.model import Output, ResultsFile, Run, RunRequest, RunState, Scenario, ScenarioRecord

__all__ = ["InvalidScenario", "NoSuchRun", "RunBusy", "Runner"]

log = logging.getLogger(__name__)

STOP_PATIENCE_SECONDS = 5.0
ABORT_PATIENCE_SECONDS = 1.0
NO_RTMP = "not pushed: there is no RTMP server; the streams were encoded and thrown away"
NO_QUALITY_YET = "quality was not measured: the run ended before"

T = TypeVar("T")


class RunBusy(Exception):
    """A run is going on, and two at once would measure each other."""


class NoSuchRun(LookupError):
    """No run has that id."""


class Runner:
    """Runs scenarios. To be made on the daemon's start, before anything is asked of it: it reads the past runs and
    marks those as interrupted that a dead daemon left behind.

    ``rtmp_url`` gives the address that streams are pushed to, None where there is no server. ``mark`` is awaited at
    the start and at the end of every measured window and writes a point of the history at that moment.
    ``power_source`` names the source of the watts, for the records.
    """

    def __init__(
        self,
        config: Config,
        *,
        rtmp_url: Callable[[], Awaitable[str | None]],
        mark: Callable[[], Awaitable[None]],
        power_source: Callable[[], str | None],
        state_dir: Path,
    ) -> None:
        self._config = config
        self._rtmp_url = rtmp_url
        self._mark = mark
        self._power_source = power_source
        self._capabilities = Capabilities()
        self._journal = Journal(state_dir / "runs")
        self._past = {run.id: run for run in self._journal.close_interrupted()}
        self._execution: _Execution | None = None

    @property
    def current(self) -> Run | None:
        """The run that goes on, with its progress as of now."""
        return self._execution.snapshot() if self._execution else None

    def get(self, run_id: str) -> Run | None:
        if self._execution and self._execution.id == run_id:
            return self._execution.snapshot()
        return self._past.get(run_id)

    def list(self) -> list[Run]:
        """All runs, newest first."""
        runs = [self._past[run_id] for run_id in sorted(self._past, reverse=True)]
        return [self._execution.snapshot(), *runs] if self._execution else runs

    def start(self, request: RunRequest) -> Run:
        """Begins a run. Raises RunBusy or InvalidScenario; everything else that goes wrong is a state of the run."""
        if self._execution is not None:
            raise RunBusy(f"the run {self._execution.id} is going on; stop it first, or wait for its end")
        scenarios = scenarios_of(request, Path(self._config.scenarios.media_dir))
        execution = _Execution(self, self._free_id(), scenarios)
        self._execution = execution
        execution.begin()
        return execution.snapshot()

    async def abort(self, run_id: str) -> Run:
        """Stops a run and all of its children. A run that has ended is returned as it is. Raises NoSuchRun."""
        if self._execution and self._execution.id == run_id:
            return await self._execution.end_early("aborted")
        try:
            return self._past[run_id]
        except KeyError:
            raise NoSuchRun(f"no run has the id {run_id}") from None

    async def close(self) -> None:
        """The daemon stops: so does the run. Finished scenarios are kept."""
        if self._execution is not None:
            await self._execution.end_early("interrupted")

    def _free_id(self) -> str:
        """The local time as the stamp of run and results file; later by seconds where that one is taken."""
        moment = datetime.now()
        while True:
            stamp = moment.strftime("%Y%m%d_%H%M%S")
            results = results_files.path_for(Path(self._config.paths.results), stamp)
            if stamp not in self._past and not results.exists() and not self._journal.folder(stamp).exists():
                return stamp
            moment += timedelta(seconds=1)

    def _ended(self, run: Run) -> None:
        self._past[run.id] = run
        self._execution = None


class _Execution:
    """One run from its beginning to its end."""

    def __init__(self, runner: Runner, run_id: str, scenarios: list[Scenario]) -> None:
        self.id = run_id
        self._runner = runner
        self._config = runner._config
        self._journal = runner._journal
        self._folder = runner._journal.folder(run_id)
        self._clock = ProgressClock(scenarios, self._config.scenarios.quality_seconds)
        self._run = Run(id=run_id, state="running", scenarios=scenarios, started=time.time())
        self._group: EncoderGroup | None = None
        self._machine: dict[str, object] = {}
        self._early_end: RunState | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._go(), name=f"run {self.id}")

    def snapshot(self) -> Run:
        encoders = self._group.statuses if self._group else []
        return replace(self._run, progress=self._clock.now(), encoders=encoders)

    async def end_early(self, state: RunState) -> Run:
        assert self._task is not None
        if self._early_end is None:
            self._early_end = state
            self._task.cancel()
        await asyncio.wait([self._task])
        return self._run

    async def _go(self) -> None:
        state: RunState = "done"
        error: str | None = None
        try:
            await self._scenarios()
            state, error = self._verdict()
        except asyncio.CancelledError:
            state = self._early_end or "aborted"
            error = "the daemon was stopped during this run" if state == "interrupted" else None
        except OSError as failure:
            state, error = "failed", _os_error_text(failure)
        except Exception as failure:
            log.exception("run %s", self.id)
            state, error = "failed", f"internal error: {failure!r}"
        if error is not None:
            log.warning("run %s: %s: %s", self.id, state, error)
        last = len(self._run.scenarios) - 1
        self._clock.enter(last if state == "done" else self._clock.now().scenario_index, "finished")
        progress = None if state == "interrupted" else self._clock.now()
        self._run = replace(self._run, state=state, ended=time.time(), error=error, progress=progress)
        try:
            if self._run.results_id is not None:
                await self._write_results()
            await asyncio.to_thread(self._journal.write, self._run)
        except OSError as failure:
            text = _os_error_text(failure)
            log.warning("run %s: its end could not be written: %s", self.id, text)
            if state == "done":
                self._run = replace(self._run, state="failed", error=text)
        finally:
            self._runner._ended(self._run)

    async def _scenarios(self) -> None:
        self._machine = await asyncio.to_thread(machine.describe, self._config.paths.procfs, self._config.paths.sysfs)
        for index, scenario in enumerate(self._run.scenarios):
            self._clock.enter(index, "preparing")
            await self._undisturbed(asyncio.to_thread(self._journal.write, self.snapshot()))
            if scenario.type == "baseline":
                await self._baseline(index, scenario)
            else:
                await self._streams(index, scenario)

    def _verdict(self) -> tuple[RunState, str | None]:
        failed = [record for record in self._run.finished if record.status == "failed"]
        if not failed:
            return "done", None
        text = f"{failed[0].name}: {(failed[0].notes or [''])[0]}"
        if len(failed) == len(self._run.finished):
            return "failed", text
        return "done", f"{len(failed)} of {len(self._run.finished)} scenarios failed; {text}"

    async def _baseline(self, index: int, scenario: Scenario) -> None:
        window = await self._window(index, scenario, asyncio.sleep)
        await self._keep(index, self._record(scenario, window))
        await self._cool_down(index, scenario)

    async def _streams(self, index: int, scenario: Scenario) -> None:
        """Runs the streams of one scenario. An encoder that dies costs this scenario only."""
        settings = self._config.scenarios
        rtmp_url = await self._runner._rtmp_url()
        notes = [] if rtmp_url else [NO_RTMP]
        try:
            media = media_file(scenario, Path(settings.media_dir))
        except MediaError as error:
            await self._keep(index, self._record(scenario, None, notes=[f"source: {error}"]))
            return
        group = self._group = EncoderGroup(
            scenario,
            program=settings.ffmpeg,
            folder=self._folder,
            stem=f"{index + 1:02d}",
            media=media,
            rtmp_url=rtmp_url,
            copy_seconds=min(settings.quality_seconds, scenario.duration) if scenario.quality else None,
        )
        try:
            window = await self._encode(index, scenario, group)
            realtime, complaints = await asyncio.to_thread(group.verdict)
            record = self._record(
                scenario, window, notes=notes + complaints, encoder="libx264", pushed=rtmp_url is not None,
                realtime=realtime, encoders=group.statuses,
            )  # fmt: skip
            self._group = None
            pending = [NO_QUALITY_YET] if scenario.quality else []
            await self._keep(index, replace(record, notes=[*(record.notes or []), *pending] or None))
            await self._cool_down(index, scenario)
            if scenario.quality:
                await self._keep(index, await self._with_quality(index, record, group))
        except EncoderDied as death:
            await self._keep(index, self._record(scenario, None, notes=[str(death), *notes]))
        finally:
            self._group = None
            await self._undisturbed(asyncio.to_thread(group.delete_copy))

    async def _encode(self, index: int, scenario: Scenario, group: EncoderGroup) -> _Window:
        try:
            await group.start()
            return await self._window(index, scenario, group.hold, group)
        finally:
            await group.stop(ABORT_PATIENCE_SECONDS if self._early_end else STOP_PATIENCE_SECONDS)

    async def _window(
        self,
        index: int,
        scenario: Scenario,
        hold: Callable[[float], Awaitable[None]],
        group: EncoderGroup | None = None,
    ) -> _Window:
        """Warm-up, then the measured window. The marks stand outside of it, so that its ends lie between points of
        the history."""
        notes: list[str] = []
        self._clock.enter(index, "warmup")
        await hold(scenario.warmup)
        await self._marked("start", notes)
        self._clock.enter(index, "measuring")
        start_time, start = time.time(), time.monotonic()
        if group is not None:
            group.open_window()
        await hold(scenario.duration)
        if group is not None:
            group.close_window()
        end_time, end = time.time(), time.monotonic()
        await self._marked("end", notes)
        return _Window(start_time, end_time, end - start, notes)

    async def _marked(self, which: str, notes: list[str]) -> None:
        try:
            await self._runner._mark()
        except Exception as error:
            log.exception("run %s: the %s of the window", self.id, which)
            notes.append(f"no point of the history at the {which} of the window: {error}")

    async def _cool_down(self, index: int, scenario: Scenario) -> None:
        self._clock.enter(index, "cooldown")
        await asyncio.sleep(scenario.cooldown)

    async def _with_quality(self, index: int, record: ScenarioRecord, group: EncoderGroup) -> ScenarioRecord:
        """The record with the scores of its first stream, or with the reason why it has none."""
        scenario, pace, settings = group.scenario, group.paces[0], self._config.scenarios
        wanted = round(min(settings.quality_seconds, scenario.duration) * scenario.fps)
        clip = quality.Clip(
            scenario=scenario,
            copy=group.copy,
            first_frame=pace.first_frame,
            frames=min(wanted, pace.last_frame - pace.first_frame),
            media=group.media,
        )
        notes = list(record.notes or [])
        self._clock.enter(index, "quality", "comparing what was encoded with its source")
        try:
            tool = await quality.find_tool(settings, self._runner._capabilities)
            scores = await quality.measure(
                tool, settings.ffmpeg, clip, self._folder, lambda done: self._clock.advance(done / clip.frames)
            )
        except (quality.QualityFailed, OSError) as error:
            return replace(record, notes=[*notes, f"quality was not measured: {error}"])
        if scores.vmaf is None:
            notes.append(
                f"VMAF was not measured: {tool.path} has no libvmaf; set scenarios.quality_ffmpeg to one that has"
            )
        if scores.frames < clip.frames:
            notes.append(f"quality: only {scores.frames} of {clip.frames} frames could be compared")
        return replace(
            record,
            vmaf_score=scores.vmaf,
            psnr_score=scores.psnr_db,
            ssim_score=scores.ssim,
            vmaf_model=scores.vmaf_model,
            quality_tool=scores.tool,
            quality_frames=scores.frames,
            notes=notes or None,
        )

    def _record(
        self, scenario: Scenario, window: _Window | None, *, notes: list[str] | None = None, **fields: object
    ) -> ScenarioRecord:
        """What is known of a scenario. One without a window has failed: it has no times, and so no energy."""
        encodes = scenario.type == "streams"
        notes = (notes or []) + (window.notes if window else [])
        return ScenarioRecord(
            name=scenario.name,
            type=scenario.type,
            bitrate=scenario.bitrate if encodes else None,
            resolution=scenario.resolution if encodes else None,
            fps=scenario.fps if encodes else None,
            outputs=[Output(resolution=scenario.resolution, fps=scenario.fps)] if encodes else None,
            streams=scenario.streams if encodes else 0,
            source=scenario.source if encodes else None,
            preset=scenario.preset if encodes else None,
            duration=window.seconds if window else None,
            start_time=window.start_time if window else None,
            end_time=window.end_time if window else None,
            power_source=self._runner._power_source() if window else None,
            status="done" if window else "failed",
            notes=notes or None,
            **fields,  # type: ignore[arg-type]
        )

    async def _keep(self, index: int, record: ScenarioRecord) -> None:
        """Puts a scenario's record into the run and writes the results file anew: what is finished survives a crash."""
        self._clock.enter(index, "saving")
        self._run = replace(self._run, finished=[*self._run.finished[:index], record], results_id=self.id)
        await self._undisturbed(self._write_results())

    async def _write_results(self) -> None:
        results = ResultsFile(
            test_date=datetime.fromtimestamp(self._run.started).astimezone().isoformat(timespec="seconds"),
            scenarios=self._run.finished,
            run=self.id,
            status=self._run.state,
            wattview_version=__version__,
            machine=self._machine,
        )
        directory = Path(self._config.paths.results)
        await asyncio.to_thread(results_files.write, directory, results, self.id)

    @staticmethod
    async def _undisturbed(work: Awaitable[T]) -> T:
        """Awaits work that must not be cut in the middle; a cancellation takes effect after it."""
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise


class _Window(Struct, frozen=True):
    """A measured window: Unix times of its ends, its length by the monotonic clock, and what was amiss."""

    start_time: float
    end_time: float
    seconds: float
    notes: list[str]


def _os_error_text(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{where}no space left on the disk; free some, or set paths.results and paths.state elsewhere"
    return f"{where}{error.strerror}"
