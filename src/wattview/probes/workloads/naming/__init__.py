"""Sources of container and pod names: one file per protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

POD_NAME, POD_NAMESPACE, POD_UID, CONTAINER_NAME = (
    f"io.kubernetes.{what}" for what in ("pod.name", "pod.namespace", "pod.uid", "container.name")
)
"""The labels that the kubelet sets on every container, whatever the runtime."""


class Named(NamedTuple):
    """A container or, where ``id`` is "", a pod. ``sandbox``: it is what holds a pod's namespaces, and not one of its
    containers. ``attempt`` counts how often Kubernetes has made it. ``running``: it is not only created, or ended."""

    id: str
    name: str
    engine: str = ""
    image: str = ""
    namespace: str = ""
    pod: str = ""
    container: str = ""
    pod_uid: str = ""
    sandbox: bool = False
    attempt: int = 0
    running: bool = True
    labels: Mapping[str, str] = {}


class NameSource(Protocol):
    """A source at the address ``where``. ``ask`` returns all names at once, and raises SourceError."""

    engine: str
    where: str

    def ask(self) -> list[Named]: ...


def kubernetes_name(id: str, name: str, engine: str, image: str, labels: Mapping[str, str]) -> Named:
    """A container with the Kubernetes data in its labels. Without these it has its engine's name."""
    container = labels.get(CONTAINER_NAME, "")
    # cri-dockerd names a pod's sandbox POD.
    sandbox = container == "POD"
    return Named(
        id=id,
        name=labels.get(POD_NAME, name) if sandbox else container or name,
        engine=engine,
        image=image,
        namespace=labels.get(POD_NAMESPACE, ""),
        pod=labels.get(POD_NAME, ""),
        container="" if sandbox else container,
        pod_uid=labels.get(POD_UID, ""),
        sandbox=sandbox,
    )
