"""Fetches the grid sources periodically, each in its own task; readers get the last value."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from wattview.config import Config, GridSettings
from wattview.daemon.events import tell
from wattview.daemon.grid.cache import GridCache
from wattview.model import Finding, GridPrices
from wattview.model.power.grid import grid_kind
from wattview.probes import SourceBroken, SourceError, made
from wattview.probes.grid.grid_source import GridSource

log = logging.getLogger("wattview.grid")

DAY = 86400.0
BACK_SECONDS, AHEAD_SECONDS = 2 * DAY, 2 * DAY
"""How far back a known source is queried, and how far ahead: tomorrow's prices, a forecast."""

FIRST_BACK_SECONDS = 13 * DAY
RETRY_SECONDS = 60.0


class GridStore:
    """The configured sources. ``known`` never waits; ``start`` starts fetching, ``close`` ends it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._cache = GridCache(config)
        self._failures: dict[str, SourceError | None] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._prices = GridPrices()

    def known(self) -> GridPrices:
        """The data received so far."""
        return self._prices

    async def start(self) -> None:
        if self._config.cost.grid:
            self._prices = await asyncio.to_thread(self._cache.load)
        for settings in self._config.cost.grid:
            self._tasks.append(asyncio.create_task(self._follow(settings), name=f"grid {settings.title}"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def examine(self) -> list[Finding]:
        """The same without a daemon: every source asked once, and nothing kept."""
        await asyncio.to_thread(self._cache.load)

        async def ask(settings: GridSettings) -> None:
            try:
                await self._take(settings, self._source(settings))
            except SourceError as error:
                self._failures[settings.title] = error

        await asyncio.gather(*map(ask, self._config.cost.grid))
        return self.findings()

    def findings(self) -> list[Finding]:
        """What the doctor says of each."""
        return [self._finding(settings) for settings in self._config.cost.grid]

    def _finding(self, settings: GridSettings) -> Finding:
        kind, failure = grid_kind(settings.kind), self._failures.get(settings.title)
        reach = self._cache.newest(settings)
        known = (
            f"known until {time.strftime('%Y-%m-%d %H:%M', time.localtime(reach))}" if reach else "nothing is known yet"
        )
        words = kind.words if kind is not None else settings.kind
        if failure is None:
            return Finding(source=f"grid {settings.title}", state="works", detail=f"{words}: {known}")
        detail = f"{words}: {failure.reason}; {known}"
        return Finding(source=f"grid {settings.title}", state="broken", detail=detail, fix=failure.fix)

    async def _follow(self, settings: GridSettings) -> None:
        source, kind = self._source(settings), grid_kind(settings.kind)
        assert kind is not None
        while True:
            failed = not await self._ask(settings, source)
            await asyncio.sleep(min(RETRY_SECONDS, kind.seconds) if failed else kind.seconds)

    def _source(self, settings: GridSettings) -> GridSource:
        kind = grid_kind(settings.kind)
        assert kind is not None
        source: GridSource = made("wattview.probes.grid", kind.place, settings, self._config)
        return source

    async def _ask(self, settings: GridSettings, source: GridSource) -> bool:
        try:
            new = await self._take(settings, source)
        except SourceError as error:
            self._note(settings, error)
            return False
        self._note(settings, None)
        if new:
            with contextlib.suppress(OSError):  # the disk's state is reported elsewhere; the values are in memory
                await asyncio.to_thread(self._cache.write, settings)
            self._prices = self._cache.prices()
        return True

    async def _take(self, settings: GridSettings, source: GridSource) -> bool:
        """Whether it told anything new. Raises SourceError."""
        now, newest = time.time(), self._cache.newest(settings)
        back = min(now - newest + BACK_SECONDS, FIRST_BACK_SECONDS) if newest else FIRST_BACK_SECONDS
        try:
            told = await source.spans(now - max(back, BACK_SECONDS), now + AHEAD_SECONDS)
            return await asyncio.to_thread(self._cache.add_all, settings, told)
        except SourceError:
            raise
        except Exception as error:
            log.debug("grid source %s failed", settings.title, exc_info=error)
            raise SourceBroken(f"cannot be understood: {type(error).__name__}") from None

    def _note(self, settings: GridSettings, error: SourceError | None) -> None:
        """Logs a change, once."""
        before = self._failures.get(settings.title)
        self._failures[settings.title] = error
        about = f"grid {settings.title}"
        if error is not None and (before is None or type(before) is not type(error)):
            fix = f"; {error.fix}" if error.fix else ""
            tell("warning", about, f"{error.reason}; the last known value is used{fix}")
        elif error is None and before is not None:
            tell("info", about, "works again")
