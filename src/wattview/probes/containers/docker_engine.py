"""The running containers of one Docker engine, kept up to date by its event stream.

A daemon thread lists and inspects the containers once, and then inspects a container when the engine reports a change;
nothing is polled. The state is published as an immutable ``EngineState``: readers never wait for the engine. If the
engine goes away, the last known containers remain, with the reason; the thread retries with increasing delays, and
lists again. API: https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

from msgspec import Struct

from wattview.foreign_text import shortened
from wattview.model.containers import DescribedContainer
from wattview.probes import SourceBroken, SourceError
from wattview.probes.containers.engine_socket import engine_that_answers, peer

log = logging.getLogger("wattview.docker")

REQUEST_SECONDS = 10.0
"""Time-out of one request."""

_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 15.0)
"""Seconds between attempts to reach the engine again; the last one repeats."""

_EVENTS = (
    "start", "restart", "die", "died", "destroy", "remove", "rename", "update", "pause", "unpause", "health_status",
)  # fmt: skip
"""``died`` and ``remove`` are Podman's: it selects by these names, though it reports ``die`` to clients of Docker's."""


class ContainerInfo(DescribedContainer, frozen=True, kw_only=True):
    """The engine's description of one running container. ``revision`` changes with every inspection; ``engine`` is ""
    for the one at ``docker.host``. ``cpu_shares`` is the requested value, None if not set."""

    pid: int
    network_mode: str = ""
    cpu_shares: int | None = None
    log_path: str = ""
    revision: int = 0

    @property
    def own_network(self) -> bool:
        """Whether it has its own network namespace, not the host's or another container's."""
        return self.network_mode != "host" and not self.network_mode.startswith("container:")


class EngineInfo(Struct, frozen=True, kw_only=True):
    """The engine: its program, and the process that created its socket, if known (see ``peer``)."""

    program: str = "dockerd"
    version: str = ""
    peer_pid: int | None = None


class EngineState(Struct, frozen=True):
    """The known state. ``problem`` says why it may be out of date; ``unknown``, by id, why a container could not be
    inspected."""

    info: EngineInfo | None = None
    containers: dict[str, ContainerInfo] = {}
    problem: SourceError | None = None
    unknown: dict[str, str] = {}


class DockerEngine:
    """One engine at ``host`` (``unix://``, ``tcp://``, ``http://``, ``https://`` or ``ssh://``).

    ``on_change`` is called in its thread with each new state.
    """

    def __init__(
        self,
        host: str,
        on_change: Callable[[EngineState], None] = lambda state: None,
    ) -> None:
        self.state = EngineState()
        self._on_change = on_change
        self._host = host
        self._tried = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._stream: Any = None
        self._followed = False
        self._revision = 0

    def start(self) -> None:
        """Starts to follow the engine, unless already started."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="docker-events", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether the engine has been reached, or has failed, at least once within this time."""
        return self._tried.wait(seconds)

    def close(self) -> None:
        """Ends the thread, or leaves it until the process ends if the engine does not answer."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            # The stream may end by itself at the same time, and then has no socket any more.
            with contextlib.suppress(Exception):
                stream.close()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            began, self._followed = time.monotonic(), False
            try:
                # A stream that merely ends is reopened; a failure is reported.
                self._follow()
            except SourceError as error:
                self._fail(error)
            except Exception as error:
                log.debug("docker: %s", error, exc_info=error)
                self._fail(_explain(error, self._host, REQUEST_SECONDS))
            if self._followed:
                failures = 0
            elif time.monotonic() - began >= REQUEST_SECONDS:
                # The engine is slow and still processing: more requests would make it slower.
                failures = len(_PAUSES)
            self._closed.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _fail(self, problem: SourceError) -> None:
        if not self._closed.is_set():
            self._publish(self.state.containers, problem)

    def _follow(self) -> None:
        """Lists the containers, then applies events until the stream ends."""
        pid = peer(self._host, REQUEST_SECONDS)
        headers = _ping(self._host, REQUEST_SECONDS)
        client = _client(self._host, REQUEST_SECONDS, headers.get("Api-Version") or "auto")
        try:
            _, _, version = headers.get("Server", "").partition("/")
            info = EngineInfo(
                program=engine_that_answers(headers).program, version=version.partition(" ")[0], peer_pid=pid
            )
            # The engine repeats events since then, so that none is lost between the list and the stream.
            self._stream = client.events(
                since=_date(headers.get("Date", "")) - 1,
                filters={"type": ["container"], "event": list(_EVENTS)},
                decode=True,
            )
            containers: dict[str, ContainerInfo] = {}
            unknown: dict[str, str] = {}
            for listed in client.containers():
                self._ask(client, listed["Id"], containers, unknown)
            self._publish(containers, None, info, unknown)
            self._followed = True
            for event in self._stream:
                self._apply(client, event)
        finally:
            self._stream = None
            client.close()

    def _apply(self, client: Any, event: Mapping[str, Any]) -> None:
        container_id = event.get("Actor", {}).get("ID") or event.get("id")
        if not container_id:
            return
        containers, unknown = dict(self.state.containers), dict(self.state.unknown)
        for one in {container_id, *unknown}:
            self._ask(client, one, containers, unknown)
        self._publish(containers, None, unknown=unknown)

    def _ask(
        self, client: Any, container_id: str, containers: dict[str, ContainerInfo], unknown: dict[str, str]
    ) -> None:
        """Updates a container: in ``containers``, removed if it does not run, or in ``unknown`` if the engine cannot
        describe it, as with a damaged layer. It is then inspected again with the next event, and its previous data are
        kept."""
        from docker.errors import APIError, NotFound

        unknown.pop(container_id, None)
        found = None
        try:
            said = client.inspect_container(container_id)
            self._revision += 1
            found = container_info(said, self._revision)
        except NotFound:
            pass
        except (APIError, SourceBroken, json.JSONDecodeError) as error:
            unknown[container_id] = " ".join(str(error).split())[:200]
            return
        if found is None:
            containers.pop(container_id, None)
        else:
            containers[container_id] = found

    def _publish(
        self,
        containers: dict[str, ContainerInfo],
        problem: SourceError | None,
        info: EngineInfo | None = None,
        unknown: dict[str, str] | None = None,
    ) -> None:
        self.state = EngineState(info or self.state.info, containers, problem, unknown or {})
        self._on_change(self.state)
        self._tried.set()


def container_info(said: Mapping[str, Any], revision: int = 0) -> ContainerInfo | None:
    """An answer of ``GET /containers/{id}/json``; None if the container does not run. Raises SourceBroken."""
    try:
        config, state, host = said.get("Config") or {}, said.get("State") or {}, said.get("HostConfig") or {}
        pid = int(state.get("Pid") or 0)
        if pid <= 0:
            return None
        return ContainerInfo(
            id=str(said["Id"]),
            name=shortened(str(said.get("Name") or "").lstrip("/")) or str(said["Id"])[:12],
            image=shortened(str(config.get("Image") or said.get("Image") or "")),
            pid=pid,
            labels={
                shortened(str(key), _LONGEST_KEY): str(value)[:_LONGEST_LABEL]
                for key, value in islice((config.get("Labels") or {}).items(), _MOST_LABELS)
            },
            state=shortened(str(state.get("Status") or "running")),
            health=_health(state),
            restarts=said.get("RestartCount"),
            created=_seconds(said.get("Created")),
            started=_seconds(state.get("StartedAt")),
            network_mode=shortened(str(host.get("NetworkMode") or "")),
            cpu_shares=int(host.get("CpuShares") or 0) or None,
            log_path=str(said.get("LogPath") or ""),
            addresses=_addresses((said.get("NetworkSettings") or {}).get("Networks") or {}),
            revision=revision,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SourceBroken(f"the engine describes a container in an unknown form: {error!r}") from error


_MOST_LABELS, _LONGEST_KEY, _LONGEST_LABEL = 1000, 200, 4096
"""Per container. An engine accepts any number, and each reading carries them."""

_HEALTH = frozenset(("starting", "healthy", "unhealthy"))


def _health(state: Mapping[str, Any]) -> str | None:
    """The health check's state. Without a check Docker omits it or says ``none``, Podman says ``""``."""
    said = (state.get("Health") or state.get("Healthcheck") or {}).get("Status")
    return said if said in _HEALTH else None


def _addresses(networks: Mapping[str, Any]) -> tuple[str, ...]:
    """Its IP addresses in all networks."""
    found = [(network or {}).get(key) for network in networks.values() for key in ("IPAddress", "GlobalIPv6Address")]
    return tuple(str(address) for address in found if address)


def _seconds(text: Any) -> float | None:
    """RFC 3339 with nanoseconds as Unix seconds; None for the engine's zero time (year 1)."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.timestamp() if moment.year > 1 else None


def _ping(host: str, request_seconds: float) -> Mapping[str, str]:
    """The headers of ``GET /_ping``: all that is needed to know of an engine, from its cheapest call.

    ``GET /info`` is not asked: for it Podman asks the system's package manager about each of its programs, which takes
    seconds on a slow machine, and proxies of an engine's socket often refuse it.
    """
    client = _client(host, request_seconds, "1.24")
    with contextlib.closing(client):
        found: Mapping[str, str] = client.get(f"{client.base_url}/_ping", timeout=request_seconds).headers
        return found


def _date(text: str) -> int:
    """The engine's clock, by its answer's date (RFC 9110), as Unix seconds; 1 if unknown, which repeats all events."""
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except ValueError:
        return 1


def _client(host: str, request_seconds: float, version: str) -> Any:
    import docker

    from wattview.probes.containers.bounded_docker import BoundedDocker

    settings: dict[str, Any] = {}
    if host.startswith(("tcp://", "https://")):
        tls = docker.utils.kwargs_from_env().get("tls")
        if tls:
            settings["tls"] = tls
    return BoundedDocker(base_url=host, timeout=request_seconds, version=version, **settings)


def _explain(error: Exception, host: str, request_seconds: float) -> SourceError:
    text = str(error)
    if "timed out" in text.lower():
        return SourceBroken(f"the engine at {host} does not answer within {request_seconds:g} s", "look at its log")
    if host.startswith("ssh://") and "paramiko" in text:
        return SourceBroken("docker.host over ssh needs paramiko, which is not installed", "pip install paramiko")
    return SourceBroken(f"the engine at {host}: {text.splitlines()[0] if text else type(error).__name__}")
