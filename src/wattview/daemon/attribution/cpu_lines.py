"""CPU time as interpolated lines: of the items that a source lists, and of single processes, from start to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wattview.analysis.attribution.counter_interpolation import Trace
from wattview.analysis.attribution.shares import Part
from wattview.model import Reading

LISTED_LATE_SECONDS = 2.0
"""How much older than the reading before its first appearance a container may be: the engine reports it late."""


class CpuLine:
    """The CPU time of one container, workload or process. ``part`` is None for a watched process."""

    __slots__ = ("begins", "ended", "part", "trace")

    def __init__(self, part: Part | None, cpus: int) -> None:
        self.part = part
        self.trace = Trace(most_per_second=cpus)
        self.begins = float("-inf")
        self.ended: float | None = None

    def begin(self, started: float, unseen_since: float) -> None:
        """Counts from 0 at its start if that is since the last look; earlier use is unknown."""
        if started >= unseen_since:
            self.begins = started
            self.trace.add(started, 0.0)

    def used(self, start: float, end: float) -> float | None:
        """CPU seconds in a span; None if it did not exist then, or has not been read up to its end."""
        if self.begins >= end or (self.trace.end < end if self.ended is None else self.ended <= start):
            return None
        return self.trace.increase(start, end)


class CpuTotal(NamedTuple):
    """One item of a source's list. Its times are Unix seconds, None if unknown, or if it has not ended."""

    id: str
    part: Part
    cpu_seconds: float | None
    started: float | None
    ended: float | None


class CpuLines:
    """The lines of all items of one source, by id and start: a restarted item is a new line."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, float | None], CpuLine] = {}
        self._read: float | None = None

    def __iter__(self) -> Iterator[CpuLine]:
        return iter(self._lines.values())

    def items(self) -> Iterator[tuple[str, CpuLine]]:
        """Each line with the id of its item."""
        return ((key[0], line) for key, line in self._lines.items())

    def clear(self) -> None:
        self._lines.clear()
        self._read = None

    def add(self, reading: Reading, listed: Iterable[CpuTotal], cpus: int) -> None:
        """Takes a reading and its items; an outdated reading is ignored."""
        before = self._read
        if before is not None and reading.monotonic <= before:
            return
        offset = reading.monotonic - reading.time
        lines: dict[tuple[str, float | None], CpuLine] = {}
        for one in listed:
            if one.cpu_seconds is None:
                continue
            key = (one.id, one.started)
            ended = None if one.ended is None else min(one.ended + offset, reading.monotonic)
            line = self._lines.get(key)
            if line is None:
                line = CpuLine(one.part, cpus)
                if before is not None and one.started is not None:
                    line.begin(one.started + offset, before - LISTED_LATE_SECONDS)
            line.part = one.part
            line.ended = ended
            line.trace.add(reading.monotonic if ended is None else ended, one.cpu_seconds)
            lines[key] = line
        self._lines, self._read = lines, reading.monotonic
