"""What a cgroup is, by its path alone: a container, a pod, a systemd unit, a login session, or unknown.

The layouts are those of systemd (systemd.slice(5), user@.service(5)), Docker, Podman, containerd, CRI-O, LXC and the
kubelet, with either cgroup driver:
https://kubernetes.io/docs/setup/production-environment/container-runtimes/#cgroup-drivers. Names are not guessed here:
a container has its id until its engine reports a name.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from wattview.model import WorkloadKind

Inside = Literal["manager", "plain", "service", "pod", "container"]
"""Where a cgroup is. ``manager``: where a systemd places its units, the system's or a user's. ``plain``: below a cgroup
that is no unit. ``service``: below a unit that may have containers in it. ``container``: nothing there is looked at,
for all of it is the container's."""


class Above(NamedTuple):
    """Context from a cgroup's ancestors. ``manager`` is a user's (``user@1000.service``), "" the system's; ``uid`` is
    the user of its slice; ``engine`` is the one whose containers are usually here."""

    inside: Inside = "manager"
    manager: str = ""
    uid: str = ""
    engine: str = ""
    pod_uid: str = ""
    depth: int = 0


class WorkloadPlace(NamedTuple):
    """What a cgroup is. ``residue``: it contains other workloads, and its own use is the remainder."""

    kind: WorkloadKind
    unit: str = ""
    engine: str = ""
    container_id: str = ""
    pod_uid: str = ""
    uid: str = ""
    residue: bool = False


ROOT = Above()

MOST_DEPTH = 12
_UNIT_SUFFIXES = (".service", ".scope", ".slice", ".mount", ".socket", ".swap")

_CONTAINER = re.compile(r"(?:.+\.slice:)?(?:([a-z-]+)[-:])?([0-9a-f]{64})(?:\.scope)?")
_ENGINES = {
    "": "", "docker": "docker", "libpod": "podman", "libpod-payload": "podman", "cri-containerd": "containerd",
    "containerd": "containerd", "nerdctl": "containerd", "crio": "crio",
}  # fmt: skip
"""By the prefix of a container's id. Any other prefix means its monitor (``conmon``), not the container."""

_PARENTS = {"docker": "docker", "libpod_parent": "podman", "k8s.io": "containerd", "default": "containerd"}
"""Directories of engines' containers when systemd does not place them."""

_POD = re.compile(
    r"(?:[a-z0-9-]+-)?kubepods(?:-besteffort|-burstable)?-pod([0-9a-f_]{32,36})\.slice|pod([0-9a-f-]{32,36})"
)
_USER_SLICE = re.compile(r"user-([0-9]+)\.slice")
_USER_MANAGER = re.compile(r"user@([0-9]+)\.service")
_LXC = re.compile(r"lxc\.payload\.(.+)")


def place(name: str, above: Above) -> tuple[WorkloadPlace | None, Above]:
    """What the cgroup ``name`` is, and the context for its children. None if it belongs to its parent."""
    below = above._replace(depth=above.depth + 1)
    if above.inside == "container":
        return None, below
    found = _container(name, above)
    if found is None and above.inside == "plain" and above.engine == "containerd":
        # Its namespace's containers, called whatever their maker calls them.
        found = WorkloadPlace("container", engine="containerd", container_id=name)
    if found is not None:
        return found, below._replace(inside="container")
    pod = _POD.fullmatch(name)
    if pod is not None:
        uid = (pod[1] or pod[2]).replace("_", "-")
        return WorkloadPlace("pod", pod_uid=uid, residue=True), below._replace(inside="pod", pod_uid=uid)
    if above.inside in ("service", "pod"):
        return None, below
    if name.endswith(_UNIT_SUFFIXES) and above.inside == "manager":
        return _unit(name, above, below)
    # Unknown: each cgroup of such a tree is a workload, named by its path.
    return WorkloadPlace("unit", residue=True), below._replace(inside="plain", engine=_PARENTS.get(name, above.engine))


def _container(name: str, above: Above) -> WorkloadPlace | None:
    lxc = _LXC.fullmatch(name)
    if lxc is not None:
        return WorkloadPlace("container", engine="lxc", container_id=lxc[1])
    match = _CONTAINER.fullmatch(name)
    if match is None or (match[1] or "") not in _ENGINES:
        return None
    engine = _ENGINES[match[1] or ""] or above.engine
    if engine == "podman" and not match[1]:
        # Podman's cgroup of a pod, when systemd does not place it.
        return None
    return WorkloadPlace("container", engine=engine, container_id=match[2], pod_uid=above.pod_uid)


def _unit(name: str, above: Above, below: Above) -> tuple[WorkloadPlace, Above]:
    unit = f"{above.manager}/{name}" if above.manager else name
    slice_of = _USER_SLICE.fullmatch(name)
    uid = slice_of[1] if slice_of else above.uid
    if name.endswith(".slice"):
        return WorkloadPlace("unit", unit=unit, uid=uid, residue=True), below._replace(uid=uid)
    manager = _USER_MANAGER.fullmatch(name)
    if manager is not None:
        below = below._replace(manager=name, uid=manager[1])
        return WorkloadPlace("unit", unit=unit, uid=manager[1], residue=True), below
    kind: WorkloadKind = "session" if name.startswith("session-") and above.uid and not above.manager else "unit"
    return WorkloadPlace(kind, unit=unit, uid=uid), below._replace(inside="service")
