"""The snapshot: everything the dashboard shows, composed of the latest readings."""

from __future__ import annotations

import asyncio
import time

from wattview import __version__
from wattview.analysis import cost as costs
from wattview.config import Config
from wattview.daemon.attribution import Attributor
from wattview.daemon.health import Health
from wattview.daemon.lab.runner import Runner
from wattview.daemon.sampler import Sampler
from wattview.model import (
    ContainersReading,
    GpusReading,
    HostReading,
    PowerReading,
    Reading,
    Snapshot,
    StreamsReading,
)

PATIENCE_SECONDS = 0.5
"""How long a snapshot waits for a source. A slower one is shown by its last reading while that is still young."""

STALE_SECONDS = 10.0

HEALTH_SECONDS = 15.0
"""How old the exporters' health may be while somebody looks at the dashboard."""


class Snapshots:
    """Makes snapshots. ``runner`` and ``health`` are asked for what they know; nothing here waits for them."""

    def __init__(
        self,
        config: Config,
        sampler: Sampler,
        attributor: Attributor,
        health: Health,
        runner: Runner,
        rtmp_url: str,
    ) -> None:
        self._config = config
        self._sampler = sampler
        self._attributor = attributor
        self._health = health
        self._runner = runner
        self._rtmp_url = rtmp_url

    async def take(self) -> Snapshot:
        """The state now: whole, immutable, and never later than ``PATIENCE_SECONDS``."""
        power, host, containers, streams, gpus = await asyncio.gather(
            *(self._reading(name) for name in ("power", "host", "containers", "streams", "gpu"))
        )
        await self._attributor.advance()
        watts = power.host_watts if isinstance(power, PowerReading) else None
        prices = self._config.cost
        return Snapshot(
            time=time.time(),
            version=__version__,
            host=host if isinstance(host, HostReading) else None,
            power=power if isinstance(power, PowerReading) else None,
            containers=self._attributor.containers(containers.containers)
            if isinstance(containers, ContainersReading)
            else (),
            engine=containers.engine if isinstance(containers, ContainersReading) else None,
            streams=self._attributor.streams(streams.streams) if isinstance(streams, StreamsReading) else (),
            rtmp_server=streams.server if isinstance(streams, StreamsReading) else None,
            gpus=gpus.gpus if isinstance(gpus, GpusReading) else (),
            exporters=self._health.latest(HEALTH_SECONDS),
            run=self._runner.current,
            probes=self._sampler.statuses(),
            cost_per_hour=None if watts is None else costs.energy_cost(watts * 3600.0, prices),
            carbon_grams_per_hour=None if watts is None else costs.carbon_grams(watts * 3600.0, prices),
            currency=prices.currency,
            rtmp_url=self._rtmp_url,
            power_use=self._attributor.power_use(),
        )

    async def _reading(self, name: str) -> Reading | None:
        reading = await self._sampler.read_or_none(name, patience=PATIENCE_SECONDS)
        if reading is not None:
            return reading
        source = self._sampler.sources.get(name)
        if source is None or source.latest is None or source.status.state != "broken":
            return None
        age = source.age()
        return source.latest if age is not None and age <= STALE_SECONDS else None
