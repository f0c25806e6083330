"""Sources of numbers: one file per source.

A probe gets its settings, opens its files once, and ``read()`` returns a typed, immutable Reading with its own time
stamps. A pure function beside it converts a Reading to metric families. A source that cannot be read at all raises one
of the three ``SourceError``s below; a part that cannot be read becomes a ``Fault`` in the Reading, so that only its own
numbers are missing. No HTTP server, no storage, no other probe.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Protocol, TypeVar

from wattview.decoding import LONGEST_REASON, Explained
from wattview.foreign_text import cut
from wattview.model import ProbeState, Reading


def made(package: str, place: str, *arguments: Any) -> Any:
    """One of ``package.module.Class``, by its ``place`` (``module.Class``). Imported only then."""
    module, _, name = place.partition(".")
    return getattr(import_module(f"{package}.{module}"), name)(*arguments)


R_co = TypeVar("R_co", bound=Reading, covariant=True)


class Probe(Protocol[R_co]):
    """The interface that the sampler uses. ``read`` may block; it is never called from two threads at once.

    Construction never fails because a source is missing: ``read`` reports that, and finds a source that has come back.
    """

    def read(self) -> R_co: ...

    def close(self) -> None: ...


class SourceError(Exception):
    """A source without a reading. ``reason`` names the source and the problem; ``fix`` says how to fix it, or is "".
    Both may quote the source, and are cut."""

    state: ProbeState = "broken"

    def __init__(self, reason: str, fix: str = "") -> None:
        self.reason = cut(reason, LONGEST_REASON)
        self.fix = cut(fix, LONGEST_REASON)
        super().__init__(self.reason)


class SourceAbsent(SourceError):
    """This machine has no such source: no GPU, no Docker, no RTMP server."""

    state: ProbeState = "absent"


class SourceRefused(SourceError):
    """The source exists, and this process may not read it."""

    state: ProbeState = "refused"


class SourceBroken(SourceError):
    """The source exists, but its answer is invalid, or it does not answer."""

    state: ProbeState = "broken"


@contextlib.contextmanager
def broken_if_it_fails() -> Iterator[None]:
    """A failed request, with its reason and its fix, as a SourceBroken."""
    try:
        yield
    except Explained as error:
        raise SourceBroken(error.reason, error.fix) from None
