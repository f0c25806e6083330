"""Records the key series of all sources in the embedded history.

It runs every ``history.interval``, and whenever ``mark`` is called: the scenario runner marks both ends of a measured
window, so that energy and CPU time are read exactly there and not interpolated over a whole interval.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time

from wattview.analysis.windows import series as names
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.exporters.run_families import machine_families
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.machine_now import machine_now
from wattview.daemon.sampler import Sampler, Source, until_tick
from wattview.daemon.wall.wall import Wall
from wattview.exposition import Sample, labels
from wattview.model import PowerReading
from wattview.probes import SourceError

log = logging.getLogger("wattview.history")

PEAK = "wattview_host_power_peak_watts"
"""A series of the history only: the largest power between two samples since the previous tick."""


FACTS_SECONDS = 60.0
"""How often slowly changing series are repeated, so that every moment has a sample nearby."""

SHARED_SECONDS = 2.5
"""Maximum age of a reading that a tick takes from others, and half of its interval at most; of power, less."""

FRESH_POWER_SECONDS = 0.5

MARK_SECONDS = 2.0
"""How long a mark waits for a reading taken after it: two samples of the slowest power source."""


class Recorder:
    """Writes the series that the registry marks as kept, and the attribution of power.

    One tick at a time; a failed write is reported once and retried.
    """

    def __init__(
        self, sampler: Sampler, history: SqliteHistory, attributor: Attributor, wall: Wall, interval_seconds: float
    ) -> None:
        self._sampler = sampler
        self._wall = wall
        self._attributor = attributor
        self._attributed = 0.0
        self._history = history
        self._interval = interval_seconds
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._facts: dict[str, tuple[float, list[Sample]]] = {}
        self._failing = ""

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.mark()

    async def mark(self) -> None:
        """Reads and writes everything now; returns when the history has readings taken after this call."""
        await self._tick(max_age=0.0, not_before=time.monotonic())

    async def _run(self) -> None:
        while True:
            try:
                await self._tick(max_age=min(SHARED_SECONDS, self._interval / 2))
            except Exception as error:
                # Recording never ends by itself: the next tick may succeed.
                self._say(f"{type(error).__name__}: {error}")
                log.debug("a tick of the history failed", exc_info=error)
            await asyncio.sleep(until_tick(self._interval))

    async def _tick(self, max_age: float, not_before: float = 0.0) -> None:
        async with self._lock:
            sources = [s for s in self._sampler.sources.values() if any(view.keep for view in s.entry.views)]
            read = await asyncio.gather(*(self._samples(source, max_age, not_before) for source in sources))
            parts = [part for parts in read for part in parts]
            machine = await machine_now(self._sampler, self._wall)
            whole = [(f.name + text, value) for f in machine_families(machine.power) for text, value in f.samples]
            parts.append((machine.time, whole))
            await self._attributor.advance()
            attributed = self._attributor.kept()
            if attributed[0] != self._attributed:
                self._attributed = attributed[0]
                parts.append(attributed)
                parts.append(self._wall.kept())
            try:
                await self._history.append_all(parts)
            except HistoryError as error:
                self._say(str(error))
            else:
                self._say("")

    def _say(self, problem: str) -> None:
        """Reports why nothing can be written ("" if it can), once per reason."""
        if problem == self._failing:
            return
        if problem:
            log.warning("the history cannot be written: %s", problem)
        else:
            log.info("the history can be written again")
        self._failing = problem

    async def _samples(self, source: Source, max_age: float, not_before: float) -> list[tuple[float, list[Sample]]]:
        """The kept series of one source, at the time of its reading, and its slowly changing series if due.

        A reading that others have asked for is shared, and stored at its own time; power, which is read anyway, only
        while it is fresh. A reading may have started before ``not_before``: it is repeated, for up to
        ``MARK_SECONDS``, until it has not.
        """
        if source.name == "power":
            max_age = min(max_age, FRESH_POWER_SECONDS)
        deadline = time.monotonic() + MARK_SECONDS
        try:
            reading = await source.read(max_age)
            while reading.monotonic < not_before and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
                reading = await source.read(max_age)
        except SourceError:
            self._facts.pop(source.name, None)
            return []
        samples: list[Sample] = []
        facts: list[Sample] = []
        for view in source.entry.views:
            for family in view.families(reading) if view.keep else ():
                kept = samples if family.name in view.keep else facts if family.name in view.facts else None
                if kept is not None:
                    kept.extend((family.name + text, value) for text, value in family.samples)
        if isinstance(reading, PowerReading):
            samples += await self._of_the_clock(reading)
        written, before = self._facts.get(source.name, (-math.inf, []))
        if facts == before and reading.monotonic - written < FACTS_SECONDS:
            return [(reading.time, samples)]
        self._facts[source.name] = reading.monotonic, facts
        return [(reading.time, samples), (reading.time, facts)]

    async def _of_the_clock(self, reading: PowerReading) -> list[Sample]:
        """The peak since the last tick, and the counters' update interval, which bounds the age of their values."""
        peak, update_seconds = await self._sampler.power_since_last()
        peaks = [watts for watts in (peak, reading.host_peak_watts) if watts is not None]
        text = labels(source=reading.source)
        found = [(PEAK + text, max(peaks))] if peaks else []
        return found if update_seconds is None else [*found, (names.HOST_UPDATE_SECONDS + text, update_seconds)]
