"""The last samples of the host's counters, and the resulting power: mean, maximum and error bound.

A counter shows the energy up to its last update. A sample, stamped at the end of its reading, is therefore a lower
bound of the energy used by then; the upper bound is a later reading by which every counter has been updated again. The
truth is between the two, whatever the power did meanwhile. Pure: no I/O and no clock.
"""

from __future__ import annotations

from collections import deque

from wattview.model import TrailPoint
from wattview.probes.power.energy_source import Measurement, Moment, slept

WINDOW_SECONDS = 1.0
"""Power is the mean over this long, or over one sampling or update interval if that is longer."""

PEAK_UPDATES = 10
"""A maximum spans at least this many updates, if updates are much more frequent than samples: at either end of the
span, up to one update's energy may be missing or extra."""


class Sample:
    """The host's counters at one moment. ``most``: upper bound of the microjoules used by then, once ``complete``.
    ``close``: that bound is an update interval away, not as far as the next sample. ``watts`` is the power up to it,
    from ``since`` (monotonic seconds), once known."""

    __slots__ = (
        "at",
        "awaited",
        "close",
        "complete",
        "host",
        "most",
        "shown",
        "since",
        "update_seconds",
        "watts",
        "zones",
    )

    def __init__(self, at: Moment, measured: Measurement) -> None:
        self.at = at
        self.host = measured.host_microjoules
        self.zones = {zone.path: zone.microjoules for zone in measured.zones}
        self.shown = measured.shown
        self.awaited = measured.awaited
        self.update_seconds = measured.update_seconds
        self.most: int | None = None
        self.complete = False
        self.close = True
        self.watts: float | None = None
        self.since = 0.0

    def updated_by(self, later: Measurement | Sample) -> bool:
        """Every counter that moves has been updated since."""
        before, after = self.shown, later.shown
        return all(after.get(path, 0) > before.get(path, 0) for path in self.awaited & later.awaited)


class Samples:
    """The samples of about the last second, oldest first.

    If the counters are updated more often than they are read, every sample counts. Otherwise only those count that were
    the first to show an update: between others, the energy and the time do not match.
    """

    def __init__(self) -> None:
        self._ring: deque[Sample] = deque()
        self._oldest: Sample | None = None
        self._always_updated = True
        self.newest: Sample | None = None
        self.counts = True
        self.quick = False
        self.least_seconds = 0.0
        """The shortest span of a maximum: a request's sample may come just after the clock's."""
        self._peak: float | None = None

    def clear(self) -> None:
        self._ring.clear()
        self.newest = self._oldest = None
        self._always_updated = True

    def add(self, at: Moment, measured: Measurement, *, counts: bool, quick: bool, again: bool) -> None:
        """Takes a sample. ``counts``: it comes from counters, which are updated periodically; ``quick``: so often that
        the caller can read again at once, and does so if ``again`` (``complete``)."""
        before = self.newest
        sample = Sample(at, measured)
        if before is not None and (
            slept(before.at, at) or before.shown.keys() not in (set(), sample.shown.keys()) or quick != self.quick
        ):
            # A mean over a suspend is not current, and one over two different sums is meaningless.
            self.clear()
            before = None
        self._oldest = self._oldest or sample
        self._always_updated &= before is None or not counts or sample.shown != before.shown
        sample.close = again or not quick
        self.newest, self.counts, self.quick = sample, counts, quick
        self._complete(measured)
        if not counts:
            sample.most, sample.complete = sample.host, True
        elif not quick and not _shows_an_update(before, sample):
            return
        self._ring.append(sample)
        if sample.complete:
            self._judge(sample)
        self._forget()

    def complete(self, later: Measurement) -> None:
        """A later reading gives the upper bound of the earlier samples' energy."""
        self._complete(later)
        self._forget()

    def _complete(self, later: Measurement) -> None:
        waiting = []
        for sample in reversed(self._ring):
            if sample.complete:
                break
            if sample.updated_by(later):
                sample.most, sample.complete = later.host_microjoules, True
                waiting.append(sample)
        for sample in reversed(waiting):
            self._judge(sample)

    def window(self) -> tuple[Sample, Sample] | None:
        """The first and the last sample of the span of the current power; None if that is not known yet.

        Until the update interval is known, the first sample and the newest are used, if every sample so far saw an
        update.
        """
        complete = [sample for sample in self._ring if sample.complete]
        for known in ([sample for sample in complete if sample.close], complete):
            if known and _seconds(known[0], known[-1]) >= WINDOW_SECONDS:
                return known[0], known[-1]
        oldest, newest = self._oldest, self.newest
        if not self._always_updated or oldest is None or newest is None or _seconds(oldest, newest) < WINDOW_SECONDS:
            return None
        return (oldest, newest) if oldest.updated_by(newest) else None

    def error_watts(self) -> float | None:
        """Bound on the error of the mean power between the window's ends: the energy that was used by then and not
        shown yet may all be at one end. None if the age of a meter's values is unknown."""
        ends = self.window()
        if ends is None or not self.counts:
            return None
        first, last = ends
        if first.host is None or first.most is None or last.host is None or last.most is None:
            return None
        unseen = max(first.most - first.host, last.most - last.host)
        return unseen / 1e6 / _seconds(first, last)

    def peak_watts(self) -> float | None:
        """The largest power between two samples that are an update interval apart, or else adjacent."""
        ends = self.window()
        mean = watts_between(ends[0].host, ends[1].host, _seconds(*ends)) if ends is not None else None
        begin = self._ring[0].at.monotonic if self._ring else 0.0
        powers = [sample.watts for sample in self._ring if sample.watts is not None and sample.since >= begin]
        return max([*powers, *([mean] if mean is not None else [])], default=None)

    def take_peak(self) -> float | None:
        """The largest of these powers since the last call."""
        peak, self._peak = self._peak, None
        return peak

    def update_seconds(self) -> float | None:
        """That of the newest complete sample."""
        return next((one.update_seconds or 0.0 for one in reversed(self._ring) if one.most is not None), None)

    def trail(self, epoch: float) -> list[TrailPoint]:
        return [
            TrailPoint(epoch + sample.at.boottime, sample.host / 1e6, sample.most / 1e6, sample.update_seconds or 0.0)
            for sample in self._ring
            if sample.host is not None and sample.most is not None
        ]

    def _judge(self, last: Sample) -> None:
        """Notes the power up to a complete sample, from the latest before it that is an update interval older."""
        if last.host is None:
            return
        apart = (PEAK_UPDATES if self.quick else 1) * (last.update_seconds or 0.0)
        apart = max(apart, self.least_seconds)
        for first in reversed(self._ring):
            seconds = _seconds(first, last)
            if seconds > 0 and seconds >= apart and first.complete and first.host is not None:
                last.watts, last.since = watts_between(first.host, last.host, seconds), first.at.monotonic
                self._peak = max(self._peak or 0.0, last.watts or 0.0)
                return

    def _forget(self) -> None:
        ring = self._ring
        end = next((sample for sample in reversed(ring) if sample.complete and sample.close), None)
        end = end or next((sample for sample in reversed(ring) if sample.complete), None)
        if end is None:
            return
        seconds = max(WINDOW_SECONDS, end.update_seconds or 0.0)
        first = next((one for one in reversed(ring) if one.close >= end.close and _seconds(one, end) >= seconds), None)
        while first is not None and ring[0] is not first:
            ring.popleft()


def _shows_an_update(before: Sample | None, sample: Sample) -> bool:
    """If no counter moves there is nothing to wait for: that is a power of 0."""
    if before is None:
        return False
    return not sample.awaited or (sample.update_seconds is not None and sample.shown != before.shown)


def _seconds(before: Sample, after: Sample) -> float:
    return after.at.monotonic - before.at.monotonic


def watts_between(before: int | None, after: int | None, seconds: float) -> float | None:
    """The mean power of a microjoule counter from ``before`` to ``after``."""
    return None if before is None or after is None else (after - before) / 1e6 / seconds
