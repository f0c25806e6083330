"""Power at the wall, over all configured meters; and the same as metric families."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.model import MeterReading, WallPower, WallReading
from wattview.model.source import total
from wattview.probes import SourceBroken
from wattview.probes.meters.reader import MeterReader
from wattview.probes.power.energy_source import Moment, moment

CLOSE_SECONDS = 1.0
FIRST_SECONDS = 8.0
"""How long ``await_first`` waits for all meters together."""


def used(config: Config) -> bool:
    """Whether a meter is configured."""
    return bool(config.power.meters)


class WallProbe:
    """All wall meters. ``read`` returns their last values without waiting."""

    def __init__(self, config: Config, clock: Callable[[], Moment] = moment) -> None:
        self._clock = clock
        self._readers = [MeterReader(settings, config, clock) for settings in config.power.meters]
        self._started = False
        self._since = self._base = 0.0

    def read(self) -> WallReading:
        """Raises SourceBroken if no meter has a figure."""
        self._start()
        meters = tuple(reader.reading() for reader in self._readers)
        faults = tuple(replace(meter.fault, part=meter.name) for meter in meters if meter.fault is not None)
        if len(faults) == len(meters) and all(meter.watts is None for meter in meters):
            first = faults[0]
            raise SourceBroken("; ".join(f"{fault.part} {fault.reason}" for fault in faults), first.fix)
        now = self._clock()
        power = self._counted(wall_power(meters, now))
        # Its stamp is that of the values: energy is a difference of counters over a difference of times.
        at = min(power.answered or now.time, now.time)
        return WallReading(time=at, monotonic=now.monotonic, faults=faults, power=power)

    def await_first(self) -> None:
        """Waits until every meter has been read once: for a single look, such as the doctor's."""
        self._start()
        until = time.monotonic() + FIRST_SECONDS
        for reader in self._readers:
            reader.wait(max(until - time.monotonic(), 0))

    def _counted(self, power: WallPower) -> WallPower:
        """A sum in which one meter begins to count anew begins anew itself: else the others' energy could hide that."""
        if power.joules_total is None:
            return power
        if power.since != self._since:
            self._since, self._base = power.since, power.joules_total
        return replace(power, joules_total=power.joules_total - self._base)

    def close(self) -> None:
        """All meters together are awaited for at most ``CLOSE_SECONDS``."""
        for reader in self._readers:
            reader.stop()
        until = time.monotonic() + CLOSE_SECONDS
        for reader in self._readers:
            reader.join(max(until - time.monotonic(), 0))

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for reader in self._readers:
                reader.start()


def wall_power(meters: Sequence[MeterReading], now: Moment) -> WallPower:
    """The machine's power by the first meter that covers all of it, else by all meters of its supplies together."""
    whole = next((meter for meter in meters if not meter.supply), None)
    parts = [whole] if whole is not None else list(meters)
    reasons = [reason for part in parts if (reason := _unknown(part))]
    return WallPower(
        source="meter",
        time=min((part.time for part in parts), default=now.time),
        monotonic=min((part.monotonic for part in parts), default=now.monotonic),
        watts=total(_share(part, part.watts) for part in parts),
        error_watts=total(_share(part, part.error_watts) for part in parts),
        joules_total=total(_share(part, part.joules_total) for part in parts),
        since=max((part.since for part in parts), default=now.time),
        answered=min((part.answered for part in parts), default=now.time),
        reason="; ".join(reasons),
        meters=tuple(meters),
    )


def _share(meter: MeterReading, value: float | None) -> float | None:
    return None if value is None or meter.share is None else value * meter.share


def _unknown(meter: MeterReading) -> str:
    if meter.share is None:
        return f"{meter.machines} machines are behind {meter.name}, and the share of this one is not configured"
    if meter.watts is not None:
        return ""
    return f"{meter.name} {meter.fault.reason if meter.fault is not None else 'has not answered yet'}"


_WALL = rows("""
watts wattview_wall_power_watts  Power that this machine draws from the wall.
error_watts wattview_wall_power_error_watts  How far off the power drawn from the wall may be.
joules_total wattview_wall_energy_joules_total  Energy that this machine drew from the wall.
""")

_METER = rows("""
watts wattview_meter_power_watts  Power of everything behind a wall meter.
refresh_seconds wattview_meter_refresh_seconds  How often a wall meter's figures were seen to change.
""")


def families(reading: WallReading) -> list[Family]:
    """The RAPL exporter's families of a reading."""
    meters = [(labels(meter=meter.name, kind=meter.kind), meter) for meter in reading.power.meters]
    return [*wall_families(reading.power), *families_of(_METER, meters)]


def wall_families(power: WallPower) -> list[Family]:
    """Power and energy at the wall, metered or calibrated."""
    return families_of(_WALL, [(labels(source=power.source), power)])
