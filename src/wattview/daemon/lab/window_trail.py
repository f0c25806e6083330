"""The daemon's own recording of one measured window, in the run's folder, so that a run's figures do not depend on
another program's data.

``NN-power.csv`` (NN is the scenario's place in the run) has every sample of the power clock: Unix seconds, the joules
of the host since the daemon's start, their upper bound, and the counters' update interval (``model.TrailPoint``). The
difference of two lines is exact; power is that over the difference of times. ``NN-window.json`` has the other series
behind the figures (CPU time, GPUs), and what was unknown and why.

Everything is kept in memory during the window and written after it.

If the wall clock is set during the window, all times remain those of the clock as it was at the start: a window's times
are for computing with, and its length, its energy and its power must match.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct

from wattview import whole_file
from wattview.analysis.windows.series import WALL_ENERGY, Evidence, OwnPower
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import HistorySeries, ScenarioRecord, TrailPoint
from wattview.probes.power.energy_source import Moment, moment

TRAIL_SECONDS = 0.5
"""How often the sampler's short buffer is read; it holds a second or more."""

READINGS_SECONDS = 1.0
"""How often the other sources are read, less often in a window of more than ``MANY_READINGS``; also just before and
after either end."""

MANY_READINGS = 1000

LOOK_PATIENCE_SECONDS = 0.2
EDGE_PATIENCE_SECONDS = 2.0

AFTER_SECONDS = 3.0
"""How long the trail and the wall meter are followed after the end of the window: a counter may update once a second
or less."""

GPU_LAG_SECONDS, GPU_LEAD_SECONDS = 0.2, 0.05
"""How much older or newer than its time stamp a GPU's energy may be: drivers update it 10 to 50 times a second, and
reading all GPUs takes a moment. The bounds of the rest are in the trail."""

MAX_BYTES = 256 * 1024 * 1024
"""Of a file that is read back: a day at 50 samples a second."""

DECIMALS = 6
"""Of the numbers in the file; the ends of the window have as many, so that they match its times exactly."""

CLOCK_SET_SECONDS = 0.1
"""A wall clock that differs by more from the other clocks has been set."""

Trail = Callable[[float], Awaitable[Sequence[TrailPoint]]]
"""The last samples of the power, oldest first, with times from an epoch (``Moment``)."""


class WindowReadings(Struct, frozen=True):
    """One reading of the other sources: samples as (Unix time, series, value). ``source`` is the trail's, None if there
    is none; ``gpus`` are the sources of the GPUs beside it, or a word for unreadable GPUs. ``reason`` says what is
    unknown."""

    samples: Sequence[tuple[float, str, float]]
    source: str | None
    gpus: Sequence[str] = ()
    reason: str = ""


class Meters(Struct, frozen=True):
    """What records a window. ``sample`` takes a power sample at once and returns its moment, None if there is none.
    ``readings`` reads the other sources."""

    trail: Trail
    sample: Callable[[], Awaitable[Moment | None]]
    readings: Callable[[], Awaitable[WindowReadings]]


class KeptWindow(Struct, frozen=True, kw_only=True):
    """``NN-window.json``, of all readings. ``sources``: every source that the trail had; ``gpus``: all beside it."""

    start: float
    end: float
    sources: list[str]
    gpus: list[str]
    reason: str
    series: list[HistorySeries]


HEADER = "time,joules_total,joules_most,update_seconds"
OLD_HEADER = "time,joules_total"


def trail_file(folder: Path, place: int) -> Path:
    """The samples file of a run's scenario; ``place`` counts from 1."""
    return folder / f"{place:02d}-power.csv"


def window_file(folder: Path, place: int) -> Path:
    return folder / f"{place:02d}-window.json"


def read_trail(file: Path) -> list[TrailPoint]:
    """The samples that ``WindowTrail.write`` has written; empty if there is no such file. Blocks.

    Raises ValueError if the file is of another kind or not in order of time; OSError if it cannot be read.
    """
    try:
        header, *lines = whole_file.read(file, MAX_BYTES).decode("ascii").splitlines()
    except FileNotFoundError:
        return []
    if header not in (HEADER, OLD_HEADER):
        raise ValueError(f"{file}: the first line is not {HEADER}")
    points = [_point(line) for line in lines]
    if any(later.time <= earlier.time for earlier, later in pairwise(points)):
        raise ValueError(f"{file}: not in order of time")
    return points


def read_window(folder: Path, place: int) -> KeptWindow | None:
    """None if there is no such file. Blocks. Raises ValueError for another kind of file, and OSError."""
    file = window_file(folder, place)
    try:
        return msgspec.json.decode(whole_file.read(file, MAX_BYTES), type=KeptWindow)
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise ValueError(f"{file}: {why_unreadable(error)}") from None


def own_evidence(folder: Path, place: int, record: ScenarioRecord) -> Evidence | None:
    """The recording of a scenario's window in a run's folder; None if it has none, or one of another window. Blocks.
    Raises ValueError and OSError as ``read_trail`` does."""
    kept = read_window(folder, place)
    if kept is None or (kept.start, kept.end) != (record.start_time, record.end_time):
        return None
    points = read_trail(trail_file(folder, place))
    reason = kept.reason
    if len(kept.sources) > 1:
        points, reason = [], f"the source of power changed in the window: {', '.join(kept.sources)}"
    series: dict[str, list[HistorySeries]] = {}
    for one in kept.series:
        series.setdefault(one.name.partition("{")[0], []).append(one)
    source = kept.sources[0] if kept.sources else ""
    own = OwnPower(source, points, gpus=kept.gpus, reason=reason)
    return Evidence(series, own=own, lag_seconds=GPU_LAG_SECONDS, lead_seconds=GPU_LEAD_SECONDS)


def _point(line: str) -> TrailPoint:
    time, joules, *more = map(float, line.split(","))
    return TrailPoint(time, joules, more[0] if more else joules, more[1] if len(more) > 1 else 0.0)


class WindowTrail:
    """Records one window: ``open`` at its start, ``look`` periodically, ``close`` at its end."""

    def __init__(self, meters: Meters | None, clock: Callable[[], Moment] = moment) -> None:
        self._meters = meters
        self._clock = clock
        self._epoch = 0.0
        self._points = array("d")
        self._series: dict[str, list[tuple[float, float]]] = {}
        self._sources: list[str] = []
        self._gpus: list[str] = []
        self._reason = ""
        self._read = self._opened = 0.0
        self._start = self._end = 0.0

    async def open(self) -> float:
        """Returns when the window starts: Unix seconds, at a power sample if there is one."""
        self._epoch = self._epoch_now()
        await self._take_readings()
        await self._take_points()
        self._start = await self._edge()
        self._opened = time.monotonic()
        return self._start

    async def opened(self) -> None:
        """Reads once more just after the start."""
        await self._take_readings()

    async def look(self) -> bool:
        """Takes new samples. Never delays or ends the window: a source that hangs is skipped."""
        await self._take_points(LOOK_PATIENCE_SECONDS)
        now = time.monotonic()
        if now - self._read >= max(READINGS_SECONDS, (now - self._opened) / MANY_READINGS):
            await self._take_readings(LOOK_PATIENCE_SECONDS)
        return False

    async def close(self) -> float:
        """Returns when the window ended: Unix seconds, at a power sample if there is one."""
        await self._take_readings()
        self._end = await self._edge()
        return self._end

    async def closed(self) -> None:
        """Reads once more after the end, and follows the trail until it covers it."""
        await self._take_readings()
        until = time.monotonic() + AFTER_SECONDS
        while True:
            await self._take_points()
            if not self._points or self._newest() >= self._end or time.monotonic() >= until:
                break
            await asyncio.sleep(0.1)
        while self._awaits_the_wall() and time.monotonic() < until:
            await asyncio.sleep(0.25)
            await self._take_readings()

    @property
    def clock_set(self) -> float:
        """By how many seconds the wall clock has been set since the start; 0 if it was not."""
        seconds = self._epoch_now() - self._epoch
        return seconds if abs(seconds) > CLOCK_SET_SECONDS else 0.0

    def _epoch_now(self) -> float:
        # A pause between two clocks' readings makes it smaller.
        return max(self._clock().epoch for _ in range(3))

    def _awaits_the_wall(self) -> bool:
        """A meter at the wall is read every second or two, and its last value is of before the end."""
        return any(name.startswith(WALL_ENERGY) and points[-1][0] < self._end for name, points in self._series.items())

    def _newest(self) -> float:
        """The time of the last point."""
        return self._points[-len(TrailPoint._fields)] if self._points else 0.0

    def write(self, folder: Path, place: int) -> None:
        """Writes everything. Blocks; raises OSError."""
        if self._points:
            with trail_file(folder, place).open("w", encoding="ascii") as file:
                file.write(f"{HEADER}\n")
                file.writelines(
                    ",".join(f"{value:.{DECIMALS}f}" for value in point) + "\n"
                    for point in zip(*[iter(self._points)] * len(TrailPoint._fields), strict=True)
                )
        if self._meters is not None:
            kept = KeptWindow(
                start=self._start,
                end=self._end,
                sources=self._sources,
                gpus=self._gpus,
                reason=self._reason,
                series=[HistorySeries(name, points) for name, points in sorted(self._series.items())],
            )
            window_file(folder, place).write_bytes(msgspec.json.encode(kept))

    async def _edge(self) -> float:
        if self._meters is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(EDGE_PATIENCE_SECONDS):
                    sampled = await self._meters.sample()
                    if sampled is not None:
                        return self._time(sampled)
        return self._time(self._clock())

    def _time(self, at: Moment) -> float:
        return round(self._epoch + at.boottime, DECIMALS)

    async def _take_points(self, patience: float = EDGE_PATIENCE_SECONDS) -> None:
        if self._meters is None:
            return
        with contextlib.suppress(Exception):
            async with asyncio.timeout(patience):
                for point in await self._meters.trail(self._epoch):
                    if point.time > self._newest():
                        self._points.extend(point)

    async def _take_readings(self, patience: float = EDGE_PATIENCE_SECONDS) -> None:
        if self._meters is None:
            return
        self._read = time.monotonic()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(patience):
                readings = await self._meters.readings()
                now, clock_set = self._time(self._clock()), self._epoch_now() - self._epoch
                for stamp, series, value in readings.samples:
                    at = stamp - clock_set
                    points = self._series.setdefault(series, [])
                    # What was read just before the clock was set back would otherwise be of the future.
                    if (points[-1][0] if points else -math.inf) < at <= now + CLOCK_SET_SECONDS:
                        points.append((at, value))
                if readings.source is not None and readings.source not in self._sources:
                    self._sources.append(readings.source)
                self._gpus += [source for source in readings.gpus if source not in self._gpus]
                self._reason = readings.reason or self._reason
