"""Where numbers come from: one file a source.

A probe is given its settings, opens what it reads once, and ``read()`` returns a typed, immutable Reading with its own
time stamps. A pure function beside it turns a Reading into metric families. A source that cannot be read at all raises
one of the three ``SourceError``s below; a part that cannot be read becomes a ``Fault`` inside the Reading, so that it
costs its own numbers only. No HTTP server, no storage, no other probe.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from wattview.model import ProbeState, Reading

R_co = TypeVar("R_co", bound=Reading, covariant=True)


class Probe(Protocol[R_co]):
    """What the sampler asks of a source. ``read`` may block; it is never called from two threads at once.

    Construction never fails for want of a source: a probe says what is wrong when it is read, and finds a source that
    has come back the next time.
    """

    def read(self) -> R_co: ...

    def close(self) -> None: ...


class SourceError(Exception):
    """A source that gave no reading. ``reason`` names the thing and what is wrong; ``fix`` is the way out, or ""."""

    state: ProbeState = "broken"

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class SourceAbsent(SourceError):
    """This machine has no such source: no GPU, no Docker, no RTMP server."""

    state: ProbeState = "absent"


class SourceRefused(SourceError):
    """It is there, and this process may not read it."""

    state: ProbeState = "refused"


class SourceBroken(SourceError):
    """It is there, and what it answers makes no sense, or it does not answer."""

    state: ProbeState = "broken"
