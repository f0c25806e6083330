"""The power of each live stream: its encoder, its location, and the power of encoder and server."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from wattview.analysis.attribution.shares import Attribution, Part
from wattview.analysis.attribution.streams import StreamKey, StreamUse, encoder_shares, server_shares
from wattview.config import Config
from wattview.daemon.attribution.processes import Server, accounted_cgroup, container_of
from wattview.daemon.attribution.publishers.watch import Publisher
from wattview.daemon.lab.encoding.encoder_group import RunningEncoder
from wattview.model import Container, Stream, StreamEncoder, StreamsReading, Workload, WorkloadLookup
from wattview.probes.tcp_sockets import endpoint_of


class StreamPower(Struct, frozen=True):
    """``watts`` is None if a part of it is unknown; ``encoder`` is None if nobody publishes the stream."""

    watts: float | None
    server_watts: float | None
    encoder: StreamEncoder | None


class Scene(Struct, frozen=True, kw_only=True):
    """Publishers, encoders and servers at the end of an interval, and where they run."""

    containers: tuple[Container, ...]
    workloads: WorkloadLookup | None
    encoders: tuple[RunningEncoder, ...]
    publishers: Mapping[StreamKey, Publisher]
    server: Server | None

    def workload_of(self, publisher: Publisher) -> Workload | None:
        """The workload that a publisher runs in."""
        if self.workloads is None or publisher.pid is None:
            return None
        return self.workloads.owner(accounted_cgroup(publisher.cgroup), publisher.pid)

    def part_of(self, publisher: Publisher) -> Part | None:
        """The part that a publisher's CPU time is in."""
        workload, container = self.workload_of(publisher), container_of(publisher.cgroup, self.containers)
        if workload is not None:
            return Part("workload", workload.id)
        return None if container is None else Part("container", container.name)


def power_of_streams(
    reading: StreamsReading, scene: Scene, last: Attribution | None, config: Config
) -> dict[StreamKey, StreamPower]:
    """The power of each stream of a reading. Without an attribution there are encoders, but no watts."""
    own_app = urlsplit(config.streams.rtmp_url).path.strip("/")
    own = {(own_app, name): one for one in scene.encoders for name in one.streams}
    found: dict[StreamKey, tuple[StreamEncoder | None, Hashable]] = {}
    for stream in reading.streams:
        key = (stream.app, stream.name)
        run = own.get(key)
        if run is not None:
            encoder = StreamEncoder(match="run", pid=run.pid, program="ffmpeg", kind="run", name=run.name)
            found[key] = encoder, Part("encoder", run.name)
        else:
            found[key] = _encoder(stream, scene)
    uses = [_use(stream, found[stream.app, stream.name][1]) for stream in reading.streams]
    of_server = server_shares(uses, _server_watts(scene, last))
    of_encoders = encoder_shares(uses, _watts_of_encoders(scene, last))
    return {
        key: _power(encoder, of_server.get(key), of_encoders.get(key), known=last is not None)
        for key, (encoder, _) in found.items()
    }


def _use(stream: Stream, encoder: Hashable) -> StreamUse:
    return StreamUse(
        app=stream.app,
        name=stream.name,
        in_bytes=stream.bandwidth_in_bytes or 0.0,
        out_bytes=stream.bandwidth_out_bytes or 0.0,
        pixels=(stream.width or 0) * (stream.height or 0) * (stream.fps or 0.0) or None,
        encoder=encoder,
    )


def _power(
    encoder: StreamEncoder | None, server_watts: float | None, encoder_watts: float | None, *, known: bool
) -> StreamPower:
    """The sum over the parts on this machine: a server elsewhere does not draw power here."""
    if encoder is None:
        return StreamPower(server_watts, server_watts, None)
    if encoder.match == "server":
        return StreamPower(server_watts, server_watts, replace(encoder, watts=0.0 if known else None))
    watts = None if encoder_watts is None else encoder_watts + (server_watts or 0.0)
    return StreamPower(watts, server_watts, replace(encoder, watts=encoder_watts))


def _encoder(stream: Stream, scene: Scene) -> tuple[StreamEncoder | None, Hashable]:
    """The encoder of a stream that WattView does not encode, and the key of its power."""
    publisher = scene.publishers.get((stream.app, stream.name))
    if publisher is None:
        return None, None
    encoder = StreamEncoder(
        match=publisher.method,
        pid=publisher.pid,
        program=publisher.program,
        host=publisher.host,
        reason=publisher.reason,
    )
    if publisher.pid is not None:
        workload, container = scene.workload_of(publisher), container_of(publisher.cgroup, scene.containers)
        if workload is not None:
            encoder = replace(encoder, workload=workload.id, kind=workload.kind, name=workload.name)
        elif container is not None:
            encoder = replace(encoder, kind="container", name=container.name)
        return encoder, publisher.pid
    container = _container_at(stream, scene.containers) if publisher.method in ("none", "remote") else None
    if container is None:
        return encoder, None
    if scene.server is not None and scene.server.container == container.id:
        return StreamEncoder(match="server"), None
    return StreamEncoder(match="address", kind="container", name=container.name), Part("container", container.name)


def _container_at(stream: Stream, containers: Iterable[Container]) -> Container | None:
    """The container that has the publisher's address in the engine's networks."""
    for client in stream.clients:
        end = endpoint_of(client.address) if client.publishing else None
        for container in containers:
            if end is not None and end.address in container.addresses:
                return container
    return None


def _watts_of_encoders(scene: Scene, last: Attribution | None) -> Mapping[Hashable, float]:
    """By container that is an encoder, by our own encoder, and by pid."""
    if last is None:
        return {}
    watts: dict[Hashable, float] = {pid: joules / last.seconds for pid, joules in last.processes.items()}
    watts |= {part: joules / last.seconds for part, joules in last.parts.items() if part.kind == "encoder"}
    for container in scene.containers:
        if (rest := _without_encoders(container, scene, last)) is not None:
            watts[Part("container", container.name)] = rest
    return watts


def _server_watts(scene: Scene, last: Attribution | None) -> float | None:
    """The server's own: its container's without the encoders in it, else its process's."""
    server = scene.server
    if last is None or server is None:
        return None
    if server.pid is not None:
        joules = last.processes.get(server.pid)
        return None if joules is None else joules / last.seconds
    container = next((one for one in scene.containers if one.id == server.container), None)
    return None if container is None else _without_encoders(container, scene, last)


def _without_encoders(container: Container, scene: Scene, last: Attribution) -> float | None:
    """A container's power without that of the known publishers in it."""
    watts = last.watts(Part("container", container.name))
    if watts is None:
        return None
    inside = {one.pid for one in scene.publishers.values() if one.pid is not None and container.id in one.cgroup}
    return max(watts - sum(last.processes.get(pid, 0.0) for pid in inside) / last.seconds, 0.0)
