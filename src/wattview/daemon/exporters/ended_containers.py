"""Which scraper has already seen the last counters of which container.

If a container ended between two scrapes, each scraper must see it exactly once more: if it saw it for longer, the
container would seem to be running. The scrape interval is unknown, but the connection identifies the scraper: one that
keeps its connection, as Prometheus does, sees each end once. A client with a new connection each time sees it for
``docker.ended_seconds``.
"""

from __future__ import annotations

import msgspec

from wattview.model import Container, ContainersReading

_End = tuple[str, float | None]
"""A container may end more than once: its id, and when."""


class EndedContainers:
    """``for_scraper`` filters a reading for one scraper, and remembers what it was shown."""

    def __init__(self) -> None:
        self._shown: dict[_End, set[int]] = {}
        """The scrapers, by the hashes of their names, which are as long as a client makes them."""

    def for_scraper(self, scraper: str, reading: ContainersReading) -> ContainersReading:
        """The reading without ended containers that this scraper has already seen."""
        who = hash(scraper)
        ends = {_end(container): container for container in reading.ended}
        self._shown = {end: self._shown.get(end, set()) for end in ends}
        news = tuple([container for end, container in ends.items() if who not in self._shown[end]])
        for container in news:
            self._shown[_end(container)].add(who)
        return reading if len(news) == len(ends) else msgspec.structs.replace(reading, ended=news)


def _end(container: Container) -> _End:
    return container.id, container.ended
