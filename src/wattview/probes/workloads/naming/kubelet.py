"""Names from the kubelet: the pods of this node and their containers.

``GET /pods`` of the kubelet's API (port 10250 with a token that may get ``nodes/pods``, before Kubernetes 1.33
``nodes/proxy``; or its read-only port):
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
"""

from __future__ import annotations

from msgspec import Struct, field

from wattview.fetch import Access, Site, blocking, decode_json
from wattview.probes import SourceRefused, broken_if_it_fails
from wattview.probes.workloads.naming import Named

SECONDS = 10.0


class _Container(Struct, rename="camel"):
    name: str
    container_id: str = field(default="", name="containerID")
    image: str = ""


class _Status(Struct, rename="camel"):
    container_statuses: list[_Container] = []
    init_container_statuses: list[_Container] = []
    ephemeral_container_statuses: list[_Container] = []


class _Metadata(Struct):
    name: str
    namespace: str
    uid: str


class _Pod(Struct):
    metadata: _Metadata
    status: _Status = field(default_factory=_Status)


class _Pods(Struct):
    items: list[_Pod] | None = None


_ENGINES = {"docker": "docker", "containerd": "containerd", "cri-o": "crio"}
"""By the scheme of a container's id, as the kubelet writes it."""


class KubeletNames:
    """The kubelet at ``where``, asked with a token out of a file."""

    engine = "kubelet"

    def __init__(self, where: str, access: Access) -> None:
        self.where = where
        self._access = access

    def ask(self) -> list[Named]:
        """Raises SourceRefused or SourceBroken."""
        with broken_if_it_fails():
            pods = blocking(self._pods())
        return [named for pod in pods for named in _named(pod)]

    async def _pods(self) -> list[_Pod]:
        async with Site(self.where, self._access, seconds=SECONDS) as site:
            answer = await site.fetch("/pods")
            if answer.status in (401, 403):
                fix = "set workloads.kubelet_token_file to a token with access to nodes/pods (nodes/proxy before 1.33)"
                raise SourceRefused(f"{answer.place} answered {answer.status} {answer.phrase}", fix)
            return decode_json(answer, _Pods, "a list of pods").items or []


def _named(pod: _Pod) -> list[Named]:
    about, status = pod.metadata, pod.status
    itself = Named(id="", name=about.name, namespace=about.namespace, pod=about.name, pod_uid=about.uid)
    found = [itself]
    for one in (*status.container_statuses, *status.init_container_statuses, *status.ephemeral_container_statuses):
        scheme, _, container_id = one.container_id.partition("://")
        if container_id:
            engine = _ENGINES.get(scheme, "")
            found.append(
                itself._replace(id=container_id, name=one.name, engine=engine, image=one.image, container=one.name)
            )
    return found
