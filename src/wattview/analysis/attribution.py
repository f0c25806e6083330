"""Who used the power: the host's energy of an interval, shared out to idle, containers, encoders and the rest.

Energy is conserved: ``host = idle + the parts + unattributed`` in every interval, whatever comes and goes. What the
machine draws at rest is nobody's and is reported by itself; the rest of the CPU's energy is shared by CPU time, a GPU's
energy by its own account of who used it. What no part has used (the kernel, programs outside of containers, containers
that ended unseen) is unattributed, and never spread over those that are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from wattview.analysis.energy import NoData


class Part(Struct, frozen=True):
    """Something that uses power: a container by its name, or one of our own encoders by its stream."""

    kind: Literal["container", "encoder"]
    name: str


class Use(Struct, frozen=True):
    """The CPU time of one part so far, and when it began (Unix seconds), where that is known."""

    cpu_seconds_total: float
    started: float | None = None


class Observation(Struct, frozen=True, kw_only=True):
    """All counters at one moment. ``parts`` holds who was there and could be read.

    ``inside`` names the container that the encoders run in, where the daemon itself runs in one: their CPU time is in
    that container's too. ``gpu_joules_total`` is what the GPUs' own counters add to the host's, and ``gpu_shares`` the
    shares of the GPUs' work since the last observation by part (their sum is at most 1).
    """

    time: float
    monotonic: float
    host_joules_total: float
    cpu_busy_seconds_total: float
    cpus: int
    parts: Mapping[Part, Use]
    inside: Part | None = None
    gpu_joules_total: float = 0.0
    gpu_shares: Mapping[Part, float] = {}


class Attribution(Struct, frozen=True, kw_only=True):
    """One interval's energy by who used it. ``joules`` is all of it and the sum of the others.

    ``idle_joules`` is None where idle power is not known yet: it is then in the shares of those that were active.
    ``utilisation`` is the busy share of all CPU time, 0 to 1; ``host_joules`` is ``joules`` without the GPUs.
    """

    time: float
    seconds: float
    joules: float
    host_joules: float
    idle_joules: float | None
    parts: Mapping[Part, float]
    unattributed_joules: float
    utilisation: float

    @property
    def host_watts(self) -> float:
        return self.host_joules / self.seconds

    def watts(self, part: Part) -> float | None:
        """Mean power of one part, None where it is not in the interval."""
        joules = self.parts.get(part)
        return None if joules is None else joules / self.seconds


def attribute(before: Observation, after: Observation, idle_watts: float | None) -> Attribution:
    """Shares out the energy between two observations.

    A part that began in the interval has all its CPU time in it; one that was there before and was not seen has
    nothing that could be told apart, and one that ended has its last use in what is unattributed. Raises NoData where
    no time has passed or a counter of the host fell.
    """
    seconds = after.monotonic - before.monotonic
    host = after.host_joules_total - before.host_joules_total
    gpu = after.gpu_joules_total - before.gpu_joules_total
    busy = after.cpu_busy_seconds_total - before.cpu_busy_seconds_total
    if not seconds > 0:
        raise NoData("no time has passed")
    if host < 0 or gpu < 0 or busy < 0:
        raise NoData("a counter of the host began anew")
    used = _used(before, after)
    idle = None if idle_watts is None else min(idle_watts * seconds, host)
    active = host - (idle or 0.0)
    # The clocks of the counters differ by some milliseconds: the parts may seem to have used more than all together.
    whole = max(busy, sum(used.values()))
    parts = {part: active * cpu / whole if whole else 0.0 for part, cpu in used.items()}
    shares = {part: max(share, 0.0) for part, share in after.gpu_shares.items() if part in parts}
    scale = max(sum(shares.values()), 1.0)
    for part, share in shares.items():
        parts[part] += gpu * share / scale
    return Attribution(
        time=after.time, seconds=seconds, joules=host + gpu, host_joules=host, idle_joules=idle, parts=parts,
        unattributed_joules=max(host + gpu - (idle or 0.0) - sum(parts.values()), 0.0),
        utilisation=min(busy / (after.cpus * seconds), 1.0) if after.cpus else 0.0,
    )  # fmt: skip


def _used(before: Observation, after: Observation) -> dict[Part, float]:
    """CPU time of each part in the interval."""
    used = {}
    for part, now in after.parts.items():
        then = before.parts.get(part)
        if then is not None and now.cpu_seconds_total >= then.cpu_seconds_total:
            used[part] = now.cpu_seconds_total - then.cpu_seconds_total
        elif then is not None or (now.started is not None and now.started >= before.time):
            used[part] = now.cpu_seconds_total
        else:
            used[part] = 0.0
    if after.inside in used:
        assert after.inside is not None
        encoders = sum(cpu for part, cpu in used.items() if part.kind == "encoder")
        used[after.inside] = max(used[after.inside] - encoders, 0.0)
    return used


class Ledger:
    """Energy by who used it since the daemon began: the counters behind the ``…_joules_total`` series."""

    def __init__(self) -> None:
        self.joules = 0.0
        self.idle_joules = 0.0
        self.unattributed_joules = 0.0
        self.ended_joules = 0.0
        self.parts: dict[Part, float] = {}

    def add(self, interval: Attribution) -> None:
        self.joules += interval.joules
        self.idle_joules += interval.idle_joules or 0.0
        self.unattributed_joules += interval.unattributed_joules
        for part, joules in interval.parts.items():
            self.parts[part] = self.parts.get(part, 0.0) + joules

    def forget(self, ended: Part) -> None:
        """Takes a part that has ended off the list; its energy stays in the sum of what ended."""
        self.ended_joules += self.parts.pop(ended, 0.0)


class StreamTraffic(Struct, frozen=True):
    """Bytes per second of one stream through a server, in and out together."""

    app: str
    name: str
    bytes_per_second: float


def stream_watts(
    traffic: list[StreamTraffic], server_watts: float | None, encoder_watts: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Power of each stream by (app, name): its part of the server's by its part of the traffic, and its encoder's.

    ``server_watts`` is the active power of the server's container or process, None where that is not known;
    ``encoder_watts`` is by stream name, for encoders of our own and publishers that are known. A stream of which
    neither is known is not in the answer.
    """
    whole = sum(stream.bytes_per_second for stream in traffic)
    found = {}
    for stream in traffic:
        encoder = encoder_watts.get(stream.name)
        server = None
        if server_watts is not None and whole > 0:
            server = server_watts * stream.bytes_per_second / whole
        if encoder is not None or server is not None:
            found[stream.app, stream.name] = (encoder or 0.0) + (server or 0.0)
    return found
