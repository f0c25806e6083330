"""Description of a kind of stream server. To add one, add its file and its entry in ``probe.SERVERS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wattview.fetch import Access
from wattview.model import Fault, StreamsReading
from wattview.probes import Probe, SourceBroken

MAX_STREAMS = 2000
"""Maximum number of listed streams; each takes some 40 samples of a scrape."""

PAGE = 500
"""Entries that are asked for at once of an API's list."""

MAX_PAGES = 20


class StreamServer(NamedTuple):
    """``make(url, access)`` returns its probe. ``api`` is the path prefix of its API (``/api/v1``); "" if the address
    is that of a page. ``port`` is the API's usual one, which is tried on this machine. ``programs`` are the names of
    its process, to find its power; empty for its own ``name``."""

    name: str
    make: Callable[[str, Access], Probe[StreamsReading]]
    api: str = ""
    port: int | None = None
    programs: tuple[str, ...] = ()


def check_page(place: str, entries: int) -> None:
    """Raises SourceBroken if a page has far more entries than it was asked for: twenty such pages take gigabytes."""
    if entries > 2 * PAGE:
        raise SourceBroken(f"{place}: {entries:,} entries where {PAGE} were asked for")


def too_many(unlisted: int) -> Fault:
    """Message about unlisted streams."""
    return Fault(
        "streams", f"{unlisted:,} more than the {MAX_STREAMS:,} that are listed; sums over streams are unknown"
    )
