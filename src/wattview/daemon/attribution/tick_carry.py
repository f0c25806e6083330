"""Reconciles processes, counted in hundredths of a second, with control groups, counted in nanoseconds.

In one interval a process may seem to have used a tick more than the container that it is alone in. Cutting that off
each time would lose it for good; it is carried over to the next interval.
"""

from __future__ import annotations

from collections.abc import Mapping

from wattview.analysis.attribution.shares import Part, ProcessUse
from wattview.probes.procfs import CLOCK_TICKS_PER_SECOND

MOST_CARRIED_SECONDS = 4 / CLOCK_TICKS_PER_SECOND
"""Per process: a tick at either end of an interval, for it and for one helper."""


class TickCarry:
    """By how much processes have exceeded their parts so far."""

    def __init__(self) -> None:
        self._carried: dict[int, float] = {}

    def fitted(self, processes: Mapping[int, ProcessUse], parts: Mapping[Part, float]) -> dict[int, ProcessUse]:
        """The CPU times of an interval, with sums that do not exceed those of their parts."""
        wanted = {pid: one.cpu_seconds + self._carried.get(pid, 0.0) for pid, one in processes.items()}
        of_part: dict[Part | None, float] = {}
        for pid, one in processes.items():
            of_part[one.part] = of_part.get(one.part, 0.0) + wanted[pid]
        found = {}
        for pid, one in processes.items():
            room = parts.get(one.part) if one.part is not None else None
            whole = of_part[one.part]
            given = wanted[pid] if room is None or whole <= room else wanted[pid] * room / whole
            found[pid] = ProcessUse(given, one.part)
        self._carried = {pid: min(wanted[pid] - one.cpu_seconds, MOST_CARRIED_SECONDS) for pid, one in found.items()}
        return found
