"""Carbon intensity of any zone by Electricity Maps: https://docs.electricitymaps.com/.

``/v3/carbon-intensity/history`` has the last 24 hours, life-cycle emissions. The key goes in the header ``auth-token``.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from msgspec import Struct

from wattview.config import Config, GridSettings
from wattview.fetch import Fetched
from wattview.model import GridSpan
from wattview.model.power.grid import grid_kind
from wattview.probes.grid.source import Spans, decoded, page, plausible, secret, unix

HOUR = 3600.0


class _Hour(Struct, rename="camel"):
    datetime: str
    carbon_intensity: float | None = None


class _MapsHistory(Struct):
    history: list[_Hour]


class ElectricityMaps:
    def __init__(self, settings: GridSettings, config: Config) -> None:
        self._settings = settings
        self._config = config

    async def spans(self, start: float, end: float) -> Spans:
        kind = grid_kind("electricity-maps")
        assert kind is not None
        path = f"/v3/carbon-intensity/history?zone={quote(self._settings.zone)}"
        answer = await page(self._settings, self._config, kind.url, path, {"auth-token": secret(self._settings)})
        return await asyncio.to_thread(_spans, answer, kind.words)


def make(settings: GridSettings, config: Config) -> ElectricityMaps:
    return ElectricityMaps(settings, config)


def _spans(answer: Fetched, words: str) -> Spans:
    found = [
        GridSpan(unix(hour.datetime), unix(hour.datetime) + HOUR, hour.carbon_intensity)
        for hour in decoded(answer, _MapsHistory, words).history
        if hour.carbon_intensity is not None
    ]
    return {"carbon": plausible("carbon", found)}
