"""Power over time of whole runs, for the report: from the history and from the runs' own folders.

A window whose folder has its samples at full rate is drawn from those; the time between windows comes from the history.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from pathlib import Path

from wattview.analysis.windows.energy import NoData, Points
from wattview.analysis.windows.host import power_curve
from wattview.analysis.windows.series import HOST_WATTS, RAPL_WATTS, Evidence
from wattview.analysis.windows.trail import steps
from wattview.client import ClientError
from wattview.config import Config
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.lab.run_journal import runs_directory
from wattview.daemon.lab.window_trail import read_trail, trail_file
from wattview.model import HistorySeries, RunResult

log = logging.getLogger(__name__)

Samples = Callable[[str, float, float], Awaitable[list[HistorySeries]]]
"""A history's ``samples``, or the control API's."""

MARGIN_SECONDS = 15.0
"""Time shown before the first window and after the last one."""

MOST_SECONDS = 3 * 86400.0
"""A run with a longer span is drawn without its power."""

MOST_POINTS = 1500
"""Points per window. More samples are averaged with their neighbours, which preserves their energy."""


async def power_curves(config: Config, samples: Samples, runs: Iterable[RunResult]) -> dict[str, Points]:
    """By the run's id, for runs whose power is known and still stored."""
    found = {}
    for run in runs:
        curve = await _from_history(samples, run)
        windows = await asyncio.to_thread(_from_folder, runs_directory(Path(config.paths.state)) / run.id, run)
        if merged := _merged(curve, windows):
            found[run.id] = merged
    return found


async def _from_history(samples: Samples, run: RunResult) -> Points:
    windows = [
        (one.record.start_time, one.record.end_time, one.power_source)
        for one in run.scenarios
        if one.record.start_time is not None and one.record.end_time is not None
    ]
    sources = [source for _, _, source in windows if source]
    if not sources:
        return []
    start, end = min(window[0] for window in windows), max(window[1] for window in windows)
    if end - start > MOST_SECONDS:
        return []
    series = {}
    try:
        for metric in (HOST_WATTS, RAPL_WATTS):
            series[metric] = await samples(metric, start - MARGIN_SECONDS, end + MARGIN_SECONDS)
    except (HistoryError, ClientError):
        return []
    return power_curve(Evidence(series), sources[0], run.scenarios)


def _from_folder(folder: Path, run: RunResult) -> list[Points]:
    """Power in each window that stored its samples. Blocks."""
    windows = []
    for place, one in enumerate(run.scenarios, start=1):
        start, end = one.record.start_time, one.record.end_time
        if start is None or end is None:
            continue
        try:
            trail = read_trail(trail_file(folder, place))
        except (OSError, ValueError) as error:
            log.warning("%s; the report draws the history instead", error)
            continue
        if not trail:
            continue
        first, last = max(start, trail[0].time), min(end, trail[-1].time)
        if last > first:
            with contextlib.suppress(NoData):
                windows.append(watts(steps(trail, first, last)))
    return [window for window in windows if window]


def watts(trail: Points, most: int = MOST_POINTS) -> Points:
    """Mean power between samples of a joules counter, stamped with the middle of each interval."""
    step = max(1, -(-(len(trail) - 1) // most))
    ends = [*trail[:-1:step], *trail[-1:]]
    return [((t0 + t1) / 2, (e1 - e0) / (t1 - t0)) for (t0, e0), (t1, e1) in pairwise(ends)]


def _merged(curve: Points, windows: list[Points]) -> Points:
    outside = [point for point in curve if not any(window[0][0] <= point[0] <= window[-1][0] for window in windows)]
    return sorted([*outside, *(point for window in windows for point in window)])
