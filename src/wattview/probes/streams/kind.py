"""What a kind of stream server says of itself. To add one is to add its file, and its entry in ``probe.SERVERS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wattview.fetch import Access
from wattview.model import Fault, StreamsReading
from wattview.probes import Probe

MAX_STREAMS = 2000
"""The most streams that are listed; each is some 40 samples of a scrape."""


class StreamServer(NamedTuple):
    """``make(url, access)`` gives its probe. ``api`` is the path that its API begins with (``/api/v1``); "" where the
    address is that of a page. ``port`` is the API's usual one: on this machine the server is looked for there.
    ``programs`` are the names of its process, by which its power is found; empty for its own ``name``."""

    name: str
    make: Callable[[str, Access], Probe[StreamsReading]]
    api: str = ""
    port: int | None = None
    programs: tuple[str, ...] = ()


def too_many(unlisted: int) -> Fault:
    """What is said of streams that are not listed."""
    return Fault(
        "streams", f"{unlisted:,} more than the {MAX_STREAMS:,} that are listed; sums over streams are unknown"
    )
