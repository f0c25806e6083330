"""The store that the settings name as history (a Prometheus or VictoriaMetrics): whether it answers, and knows us.

It is a source like any other: where it is gone, refuses or is another program, it has a state with a reason. What it
holds is asked for by ``daemon.history.prometheus``.
"""

from __future__ import annotations

import time

from wattview.config import Config
from wattview.fetch import Access, blocking
from wattview.model import Fault, StoreReading
from wattview.probes import SourceBroken, SourceRefused
from wattview.promql import AccessRefused, Store, StoreError

SECONDS = 4.0
KNOWN = "count(max by (instance) (last_over_time(wattview_build_info[1h])))"
"""How many daemons have been scraped into the store within the last hour."""


def used(config: Config) -> bool:
    """Whether the settings name a store."""
    return config.history.backend == "prometheus"


def store_access(config: Config) -> Access:
    """What the settings say of the store's certificate and secret."""
    return Access(config.http.ca_file, config.history.prometheus_token_file)


class StoreProbe:
    """Asks the store one small question."""

    def __init__(self, config: Config) -> None:
        self._url = config.history.prometheus_url
        self._access = store_access(config)

    def read(self) -> StoreReading:
        """What the store knows of us. Raises SourceRefused or SourceBroken."""
        try:
            url, daemons = blocking(self._ask())
        except AccessRefused as error:
            raise SourceRefused(error.reason, error.fix) from None
        except StoreError as error:
            raise SourceBroken(error.reason, error.fix) from None
        nothing = Fault(
            url,
            "it has no sample of any WattView",
            "let it scrape this daemon: its targets are at /discovery of the port of endpoints.health",
        )
        return StoreReading(
            time=time.time(),
            monotonic=time.monotonic(),
            faults=() if daemons else (nothing,),
            url=url,
            daemons=daemons,
        )

    def close(self) -> None:
        """Nothing stays open between two readings."""

    async def _ask(self) -> tuple[str, int]:
        store = Store(self._url, self._access, seconds=SECONDS, where="history.prometheus_url")
        try:
            found = await store.instant(KNOWN)
        finally:
            await store.close()
        return store.url, round(found[0].points[0][1]) if found and found[0].points else 0
