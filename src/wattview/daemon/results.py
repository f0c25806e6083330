"""Analysed results files, for the control API and for the results, QoE and cost exporters.

A file is analysed on request, once for all concurrent requests, and cached until it changes. Data that the history did
not have yet (a scrape that is due, a server that did not answer) is requested again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.pricing.cost import prices_text
from wattview.analysis.results import analyse, compared_with_baseline, window_of
from wattview.analysis.windows import series as names
from wattview.analysis.windows.energy import MAX_GAP_SECONDS, NoData
from wattview.analysis.windows.host import Window
from wattview.analysis.windows.remarks import remarked, run_remarks
from wattview.analysis.windows.series import FIRST, GPU_PERCENT, Evidence
from wattview.config import Config
from wattview.daemon import machine, results_files
from wattview.daemon.grid.cache import GridCache
from wattview.daemon.history.protocol import HistoryError, WindowHistory
from wattview.daemon.lab.run_journal import runs_directory
from wattview.daemon.lab.window_trail import own_evidence
from wattview.daemon.results_files import ResultsFileError
from wattview.exposition import labels
from wattview.gc_tuning import give_back_memory
from wattview.model import GridPrices, HistorySeries, ResultsFile, RunResult, ScenarioRecord, ScenarioResult

log = logging.getLogger("wattview.results")

PATIENCE_SECONDS = 5.0
"""How long a request waits for the history; a scrape would time out later."""

RETRY_SECONDS = 5.0
"""How long an answer with missing data is cached before the history is queried again."""

SETTLED_SECONDS = 3600.0
"""Age of a window from which missing data will not arrive any more."""

MAX_SCENARIOS = 2000
"""How many scenarios of a file are analysed, from its start. The answer states how many were left out."""

MAX_BYTES_TOGETHER = 64 * 2**20
"""Total size of the files in one answer, and of those with cached answers: a bound on memory."""

MAX_FILES_AT_ONCE = 2
LARGE_BYTES = 2**20
"""After a file of this size, unused memory is returned to the system."""

AROUND_SECONDS = 300.0
"""How much of the history on either side of a window is read too."""

GRID_SETTLED_SECONDS = 2 * 86400.0
"""How long after a window a grid source that was unreachable may still deliver its values."""

MAX_KEPT = 1000
MAX_WINDOWS_AT_ONCE = 4

_Version = tuple[int, int]


class _Kept(Struct, frozen=True):
    """An answer for one version of a file, valid until ``stale`` (monotonic); None: permanently."""

    version: _Version
    result: RunResult
    stale: float | None

    def good(self, version: _Version) -> bool:
        return self.version == version and (self.stale is None or time.monotonic() < self.stale)


class Results:
    """The configured results directory, analysed with one history. ``grid`` gives what the grid's sources have told;
    without it, what they had told a daemon is read from the disk."""

    def __init__(self, config: Config, history: WindowHistory, grid: Callable[[], GridPrices] | None = None) -> None:
        self._directory = Path(config.paths.results)
        self._runs = runs_directory(Path(config.paths.state))
        self._prices = config.cost
        self._grid = grid or functools.cache(GridCache(config).load)
        self._max_gap = max(MAX_GAP_SECONDS, 3 * config.history.interval_seconds)
        self._metrics = FIRST if config.cost.gpu_per_hour else tuple(name for name in FIRST if name != GPU_PERCENT)
        if history.name != "prometheus":
            self._metrics += (names.HOST_UPDATE_SECONDS,)
        self._history = history
        self._own_machine = machine.describe(config.paths.procfs, config.paths.sysfs)
        self._kept: dict[Path, _Kept] = {}
        self._under_way: dict[tuple[Path, _Version], asyncio.Task[RunResult]] = {}
        self._files = asyncio.Semaphore(MAX_FILES_AT_ONCE)
        self._windows = asyncio.Semaphore(MAX_WINDOWS_AT_ONCE)

    async def all(self, limit: int = 50) -> list[RunResult]:
        """The newest runs, newest first. An unusable file gives an answer with its ``error``."""
        try:
            paths, sizes = await asyncio.to_thread(_listed, self._directory, limit)
        except ResultsFileError as error:
            return [RunResult(id="", path=str(self._directory), test_date="", error=str(error))]
        for gone in self._kept.keys() - set(paths):
            del self._kept[gone]
        fitting = [total <= MAX_BYTES_TOGETHER or not at for at, total in enumerate(accumulate(sizes))]
        found = await asyncio.gather(
            *(self._one(path) if fits else _left_out(path) for path, fits in zip(paths[:limit], fitting, strict=True))
        )
        return [result for result in found if result is not None]

    async def get(self, run_id: str) -> RunResult | None:
        """One run by the stamp in its file's name; None if there is no such file, or the text is not a stamp."""
        if not results_files.is_stamp(run_id):
            return None
        return await self._one(results_files.path_for(self._directory, run_id))

    async def of_file(self, path: Path) -> RunResult | None:
        """The run of any results file, wherever it is; None if there is none."""
        return await self._one(path)

    async def ids(self) -> list[str]:
        """The stamps of all results files, newest first; empty if the directory cannot be read."""
        paths = await asyncio.to_thread(results_files.stamped, self._directory)
        return [stamp for path in paths if (stamp := results_files.stamp_of(path))]

    async def latest(self) -> RunResult | None:
        """The newest run; None if there is none."""
        found = await self.all(limit=1)
        return found[0] if found else None

    async def _one(self, path: Path) -> RunResult | None:
        try:
            status = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _broken(path, f"{path.name}: {error.strerror}")
        version = (status.st_mtime_ns, status.st_size)
        kept = self._kept.get(path)
        if kept is not None and kept.good(version):
            return kept.result
        task = self._under_way.get((path, version))
        if task is None:
            task = asyncio.create_task(self._analyse(path, version))
            self._under_way[path, version] = task
            task.add_done_callback(lambda _: self._under_way.pop((path, version), None))
        # A request that times out does not cancel the analysis for the others, and a slow history blocks nobody.
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        if task.done():
            return task.result()
        return kept.result if kept is not None else await self._unanswered(path)

    async def _analyse(self, path: Path, version: _Version) -> RunResult:
        unknown = False

        async def scenario(record: ScenarioRecord, place: int) -> ScenarioResult:
            nonlocal unknown
            async with self._windows:
                evidence = await asyncio.to_thread(self._recorded, path, record, place)
                if evidence is None:
                    evidence = await self._evidence(record, file.machine or self._own_machine)
                known = await asyncio.to_thread(self._grid)
                result = await asyncio.to_thread(analyse, record, evidence, self._prices, self._max_gap, known)
                unknown = (
                    unknown
                    or bool(evidence.failures)
                    or self._awaits(known, result)
                    or (evidence.own is None and _may_improve(result))
                )
                return result

        stale = None
        try:
            async with self._files:
                file = await asyncio.to_thread(results_files.read, path, MAX_SCENARIOS)
            scenarios = await asyncio.gather(*(scenario(one, at) for at, one in enumerate(file.scenarios, start=1)))
            result = await asyncio.to_thread(self._result, path, file, scenarios)
            if unknown:
                stale = time.monotonic() + RETRY_SECONDS
        except ResultsFileError as error:
            result = _broken(path, str(error))
        except Exception:
            log.exception("%s could not be analysed", path)
            result = _broken(path, f"{path.name}: the analysis failed; the daemon's log says where")
        self._keep(path, _Kept(version, result, stale))
        if version[1] > LARGE_BYTES:
            await asyncio.to_thread(give_back_memory)
        return result

    async def _unanswered(self, path: Path) -> RunResult:
        """The file without the history's figures, until they are available."""
        async with self._files:
            return await asyncio.to_thread(self._without_history, path)

    def _without_history(self, path: Path) -> RunResult:
        try:
            file = results_files.read(path, MAX_SCENARIOS)
        except ResultsFileError as error:
            return _broken(path, str(error))
        evidence = Evidence(failures=dict.fromkeys(self._metrics, "the history has not answered yet"))
        return self._result(path, file, [analyse(record, evidence, self._prices) for record in file.scenarios])

    def _result(self, path: Path, file: ResultsFile, scenarios: list[ScenarioResult]) -> RunResult:
        measured_on = machine.name_of(file.machine or {})
        compared = remarked(compared_with_baseline(scenarios))
        return RunResult(
            id=results_files.stamp_of(path) or "",
            path=str(path),
            test_date=file.test_date,
            status=file.status,
            history=self._history.name,
            scenarios=[replace(one, machine=measured_on) for one in compared],
            remarks=[*run_remarks(compared), *_left_out_remark(file)],
            left_out=file.left_out,
            prices=prices_text(self._prices),
        )

    def _awaits(self, known: GridPrices, result: ScenarioResult) -> bool:
        """Whether sources of the grid may still tell values of this window: none has told anything yet, or the last
        known value stood in."""
        end = result.record.end_time
        silent = bool(self._prices.grid) and known.carbon is None and known.price is None
        return (silent or "grid" in result.remarks) and end is not None and time.time() - end < GRID_SETTLED_SECONDS

    def _keep(self, path: Path, kept: _Kept) -> None:
        self._kept.pop(path, None)
        self._kept[path] = kept
        while len(self._kept) > MAX_KEPT or sum(one.version[1] for one in self._kept.values()) > MAX_BYTES_TOGETHER:
            del self._kept[next(iter(self._kept))]

    def _recorded(self, path: Path, record: ScenarioRecord, place: int) -> Evidence | None:
        """The daemon's own recording: a run's figures need no history. Blocks."""
        for folder in self._run_folders(path):
            try:
                if (evidence := own_evidence(folder, place, record)) is not None:
                    return evidence
            except (OSError, ValueError) as error:
                log.warning("%s; the figures come from the history instead", error)
        return None

    def _run_folders(self, path: Path) -> list[Path]:
        """Where the recording of a results file may be: in this daemon's state, beside a copy in its run's folder, or
        in the state directory that the file is in."""
        stamp = results_files.stamp_of(path)
        return [] if stamp is None else [self._runs / stamp, path.parent, runs_directory(path.parent.parent) / stamp]

    async def _evidence(self, record: ScenarioRecord, measured_on: Mapping[str, Any]) -> Evidence:
        """The history of the scenario's window; empty if it has none that can be queried."""
        try:
            window = window_of(record, self._max_gap)
        except NoData:
            return Evidence()
        # The sampling interval of a series shows in more samples than a short window has.
        window = Window(window.start - AROUND_SECONDS, window.end + AROUND_SECONDS, window.max_gap)
        series: dict[str, list[HistorySeries]] = {}
        failures: dict[str, str] = {}
        host = await self._host_label(measured_on, window)
        await self._ask(self._metrics, host, window, series, failures)
        await self._ask(Evidence(series, failures).also_wanted(), host, window, series, failures)
        if self._history.name == "prometheus":
            return Evidence(series, failures)
        # The recorder stamps a row with the end of the reading, and records the counters' update interval.
        updates = [value for one in series.get(names.HOST_UPDATE_SECONDS, ()) for _, value in one.points]
        return Evidence(series, failures, lag_seconds=max(updates, default=0.0), lead_seconds=0.0)

    async def _host_label(self, measured_on: Mapping[str, Any], window: Window) -> str:
        """``{host="…"}`` if the store holds many hosts and knows this one by that label, else "".

        The label comes from the daemon's service discovery. Every scrape writes ``up``, even for an exporter without
        data, so the presence of a host does not depend on what it measures.
        """
        hostname = measured_on.get("hostname")
        if self._history.name != "prometheus" or not isinstance(hostname, str):
            return ""
        label = labels(host=hostname)
        try:
            return label if await self._history.samples(f"up{label}", window.start, window.end) else ""
        except HistoryError:
            return ""

    async def _ask(
        self,
        metrics: Iterable[str],
        host: str,
        window: Window,
        series: dict[str, list[HistorySeries]],
        failures: dict[str, str],
    ) -> None:
        async def ask(metric: str) -> None:
            try:
                series[metric] = await self._history.samples(metric + host, window.start, window.end)
            except HistoryError as error:
                failures[metric] = str(error)

        await asyncio.gather(*(ask(metric) for metric in metrics))


def _broken(path: Path, reason: str) -> RunResult:
    return RunResult(id=results_files.stamp_of(path) or "", path=str(path), test_date="", error=reason)


async def _left_out(path: Path) -> RunResult:
    return _broken(path, f"the newer files take {MAX_BYTES_TOGETHER // 2**20} MiB together; ask for this run by its id")


def _left_out_remark(file: ResultsFile) -> list[str]:
    if not file.left_out:
        return []
    count = len(file.scenarios)
    return [f"only the first {count} of the file's {count + file.left_out} scenarios are shown"]


def _listed(directory: Path, limit: int) -> tuple[list[Path], list[int]]:
    """The results files, newest first, and the sizes of the first ones. Raises ResultsFileError. Blocks."""
    paths = results_files.listing(directory)
    return paths, [_size(path) for path in paths[:limit]]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _may_improve(scenario: ScenarioResult) -> bool:
    """Whether missing data may still arrive: the window ended recently."""
    end = scenario.record.end_time
    lacking = scenario.energy_joules is None or scenario.power_max_watts is None or scenario.cpu_seconds is None
    return end is not None and lacking and time.time() - end < SETTLED_SECONDS
