"""The daemon's scenario runner: accepts requests, knows current and past runs, stops what it started. ``execution``
runs the scenarios."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattview.config import Config
from wattview.daemon import machine, results_files
from wattview.daemon.lab.client_window import ClientWindow, WrongTurn
from wattview.daemon.lab.encoding.capabilities import Capabilities
from wattview.daemon.lab.encoding.encoder_group import RunningEncoder
from wattview.daemon.lab.execution import Execution
from wattview.daemon.lab.measured_window import Load, PartsOf, Surroundings, no_parts
from wattview.daemon.lab.recording import past_record
from wattview.daemon.lab.run_journal import Journal, runs_directory
from wattview.daemon.lab.run_progress import JudgingSpeed, duration_of, judging_speed
from wattview.daemon.lab.scenario_check import plan_of, pushes_to
from wattview.daemon.lab.scenario_record import results_of
from wattview.daemon.lab.window_trail import Meters
from wattview.model import EncoderOffer, RecordingRequest, Run, RunPlan, RunRequest
from wattview.model.run_request import WrongField
from wattview.model.scenarios import LONGEST_SECONDS, window

AHEAD = timedelta(days=31)


class RunBusy(Exception):
    """A run is in progress; two at once would distort each other's measurement."""


class NoSuchRun(LookupError):
    """No run has that id."""


class Runner:
    """Runs scenarios. Create it when the daemon starts, before any other use: it reads the past runs and marks those
    that a dead daemon left behind as interrupted.

    ``capabilities``: what is known already of the machine's FFmpegs. The other arguments: see
    ``measured_window.Surroundings``.
    """

    def __init__(
        self,
        config: Config,
        *,
        rtmp_url: Callable[[], Awaitable[str | None]],
        mark: Callable[[], Awaitable[None]],
        power_source: Callable[[], str | None],
        state_dir: Path,
        pushes_to: str = "",
        load: Load | None = None,
        meters: Meters | None = None,
        parts: PartsOf = no_parts,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._config = config
        self._around = Surroundings(rtmp_url, mark, power_source, load, meters, pushes_to, parts)
        self._capabilities = capabilities or Capabilities()
        self._journal = Journal(runs_directory(state_dir))
        self._past = {run.id: run for run in self._journal.close_interrupted(Path(config.paths.results))}
        self._execution: Execution | None = None

    @property
    def current(self) -> Run | None:
        """The run in progress, with its current progress."""
        return self._execution.snapshot() if self._execution else None

    def encoders(self) -> tuple[RunningEncoder, ...]:
        """The encoders that are running."""
        return self._execution.encoders() if self._execution else ()

    def get(self, run_id: str) -> Run | None:
        if self._execution and self._execution.id == run_id:
            return self._execution.snapshot()
        return self._past.get(run_id)

    def list(self) -> list[Run]:
        """All runs, newest first."""
        runs = [self._past[run_id] for run_id in sorted(self._past, reverse=True)]
        return [self._execution.snapshot(), *runs] if self._execution else runs

    @property
    def judging_speed(self) -> JudgingSpeed | None:
        """How fast quality was judged here lately."""
        return judging_speed(self.list())

    async def offers(self) -> Sequence[EncoderOffer]:
        """The video encoders that a request can name here. Raises RunBusy: hardware is not tried while a run measures;
        ``children.ProgramMissing``."""
        if self._execution is not None:
            raise RunBusy(f"the run {self._execution.id} is active; encoders can be tested when it has ended")
        return await self._capabilities.encoders(self._config.scenarios.ffmpeg)

    def plan(self, request: RunRequest) -> RunPlan:
        """What ``start`` would do. Raises WrongField."""
        settings = self._config.scenarios
        plan = plan_of(request, Path(settings.media_dir), settings.targets)
        scenarios = [planned.scenario for planned in plan]
        takes = duration_of(scenarios, settings.quality_seconds, request.pause, self.judging_speed)
        to = pushes_to(plan, self._around.pushes_to, settings.targets)
        return RunPlan(scenarios=scenarios, pushes_to=to, **takes._asdict())

    def start(self, request: RunRequest) -> Run:
        """Starts a run. Raises RunBusy or WrongField; every later failure is a state of the run."""
        if self._execution is not None:
            raise RunBusy(f"the run {self._execution.id} is active; stop it first, or wait for its end")
        plan = plan_of(request, Path(self._config.scenarios.media_dir), self._config.scenarios.targets)
        execution = Execution(
            self._free_id(),
            plan,
            request.pause,
            judging_speed=self.judging_speed,
            config=self._config,
            around=self._around,
            journal=self._journal,
            capabilities=self._capabilities,
            ended=self._ended,
        )
        self._execution = execution
        execution.begin()
        return execution.snapshot()

    async def accept(self, request: RunRequest) -> Run:
        """``start``, which returns when the run is on disk. Raises the same."""
        self.start(request)
        assert self._execution is not None
        return await self._execution.on_disk()

    async def record_past(self, request: RecordingRequest) -> Run:
        """A window of the past as a run that is over: its figures come from the history.

        Raises RunBusy, WrongField, OSError.
        """
        if self._execution is not None:
            raise RunBusy(f"the run {self._execution.id} is active; stop it first, or wait for its end")
        if not 0.0 < request.end - request.start <= LONGEST_SECONDS:
            hours = LONGEST_SECONDS / 3600
            raise WrongField("end", f"expected a time after start, and at most {hours:.0f} hours later")
        if request.end > time.time():
            raise WrongField("end", "it is in the future; to record from now on, start a run")
        parts, lack = await self._around.parts(request.start, request.end)
        record = past_record(request.name, request.start, request.end, parts, [lack] if lack else [])
        scenario = window(request.name, "recording", request.end - request.start)
        run_id = self._free_id()
        run = Run(
            id=run_id, state="done", scenarios=[scenario], started=request.start, ended=request.end, finished=[record],
            results_id=run_id,
        )  # fmt: skip
        self._past[run_id] = run  # nobody else may take its id meanwhile
        try:
            await asyncio.to_thread(self._write_past, run)
        except BaseException:
            del self._past[run_id]
            raise
        return run

    def _write_past(self, run: Run) -> None:
        paths = self._config.paths
        results = results_of(run, machine.describe(paths.procfs, paths.sysfs))
        self._journal.write(run)
        results_files.copy(results_files.write(Path(paths.results), results, run.id), self._journal.folder(run.id))

    async def abort(self, run_id: str) -> Run:
        """Stops a run and all of its children. A run that has ended is returned as it is. Raises NoSuchRun."""
        if self._execution and self._execution.id == run_id:
            return await self._execution.end_early("aborted")
        try:
            return self._past[run_id]
        except KeyError:
            raise NoSuchRun(f"no run has the id {run_id}") from None

    def client_window(self, run_id: str) -> ClientWindow:
        """The window of a run that a client opens and closes. Raises NoSuchRun, WrongTurn."""
        if self._execution and self._execution.id == run_id:
            return self._execution.client_window()
        if run_id not in self._past:
            raise NoSuchRun(f"no run has the id {run_id}")
        raise WrongTurn(f"the run {run_id} is over")

    async def close(self) -> None:
        """Stops the run when the daemon stops. Finished scenarios are kept."""
        if self._execution is not None:
            await self._execution.end_early("interrupted")

    def _free_id(self) -> str:
        """The time in UTC as the stamp of run and results file, later than all existing ones.

        The order of ids is thus the order of runs, even if the clock was set back by hours or days. Stamps more than
        ``AHEAD`` in the future are ignored: they come from another program, or from a wrong clock.
        """
        results = Path(self._config.paths.results)
        now = datetime.now(UTC).replace(microsecond=0)
        begun = [self._execution.id] if self._execution is not None else []
        known = [*self._past, *begun, *(results_files.stamp_of(path) or "" for path in results_files.stamped(results))]
        taken = [moment for stamp in known if (moment := _moment(stamp)) is not None and moment - now < AHEAD]
        moment = max([now, *(one + timedelta(seconds=1) for one in taken)])
        while True:
            stamp = moment.strftime("%Y%m%d_%H%M%S")
            if not results_files.path_for(results, stamp).exists() and not self._journal.folder(stamp).exists():
                return stamp
            moment += timedelta(seconds=1)

    def _ended(self, run: Run) -> None:
        self._past[run.id] = run
        self._execution = None


def _moment(stamp: str) -> datetime | None:
    """A stamp as a time in UTC; None if it is not a stamp."""
    try:
        return datetime.strptime(stamp, "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
