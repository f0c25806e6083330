"""The host's power, from the best source of this machine (``model.power_sources`` lists them).

``PowerProbe`` reads its source, keeps the last samples (``samples``) and makes readings of them. Each source's module
says what it reads.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from importlib import import_module

from msgspec import Struct
from msgspec.structs import replace

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.model import Fault, PowerReading, TrailPoint, Zone
from wattview.model.power_sources import HOST_SOURCES
from wattview.probes import SourceAbsent, SourceError
from wattview.probes.power.energy_source import (
    EnergySource,
    Glance,
    GlancedSource,
    Measurement,
    Moment,
    SourceStill,
    ZoneEnergy,
    moment,
    slept,
)
from wattview.probes.power.samples import Samples, watts_between
from wattview.probes.power.update_interval import QUICK_SECONDS

MAX_WINDOW_SECONDS = 60.0
"""A mean over a longer time is not current."""

FRESH_SECONDS = 0.05
"""Maximum age of the sample behind a reading. A store stamps it with the time of its scrape, so that an age which
varies from scrape to scrape is an error of the energy between two of them."""

RETRY_SECONDS = 1.0
"""How long ``sample()`` does not retry a failed source. ``read()`` always does."""

LOOK_SECONDS = 0.1
LOOK_PAUSE_SECONDS = 0.0002
LOOK_UPDATES = 6
"""New counters are read this often for this long, or until this many updates were seen, to find their update interval.
This is done once for each set of counters, and again later if it was inconclusive."""

LOOK_AGAIN_SECONDS = 300.0

WAIT = 1.1
"""How many update intervals after a sample its counters are read again."""

CLOSE_SECONDS = 0.5
"""How often the clock reads quickly updated counters again after a sample while nobody follows the trail."""

FOLLOWED_SECONDS = 2.0
"""How long after a request for the trail every sample is a close one."""

PENDING_SECONDS = 5.0
"""How long what the clock has read may wait to be taken."""

ESTIMATE_INSTEAD = "for an estimate until then: --set power.sources=estimated"


class Glimpse(Struct, frozen=True, gc=False):
    """What the counters showed at ``began``, read until ``at``; and a close sample's second reading."""

    began: Moment
    at: Moment
    seen: Glance
    later: tuple[Moment, Glance] | None


class PowerProbe:
    """Power of the host. ``tick()`` is for the power clock, ``read()`` for readers; they may run concurrently.

    Most ticks only read the counters' files and note the time. What they mean is worked out when somebody asks, or
    every few seconds: ten samples at once take little longer than one, because a processor that has just woken up has
    nothing of the program in its caches.

    ``power.sources`` selects the source. ``auto`` uses the first that works, and the estimate only if nothing measures:
    no meter exists, or none of them moves. A counter without permission is one command away from working, so it is
    reported as refused (SourceRefused, with that command) rather than replaced by an estimate; another meter may take
    its place, with the refusal as a fault of the reading.
    """

    def __init__(
        self, config: Config, clock: Callable[[], Moment] = moment, pause: Callable[[float], None] = time.sleep
    ) -> None:
        chosen = [entry for entry in HOST_SOURCES if config.power.sources in ("auto", entry.name)]
        modules = [import_module(f".{entry.module}", __package__) for entry in chosen]
        self._sources: list[EnergySource] = [module.make(config) for module in modules]
        self._estimates = frozenset(entry.name for entry in chosen if not entry.measures)
        self._source: EnergySource | None = None
        self._configured_hz = config.power.sample_hz
        self._clock = clock
        self._pause = pause
        self._lock = threading.Lock()
        self._samples = Samples()
        self._looked_at: frozenset[str] = frozenset()
        self._looked = 0.0
        self._failure: tuple[float, SourceError] | None = None
        self._faults: tuple[Fault, ...] = ()
        self._idle_watts: float | None = None
        self._zones: tuple[ZoneEnergy, ...] = ()
        self._update_seconds = 0.0
        self._steady: GlancedSource | None = None
        self._pending: list[Glimpse] = []
        self._close_at = float("-inf")
        self._followed_until = float("-inf")

    @property
    def sample_hz(self) -> float:
        """Useful rate of ``sample()`` now: ``power.sample_hz``, or less if the source updates less often."""
        source = self._source
        return self._configured_hz if source is None else min(self._configured_hz, source.useful_hz)

    def tick(self) -> None:
        """Samples at the clock's rate and at the least cost. Raises SourceError as ``sample`` does."""
        with self._lock:
            now = self._clock()
            if not self._glimpse(now):
                self._try(now)

    def sample(self) -> None:
        """Takes one sample, unless one was taken just now. Raises SourceError if there is nothing to sample."""
        with self._lock:
            self._try(self._clock())

    def read(self) -> PowerReading:
        """The current power, from the samples so far; takes one if the last is too old. Raises SourceError."""
        with self._lock:
            self._sample(self._clock(), FRESH_SECONDS)
            return self._reading()

    def sample_now(self) -> Moment:
        """Takes a sample independently of the clock, to end a measured window. Returns the end of its reading. Raises
        SourceError."""
        with self._lock:
            self._sample(self._clock(), 0.0)
            assert self._samples.newest is not None
            return self._samples.newest.at

    def trail(self, epoch: float) -> list[TrailPoint]:
        """The samples of the last second or so, oldest first, with times from that ``epoch`` (``Moment``). A counter
        that is updated less often than it is read has a point per update, and its latest one is not included yet."""
        with self._lock:
            self._take()
            self._followed_until = self._clock().monotonic + FOLLOWED_SECONDS
            return self._samples.trail(epoch)

    def since_last(self) -> tuple[float | None, float | None]:
        """For a recorder: the largest power between two samples since the last call, and the counters' update interval
        (``TrailPoint``); None where there is none."""
        with self._lock:
            self._take()
            return self._samples.take_peak(), self._samples.update_seconds()

    def close(self) -> None:
        with self._lock:
            for source in self._sources:
                source.close()

    def _glimpse(self, now: Moment) -> bool:
        """Reads the counters without taking them yet. False where this tick must be a whole sample."""
        source, pending = self._steady, self._pending
        if source is None or now.monotonic < self._followed_until:
            return False
        newest = pending[-1].at if pending else self._samples.newest.at if self._samples.newest else None
        if newest is not None and 0 <= now.monotonic - newest.monotonic < self._samples.least_seconds:
            return True
        if pending and now.monotonic - pending[0].at.monotonic >= PENDING_SECONDS:
            return False
        seen = source.glance()
        if seen is None:
            return False
        at, later = self._clock(), None
        if self._samples.quick and now.monotonic >= self._close_at:
            self._close_at = now.monotonic + CLOSE_SECONDS
            self._pause(WAIT * self._update_seconds)
            after = self._clock()
            again = source.glance()
            later = (after, again) if again is not None else None
        pending.append(Glimpse(now, at, seen, later))
        return True

    def _take(self) -> None:
        """Takes what the clock has read. A failure is that of the next sample too, which says it."""
        pending, self._pending = self._pending, []
        for one in pending:
            if (source := self._steady) is None:
                return
            try:
                self._add(one.at, source.measure(one.began, one.seen), again=one.later is not None)
                if one.later is not None:
                    self._samples.complete(source.measure(*one.later))
            except SourceError as error:
                self._fail(one.began, error)

    def _try(self, now: Moment) -> None:
        if self._failure is not None and 0 <= now.monotonic - self._failure[0] < RETRY_SECONDS:
            raise self._failure[1].with_traceback(None)
        self._sample(now, 0.5 / self.sample_hz)

    def _sample(self, now: Moment, not_within: float) -> None:
        self._take()
        newest = self._samples.newest
        fresh = newest is not None and newest.close and 0 <= now.monotonic - newest.at.monotonic < not_within
        if fresh and newest is not None and not slept(newest.at, now):
            return
        try:
            measured = self._measure(now)
            assert self._source is not None
            if self._source.counts and self._is_new(now, measured):
                self._looked_at, self._looked = measured.awaited, now.monotonic
                self._look_closely(self._source)
                measured = self._measure(self._clock())
        except SourceError as error:
            self._fail(now, error)
            raise
        self._failure = None
        self._add(self._clock(), measured, again=True)
        first = self._source is self._sources[0] and not self._is_new(now, measured)
        self._steady = self._source if first and isinstance(self._source, GlancedSource) else None
        if self._samples.quick:
            self._close_at = now.monotonic + CLOSE_SECONDS
            self._pause(WAIT * self._update_seconds)
            with contextlib.suppress(SourceError):
                self._samples.complete(self._source.measure(self._clock()))

    def _add(self, at: Moment, measured: Measurement, *, again: bool) -> None:
        assert self._source is not None
        self._update_seconds = measured.update_seconds or 0.0
        quick = 0 < self._update_seconds <= min(QUICK_SECONDS, 0.3 / self.sample_hz)
        self._samples.least_seconds = 0.5 / self.sample_hz
        self._samples.add(at, measured, counts=self._source.counts, quick=quick, again=again)
        self._faults = measured.faults
        self._idle_watts = measured.idle_watts
        self._zones = measured.zones

    def _fail(self, now: Moment, error: SourceError) -> None:
        self._samples.clear()
        self._steady = None
        self._failure = (now.monotonic, error)

    def _is_new(self, now: Moment, measured: Measurement) -> bool:
        """A new counter, or one that is updated more often than was determined."""
        if not measured.awaited <= self._looked_at:
            return True
        return measured.update_seconds == 0 and now.monotonic - self._looked >= LOOK_AGAIN_SECONDS

    def _look_closely(self, source: EnergySource) -> None:
        """Lets the source determine the update interval of its counters."""
        last = self._clock().monotonic
        until = last + LOOK_SECONDS
        found = False
        while last < until:
            self._pause(LOOK_PAUSE_SECONDS)
            now = self._clock()
            if now.monotonic <= last:
                return
            last = now.monotonic
            interval = source.measure(now).update_seconds
            if interval and not found:
                found, until = True, min(until, last + LOOK_UPDATES * interval)

    def _measure(self, now: Moment) -> Measurement:
        """The first source that works. One that worked before and fails now is not replaced at once, unless it is gone
        or turned out to be dead: a figure that jumps between sources is worse than none."""
        faults: list[Fault] = []
        failure: SourceError | None = None
        absence: SourceError | None = None
        for source in self._sources:
            if failure is not None and source.name in self._estimates:
                break
            try:
                measured = source.measure(now)
            except SourceAbsent as error:
                absence = absence or error
                continue
            except SourceError as error:
                if source is self._source and not isinstance(error, SourceStill):
                    raise
                faults.append(Fault(source.name, error.reason, error.fix))
                if not isinstance(error, SourceStill) or len(self._sources) == 1:
                    failure = failure or error
                continue
            if source is not self._source:
                self._source = source
                self._samples.clear()
            return replace(measured, faults=(*faults, *measured.faults)) if faults else measured
        self._source = None
        if failure is not None and len(self._sources) > 1:
            failure.fix = "; ".join(filter(None, (failure.fix, ESTIMATE_INSTEAD)))
        raise failure or absence or SourceAbsent("there is no source of power")

    def _reading(self) -> PowerReading:
        samples = self._samples
        newest, window = samples.newest, samples.window()
        assert self._source is not None
        assert newest is not None
        before: dict[str, int] = {}
        after: dict[str, int] = {}
        watts, seconds, span = None, 0.0, None
        if window is not None:
            first, last = window
            seconds = last.at.monotonic - first.at.monotonic
            now = newest.at.monotonic - first.at.monotonic <= max(MAX_WINDOW_SECONDS, 2 / self._configured_hz)
            if now:
                before, after = first.zones, last.zones
                watts = watts_between(first.host, last.host, seconds) if newest.host is not None else None
                span = first.at.time, last.at.time
        return PowerReading(
            time=newest.at.time,
            monotonic=newest.at.monotonic,
            faults=self._faults,
            source=self._source.name,
            host_joules_total=None if newest.host is None else newest.host / 1e6,
            host_watts=watts,
            watts_span=span,
            host_peak_watts=None if watts is None else samples.peak_watts(),
            host_error_watts=None if watts is None else samples.error_watts(),
            idle_watts=self._idle_watts,
            zones=tuple(
                Zone(
                    path=zone.path,
                    package=zone.package,
                    zone=zone.zone,
                    joules_total=zone.microjoules / 1e6,
                    watts=watts_between(before.get(zone.path), after.get(zone.path), seconds) if zone.moving else None,
                    counted=zone.counted,
                )
                for zone in self._zones
            ),
        )


_ZONE = rows("""
watts rapl_power_watts  Mean power of a RAPL zone over the last second.
joules_total rapl_energy_joules_total  Energy that a RAPL zone has counted, unwrapped.
counted wattview_zone_counted  1 for a RAPL zone that is part of the host's figure, else 0.
""")

_HOST = rows("""
host_watts wattview_host_power_watts
    Mean power of the host over the last second: packages and DRAM, or psys, each once.
host_joules_total wattview_host_energy_joules_total  Energy of the host: packages and DRAM, or psys, each once.
""")


def families(reading: PowerReading) -> list[Family]:
    """The RAPL exporter's families of a reading: ``rapl_*``, which scrape configurations expect, and the host's."""
    zones = [(labels(package=zone.package, zone=zone.zone), zone) for zone in reading.zones]
    return [*families_of(_ZONE, zones), *families_of(_HOST, [(labels(source=reading.source), reading)])]
