"""Shelly plugs and energy meters, of the first generation (``/status``) and all later ones (``/rpc/Shelly.GetStatus``).

https://shelly-api-docs.shelly.cloud/gen1/ and https://shelly-api-docs.shelly.cloud/gen2/. ``/shelly``, which needs no
password, says which it is. Outlets are named by their number; those of later generations by the name of their component
too (``switch:0``), and the phases of a three-phase meter are ``a``, ``b`` and ``c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from wattview.config import Config, MeterSettings
from wattview.probes.meters.answer import JOULES_PER_WATT_HOUR, MeterAnswer, Outlet, measured, together
from wattview.probes.meters.http import MeterSite

JOULES_PER_WATT_MINUTE = 60.0
WHAT = "a Shelly"


class _Identity(Struct):
    """``/shelly``."""

    mac: str = ""
    gen: int = 1


class _Gen1Meter(Struct):
    """``total`` is missing if a switch has no meter, and shows a figure entered by its owner."""

    power: float | None = None
    total: float | None = None
    is_valid: bool = True
    timestamp: int | None = None
    voltage: float | None = None
    pf: float | None = None


class _Gen1Status(Struct):
    meters: list[_Gen1Meter] = []
    emeters: list[_Gen1Meter] = []


class ShellyMeter:
    """Detects the generation at the first answer, and again after a failure."""

    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._wanted = settings.outlets
        # Later generations accept only digest authentication, the first only basic.
        self._first = MeterSite(settings, config)
        self._later = MeterSite(settings, config, digest=True)
        self._generation = 0

    async def read(self) -> MeterAnswer:
        generation, self._generation = self._generation or await self._recognise(), 0
        answer = await (self._status() if generation == 1 else self._rpc_status())
        self._generation = generation
        return answer

    async def close(self) -> None:
        await self._first.close()
        await self._later.close()

    async def _recognise(self) -> int:
        return (await self._first.json("/shelly", _Identity, WHAT, headers={})).gen

    async def _status(self) -> MeterAnswer:
        status = await self._first.json("/status", _Gen1Status, WHAT)
        if status.emeters:
            return together(list(_gen1(status.emeters, JOULES_PER_WATT_HOUR)), self._wanted, JOULES_PER_WATT_HOUR / 10)
        return together(list(_gen1(status.meters, JOULES_PER_WATT_MINUTE)), self._wanted, JOULES_PER_WATT_MINUTE)

    async def _rpc_status(self) -> MeterAnswer:
        status = await self._later.json("/rpc/Shelly.GetStatus", dict[str, Any], WHAT)
        components = {key: value for key, value in status.items() if isinstance(value, Mapping)}
        phases = [phase for phase in self._wanted if phase in ("a", "b", "c")]
        outlets = list(_phases(components)) if phases else list(_components(components))
        wanted = self._wanted
        if not phases and wanted and not {outlet.name for outlet in outlets} & set(wanted):
            outlets = [outlet._replace(name=outlet.name.partition(":")[2]) for outlet in outlets]
        return together(outlets, wanted, JOULES_PER_WATT_HOUR / 1000)


def _gen1(meters: list[_Gen1Meter], joules: float) -> Iterator[Outlet]:
    for number, meter in enumerate(meters):
        if meter.total is not None:
            known = meter.is_valid
            yield Outlet(
                str(number),
                meter.power if known else None,
                meter.total * joules if known else None,
                (meter.timestamp, meter.voltage, meter.pf),
            )


def _components(status: Mapping[str, Mapping[str, Any]]) -> Iterator[Outlet]:
    """Every component that measures: ``switch``, ``cover``, ``light``, ``pm1`` (apower, aenergy); ``em`` of all phases
    together and ``em1`` of one (act_power), whose energy is beside them in ``emdata`` and ``em1data``."""
    for key, one in sorted(status.items()):
        kind, _, number = key.partition(":")
        if "apower" in one:
            energy = one.get("aenergy")
            counted = measured(energy.get("total")) if isinstance(energy, Mapping) else None
            yield Outlet(key, measured(one.get("apower")), _joules(counted), _signs(one))
        elif kind in ("em", "em1"):
            watts = measured(one.get("total_act_power" if kind == "em" else "act_power"))
            data = status.get(f"{kind}data:{number}", {})
            counted = measured(data.get("total_act" if kind == "em" else "total_act_energy"))
            yield Outlet(key, watts, _joules(counted), _signs(one))


def _phases(status: Mapping[str, Mapping[str, Any]]) -> Iterator[Outlet]:
    one, data = status.get("em:0", {}), status.get("emdata:0", {})
    for phase in ("a", "b", "c"):
        if f"{phase}_act_power" in one:
            counted = measured(data.get(f"{phase}_total_act_energy"))
            yield Outlet(phase, measured(one.get(f"{phase}_act_power")), _joules(counted), _signs(one))


def _joules(watt_hours: float | None) -> float | None:
    return None if watt_hours is None else watt_hours * JOULES_PER_WATT_HOUR


def _signs(fields: Mapping[str, Any]) -> tuple[object, ...]:
    names = ("voltage", "current", "freq", "pf", "total_current", "a_voltage", "b_voltage", "c_voltage")
    return tuple(fields.get(name) for name in names)
