"""Searches for the publishers of streams when a stream comes or goes, and periodically for helpers that they have
started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from wattview.config import Config
from wattview.daemon.attribution.processes import Server
from wattview.daemon.attribution.publishers.host_processes import HostProcesses
from wattview.daemon.attribution.publishers.matching import Match, Matching, PushedStream, ServerSight, StreamKey
from wattview.model import Container, EncoderMatch, Stream, StreamsReading
from wattview.probes.streams.probe import is_local
from wattview.probes.tcp_sockets import LISTEN, SocketAddress, counted_sockets

LOOK_SECONDS = 30.0
"""How often processes are listed while nothing changes: an encoder may start others."""

UNMATCHED_SECONDS = 5.0
"""How soon the publisher of an unmatched stream is searched again: its traffic may then identify it. The interval
doubles each time."""


RTMP_PORT = 1935


class Publisher(Struct, frozen=True):
    """A stream's publisher: its process, ``pids`` with all that work for it, and its cgroups' lines."""

    method: EncoderMatch
    pid: int | None = None
    pids: frozenset[int] = frozenset()
    program: str = ""
    cgroup: str = ""
    host: str = ""
    reason: str = ""


class Publishers:
    """Tracks the publisher of each stream."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._procfs = config.paths.procfs
        self._of: object = None
        self._looked = float("-inf")
        self._wait = LOOK_SECONDS
        self._matches: dict[StreamKey, Match] = {}
        self.found: Mapping[StreamKey, Publisher] = {}

    async def find(
        self, reading: StreamsReading | None, server: Server | None, containers: Iterable[Container]
    ) -> Mapping[StreamKey, Publisher]:
        """The publishers of a reading's streams, searched again if the streams have changed."""
        streams = [pushed for stream in reading.streams if (pushed := _pushed(stream))] if reading is not None else []
        of = (server, frozenset((one.key, one.address) for one in streams))
        if of != self._of:
            self._wait = UNMATCHED_SECONDS
        if of != self._of or (streams and time.monotonic() - self._looked > self._wait):
            listed = list(containers)
            self.found = await asyncio.to_thread(self._look, streams, server, listed) if streams else {}
            self._of, self._looked = of, time.monotonic()
            unmatched = any(one.method == "none" for one in self.found.values())
            self._wait = min(2 * self._wait, LOOK_SECONDS) if unmatched else LOOK_SECONDS
        return self.found

    def forget(self, gone: Iterable[int]) -> None:
        """Searches again at the next opportunity if one of these processes was a publisher."""
        ended = set(gone)
        if any(one.pid in ended for one in self.found.values()):
            self._of = None

    def _look(
        self, streams: list[PushedStream], server: Server | None, containers: list[Container]
    ) -> dict[StreamKey, Publisher]:
        processes = HostProcesses(self._procfs)
        sight = self._sight(processes, server, containers)
        matching = Matching(processes, sight, _carried(sight.ports), self._matches)
        self._matches = matching.match(streams)
        pushing = {match.pid for match in self._matches.values() if match.pid is not None}
        found = {}
        for key, match in self._matches.items():
            process = processes.by_pid.get(match.pid) if match.pid is not None else None
            found[key] = Publisher(
                method=match.method,
                pid=match.pid,
                pids=processes.family(match.pid, {*pushing, *sight.pids}) if match.pid is not None else frozenset(),
                program=process.program if process is not None else "",
                cgroup=process.cgroup if process is not None else "",
                host=match.host,
                reason=match.reason,
            )
        return found

    def _sight(self, processes: HostProcesses, server: Server | None, containers: Iterable[Container]) -> ServerSight:
        pids = _pids_of(processes, server, containers)
        namespace = next((processes.by_pid[pid].namespace for pid in pids if pid in processes.by_pid), None) or None
        ports: set[int] = {_port(self._config.streams.rtmp_url) or RTMP_PORT}
        if namespace is not None:
            inodes = {inode for pid in pids for inode in processes.files(pid, "socket")}
            inside = server is not None and server.container
            listening = [one for one in processes.table(namespace) if one.state == LISTEN]
            ports |= {one.here.port for one in listening if one.inode in inodes or (inside and not inodes)}
            ports.discard(_port(self._config.streams.nginx_rtmp_url) or 0)
        host = urlsplit(self._config.streams.nginx_rtmp_url).hostname or ""
        addresses = {address for name in processes.namespaces() for address in processes.addresses(name)}
        here = server is not None or is_local(self._config.streams.nginx_rtmp_url) or host in addresses
        return ServerSight(namespace, frozenset(pids), frozenset(ports), "" if here else host)


def _pids_of(processes: HostProcesses, server: Server | None, containers: Iterable[Container]) -> set[int]:
    """The server's processes: in a container those of its first process's program, else master and workers."""
    if server is None:
        return set()
    if server.pid is not None:
        own = processes.by_pid.get(server.pid)
        if own is None:
            return set()
        master = processes.by_pid.get(own.parent)
        first = master.pid if master is not None and master.program == own.program else own.pid
        workers = {one.pid for one in processes.by_pid.values() if (one.parent, one.program) == (first, own.program)}
        return {first, *workers}
    init = next((one.pid for one in containers if one.id == server.container), None)
    inside = [one for one in processes.by_pid.values() if server.container in one.cgroup]
    programs = {one.program for one in inside if one.pid == init}
    return {one.pid for one in inside if one.program in programs}


def _pushed(stream: Stream) -> PushedStream | None:
    """The search data of one stream; None if it has no publisher."""
    publishing = [one for one in stream.clients if one.publishing]
    if not stream.publishers and not publishing:
        return None
    publisher = next((one for one in publishing if not one.relay), None)
    if publisher is None:
        copied = bool(publishing)
        return PushedStream(stream.app, stream.name, "", fetched=copied, bytes_in=stream.bytes_in_total)
    return PushedStream(stream.app, stream.name, publisher.address, publisher.fetched, stream.bytes_in_total)


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def _carried(ports: frozenset[int]) -> dict[SocketAddress, int]:
    """Bytes that the server has received, by the peer's endpoint, as far as this namespace shows them."""
    try:
        sockets = counted_sockets()
    except OSError:
        return {}
    carried = {one.here: one.acknowledged for one in sockets if one.there.port in ports}
    carried |= {one.there: one.received for one in sockets if one.here.port in ports}
    return carried
