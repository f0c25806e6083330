"""The snapshot: everything the dashboard shows, composed of the latest readings.

Each is compared with the previous one, and changes become events. Without dashboards, ``watch`` takes one periodically,
so that the event log is complete.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from msgspec.structs import replace

from wattview import __version__
from wattview.analysis.machine_power import machine_power
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.analysis.snapshot_diff import Watch
from wattview.config import Config
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.events import EventLog, tell
from wattview.daemon.exporters.health import Health
from wattview.daemon.lab.runner import Runner
from wattview.daemon.sampler import FRESH_SECONDS, Sampler, until_tick
from wattview.daemon.wall.wall import Wall
from wattview.model import (
    ContainersReading,
    GridPrices,
    HostReading,
    PowerAccount,
    PowerReading,
    Reading,
    Snapshot,
    StreamsReading,
    WallReading,
    WorkloadsReading,
)

PATIENCE_SECONDS = 0.5
"""How long a snapshot waits for a source. A slower one is shown by its last reading while that is recent."""

STALE_SECONDS = 10.0

HEALTH_SECONDS = 15.0
"""Maximum age of the exporters' health while a dashboard is open."""


class Snapshots:
    """Makes snapshots. ``runner`` and ``health`` supply what they know without waiting."""

    def __init__(
        self,
        config: Config,
        sampler: Sampler,
        attributor: Attributor,
        health: Health,
        runner: Runner,
        events: EventLog,
        rtmp_url: str,
        wall: Wall,
        grid: Callable[[], GridPrices] = GridPrices,
    ) -> None:
        self._config = config
        self._sampler = sampler
        self._attributor = attributor
        self._health = health
        self._runner = runner
        self._events = events
        self._watch = Watch(config.power.budget_watts)
        self._rtmp_url = rtmp_url
        self._wall = wall
        self._grid = grid

    async def watch(self, interval_seconds: float) -> None:
        """Takes a snapshot periodically for the sake of its events. It reuses others' readings of that period, and
        scrapes no exporter."""
        while True:
            await asyncio.sleep(until_tick(interval_seconds))
            await self.take(max_age=interval_seconds, health_age=math.inf)

    async def take(
        self,
        max_age: float = FRESH_SECONDS,
        health_age: float = HEALTH_SECONDS,
        account: PowerAccount | None = None,
    ) -> Snapshot:
        """The current state: complete, immutable, and never later than ``PATIENCE_SECONDS``. ``account`` divides power
        between containers, workloads and streams; by default it is that of the settings."""
        names = ("power", "wall", "host", "containers", "workloads", "streams", "gpu")
        read = await self._sampler.read_each(names, max_age, patience=PATIENCE_SECONDS)
        power, wall, host, containers, workloads, streams, gpus = (
            reading or self._recent(name) for name, reading in zip(names, read, strict=True)
        )
        await self._attributor.advance()
        now, prices = time.time(), self._config.cost
        known_gpus = self._sampler.known_gpus(gpus)
        machine = machine_power(power if isinstance(power, PowerReading) else None, known_gpus)
        at_wall = self._wall.power(wall.power if isinstance(wall, WallReading) else None)
        known_host = host if isinstance(host, HostReading) else None
        cost = hourly_cost(machine, known_host, known_gpus, now, prices, at_wall, self._grid())
        served = self._attributor.streams(streams.streams, account) if isinstance(streams, StreamsReading) else ()
        snapshot = Snapshot(
            time=now,
            version=__version__,
            host=known_host,
            power=power if isinstance(power, PowerReading) else None,
            containers=self._attributor.containers(containers.containers, account)
            if isinstance(containers, ContainersReading)
            else (),
            engine=containers.engine if isinstance(containers, ContainersReading) else None,
            streams=served,
            rtmp_server=streams.server if isinstance(streams, StreamsReading) else None,
            gpus=known_gpus or (),
            exporters=self._health.latest(health_age),
            run=self._runner.current,
            probes=self._sampler.statuses(),
            currency=prices.currency,
            rtmp_url=self._rtmp_url,
            machine_power=machine,
            power_use=self._attributor.power_use(account),
            wall=at_wall,
            workloads=self._attributor.workloads(workloads.workloads, account)
            if isinstance(workloads, WorkloadsReading)
            else (),
            **cost.of_snapshot(len(served)),
        )
        for level, about, text, alert in self._watch.look(snapshot):
            tell(level, about, text, alert=alert)
        return replace(snapshot, last_event=self._events.last_id)

    def _recent(self, name: str) -> Reading | None:
        """The last reading of a source that does not answer."""
        source = self._sampler.sources.get(name)
        if source is None or source.latest is None or source.status.state != "broken":
            return None
        age = source.age()
        return source.latest if age is not None and age <= STALE_SECONDS else None
