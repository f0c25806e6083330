"""Great Britain's carbon intensity each half hour: https://carbon-intensity.github.io/api-definitions/.

Without ``zone`` it is the whole of Great Britain's: the actual value once that is known, the forecast until then. With
``zone``, it is the forecast for a region, given by its number (1 to 17) or the first half of a postcode (``SW1``). No
key is needed.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from wattview.model import GridSpan
from wattview.probes.grid.grid_source import OnlineSource, Spans, iso, plausible, unix

MOST_SECONDS = 13 * 86400.0
"""One question reaches over at most 14 days."""


class _Intensity(Struct):
    forecast: float | None = None
    actual: float | None = None


class _HalfHour(Struct, rename={"start": "from", "end": "to"}):
    start: str
    end: str
    intensity: _Intensity


class _National(Struct):
    data: list[_HalfHour]


class _Regional(Struct):
    data: _National


class UkCarbonIntensity(OnlineSource):
    async def spans(self, start: float, end: float) -> Spans:
        reach = f"{iso(max(start, end - MOST_SECONDS))}/{iso(end)}"
        zone = self._settings.zone
        if not zone:
            answer = await self.page(f"/intensity/{reach}")
            return await asyncio.to_thread(lambda: _spans(self.decoded(answer, _National).data))
        place = f"regionid/{zone}" if zone.isdecimal() else f"postcode/{zone}"
        answer = await self.page(f"/regional/intensity/{reach}/{place}")
        return await asyncio.to_thread(lambda: _spans(self.decoded(answer, _Regional).data.data))


def _spans(halves: list[_HalfHour]) -> Spans:
    found = []
    for half in halves:
        known = half.intensity.actual if half.intensity.actual is not None else half.intensity.forecast
        if known is not None:
            found.append(GridSpan(unix(half.start), unix(half.end), known))
    return {"carbon": plausible("carbon", found)}
