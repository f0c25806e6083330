"""nginx with the RTMP module: its statistics page as a StreamsReading, with bandwidth from its byte counters.

A page covers only the worker process that answered: pages are kept per process; with several workers they are added,
and a fault is reported. ``nginx_rtmp_stat`` parses the format.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from msgspec.structs import replace

from wattview.fetch import OPEN, Access, Site
from wattview.model import Fault, Stream, StreamsReading
from wattview.probes import SourceAbsent
from wattview.probes.streams import http as rtmp_http
from wattview.probes.streams.kind import StreamServer
from wattview.probes.streams.nginx_rtmp_stat import ONE_WORKER, merge, parse, without_relays
from wattview.probes.streams.rates import StreamRates, total

WORKER_KEPT_SECONDS = 30.0
"""How long a silent worker process is assumed to be alive."""


class NginxRtmpProbe:
    """Reads one statistics page, ``http://127.0.0.1:8088/stat``."""

    def __init__(self, stat_url: str, access: Access = OPEN) -> None:
        self.stat_url = stat_url
        self._access = access
        self._workers: dict[int | None, _Worker] = {}

    def read(self) -> StreamsReading:
        """The server and its streams. Raises SourceAbsent, SourceRefused or SourceBroken."""
        if not self.stat_url:
            raise SourceAbsent("no RTMP server is configured", rtmp_http.ANY_SERVER)
        # A persistent connection stays with one worker; new connections reach all of them.
        return rtmp_http.ask(self.stat_url, self._access, self._read, {"Connection": "close", "Accept": "text/xml"})

    def close(self) -> None:
        """Nothing is kept open between readings."""

    async def _read(self, site: Site) -> StreamsReading:
        heard = {await self._ask(site)}
        for _ in range(4 * len(self._workers) if len(self._workers) > 1 else 0):
            if heard >= self._workers.keys():
                break
            heard.add(await self._ask(site))
        return _together([worker.reading for worker in self._workers.values()])

    async def _ask(self, site: Site) -> int | None:
        """Processes one page; returns the process that answered."""
        try:
            page = (await rtmp_http.page(site)).body
        except SourceAbsent:
            self._workers.clear()  # they share the port: if it is closed, all have ended
            raise
        reading = parse(page, time=time.time(), monotonic=time.monotonic())
        pid = reading.server.pid
        for other in [key for key, worker in self._workers.items() if key != pid and worker.outdated_by(reading)]:
            del self._workers[other]
        worker = self._workers.pop(pid, None)
        if worker is None or worker.restarted(reading):
            worker = _Worker()
        worker.update(reading)
        self._workers[pid] = worker
        return pid


class _Worker:
    """One worker process: its last page, with rates."""

    reading: StreamsReading

    def __init__(self) -> None:
        self._rates = StreamRates()

    def update(self, reading: StreamsReading) -> None:
        self.reading = self._rates.apply(reading)

    def restarted(self, now: StreamsReading) -> bool:
        """Whether a new process has this one's pid (each nginx in a container has the same)."""
        return _began(now) > _began(self.reading) + 2

    def outdated_by(self, other: StreamsReading) -> bool:
        """Whether ``other`` comes from a later start of nginx, or this worker has been silent for too long."""
        silent = other.monotonic - self.reading.monotonic
        return silent > WORKER_KEPT_SECONDS or abs(_began(other) - _began(self.reading)) > 2


def _began(reading: StreamsReading) -> float:
    """When nginx read its configuration (monotonic): the same for all its workers, to the second. 0 is unknown."""
    uptime = reading.server.uptime_seconds
    return 0.0 if uptime is None else reading.monotonic - uptime


def _together(readings: Sequence[StreamsReading]) -> StreamsReading:
    """The pages of all workers as one reading, timed by the latest."""
    last = readings[-1]
    if len(readings) == 1:
        return last
    servers = [reading.server for reading in readings]
    streams, _ = merge(_numbered(stream, reading) for reading in readings for stream in reading.streams)
    server = replace(
        last.server,
        pid=None,
        connections=total(server.connections for server in servers),
        unlisted_streams=sum(server.unlisted_streams for server in servers),
        accepted_total=total(server.accepted_total for server in servers),
        bytes_in_total=total(server.bytes_in_total for server in servers),
        bytes_out_total=total(server.bytes_out_total for server in servers),
        bandwidth_in_bytes=total(server.bandwidth_in_bytes for server in servers),
        bandwidth_out_bytes=total(server.bandwidth_out_bytes for server in servers),
    )
    if any(fault.part == "rtmp_auto_push" for reading in readings for fault in reading.faults):
        server = without_relays(server, streams)
    pids = ", ".join(str(server.pid) for server in servers)
    several = Fault(
        "nginx workers",
        f"nginx runs {len(readings)} worker processes ({pids}) and each answer covers only one of them; their "
        "last answers are added up, and totals jump when one does not answer",
        ONE_WORKER,
    )
    faults = dict.fromkeys(fault for reading in readings for fault in reading.faults)
    return replace(last, server=server, streams=streams, faults=(several, *faults))


def _numbered(stream: Stream, reading: StreamsReading) -> Stream:
    """Connection numbers are unique within one worker only."""
    return replace(
        stream,
        clients=tuple(replace(client, id=f"{reading.server.pid}-{client.id}") for client in stream.clients),
    )


SERVER = StreamServer("nginx-rtmp", NginxRtmpProbe, programs=("nginx", "openresty"))
