"""A run at a past moment, from its records. Pure functions.

The start and end of the run and of its windows were recorded; between two windows, its state follows from the
scenarios' settings. The encoders' progress was not recorded, so a past run has none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from msgspec.structs import replace

from wattview.analysis.windows.energy import NoData
from wattview.analysis.windows.trail import energy, largest
from wattview.daemon.history.past_machine import SOURCES
from wattview.model import Phase, PowerReading, Run, RunProgress, ScenarioRecord, TrailPoint


def run_at(run: Run, at: float) -> Run | None:
    """The run at that time; None if it was not in progress then.

    ``remaining_seconds`` is until the run's actual end; None while that is still in the future.
    """
    if at < run.started or (run.ended is not None and at > run.ended):
        return None
    index, phase = _stage(run, at)
    elapsed = at - run.started
    remaining = run.ended - at if run.ended is not None else None
    whole = elapsed + remaining if remaining is not None else 0.0
    return replace(
        run,
        state="running",
        ended=None,
        error=None,
        results_id=None,
        encoders=[],
        finished=[one for one in run.finished if one.end_time is not None and one.end_time <= at],
        progress=RunProgress(
            phase=phase,
            scenario=run.scenarios[index].name if index < len(run.scenarios) else None,
            scenario_index=index,
            scenario_count=len(run.scenarios),
            fraction=elapsed / whole if whole > 0 else index / max(1, len(run.scenarios)),
            elapsed_seconds=elapsed,
            remaining_seconds=remaining,
        ),
    )


POWER_SECONDS = 1.0
"""Power is the mean over the samples of this many seconds."""


def power_at(trail: Sequence[TrailPoint], moment: float, source: str) -> PowerReading | None:
    """Host power by its trail in the second before a moment, or in the last update interval of a slower counter. None
    without two samples, or if its source is unknown."""
    before = trail[: bisect_right(trail, moment, key=attrgetter("time"))]
    if len(before) < 2 or source not in SOURCES:
        return None
    last = before[-1]
    seconds = max(POWER_SECONDS, last.update_seconds)
    first = before[max(bisect_right(before, last.time - seconds + 1e-6, key=attrgetter("time")) - 1, 0)]
    if first is last or moment - last.time > 2 * seconds:
        return None
    try:
        used, peak = energy(before, first.time, last.time), largest(before, first.time, last.time)
    except NoData:
        return None
    return PowerReading(
        time=last.time,
        monotonic=0.0,
        source=source,
        host_joules_total=last.joules,
        host_watts=used.joules / (last.time - first.time),
        host_peak_watts=peak,
    )


def _stage(run: Run, at: float) -> tuple[int, Phase]:
    """(the scenario's index, its phase). After a window: its cool-down, then the quality comparison if there was
    one."""
    before: tuple[int, ScenarioRecord] | None = None
    for index, record in enumerate(run.finished):
        if record.start_time is None or record.end_time is None:
            continue
        if at < record.start_time - (record.warmup_seconds or 0.0):
            return _after(run, before, at, index)
        if at < record.start_time:
            return index, "warmup"
        if at <= record.end_time:
            return index, "measuring"
        before = index, record
    return _after(run, before, at, len(run.finished))


def _after(run: Run, before: tuple[int, ScenarioRecord] | None, at: float, following: int) -> tuple[int, Phase]:
    last = len(run.scenarios) - 1
    if before is None:
        return min(following, last), "preparing"
    index, record = before
    scenario = run.scenarios[index] if index <= last else None
    if scenario is not None and record.end_time is not None and at <= record.end_time + scenario.cooldown:
        return index, "cooldown"
    if record.quality_frames or record.vmaf_score is not None or record.psnr_score is not None:
        return index, "quality"
    return (index, "saving") if following > last else (following, "preparing")
