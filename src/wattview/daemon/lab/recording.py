"""Windows of running workloads and streams, and windows of the past, as results."""

from __future__ import annotations

import asyncio
import time

from wattview.analysis.windows.parts import STREAM_POWER, WORKLOAD_ENERGY, recorded_parts
from wattview.daemon.history.protocol import History, HistoryError
from wattview.model import RecordedPart, ScenarioRecord

LATE_SECONDS = 15.0
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
            workloads, streams = await asyncio.gather(
                history.samples(WORKLOAD_ENERGY, start, end), history.samples(STREAM_POWER, start, end)
            )
            newest = max((one.points[-1][0] for one in workloads if one.points), default=end)
            if newest >= end or time.monotonic() > late:
                break
            await asyncio.sleep(0.5)
    except HistoryError as error:
        return [], f"the energy of workloads and streams is unknown: {error}"
    parts = await asyncio.to_thread(recorded_parts, workloads, streams, start, end)
    more = len(parts) - MOST_PARTS
    return parts[:MOST_PARTS], f"{more} more workloads and streams are not listed" if more > 0 else ""


def past_record(name: str, start: float, end: float, parts: list[RecordedPart], notes: list[str]) -> ScenarioRecord:
    """A window of the past, whose figures come from the history."""
    return ScenarioRecord(
        name=name, type="recording", duration=end - start, start_time=start, end_time=end, status="done", parts=parts,
        notes=notes or None, streams=0,
    )  # fmt: skip
