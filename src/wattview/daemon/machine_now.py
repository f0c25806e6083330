"""Power of the whole machine at this moment, from current readings, for recording."""

from __future__ import annotations

from msgspec import Struct

from wattview.analysis.machine_power import machine_power
from wattview.daemon.sampler import Sampler
from wattview.daemon.wall.wall import Wall
from wattview.model import Gpu, HostReading, MachinePower, PowerReading, WallPower, WallReading

SHARED_SECONDS = 1.0
"""Maximum age of a reading that concurrent requests share."""


class MachineNow(Struct, frozen=True):
    """Power of the machine, and the other inputs of its cost per hour. ``time`` is that of the power reading (Unix
    seconds); ``gpus`` and ``wall`` are None if unknown."""

    time: float
    power: MachinePower | None
    host: HostReading | None
    gpus: tuple[Gpu, ...] | None
    wall: WallPower | None = None


async def machine_now(sampler: Sampler, at_wall: Wall) -> MachineNow:
    """A source that fails is an unknown part."""
    power, host, gpus, wall = await sampler.read_each(("power", "host", "gpu", "wall"), max_age=SHARED_SECONDS)
    known = sampler.known_gpus(gpus)
    return MachineNow(
        time=power.time if power is not None else 0.0,
        power=machine_power(power if isinstance(power, PowerReading) else None, known),
        host=host if isinstance(host, HostReading) else None,
        gpus=known,
        wall=at_wall.power(wall.power if isinstance(wall, WallReading) else None),
    )
