"""A site's Prometheus or VictoriaMetrics as a meter: a PromQL expression for watts, one for joules, or both.

A sample's age does not show in its value; the store's look-back (five minutes) and this meter's refresh interval bound
it. Use ``last_over_time(…[30s])`` in the expression to detect a dead exporter at once.
"""

from __future__ import annotations

import math

from wattview.config import Config, MeterSettings
from wattview.fetch import Access
from wattview.probes import SourceBroken, SourceRefused
from wattview.probes.meters.answer import MeterAnswer
from wattview.probes.meters.http import access
from wattview.promql import AccessRefused, Store, StoreError

SECONDS = 5.0


class PromqlMeter:
    def __init__(self, settings: MeterSettings, config: Config) -> None:
        self._settings = settings
        self._access: Access = access(settings, config)
        self._store: Store | None = None

    async def read(self) -> MeterAnswer:
        if self._store is None:
            self._store = Store(self._settings.url, self._access, seconds=SECONDS, where="url")
        try:
            watts = await self._value(self._store, self._settings.query)
            joules = await self._value(self._store, self._settings.energy_query)
        except AccessRefused as error:
            raise SourceRefused(error.reason, "put user:password or a token into a file and set token_file") from None
        except StoreError as error:
            raise SourceBroken(error.reason, error.fix) from None
        return MeterAnswer(watts, joules)

    async def close(self) -> None:
        if self._store is not None:
            await self._store.close()

    async def _value(self, store: Store, query: str) -> float | None:
        if not query:
            return None
        found = await store.instant(query)
        if len(found) != 1:
            fix = "write an expression of one series, such as sum(…)"
            raise SourceBroken(f"{query!r} gives {len(found)} series instead of one", fix if found else "")
        value = found[0].points[-1][1] if found[0].points else math.nan
        return value if math.isfinite(value) else None
