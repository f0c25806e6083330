"""What the daemon has learnt of idle power, kept in its state directory, and the idle windows of runs that teach it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from wattview.analysis.attribution.idle import IdleModel
from wattview.analysis.attribution.shares import Interval
from wattview.daemon import whole_file
from wattview.model import Run

log = logging.getLogger("wattview.attribution")

SAVE_SECONDS = 600.0
MAX_BYTES = 4 * 2**20


class IdleMemory:
    """What was learnt of idle power, by source and by GPU, in one JSON file.

    What an estimate's idle power is, is not remembered: the settings that it is made from may have changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._models = self._load()
        self._saved = time.monotonic()

    def of(self, key: str) -> IdleModel:
        return self._models.get(key, IdleModel())

    def change(self, key: str, change: Callable[[IdleModel], IdleModel]) -> None:
        self._models[key] = change(self.of(key))

    async def save_sometimes(self) -> None:
        if time.monotonic() - self._saved >= SAVE_SECONDS:
            await self.save()

    async def save(self) -> None:
        """Writes the file whole. A failure is logged: what was learnt is learnt again."""
        self._saved = time.monotonic()
        models = {key: model for key, model in self._models.items() if not key.startswith("estimated")}
        if models:
            await asyncio.to_thread(self._write, msgspec.json.encode(models))

    def _write(self, data: bytes) -> None:
        try:
            whole_file.write(self._path, data)
        except OSError as error:
            log.warning("what was learnt of idle power cannot be kept: %s: %s", self._path, error.strerror)

    def _load(self) -> dict[str, IdleModel]:
        try:
            return msgspec.json.decode(whole_file.read(self._path, MAX_BYTES), type=dict[str, IdleModel])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            log.warning("what was learnt of idle power is learnt anew: %s: %s", self._path, error)
            return {}


class BaselineWatch:
    """Gathers the intervals of a run's idle window: those at whose both ends the runner was in one."""

    def __init__(self) -> None:
        self._in_it = False
        self._seconds = self._joules = self._busy = 0.0

    def enters(self, run: Run | None) -> bool:
        """Whether the time since the last call lies in an idle window."""
        before, self._in_it = self._in_it, _in_baseline(run)
        return before and self._in_it

    def add(self, interval: Interval, resting: bool) -> tuple[float, float] | None:
        """Takes an interval. Returns (utilisation, watts) of a window that has ended before it."""
        if resting:
            self._seconds += interval.seconds
            self._joules += interval.host_joules
            self._busy += interval.utilisation * interval.seconds
            return None
        if not self._seconds:
            return None
        found = self._busy / self._seconds, self._joules / self._seconds
        self._seconds = self._joules = self._busy = 0.0
        return found


def _in_baseline(run: Run | None) -> bool:
    """Whether a run's idle window, or the time before it in which the machine settles, goes on."""
    if run is None or run.progress is None or run.progress.phase not in ("warmup", "measuring"):
        return False
    return run.scenarios[run.progress.scenario_index].type == "baseline"
