"""The running containers and sandboxes of the runtimes that Kubernetes uses, by their CRI.

A thread lists them every few seconds and asks for the details of new ones (https://github.com/kubernetes/cri-api),
since containerd 1.6 does not serve the CRI's stream of events. As in cAdvisor, a pod's network is its sandbox's, and
its containers have none of their own. CRI-O runs no process for a sandbox unless a pod needs one (``drop_infra_ctr``):
then there is none to show, and, as with cAdvisor, no network.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from wattview.config import Config
from wattview.decoding import UNREADABLE
from wattview.fetch import blocking
from wattview.probes import SourceError
from wattview.probes.containers.docker_engine import ContainerInfo
from wattview.probes.workloads.engines import cri_runtimes
from wattview.probes.workloads.naming import Named
from wattview.probes.workloads.naming.cri import CriNames, Message

log = logging.getLogger("wattview.containers")

LIST_SECONDS, IDLE_SECONDS = 3.0, 15.0
"""How often they are listed: where there are any, and where there are none."""

_HOST_NETWORK = 2
"""NamespaceMode NODE of the CRI."""


class _Verbose(Struct):
    """What both runtimes say beside a status, as JSON; CRI-O says nothing of a sandbox without a process."""

    pid: int | None = None
    image: Any = None


class CriContainers:
    """``containers`` are those that run now, by id. ``on_change`` is called in a thread where that has changed."""

    def __init__(self, config: Config, on_change: Callable[[], None]) -> None:
        self.containers: dict[str, ContainerInfo] = {}
        self.engine = ""
        self._config = config
        self._on_change = on_change
        self._known: dict[str, ContainerInfo | None] = {}
        self._tried, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cri-containers", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Waits until they were listed once, or for so long."""
        self._tried.wait(seconds)

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._look()
            except Exception as error:
                # Keep the last list. The workloads source reports that names cannot be read.
                log.debug("cri: %s", error, exc_info=error)
            self._tried.set()
            self._closed.wait(LIST_SECONDS if self.containers else IDLE_SECONDS)

    def _look(self) -> None:
        found: dict[str, ContainerInfo] = {}
        known: dict[str, ContainerInfo | None] = {}
        for runtime in cri_runtimes(self._config):
            with contextlib.suppress(SourceError):
                for named in runtime.ask():
                    if not named.running:
                        continue
                    try:
                        info = self._known[named.id] if named.id in self._known else _described(runtime, named)
                    except (*UNREADABLE, ValueError, IndexError) as error:
                        log.debug("cri: %s: %s", named.id, error)
                        continue
                    known[named.id] = info
                    if info is not None:
                        found[named.id], self.engine = info, runtime.engine
        self._known = known
        if found.keys() != self.containers.keys():
            self.containers = found
            self._on_change()


def _described(runtime: CriNames, named: Named) -> ContainerInfo | None:
    """A running container or sandbox; None where that is no process. Raises ValueError, IndexError or one of UNREADABLE
    where the runtime says nothing that is understood."""
    method = "PodSandboxStatus" if named.sandbox else "ContainerStatus"
    answer = Message(blocking(runtime.status(method, named.id)))
    info = {entry.text(1): entry.bytes(2) for entry in map(Message, answer.many(2))}
    said = msgspec.json.decode(info.get("info", b"{}"), type=_Verbose, strict=False)
    status = answer.one(1)
    if said.pid is None or said.pid <= 0:
        return None
    created, started = (status.number(number) for number in ((4, 4) if named.sandbox else (4, 5)))
    kind = "POD" if named.sandbox else named.container
    return ContainerInfo(
        id=named.id,
        # What the kubelet called containers of Docker: unique, and known to queries.
        name=f"k8s_{kind}_{named.pod}_{named.namespace}_{named.pod_uid}_{named.attempt}",
        image=named.image or (said.image if isinstance(said.image, str) else ""),
        pid=said.pid,
        labels=dict(named.labels),
        created=created / 1e9 if created else None,
        started=started / 1e9 if started else None,
        network_mode=_network(status) if named.sandbox else "container:sandbox",
    )


def _network(sandbox: Message) -> str:
    """``host`` for a sandbox in the host's network. ``PodSandboxStatus``: linux 6 (namespaces 1 (options 2 (network
    1)))."""
    return "host" if sandbox.one(6).one(1).one(2).number(1) == _HOST_NETWORK else ""
