"""A server's power from its BMC, over Redfish (DMTF DSP0266, DSP0268).

Each chassis is read through the first of these that it has: ``EnvironmentMetrics`` (``PowerWatts``, ``EnergykWh``); its
supplies' ``Metrics`` in ``PowerSubsystem`` (``InputPowerWatts``, added up); the older ``Power`` resource, whose first
``PowerControl`` is the whole and the others its parts. If several chassis measure, one inside another is a part of it;
several side by side may be this machine and its neighbours, so ``outlets`` must name the ones to add up.

Logs in with every request (basic authentication); if the BMC no longer accepts that, it opens a session, and closes it
afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from wattview.config import Config, MeterSettings
from wattview.model.source import total
from wattview.probes import SourceBroken
from wattview.probes.meters.answer import JOULES_PER_WATT_HOUR, MeterAnswer, Outlet, decimals, measured, together
from wattview.probes.meters.http import REFUSED, MeterSite

ROOT = "/redfish/v1"
WHAT = "a Redfish service"
SECONDS = 10.0
"""How long one answer of a BMC may take."""

MAX_CHASSIS, MAX_SUPPLIES = 32, 32

Json = dict[str, Any]


class _Place(Struct, frozen=True):
    """Where one chassis reports its power: ``kind`` is which of the resources, ``paths`` where it is, or they are."""

    chassis: str
    kind: str
    paths: tuple[str, ...]


class RedfishMeter:
    """Detects once what the service offers, and again after a failure."""

    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._wanted = settings.outlets
        self._site = MeterSite(settings, config, seconds=SECONDS)
        self._places: list[_Place] = []
        self._token = self._session = ""

    async def read(self) -> MeterAnswer:
        places, self._places = self._places or await self._find(), []
        outlets, steps = [], []
        for place in places:
            outlet, step = await self._outlet(place)
            outlets.append(outlet)
            steps.append(step)
        answer = together(outlets, self._wanted, max(steps, default=1.0))
        self._places = places
        return answer

    async def close(self) -> None:
        try:
            if self._session:
                await self._site.ask(self._session, method="DELETE", headers={"X-Auth-Token": self._token})
        finally:
            await self._site.close()

    async def _get(self, path: str) -> Json:
        headers = {"X-Auth-Token": self._token} if self._token else None
        answer = await self._site.ask(path, headers=headers)
        if answer.status in REFUSED and await self._log_in():
            answer = await self._site.ask(path, headers={"X-Auth-Token": self._token})
        return self._site.decoded(answer, Json, WHAT)

    async def _log_in(self) -> bool:
        """Whether a session could be opened."""
        user, colon, password = self._site.secret().partition(":")
        if not colon:
            return False
        body = {"UserName": user, "Password": password}
        answer = await self._site.ask(f"{ROOT}/SessionService/Sessions", json=body, headers={})
        self._token = self._site.answered.get("x-auth-token", "") if answer.status in (200, 201) else ""
        location = self._site.answered.get("location", "") if self._token else ""
        self._session = location[location.find("/redfish") :] if "/redfish" in location else ""
        return bool(self._token)

    async def _find(self) -> list[_Place]:
        members = _list(await self._get(f"{ROOT}/Chassis"), "Members")
        places: list[_Place] = []
        inside: dict[str, str] = {}
        ids: dict[str, str] = {}
        for path in [_path(member) for member in members][:MAX_CHASSIS]:
            chassis = await self._get(path)
            name = str(chassis.get("Id") or path.rstrip("/").rpartition("/")[2])
            ids[path] = name
            inside[name] = _path(_at(chassis, "Links", "ContainedBy"))
            if self._wanted and name not in self._wanted:
                continue
            place = await self._place(name, chassis)
            if place is not None:
                places.append(place)
        measured = {place.chassis for place in places}
        whole = places if self._wanted else [p for p in places if ids.get(inside[p.chassis], "") not in measured]
        if len(whole) > 1 and not self._wanted:
            names = ", ".join(place.chassis for place in whole)
            raise SourceBroken(f"several chassis measure their power: {names}", "set outlets to those of this machine")
        return whole

    async def _place(self, name: str, chassis: Json) -> _Place | None:
        """Where it reports its power; None if it does not."""
        if path := _path(chassis.get("EnvironmentMetrics")):
            metrics = await self._get(path)
            if "PowerWatts" in metrics:
                return _Place(name, "environment", (path,))
        if path := _path(chassis.get("PowerSubsystem")):
            supplies = _path((await self._get(path)).get("PowerSupplies"))
            members = _list(await self._get(supplies), "Members")[:MAX_SUPPLIES] if supplies else []
            found = [await self._get(_path(member)) for member in members]
            present = [one for one in found if _at(one, "Status", "State") != "Absent"]
            paths = tuple(_path(one.get("Metrics")) for one in present)
            if paths and all(paths):
                return _Place(name, "supplies", paths)
        if path := _path(chassis.get("Power")):
            controls = _list(await self._get(path), "PowerControl")
            if controls and isinstance(controls[0], Mapping) and "PowerConsumedWatts" in controls[0]:
                return _Place(name, "power", (path,))
        return None

    async def _outlet(self, place: _Place) -> tuple[Outlet, float]:
        """What the chassis tells now, and the step of its energy counter."""
        answers = [await self._get(path) for path in place.paths]
        if place.kind == "power":
            whole = next(iter(_list(answers[0], "PowerControl")), None)
            return Outlet(place.chassis, measured(_at(whole, "PowerConsumedWatts"))), 1.0
        field = "PowerWatts" if place.kind == "environment" else "InputPowerWatts"
        watts = total(measured(_at(one, field, "Reading")) for one in answers)
        energies = [_at(one, "EnergykWh", "Reading") for one in answers]
        counted = total(measured(one) for one in energies)
        unit = 1000 * JOULES_PER_WATT_HOUR
        step = unit * max((10.0 ** -decimals(one) for one in energies if measured(one) is not None), default=1.0)
        return Outlet(place.chassis, watts, None if counted is None else counted * unit), step


def _at(resource: Any, *names: str) -> Any:
    for name in names:
        resource = resource.get(name) if isinstance(resource, Mapping) else None
    return resource


def _list(resource: Json, name: str) -> list[Any]:
    members = resource.get(name)
    return members if isinstance(members, list) else []


def _path(link: Any) -> str:
    path = _at(link, "@odata.id")
    return path if isinstance(path, str) and path.startswith("/") else ""
