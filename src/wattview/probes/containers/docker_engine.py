"""The running containers of one Docker engine, kept current by its own event stream.

A daemon thread lists and inspects the containers once, and then inspects one when the engine says that it changed;
nothing is polled. What it knows is published whole, as an immutable ``EngineState``: readers never wait for the
engine. When the engine goes away the last known containers stay, with the reason; the thread comes back with growing
pauses, and lists anew. API: https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused

log = logging.getLogger("wattview.docker")

REQUEST_SECONDS = 10.0
"""How long one answer of the engine may take."""

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds between attempts to reach the engine again; the last one repeats."""

_EVENTS = ("start", "restart", "die", "destroy", "rename", "update", "pause", "unpause", "health_status")


class ContainerInfo(Struct, frozen=True, kw_only=True):
    """What the engine says of one running container. ``revision`` differs each time the engine was asked anew."""

    id: str
    name: str
    image: str
    pid: int
    labels: dict[str, str] = {}
    state: str = "running"
    health: str | None = None
    restarts: int | None = None
    created: float | None = None
    started: float | None = None
    network_mode: str = ""
    log_path: str = ""
    addresses: tuple[str, ...] = ()
    revision: int = 0

    @property
    def own_network(self) -> bool:
        """Whether its network namespace is its own: not the host's and not another container's."""
        return self.network_mode != "host" and not self.network_mode.startswith("container:")


class EngineInfo(Struct, frozen=True, kw_only=True):
    """The engine itself. ``pid`` is that of its own process, where the socket tells it."""

    version: str
    cgroup_version: int
    root_dir: str = ""
    pid: int | None = None


class EngineState(Struct, frozen=True):
    """All that is known at one moment. ``problem`` says why it may be out of date."""

    info: EngineInfo | None = None
    containers: dict[str, ContainerInfo] = {}
    problem: SourceError | None = None


class DockerEngine:
    """One engine at ``host`` (``unix://``, ``tcp://``, ``http://``, ``https://`` or ``ssh://``).

    ``on_change`` is called in the thread that follows it, with each new state.
    """

    def __init__(
        self,
        host: str,
        on_change: Callable[[EngineState], None] = lambda state: None,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.state = EngineState()
        self._on_change = on_change
        self._host = host
        self._request_seconds = request_seconds
        self._tried = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: Any = None
        self._revision = 0

    def start(self) -> None:
        """Begins to follow the engine; does nothing where that has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether the engine has been reached, or has failed to be, at least once within this time."""
        return self._tried.wait(seconds)

    def close(self) -> None:
        """Ends the thread, or leaves it to the process's end where the engine holds it in an answer."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            # The stream may end by itself in the same moment, and then has no socket any more.
            with contextlib.suppress(Exception):
                stream.close()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                # A stream that only ends is opened again; when that fails there is something to tell.
                self._follow()
            except SourceError as error:
                self._fail(error)
            except Exception as error:
                log.debug("docker: %s", error, exc_info=error)
                self._fail(_explain(error, self._host, self._request_seconds))
            if time.monotonic() - began > _PAUSES[-1]:
                failures = 0
            self._closed.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _fail(self, problem: SourceError) -> None:
        if not self._closed.is_set():
            self._publish(self.state.containers, problem)

    def _follow(self) -> None:
        """Lists the containers, then applies events until the stream ends."""
        pid = _engine_pid(self._host, self._request_seconds)
        client = _client(self._host, self._request_seconds)
        try:
            said = client.info()
            info = EngineInfo(
                version=str(said.get("ServerVersion", "")),
                cgroup_version=int(said.get("CgroupVersion") or 1),
                root_dir=str(said.get("DockerRootDir", "")),
                pid=pid,
            )
            # The engine repeats what happened since then: nothing falls between the list and the stream.
            since = int(_seconds(said.get("SystemTime")) or 0) - 1
            self._stream = client.events(
                since=since, filters={"type": ["container"], "event": list(_EVENTS)}, decode=True
            )
            containers: dict[str, ContainerInfo] = {}
            for listed in client.containers():
                found = self._inspect(client, listed["Id"])
                if found is not None:
                    containers[found.id] = found
            self._publish(containers, None, info)
            for event in self._stream:
                self._apply(client, event)
        finally:
            self._stream = None
            client.close()

    def _apply(self, client: Any, event: Mapping[str, Any]) -> None:
        container_id = event.get("Actor", {}).get("ID") or event.get("id")
        if not container_id:
            return
        containers = dict(self.state.containers)
        found = self._inspect(client, container_id)
        if found is None:
            containers.pop(container_id, None)
        else:
            containers[container_id] = found
        self._publish(containers, None)

    def _inspect(self, client: Any, container_id: str) -> ContainerInfo | None:
        """The container, or None where it does not run (any more)."""
        from docker.errors import NotFound

        try:
            said = client.inspect_container(container_id)
        except NotFound:
            return None
        self._revision += 1
        return container_info(said, self._revision)

    def _publish(
        self, containers: dict[str, ContainerInfo], problem: SourceError | None, info: EngineInfo | None = None
    ) -> None:
        self.state = EngineState(info or self.state.info, containers, problem)
        self._on_change(self.state)
        self._tried.set()


def container_info(said: Mapping[str, Any], revision: int = 0) -> ContainerInfo | None:
    """An answer of ``GET /containers/{id}/json``; None where the container does not run. Raises SourceBroken."""
    try:
        config, state = said.get("Config") or {}, said.get("State") or {}
        pid = int(state.get("Pid") or 0)
        if pid <= 0:
            return None
        return ContainerInfo(
            id=str(said["Id"]),
            name=str(said["Name"]).lstrip("/"),
            image=str(config.get("Image") or said.get("Image") or ""),
            pid=pid,
            labels={str(key): str(value) for key, value in (config.get("Labels") or {}).items()},
            state=str(state.get("Status") or "running"),
            health=(state.get("Health") or {}).get("Status"),
            restarts=said.get("RestartCount"),
            created=_seconds(said.get("Created")),
            started=_seconds(state.get("StartedAt")),
            network_mode=str((said.get("HostConfig") or {}).get("NetworkMode") or ""),
            log_path=str(said.get("LogPath") or ""),
            addresses=_addresses((said.get("NetworkSettings") or {}).get("Networks") or {}),
            revision=revision,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceBroken(f"the engine describes a container in an unknown form: {error!r}") from error


def _addresses(networks: Mapping[str, Any]) -> tuple[str, ...]:
    """Its IP addresses in all networks."""
    found = [network.get(key) for network in networks.values() for key in ("IPAddress", "GlobalIPv6Address")]
    return tuple(str(address) for address in found if address)


def _seconds(text: Any) -> float | None:
    """RFC 3339 with nanoseconds as Unix seconds; None for the engine's zero time (year 1)."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.timestamp() if moment.year > 1 else None


def _client(host: str, request_seconds: float) -> Any:
    import docker

    settings: dict[str, Any] = {}
    if host.startswith(("tcp://", "https://")):
        tls = docker.utils.kwargs_from_env().get("tls")
        if tls:
            settings["tls"] = tls
    return docker.APIClient(base_url=host, timeout=request_seconds, version="auto", **settings)


def _engine_pid(host: str, seconds: float) -> int | None:
    """Whether the engine can be reached at all, and which process listens there (unix(7), SO_PEERCRED).

    Raises SourceAbsent or SourceRefused. The pid is None over TCP, and where another program made the socket for the
    engine (systemd does) it is that program's.
    """
    address = urlsplit(host)
    where = host.removeprefix("unix://")
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(seconds)
                probe.connect(where)
                peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            pid, _, _ = struct.unpack("3i", peer)
            return int(pid) or None
        if address.scheme in ("tcp", "http", "https"):
            port = address.port or (2376 if address.scheme == "https" else 2375)
            socket.create_connection((address.hostname or "127.0.0.1", port), timeout=seconds).close()
    except FileNotFoundError:
        raise SourceAbsent(
            f"no Docker engine: {where} does not exist",
            "sudo apt-get install docker.io, or set docker.host (DOCKER_HOST) to the engine's address",
        ) from None
    except PermissionError:
        raise SourceRefused(
            f"{where} may not be opened by this user",
            f"sudo usermod -aG docker {os.environ.get('USER', '$USER')}, then log in again",
        ) from None
    except ConnectionRefusedError:
        raise SourceAbsent(
            f"no Docker engine listens at {where}",
            "sudo systemctl start docker, or set docker.host (DOCKER_HOST) to the engine's address",
        ) from None
    return None


def _explain(error: Exception, host: str, request_seconds: float) -> SourceError:
    text = str(error)
    if "timed out" in text.lower():
        return SourceBroken(f"the engine at {host} does not answer within {request_seconds:g} s", "look at its log")
    if host.startswith("ssh://") and "paramiko" in text:
        return SourceBroken("docker.host over ssh needs paramiko, which is not installed", "pip install paramiko")
    return SourceBroken(f"the engine at {host}: {text.splitlines()[0] if text else type(error).__name__}")
