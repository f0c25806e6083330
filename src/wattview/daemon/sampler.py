"""The sampler: when each probe is read.

Power is read by a clock, in its own thread. Everything else is read on request (a scrape, a dashboard, the history's
tick); concurrent requests share one reading, and a reading younger than a request's ``max_age`` is reused. Several
sources are read one by one; one that hangs blocks only its own thread. A source that failed is not retried for a while.
Failures are values: ``status`` gives state and reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from wattview.config import Config
from wattview.daemon.events import tell
from wattview.model import (
    EventLevel,
    Gpu,
    GpusReading,
    HostReading,
    PowerReading,
    ProbeState,
    ProbeStatus,
    Reading,
    TrailPoint,
)
from wattview.probes import SourceBroken, SourceError
from wattview.probes.power.energy_source import Moment
from wattview.probes.power.probe import PowerProbe
from wattview.probes.registry import REGISTRY, ProbeEntry

log = logging.getLogger("wattview.sampler")

T = TypeVar("T")

FRESH_SECONDS = 0.1
"""Requests within this time share one reading. Prometheus stamps a sample with the time of its scrape: a reading older
by half a second would shift the ends of every window by as much."""

PATIENCE_SECONDS = 5.0
"""How long a request waits for a source before it continues without it."""

ORDER_SECONDS = 0.05
"""How long a reading waits for the one of another source that began before it. Two at once take longer than one after
the other: they hand Python's lock to each other at every file."""

RETRY_SECONDS: dict[ProbeState, float] = {"absent": 15.0, "refused": 15.0, "broken": 2.0}
"""How long a failed source is not retried. ``wattview doctor`` ignores this."""


LOOK_SECONDS = 15.0
"""How often a source without requests is checked."""

LEVELS: dict[ProbeState, EventLevel] = {"absent": "info", "broken": "error"}
"""Log levels for a source's failures; the default is warning."""


_NUMBER = re.compile(r"\d+(\.\d+)?")


def until_tick(interval_seconds: float) -> float:
    """Seconds until the next multiple of the interval: periodic work then runs together and wakes the processor
    once."""
    return interval_seconds - time.monotonic() % interval_seconds


class OneByOne:
    """Lets a reading begin when the one before it has ended, or takes long."""

    def __init__(self) -> None:
        self._last: asyncio.Task[Any] | None = None

    async def wait(self) -> None:
        before, self._last = self._last, asyncio.current_task()
        if before is not None and not before.done():
            await asyncio.wait({before}, timeout=ORDER_SECONDS)


class Source:
    """One probe, read on demand in its own thread, with its last reading and its state. ``order`` is that of all."""

    def __init__(self, entry: ProbeEntry, config: Config, order: OneByOne) -> None:
        self.entry = entry
        self._order = order
        self.name = entry.name
        self.probe = entry.make(config)
        self._has_details = any(view.detailed for view in entry.views)
        self._detailed = False
        self.latest: Reading | None = None
        self.status = ProbeStatus(probe=entry.name, state="unread")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"probe-{entry.name}")
        self._pending: asyncio.Task[Reading | SourceError] | None = None
        self._began = 0.0
        self._failure: SourceError | None = None
        self._failed_at = 0.0
        self._told = ("unread", "")

    def known(self, max_age: float, *, detailed: bool = False) -> Reading | SourceError | None:
        """The last outcome; None if it is too old."""
        now = time.monotonic()
        missing = detailed and not self._detailed
        if self.latest is not None and self._failure is None and now - self.latest.monotonic <= max_age and not missing:
            return self.latest
        if self._failure is not None and max_age > 0 and now - self._failed_at < RETRY_SECONDS[self._failure.state]:
            return self._failure
        return None

    async def read(
        self, max_age: float = FRESH_SECONDS, patience: float = PATIENCE_SECONDS, *, detailed: bool = False
    ) -> Reading:
        """A reading no older than ``max_age`` seconds. Raises SourceError, also on a time-out."""
        known = self.known(max_age, detailed=detailed)
        if isinstance(known, SourceError):
            raise known.with_traceback(None)  # else every raise lengthens its traceback, and keeps its frames
        if known is not None:
            return known
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(self._read(detailed))
            self._began = time.monotonic()
        # A pending read is shared: a request that times out must not cancel it for the others.
        pending = self._pending
        done, _ = await asyncio.wait({pending}, timeout=patience)
        if not done:
            raise self._unanswered(time.monotonic() - self._began)
        outcome = pending.result()
        if isinstance(outcome, SourceError):
            raise outcome
        if detailed and not (self._detailed and outcome is self.latest):  # it had begun before they were asked for
            return await self.read(max_age, patience, detailed=True)
        return outcome

    def _unanswered(self, seconds: float) -> SourceError:
        """A reading took longer than this request waits. The source is at fault only if it takes longer than any
        request waits; until then its state is unchanged."""
        error = SourceBroken(f"{self.name} has not answered for {seconds:.1f} s")
        if seconds >= PATIENCE_SECONDS and self._told[0] != "broken":
            self._note(error.state, error.reason, "", None)
            self._told = (error.state, "")
        elif self.status.state == "unread":
            self._set(error.state, error.reason, "", None)
        return error

    async def call(self, function: Callable[[Any], T]) -> T:
        """Runs ``function(probe)`` in the probe's own thread, for special reads. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, self.probe)

    def age(self) -> float | None:
        return None if self.latest is None else time.monotonic() - self.latest.monotonic

    async def _read(self, detailed: bool) -> Reading | SourceError:
        await self._order.wait()
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        read: Callable[..., Reading] = self.probe.read
        if self._has_details:
            read = partial(read, detailed=detailed)
        try:
            reading = await loop.run_in_executor(self._thread, read)
        except Exception as caught:
            error = caught if isinstance(caught, SourceError) else _unexpected(self.name, caught)
            self._failure, self._failed_at = error, time.monotonic()
            self._note(error.state, error.reason, error.fix, time.perf_counter() - began)
            return error
        self.latest, self._failure, self._detailed = reading, None, detailed
        if reading.faults:
            first = reading.faults[0]
            more = f" (and {len(reading.faults) - 1} more)" if len(reading.faults) > 1 else ""
            took = time.perf_counter() - began
            self._note("degraded", f"{first.part}: {first.reason}{more}", first.fix, took, first.part)
        else:
            self._note("ok", "", "", time.perf_counter() - began)
        return reading

    def _note(self, state: ProbeState, reason: str, fix: str, duration: float | None, part: str = "") -> None:
        """Sets the status, and logs it if the fault is new: another state or part, or a reason that differs in more
        than its numbers. A source that hung and then fails is not logged again."""
        fault = (state, part + _NUMBER.sub("#", reason))
        hung = self._told == (state, "") and state == "broken"
        if fault != self._told and not hung:
            if state == "ok":
                tell("info", f"source {self.name}", "works" if self._told[0] == "unread" else "works again")
            else:
                text = f"{state}: {reason}; {fix}" if fix else f"{state}: {reason}"
                tell(LEVELS.get(state, "warning"), f"source {self.name}", text)
        self._told = fault
        self._set(state, reason, fix, duration)

    def _set(self, state: ProbeState, reason: str, fix: str, duration: float | None) -> None:
        self.status = ProbeStatus(
            probe=self.name,
            state=state,
            reason=reason,
            fix=fix,
            duration_seconds=duration,
            last_success=None if self.latest is None else self.latest.time,
        )

    def close(self) -> None:
        """Closes the probe. A thread that hangs in a source lives until the process ends."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(Exception):
            self.probe.close()


class PowerClock:
    """Calls ``PowerProbe.tick`` at a rate that suits its source, so that no wrap is missed and peaks are seen.

    Late ticks are dropped, not caught up: energy comes from counters, so a late sample costs resolution, never joules.
    """

    def __init__(self, probe: PowerProbe) -> None:
        self._probe = probe
        self._stop = threading.Lock()  # held while it runs: to wait for it costs less than for an Event
        self._stop.acquire()
        self._thread = threading.Thread(target=self._run, name="power-clock", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            if self._stop.locked():
                self._stop.release()
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        due = time.monotonic()
        stopped = False
        while not stopped:
            try:
                self._probe.tick()
            except (SourceError, OSError) as error:
                # The next read() reports it with its reason; the clock continues.
                log.debug("the power clock: %s", error)
            now = time.monotonic()
            due = max(due + 1.0 / self._probe.sample_hz, now)
            stopped = self._stop.acquire(timeout=due - now)


class Sampler:
    """All sources of this machine, by name."""

    def __init__(self, config: Config, entries: Iterable[ProbeEntry] = REGISTRY) -> None:
        order = OneByOne()
        self.sources = {entry.name: Source(entry, config, order) for entry in entries if entry.used(config)}
        self._clock: PowerClock | None = None
        power = self.sources.get("power")
        if power is not None and isinstance(power.probe, PowerProbe):
            self._clock = PowerClock(power.probe)

    def start(self) -> None:
        if self._clock is not None:
            self._clock.start()

    async def read(self, name: str, max_age: float = FRESH_SECONDS, patience: float = PATIENCE_SECONDS) -> Reading:
        return await self.sources[name].read(max_age, patience)

    async def read_or_none(self, name: str, max_age: float = FRESH_SECONDS, patience: float = 1.0) -> Reading | None:
        """The reading, or None if there is none; ``status`` says why."""
        source = self.sources.get(name)
        if source is None:
            return None
        try:
            return await source.read(max_age, patience)
        except SourceError:
            return None

    async def read_each(
        self, names: Sequence[str], max_age: float = FRESH_SECONDS, patience: float = 1.0
    ) -> list[Reading | None]:
        """The same of several sources; no task is made for one that is known."""
        known = {name: self.sources[name].known(max_age) for name in names if name in self.sources}
        late = [name for name, outcome in known.items() if outcome is None]
        if late:
            read = await asyncio.gather(*(self.read_or_none(name, max_age, patience) for name in late))
            known.update(zip(late, read, strict=True))
        return [outcome if isinstance(outcome, Reading) else None for outcome in map(known.get, names)]

    async def look_after(self, name: str) -> None:
        """Checks a source without requests periodically, so that its state is known. Returns if there is none of that
        name."""
        while name in self.sources:
            await self.read_or_none(name, patience=PATIENCE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    def sources_of(self, exporter: str) -> list[Source]:
        """The sources of one exporter."""
        return [source for source in self.sources.values() if source.entry.view(exporter) is not None]

    def statuses(self) -> tuple[ProbeStatus, ...]:
        return tuple(source.status for source in self.sources.values())

    def known_gpus(self, reading: Reading | None) -> tuple[Gpu, ...] | None:
        """The GPUs of a GPU reading. Without a reading: empty if this machine has none, and None if it may have
        unreadable ones."""
        if isinstance(reading, GpusReading):
            return reading.gpus
        source = self.sources.get("gpu")
        return () if source is None or source.status.state == "absent" else None

    def gpu_models(self) -> tuple[str, ...] | None:
        """The names of this machine's GPUs as they were last read; None where they are not known."""
        source = self.sources.get("gpu")
        known = self.known_gpus(source.latest if source is not None else None)
        return None if known is None else tuple(gpu.name for gpu in known)

    def power_source(self) -> str | None:
        """The current source of host power; None if there is none."""
        source = self.sources.get("power")
        return source.latest.source if source is not None and isinstance(source.latest, PowerReading) else None

    async def hostname(self) -> str:
        """The host name; "" while unknown."""
        host = await self.read_or_none("host", max_age=3600.0)
        return host.hostname if isinstance(host, HostReading) else ""

    async def load(self) -> tuple[float | None, float | None]:
        """Watts of the host and percent of the machine's CPU time, now; None if unknown."""
        power, host = await self.read_or_none("power"), await self.read_or_none("host")
        return (
            power.host_watts if isinstance(power, PowerReading) else None,
            host.cpu_percent if isinstance(host, HostReading) else None,
        )

    async def power_trail(self, epoch: float) -> list[TrailPoint]:
        """The samples of the power clock in the last second or so, with times from that ``epoch`` (``Moment``)."""
        if self._clock is None:
            return []
        return await self.sources["power"].call(lambda probe: cast(PowerProbe, probe).trail(epoch))

    async def power_since_last(self) -> tuple[float | None, float | None]:
        """For the history: see ``PowerProbe.since_last``."""
        return (None, None) if self._clock is None else await self.sources["power"].call(PowerProbe.since_last)

    async def power_sample(self) -> Moment | None:
        """Takes a power sample independently of the clock; returns its moment. Raises SourceError."""
        return None if self._clock is None else await self.sources["power"].call(PowerProbe.sample_now)

    def close(self) -> None:
        if self._clock is not None:
            self._clock.stop()
        for source in self.sources.values():
            source.close()


def _unexpected(name: str, error: Exception) -> SourceError:
    log.debug("%s failed", name, exc_info=error)
    return SourceBroken(f"{name} failed: {type(error).__name__}: {error}")
