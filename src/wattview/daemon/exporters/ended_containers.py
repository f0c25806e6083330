"""Which scraper has been shown the last counters of which container.

A container that ended between two scrapes must be seen by each scraper once more, and a scraper that goes on being
shown it would take it for a container that still is. How often others scrape is not for us to know; who asks is: a
connection that is kept, as Prometheus keeps it, is one scraper, and is shown each end once. Whoever comes with a
connection of its own each time is shown an end for ``docker.ended_seconds``.
"""

from __future__ import annotations

import msgspec

from wattview.model import Container, ContainersReading

_End = tuple[str, float | None]
"""A container may end more than once: its id, and when."""


class LastWords:
    """``for_scraper`` gives a reading as one scraper is to see it, and remembers that it did."""

    def __init__(self) -> None:
        self._shown: dict[_End, set[str]] = {}

    def for_scraper(self, scraper: str, reading: ContainersReading) -> ContainersReading:
        """The reading without the ended containers that this scraper has been shown before."""
        ends = {_end(container): container for container in reading.ended}
        self._shown = {end: self._shown.get(end, set()) for end in ends}
        news = tuple([container for end, container in ends.items() if scraper not in self._shown[end]])
        for container in news:
            self._shown[_end(container)].add(scraper)
        return reading if len(news) == len(ends) else msgspec.structs.replace(reading, ended=news)


def _end(container: Container) -> _End:
    return container.id, container.ended
