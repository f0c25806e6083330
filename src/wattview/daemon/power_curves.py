"""Power over time of whole runs, from a history: what the report draws behind the windows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from wattview.analysis.energy import Points
from wattview.analysis.host import power_curve
from wattview.analysis.series import HOST_WATTS, RAPL_WATTS, Evidence
from wattview.client import ClientError
from wattview.daemon.history import HistoryError
from wattview.model import HistorySeries, RunResult

Samples = Callable[[str, float, float], Awaitable[list[HistorySeries]]]
"""A history's ``samples``, or the control API's."""

MARGIN_SECONDS = 15.0
"""How much is shown before the first window and after the last one."""

MOST_SECONDS = 3 * 86400.0
"""A run whose windows span more is drawn without its power."""


async def power_curves(samples: Samples, runs: Iterable[RunResult]) -> dict[str, Points]:
    """By the run's id, for those whose power is known and still in the history."""
    found = {}
    for run in runs:
        windows = [
            (one.record.start_time, one.record.end_time, one.power_source)
            for one in run.scenarios
            if one.record.start_time is not None and one.record.end_time is not None
        ]
        sources = [source for _, _, source in windows if source]
        if not sources:
            continue
        start, end = min(window[0] for window in windows), max(window[1] for window in windows)
        if end - start > MOST_SECONDS:
            continue
        series = {}
        try:
            for metric in (HOST_WATTS, RAPL_WATTS):
                series[metric] = await samples(metric, start - MARGIN_SECONDS, end + MARGIN_SECONDS)
        except (HistoryError, ClientError):
            continue
        if curve := power_curve(Evidence(series), sources[0], run.scenarios):
            found[run.id] = curve
    return found
