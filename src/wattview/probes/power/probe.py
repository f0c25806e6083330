"""The host's power, from the best source that this machine has.

Sources in order: RAPL counters (``powercap``), the board's or the power supply's own meter (``power_hwmon``), a battery
that feeds the machine (``power_battery``), and where nothing measures an estimate (``power_estimate``); each source's
own module says what it may touch. ``PowerProbe`` keeps a short ring of samples and makes readings of it; ``families``
shows a reading.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.model import Fault, PowerReading, Zone
from wattview.probes import SourceAbsent, SourceError
from wattview.probes.power.battery import BatteryPower
from wattview.probes.power.estimate import EstimatedEnergy
from wattview.probes.power.hwmon import HwmonMeters
from wattview.probes.power.powercap import PowercapZones
from wattview.probes.power.source import EnergySource, Measurement, Moment, SourceStill, moment, slept

WINDOW_SECONDS = 1.0
"""Power is the mean over this long, or over one sampling interval where that is longer."""

MAX_WINDOW_SECONDS = 60.0
"""A mean over a longer time is not "now" any more."""

FRESH_SECONDS = 0.5
"""A reading is never made of a sample older than this."""

RETRY_SECONDS = 1.0
"""How long ``sample()`` leaves a source alone that failed. ``read()`` always tries."""

ESTIMATE_INSTEAD = "for an estimate until then: --set power.sources=estimated"


class Sample(NamedTuple):
    """What a source had counted at one moment. ``zones``: microjoules of each zone whose counter moves. ``took``:
    seconds that reading its counters took, one after the other."""

    at: Moment
    measured: Measurement
    zones: dict[str, int]
    took: float = 0.0


class PowerProbe:
    """Power of the host. ``sample()`` is for the clock, ``read()`` for who asks; each is safe beside the other.

    ``power.sources`` chooses. ``auto`` takes the first source that works, and the estimate only where nothing measures:
    no meter exists, or none of them moves. A counter that this process may not read is one command away from the
    truth, so it is refused (SourceRefused, with that command) and not replaced by a guess; another meter may take its
    place, with the refusal as a fault of the reading.
    """

    def __init__(self, config: Config, clock: Callable[[], Moment] = moment) -> None:
        power = config.power
        sources: tuple[EnergySource, ...] = (
            PowercapZones(config.paths.sysfs),
            HwmonMeters(config.paths.sysfs),
            BatteryPower(config.paths.sysfs),
            EstimatedEnergy(config.paths.procfs, power.estimate_idle_watts_per_cpu, power.estimate_max_watts_per_cpu),
        )
        self._sources = [source for source in sources if power.sources in ("auto", source.name)]
        self._source: EnergySource | None = None
        self._configured_hz = power.sample_hz
        self._clock = clock
        self._lock = threading.Lock()
        self._ring: deque[Sample] = deque()
        self._watts_before: float | None = None
        self._failure: tuple[float, SourceError] | None = None

    @property
    def sample_hz(self) -> float:
        """How often ``sample()`` is useful now: ``power.sample_hz``, or less where the source shows no more."""
        source = self._source
        return self._configured_hz if source is None else min(self._configured_hz, source.useful_hz)

    def sample(self) -> None:
        """Takes one sample, unless one was taken just now. Raises SourceError where there is nothing to sample."""
        with self._lock:
            now = self._clock()
            if self._failure is not None and 0 <= now.monotonic - self._failure[0] < RETRY_SECONDS:
                raise self._failure[1]
            self._sample(now, 0.5 / self.sample_hz)

    def read(self) -> PowerReading:
        """The power now, of the samples so far; takes one if the last is not fresh. Raises SourceError."""
        with self._lock:
            self._sample(self._clock(), min(1.5 / self.sample_hz, FRESH_SECONDS))
            return self._reading()

    def trail(self) -> list[tuple[float, float]]:
        """The samples of the last second or so, oldest first: Unix time, and joules of the host so far."""
        with self._lock:
            samples = list(self._ring)
        return [
            (sample.at.time, sample.measured.host_microjoules / 1e6)
            for sample in samples
            if sample.measured.host_microjoules is not None
        ]

    def close(self) -> None:
        with self._lock:
            for source in self._sources:
                source.close()

    def _sample(self, now: Moment, not_within: float) -> None:
        ring = self._ring
        if ring and slept(ring[-1].at, now):
            # A mean over a sleep would be no power of now.
            ring.clear()
        if ring and 0 <= now.monotonic - ring[-1].at.monotonic < not_within:
            return
        began = time.perf_counter()
        try:
            measured = self._measure(now)
        except SourceError as error:
            ring.clear()
            self._failure = (now.monotonic, error)
            raise
        took = time.perf_counter() - began
        self._failure = None
        moving = {zone.path: zone.microjoules for zone in measured.zones if zone.moving}
        ring.append(Sample(now, measured, moving, took))
        if len(ring) == 1:
            self._watts_before = None
        while len(ring) > 1 and now.monotonic - ring[1].at.monotonic >= WINDOW_SECONDS:
            self._watts_before = _host_watts(ring.popleft(), ring[0])

    def _measure(self, now: Moment) -> Measurement:
        """The first source that works. One that worked and fails now is not replaced at once, unless it has gone or
        turned out to be dead: a figure that jumps between sources is worth less than none."""
        faults: list[Fault] = []
        failure: SourceError | None = None
        absence: SourceError | None = None
        for source in self._sources:
            if failure is not None and source.name == "estimated":
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
                self._ring.clear()
            return measured._replace(faults=(*faults, *measured.faults)) if faults else measured
        self._source = None
        if failure is not None and len(self._sources) > 1:
            failure.fix = "; ".join(filter(None, (failure.fix, ESTIMATE_INSTEAD)))
        raise failure or absence or SourceAbsent("there is no source of power")

    def _reading(self) -> PowerReading:
        assert self._source is not None
        first, last = self._ring[0], self._ring[-1]
        span = last.at.monotonic - first.at.monotonic
        mean = WINDOW_SECONDS <= span <= max(MAX_WINDOW_SECONDS, 2 / self._configured_hz)
        peak = self._peak() if mean else None
        return PowerReading(
            time=last.at.time,
            monotonic=last.at.monotonic,
            faults=last.measured.faults,
            source=self._source.name,
            host_joules_total=_joules(last.measured.host_microjoules),
            host_watts=_host_watts(first, last) if mean else None,
            host_peak_watts=peak,
            host_error_watts=_error(first, last, peak, self._watts_before, self._source.lag_seconds),
            zones=tuple(
                Zone(
                    path=zone.path,
                    package=zone.package,
                    zone=zone.zone,
                    joules_total=zone.microjoules / 1e6,
                    watts=_watts(first.zones.get(zone.path), last.zones.get(zone.path), span) if mean else None,
                    counted=zone.counted,
                )
                for zone in last.measured.zones
            ),
        )

    def _peak(self) -> float | None:
        powers = [_host_watts(before, after) for before, after in pairwise(self._ring)]
        return max((power for power in powers if power is not None), default=None)


def families(reading: PowerReading) -> list[Family]:
    """What the RAPL exporter shows of a reading."""
    zone_watts = Family("rapl_power_watts", "gauge", "Mean power of a RAPL zone over the last second.")
    zone_joules = Family("rapl_energy_joules_total", "counter", "Energy that a RAPL zone has counted, wraps undone.")
    counted = Family("wattview_zone_counted", "gauge", "1 for a RAPL zone that the host's figure is made of, else 0.")
    for zone in reading.zones:
        text = labels(package=zone.package, zone=zone.zone)
        zone_watts.add(zone.watts, text)
        zone_joules.add(zone.joules_total, text)
        counted.add(int(zone.counted), text)
    source = labels(source=reading.source)
    return [
        zone_watts,
        zone_joules,
        counted,
        Family(
            "wattview_host_power_watts",
            "gauge",
            "Mean power of the host over the last second: packages and DRAM, or psys, each once.",
        ).add(reading.host_watts, source),
        Family(
            "wattview_host_energy_joules_total", "counter", "Energy of the host: packages and DRAM, or psys, each once."
        ).add(reading.host_joules_total, source),
    ]


def _joules(microjoules: int | None) -> float | None:
    return None if microjoules is None else microjoules / 1e6


def _watts(before: int | None, after: int | None, seconds: float) -> float | None:
    return None if before is None or after is None else (after - before) / 1e6 / seconds


def _error(
    first: Sample, last: Sample, peak_watts: float | None, watts_before: float | None, lag_seconds: float | None
) -> float | None:
    """How far the mean power may be from what the meter counted in that time, at most.

    A counter is read up to ``took`` after the moment that the sample is stamped with, and may be up to ``lag_seconds``
    old: so much time may be at the wrong side of an end, at the largest power in the window or before it. Where both
    ends are wrong in the same direction they make good for each other.
    """
    if peak_watts is None or lag_seconds is None:
        return None
    span = last.at.monotonic - first.at.monotonic
    return max(peak_watts, watts_before or 0.0) * (lag_seconds + max(first.took, last.took)) / span


def _host_watts(before: Sample, after: Sample) -> float | None:
    return _watts(
        before.measured.host_microjoules,
        after.measured.host_microjoules,
        after.at.monotonic - before.at.monotonic,
    )
