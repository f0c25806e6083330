"""Learnt idle power, stored in the state directory, and the idle windows of runs from which it is learnt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wattview import whole_file
from wattview.analysis.attribution.idle import BANDS, IdleModel, Observation
from wattview.analysis.attribution.shares import Interval
from wattview.analysis.sweeps.confidence import estimate
from wattview.decoding import UNREADABLE, why_unreadable
from wattview.model import Run

log = logging.getLogger("wattview.attribution")

SAVE_SECONDS = 600.0
MAX_BYTES = 4 * 2**20


class IdleMemory:
    """Learnt idle power, by source and by GPU, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._models = self._load()
        self._saved = time.monotonic()

    def of(self, key: str) -> IdleModel:
        return self._models.get(key, IdleModel())

    def add(self, key: str, interval: Interval, utilisation: float, joules: float) -> IdleModel:
        """Learns from an interval, and returns the current model."""
        known = self.of(key).add(interval.monotonic, interval.seconds, utilisation, joules / interval.seconds)
        self._models[key] = known
        return known

    def add_baseline(self, key: str, window: Observation) -> None:
        self._models[key] = self.of(key).add_baseline(*window)

    async def save_sometimes(self) -> None:
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            await self.save()

    async def save(self) -> None:
        """Writes the file atomically. A failure is logged: the data can be learnt again."""
        self._saved = time.monotonic()
        if self._models:
            await asyncio.to_thread(self._write, msgspec.json.encode(self._models))

    def _write(self, data: bytes) -> None:
        try:
            whole_file.write(self._path, data)
        except OSError as error:
            log.warning("idle power cannot be saved: %s: %s", self._path, error.strerror)

    def _load(self) -> dict[str, IdleModel]:
        try:
            found = msgspec.json.decode(whole_file.read(self._path, MAX_BYTES), type=dict[str, IdleModel])
            return {key: model for key, model in found.items() if len(model.bands) == len(BANDS)}
        except FileNotFoundError:
            return {}
        except (OSError, *UNREADABLE) as error:
            log.warning("idle power is measured again: %s: %s", self._path, why_unreadable(error))
            return {}


class BaselineWatch:
    """Collects the intervals in a run's idle window: those with both ends in it."""

    def __init__(self) -> None:
        self._in_it = False
        self._intervals: list[Interval] = []

    def enters(self, run: Run | None) -> bool:
        """Whether the time since the last call is in an idle window."""
        before, self._in_it = self._in_it, _in_baseline(run)
        return before and self._in_it

    def add(self, interval: Interval, resting: bool) -> Observation | None:
        """Takes an interval. Returns the window that has ended before it."""
        if resting:
            self._intervals.append(interval)
            return None
        window, self._intervals = self._intervals, []
        return _observed(window) if window else None


def _observed(window: Sequence[Interval]) -> Observation:
    """Mean of an idle window, with the error that follows from the variation of its intervals."""
    seconds = sum(one.seconds for one in window)
    watts = estimate([one.host_joules / one.seconds for one in window])
    error = 0.0 if watts.low is None else watts.mean - watts.low
    use = sum(one.utilisation * one.seconds for one in window) / seconds
    return Observation(window[-1].monotonic, use, sum(one.host_joules for one in window) / seconds, error)


def _in_baseline(run: Run | None) -> bool:
    """Whether a run's idle window, or the settling time before it, is in progress."""
    if run is None or run.progress is None or run.progress.phase not in ("warmup", "measuring"):
        return False
    return run.scenarios[run.progress.scenario_index].type == "baseline"
