"""Plugs with Tasmota (``/cm?cmnd=Status 8``): https://tasmota.github.io/docs/Power-Monitoring-Calibration/.

A device with several channels has lists where others have numbers; its outlets are named 1, 2, … as Tasmota counts
them. If ``Total`` is the sum of all channels, it is used only if no channel was chosen.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Struct, field

from wattview.config import Config, MeterSettings
from wattview.probes import SourceBroken, SourceRefused
from wattview.probes.meters.answer import JOULES_PER_WATT_HOUR, MeterAnswer, Outlet, together
from wattview.probes.meters.http import MeterSite

JOULES_PER_KILOWATT_HOUR = 1000 * JOULES_PER_WATT_HOUR
WHAT = "a Tasmota device"
Numbers = float | list[float] | None


class _Energy(Struct, rename="pascal"):
    power: Numbers = None
    total: Numbers = None
    voltage: Numbers = None
    current: Numbers = None
    apparent_power: Numbers = None
    factor: Numbers = None


class _Sensors(Struct):
    energy: _Energy | None = field(default=None, name="ENERGY")


class _TasmotaStatus(Struct):
    sensors: _Sensors | None = field(default=None, name="StatusSNS")
    warning: str = field(default="", name="WARNING")


class TasmotaMeter:
    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._wanted = settings.outlets
        self._site = MeterSite(settings, config)

    async def read(self) -> MeterAnswer:
        status = await self._site.json(self._path(), _TasmotaStatus, WHAT, headers={})
        if status.warning:
            raise SourceRefused(f"it says {status.warning[:80]!r}", "put user:password into a file and set token_file")
        energy = None if status.sensors is None else status.sensors.energy
        if energy is None:
            raise SourceBroken("it answers but does not measure power", "take a device with a power meter")
        return _answer(energy, self._wanted)

    async def close(self) -> None:
        await self._site.close()

    def _path(self) -> str:
        """Tasmota expects user and password in the query, not in a header."""
        command = "/cm?cmnd=Status%208"
        user, colon, password = self._site.secret().partition(":")
        return f"{command}&user={quote(user)}&password={quote(password)}" if colon else command


def _answer(energy: _Energy, wanted: tuple[str, ...]) -> MeterAnswer:
    powers, totals = _list(energy.power), _list(energy.total)
    counts = totals if len(totals) == len(powers) else [None] * len(powers)
    signs = (energy.voltage, energy.current, energy.apparent_power, energy.factor)
    outlets = [
        Outlet(str(number), watts, _joules(counted), _hashable(signs))
        for number, (watts, counted) in enumerate(zip(powers, counts, strict=True), 1)
    ]
    step = JOULES_PER_KILOWATT_HOUR / 1000
    answer = together(outlets, wanted, step)
    if not wanted and len(totals) == 1:
        return answer._replace(joules=_joules(totals[0]), joules_step=step)
    return answer


def _joules(kilowatt_hours: float | None) -> float | None:
    return None if kilowatt_hours is None else kilowatt_hours * JOULES_PER_KILOWATT_HOUR


def _list(numbers: Numbers) -> list[Any]:
    return numbers if isinstance(numbers, list) else [] if numbers is None else [numbers]


def _hashable(values: tuple[Numbers, ...]) -> tuple[object, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)
