"""Reconciles CPU times that the kernel counts in ticks (of processes and the whole machine) with those that it counts
in nanoseconds (of control groups).

In one interval a process may seem to have used a tick more than the container that it is alone in, and all containers
more than the machine. Cutting off the excess would lose it for good, so it is carried over to the next interval.
"""

from __future__ import annotations

import math
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


class BusyCarry:
    """The machine's CPU time, of which most kernels (``CONFIG_TICK_CPU_ACCOUNTING``) take a sample each tick.

    The samples of a quiet machine scatter by a fifth in a second. Where they are fewer than what the groups have used,
    the groups' sum is the machine's, and what it exceeds the samples by is taken off later intervals: over time there
    is neither more nor less than the kernel counted, and no part of the scatter is unattributed for good.
    """

    def __init__(self) -> None:
        self._owed = 0.0

    def fitted(self, busy_seconds: float, used_seconds: float, cpu_seconds: float) -> float:
        """The CPU time of an interval in which the groups used ``used_seconds``; ``cpu_seconds`` is that of all CPUs,
        idle or not. What is owed is never more than four standard deviations of that many samples."""
        wanted = busy_seconds - self._owed
        most = 4 * math.sqrt(cpu_seconds / CLOCK_TICKS_PER_SECOND / 4)
        self._owed = min(max(used_seconds - wanted, 0.0), most)
        return max(wanted, used_seconds)
