"""CPU time of single processes over time: of our encoders, and of watched processes with their helpers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from wattview.analysis.attribution.shares import Part
from wattview.daemon.attribution.cpu_lines import CpuLine
from wattview.daemon.attribution.processes import CpuTime


class WatchedProcess(Struct, frozen=True):
    """A process and its helpers: the CPU time of each by pid, and the part that it runs in."""

    times: Mapping[int, CpuTime]
    part: Part | None = None


class ProcessLines:
    """The lines of processes, by owner: an encoder's part, or the watched process's pid."""

    def __init__(self) -> None:
        self._lines: dict[tuple[Part | int, int, float], CpuLine] = {}
        self._looked: float | None = None

    def __iter__(self) -> Iterator[CpuLine]:
        return iter(self._lines.values())

    def clear(self) -> None:
        self._lines.clear()
        self._looked = None

    def add(self, at: float, processes: Mapping[tuple[Part | int, int], CpuTime], cpus: int) -> None:
        """Takes a look at processes, by owner and pid. One that is missing has ended."""
        seen = set()
        for (whose, pid), time in processes.items():
            key = (whose, pid, round(time.started, 1))
            seen.add(key)
            line = self._lines.get(key)
            if line is None:
                line = self._lines[key] = CpuLine(whose if isinstance(whose, Part) else None, cpus)
                if self._looked is not None:
                    line.begin(time.started, self._looked)
            line.trace.add(at, time.seconds)
        for key, line in self._lines.items():
            if key not in seen and line.ended is None:
                line.ended = line.trace.end
        self._looked = at

    def of_watched(self, start: float, end: float) -> dict[int, float]:
        """CPU seconds of each watched process in a span, without those first seen within it, whose earlier use is
        unknown."""
        used: dict[int, float] = {}
        late = set()
        for (whose, pid, _), line in self._lines.items():
            seconds = line.used(start, end)
            if isinstance(whose, Part) or seconds is None:
                continue
            used[whose] = used.get(whose, 0.0) + seconds
            if whose == pid and line.trace.begin > max(start, line.begins):
                late.add(pid)
        return {pid: seconds for pid, seconds in used.items() if pid not in late}

    def forget(self, before: float) -> None:
        """Drops processes that ended before a moment, and older readings of the others."""
        self._lines = {key: line for key, line in self._lines.items() if line.ended is None or line.ended > before}
        for line in self._lines.values():
            line.trace.forget(before)
