"""A run as it stood at a past moment, from what is kept of it. Pure functions.

The windows of its scenarios were recorded, and so were its ends; what happened between two windows is known from the
scenarios' own settings. How far encoders had come was not recorded: there are none in a run of the past.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise

from msgspec.structs import replace

from wattview.analysis.windows.energy import Points
from wattview.daemon.history.past_machine import SOURCES
from wattview.model import Phase, PowerReading, Run, RunProgress, ScenarioRecord


def run_at(run: Run, at: float) -> Run | None:
    """The run as it was at that time, None where it did not go on then.

    ``remaining_seconds`` is until the run's true end, None while that is still to come.
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
"""Power is the mean over the samples of this long."""


def power_at(trail: Points, moment: float, source: str) -> PowerReading | None:
    """The host's power by the samples of its counter (Unix seconds, joules) in the second before a moment; None where
    there are not two, or its source is none that we know."""
    points = trail[
        bisect_right(trail, (moment - POWER_SECONDS - 1e-6, math.inf)) : bisect_right(trail, (moment, math.inf))
    ]
    if len(points) < 2 or source not in SOURCES:
        return None
    (t0, j0), (t1, j1) = points[0], points[-1]
    peak = max((after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(points))
    return PowerReading(
        time=t1, monotonic=0.0, source=source,
        host_joules_total=j1, host_watts=(j1 - j0) / (t1 - t0),
        host_peak_watts=peak,
    )  # fmt: skip


def _stage(run: Run, at: float) -> tuple[int, Phase]:
    """(the scenario's number, its phase). After a window: its cool-down, then its quality where that was measured."""
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
