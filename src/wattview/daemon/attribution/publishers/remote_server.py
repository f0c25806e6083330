"""Finds the encoder of a stream whose server is on another machine, when a client of that machine asks for it.

A dashboard of several machines asks each of the others for the stream's publisher, by the address that its server sees.
"""

from __future__ import annotations

import asyncio
import time

from msgspec.structs import replace

from wattview.config import Config
from wattview.daemon.attribution.processes import accounted_cgroup
from wattview.daemon.attribution.publishers.host_processes import HostProcess, HostProcesses
from wattview.daemon.attribution.publishers.matching import Matching, PushedStream, ServerSight
from wattview.daemon.attribution.publishers.watch import RTMP_PORT
from wattview.daemon.attribution.workload_processes import ProcessWatch
from wattview.daemon.sampler import Sampler
from wattview.model import PowerAccount, StreamEncoder, WorkloadLookup, WorkloadsReading
from wattview.model.source import total

SHARED_SECONDS = 2.0
"""How long one list of processes serves: all streams of a server are asked for together."""

_ELSEWHERE = "another machine"


class RemotePushes:
    """Finds what pushes from this machine to a server on another one."""

    def __init__(self, config: Config, sampler: Sampler, watch: ProcessWatch) -> None:
        self._procfs = config.paths.procfs
        self._sampler = sampler
        self._watch = watch
        self._lock = asyncio.Lock()
        self._processes: HostProcesses | None = None
        self._listed = float("-inf")

    async def encoder(
        self, stream: PushedStream, port: int = RTMP_PORT, account: PowerAccount | None = None
    ) -> StreamEncoder:
        """The encoder of a stream, with an estimate of its power: its workload's, by CPU time. ``port`` is the
        server's. Raises LookupError if no process here is its publisher."""
        async with self._lock:
            if self._processes is None or time.monotonic() - self._listed > SHARED_SECONDS:
                self._processes = await asyncio.to_thread(HostProcesses, self._procfs)
                self._listed = time.monotonic()
            processes = self._processes
        match = await asyncio.to_thread(_match, processes, stream, port)
        if match is None:
            raise LookupError(f"no process of this machine is known to push {stream.app}/{stream.name} from there")
        process, family = match
        encoder = StreamEncoder(match="socket", pid=process.pid, program=process.program)
        reading = await self._sampler.read_or_none("workloads", max_age=1.0)
        if not isinstance(reading, WorkloadsReading):
            return encoder
        workload = WorkloadLookup(reading).owner(accounted_cgroup(process.cgroup), process.pid)
        if workload is None:
            return encoder
        told = await self._watch.of(workload.id, account)
        return replace(
            encoder,
            workload=workload.id,
            kind=workload.kind,
            name=workload.name,
            watts=total(one.power_watts for one in told.processes if one.pid in family),
        )


def _match(processes: HostProcesses, stream: PushedStream, port: int) -> tuple[HostProcess, frozenset[int]] | None:
    sight = ServerSight(None, frozenset(), frozenset({port}), _ELSEWHERE)
    found = Matching(processes, sight, {}, {}).match([stream])[stream.key]
    process = processes.by_pid.get(found.pid) if found.pid is not None else None
    # A command line alone is no evidence: another machine's process may push under the same name.
    if process is None or found.method != "socket":
        return None
    if (end := found.endpoint) is not None and not any(
        (one.entry.here.port, one.entry.there.port) == (end.port, port) for one in processes.sockets()
    ):
        return None  # it is connected to something else
    # Neither is a connection alone: several machines may share an address.
    if process.targets and not any(one.is_stream(stream.app, stream.name) for one in process.targets):
        return None
    return process, processes.family(process.pid)
