"""Windows of running workloads and streams, and windows of the past, as results."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from itertools import pairwise

from msgspec.structs import replace

from wattview.analysis.windows.parts import (
    OUTSIDE_POWER,
    STREAM_POWER,
    WORKLOAD_ENERGY,
    WORKLOAD_POWER,
    idle_included,
    parts_with_idle,
    recorded_parts,
    used,
)
from wattview.daemon.history.protocol import History, HistoryError
from wattview.model import HistorySeries, RecordedPart, ScenarioRecord
from wattview.model.source import total

LATE_SECONDS = 15.0
PIECE_SECONDS, KEPT_SAMPLES = 3600.0, 2000
MOST_PARTS = 200
"""How many workloads and streams one result lists: those with the most energy."""


async def parts_of(history: History, start: float, end: float) -> tuple[list[RecordedPart], str]:
    """The workloads and streams of a window, and why they are unknown or not all listed, or "".

    Energy is attributed some seconds after it was used. Of a window that has just ended the history is read when it
    reaches beyond its end, or after ``LATE_SECONDS``, whatever the clock does meanwhile.
    """
    late = time.monotonic() + min(LATE_SECONDS, LATE_SECONDS - (time.time() - end))
    try:
        while True:
            lately = max(start, end - LATE_SECONDS), end
            last = await history.samples(OUTSIDE_POWER, *lately) or await history.samples(WORKLOAD_ENERGY, *lately)
            newest = max((one.points[-1][0] for one in last if one.points), default=end)
            if newest >= end or time.monotonic() > late:
                break
            await asyncio.sleep(0.5)
        idle = idle_included(await history.samples(OUTSIDE_POWER, start, end), start, end)
        if idle == "always":
            parts = used(await _with_idle(history, start, end))
        else:
            workloads, streams = await _counters(history, start, end), await history.samples(STREAM_POWER, start, end)
            parts = await asyncio.to_thread(recorded_parts, workloads, streams, start, end)
    except HistoryError as error:
        return [], f"the energy of workloads and streams is unknown: {error}"
    more = len(parts) - MOST_PARTS
    lacks = (IDLE_UNKNOWN[idle], f"{more} more workloads and streams are not listed" if more > 0 else "")
    return parts[:MOST_PARTS], "; ".join(filter(None, lacks))


IDLE_UNKNOWN = {
    "": "",
    "always": "idle power was not known: the energy of workloads and streams includes it",
    "partly": "idle power became known in the window: the energy of what ran before is unknown",
}


def _pieces(start: float, end: float) -> Iterator[tuple[float, float]]:
    """The window in pieces, since a day of many workloads has millions of samples."""
    count = math.ceil((end - start) / PIECE_SECONDS)
    return pairwise([*(start + piece * PIECE_SECONDS for piece in range(count)), end])


async def _with_idle(history: History, start: float, end: float) -> list[RecordedPart]:
    """The parts of a window in which idle power was unknown, read in pieces and added up."""
    found: dict[str, RecordedPart] = {}
    for begin, until in _pieces(start, end):
        workloads = await history.samples(WORKLOAD_POWER, begin, until)
        series = [*workloads, *await history.samples(STREAM_POWER, begin, until)]
        for name, part in (await asyncio.to_thread(parts_with_idle, series, begin, until)).items():
            before = found.get(name)
            joules = part.energy_joules if before is None else total((before.energy_joules, part.energy_joules))
            found[name] = replace(part, energy_joules=joules)
    return list(found.values())


async def _counters(history: History, start: float, end: float) -> list[HistorySeries]:
    """The workloads' counters, read in pieces. A long window is thinned, which loses no energy: energy is the
    difference between the counters that remain."""
    found: dict[str, list[tuple[float, float]]] = {}
    apart = (end - start) / KEPT_SAMPLES
    for begin, until in _pieces(start, end):
        for series in await history.samples(WORKLOAD_ENERGY, begin, until):
            points = found.setdefault(series.name, [])
            points += _thinned([one for one in series.points if not points or one[0] > points[-1][0]], apart)
    return [HistorySeries(name, points) for name, points in found.items() if points]


def _thinned(points: list[tuple[float, float]], apart: float) -> list[tuple[float, float]]:
    """The first sample in each span of ``apart`` seconds, the last of all, and those at which the counter restarted."""
    kept = points[:1]
    kept += [now for before, now in pairwise(points) if now[0] // apart != before[0] // apart or now[1] < before[1]]
    return kept if kept[-1:] == points[-1:] else [*kept, points[-1]]


def past_record(name: str, start: float, end: float, parts: list[RecordedPart], notes: list[str]) -> ScenarioRecord:
    """A window of the past, whose figures come from the history."""
    return ScenarioRecord(
        name=name, type="recording", duration=end - start, start_time=start, end_time=end, status="done", parts=parts,
        notes=notes or None, streams=0,
    )  # fmt: skip
