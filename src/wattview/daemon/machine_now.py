"""The whole machine's power at this moment, of the readings that were just taken, for those who write figures down."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from wattview.analysis.machine_power import machine_power
from wattview.daemon.sampler import Sampler
from wattview.model import Gpu, HostReading, MachinePower, PowerReading, WallPower, WallReading

SHARED_SECONDS = 1.0
"""How old a reading may be that is shared with whoever asked for it first."""


class MachineNow(Struct, frozen=True):
    """What the machine draws, and what else its cost an hour is made of. ``time`` is that of the power's reading
    (Unix seconds); ``gpus`` is None where they are not known, ``wall`` where nothing tells."""

    time: float
    power: MachinePower | None
    host: HostReading | None
    gpus: tuple[Gpu, ...] | None
    wall: WallPower | None = None


async def machine_now(sampler: Sampler) -> MachineNow:
    """A source that does not answer is a part that is not known."""
    power, host, gpus, wall = await asyncio.gather(
        *(sampler.read_or_none(name, max_age=SHARED_SECONDS) for name in ("power", "host", "gpu", "wall"))
    )
    known = sampler.known_gpus(gpus)
    return MachineNow(
        time=power.time if power is not None else 0.0,
        power=machine_power(power if isinstance(power, PowerReading) else None, known),
        host=host if isinstance(host, HostReading) else None,
        gpus=known,
        wall=wall.power if isinstance(wall, WallReading) else None,
    )
