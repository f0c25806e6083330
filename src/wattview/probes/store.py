"""The configured history store (a Prometheus or VictoriaMetrics): whether it answers, and has our data.

It is a source like any other: if it is gone, refuses or is another program, it has a state with a reason.
``daemon.history.prometheus`` queries its contents.
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
"""Number of daemons that were scraped into the store within the last hour."""


def used(config: Config) -> bool:
    """Whether a store is configured."""
    return config.history.backend == "prometheus"


def store_access(config: Config) -> Access:
    """The configured certificate and secret of the store."""
    return Access(config.http.ca_file, config.history.prometheus_token_file)


class StoreProbe:
    """Sends the store one small query."""

    def __init__(self, config: Config) -> None:
        self._url = config.history.prometheus_url
        self._access = store_access(config)

    def read(self) -> StoreReading:
        """Whether the store has our data. Raises SourceRefused or SourceBroken."""
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
        """Nothing is kept open between readings."""

    async def _ask(self) -> tuple[str, int]:
        store = Store(self._url, self._access, seconds=SECONDS, where="history.prometheus_url")
        try:
            found = await store.instant(KNOWN)
        finally:
            await store.close()
        return store.url, round(found[0].points[0][1]) if found and found[0].points else 0
