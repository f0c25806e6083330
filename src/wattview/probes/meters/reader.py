"""Reads one meter repeatedly, in its own thread and loop, so that readers never wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

from wattview.config import Config, MeterSettings
from wattview.model import MeterReading
from wattview.model.power.meters import MeterKind, meter_kind
from wattview.probes import SourceBroken, SourceError, made
from wattview.probes.meters.answer import WallMeter
from wattview.probes.meters.meter_record import MeterRecord
from wattview.probes.power.energy_source import Moment, moment

log = logging.getLogger("wattview.meters")

ANSWER_SECONDS = 30.0
"""Time-out of one answer; most kinds have shorter ones."""


def make_meter(settings: MeterSettings, config: Config) -> WallMeter:
    """The configured meter. Its kind is one of ``METERS``, as checked with the settings."""
    meter: WallMeter = made("wattview.probes.meters", _kind(settings).place, settings, config)
    return meter


class MeterReader:
    """One configured meter: ``reading()`` is its current state."""

    def __init__(self, settings: MeterSettings, config: Config, clock: Callable[[], Moment] = moment) -> None:
        self.settings = settings
        self._config = config
        self._clock = clock
        self._kind = _kind(settings)
        self._lock = threading.Lock()
        self._record = MeterRecord(settings.interval_seconds)
        self._asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"meter-{settings.title}"[:15], daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Waits until the meter has been read once, or for that long."""
        self._asked.wait(seconds)

    def reading(self) -> MeterReading:
        now, settings = self._clock(), self.settings
        with self._lock:
            record = self._record
            watts, joules, fault = record.reading(now)
            at = record.changed or now
            resolution, refresh, since = record.resolution_watts, record.refresh_seconds, record.since
            answered = record.answered
        share = settings.share if settings.machines > 1 or settings.share is not None else 1.0
        return MeterReading(
            time=at.time,
            monotonic=at.monotonic,
            name=settings.title,
            kind=settings.kind,
            watts=watts,
            joules_total=joules,
            since=since,
            answered=answered.time if answered is not None else 0.0,
            interval_seconds=settings.interval_seconds,
            refresh_seconds=refresh,
            resolution_watts=resolution,
            error_watts=self._error(watts, resolution),
            machines=settings.machines,
            share=share,
            supply=settings.supply,
            fault=fault,
        )

    def stop(self) -> None:
        """Asks the thread to end."""
        self._ended = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._cancel)

    def join(self, seconds: float) -> None:
        """Waits for the end. A thread that hangs in its meter lives until the process ends."""
        if self._thread.ident is not None:
            self._thread.join(timeout=seconds)

    def _error(self, watts: float | None, resolution: float | None) -> float | None:
        percent = self.settings.accuracy_percent
        percent = self._kind.accuracy_percent if percent is None else percent
        if watts is None or resolution is None or percent is None:
            return None
        return resolution / 2 + watts * percent / 100

    def _cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._read_on())

    async def _read_on(self) -> None:
        self._loop = asyncio.get_running_loop()
        meter = make_meter(self.settings, self._config)
        due = time.monotonic()
        try:
            while not self._ended:
                await self._read(meter)
                self._asked.set()
                due = max(due + self.settings.interval_seconds, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        finally:
            with contextlib.suppress(Exception):
                await meter.close()

    async def _read(self, meter: WallMeter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await meter.read()
        except SourceError as error:
            self._failed(error)
        except TimeoutError:
            self._failed(SourceBroken(f"has not answered within {ANSWER_SECONDS:g} s"))
        except Exception as error:
            log.debug("meter %s failed", self.settings.title, exc_info=error)
            self._failed(SourceBroken(f"cannot be read: {type(error).__name__}"))
        else:
            now = self._clock()
            with self._lock:
                self._record.take(now, answer)

    def _failed(self, error: SourceError) -> None:
        with self._lock:
            self._record.failed(error)


def _kind(settings: MeterSettings) -> MeterKind:
    kind = meter_kind(settings.kind)
    assert kind is not None
    return kind
