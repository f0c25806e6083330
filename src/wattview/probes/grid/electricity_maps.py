"""Carbon intensity of any zone by Electricity Maps: https://docs.electricitymaps.com/.

``/v3/carbon-intensity/history`` has the last 24 hours, life-cycle emissions. The key goes in the header ``auth-token``.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from msgspec import Struct

from wattview.fetch import Fetched
from wattview.model import GridSpan
from wattview.probes.grid.grid_source import OnlineSource, Spans, plausible, unix

HOUR = 3600.0


class _Hour(Struct, rename="camel"):
    datetime: str
    carbon_intensity: float | None = None


class _MapsHistory(Struct):
    history: list[_Hour]


class ElectricityMaps(OnlineSource):
    async def spans(self, start: float, end: float) -> Spans:
        path = f"/v3/carbon-intensity/history?zone={quote(self._settings.zone)}"
        answer = await self.page(path, {"auth-token": self.secret()})
        return await asyncio.to_thread(self._spans, answer)

    def _spans(self, answer: Fetched) -> Spans:
        found = [
            GridSpan(unix(hour.datetime), unix(hour.datetime) + HOUR, hour.carbon_intensity)
            for hour in self.decoded(answer, _MapsHistory).history
            if hour.carbon_intensity is not None
        ]
        return {"carbon": plausible("carbon", found)}
