"""The power of one measured window at full rate, in the run's folder: every sample of the power clock.

Kept in memory during the window and written after it to ``NN-power.csv``, NN being the scenario's place in the run,
as ``time,joules_total`` lines: Unix seconds, and joules of the host since the daemon's start. The difference of two
lines is exact; a power is that over the difference of times.
"""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path

from wattview.analysis.windows.energy import Points
from wattview.model import TrailPoint

TRAIL_SECONDS = 0.5
"""How often the power clock's short memory is asked; it holds a second or more."""

LOOK_PATIENCE_SECONDS = 0.2

Trail = Callable[[], Awaitable[Sequence[TrailPoint]]]
"""The last samples of the power, oldest first."""


HEADER = "time,joules_total"


def trail_file(folder: Path, place: int) -> Path:
    """Where the samples of a run's scenario lie; ``place`` counts from 1."""
    return folder / f"{place:02d}-power.csv"


def read_trail(file: Path) -> Points:
    """The samples that ``WindowTrail.write`` has written, none where there is no such file. Blocks.

    Raises ValueError where it is another kind of file, or not in order of time; OSError where it cannot be read.
    """
    try:
        header, *lines = file.read_text("ascii").splitlines()
    except FileNotFoundError:
        return []
    if header != HEADER:
        raise ValueError(f"{file}: the first line is not {HEADER}")
    points = [(float(time), float(joules)) for time, _, joules in (line.partition(",") for line in lines)]
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
        raise ValueError(f"{file}: not in order of time")
    return points


class WindowTrail:
    """Collects the samples of one window."""

    def __init__(self, trail: Trail | None) -> None:
        self._trail = trail
        self._times = array("d")
        self._joules = array("d")

    async def look(self) -> bool:
        """Takes what is new. Never ends the window, and never makes it longer: a source that hangs is left alone."""
        if self._trail is None:
            return False
        last = self._times[-1] if self._times else 0.0
        with contextlib.suppress(Exception):
            async with asyncio.timeout(LOOK_PATIENCE_SECONDS):
                for point in await self._trail():
                    if point.time > last:
                        self._times.append(point.time)
                        self._joules.append(point.joules)
        return False

    def write(self, path: Path) -> None:
        """Writes them, if there are any. Blocks; raises OSError."""
        if not self._times:
            return
        with path.open("w", encoding="ascii") as file:
            file.write(f"{HEADER}\n")
            file.writelines(
                f"{time:.6f},{joules:.6f}\n" for time, joules in zip(self._times, self._joules, strict=True)
            )
