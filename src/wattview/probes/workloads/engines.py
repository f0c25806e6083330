"""Sources of names: engines at their usual sockets, or the configured ones."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator

from wattview.config import Config
from wattview.fetch import Access
from wattview.probes.workloads.naming import NameSource
from wattview.probes.workloads.naming.cri import CriNames
from wattview.probes.workloads.naming.docker_api import DockerNames
from wattview.probes.workloads.naming.kubelet import KubeletNames

ASK: dict[str, Callable[[str, str], NameSource]] = {
    "docker": DockerNames, "podman": DockerNames, "containerd": CriNames, "crio": CriNames,
}  # fmt: skip
"""How each engine is queried, by its name in ``workloads.engines``."""

SOCKETS: dict[str, tuple[str, ...]] = {
    "docker": ("/run/docker.sock", "/run/user/*/docker.sock"),
    "podman": ("/run/podman/podman.sock", "/run/user/*/podman/podman.sock"),
    "containerd": ("/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"),
    "crio": ("/run/crio/crio.sock",),
}
"""The usual socket of each."""

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""The token that Kubernetes gives a pod."""


_Identity = tuple[int, int] | str


class NameSources:
    """All sources available now. Sockets are looked up at every call: an engine may be installed, a user may log in."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[tuple[str, _Identity], NameSource] = {}

    def __call__(self) -> list[NameSource]:
        found: dict[tuple[str, _Identity], NameSource] = {}
        key: tuple[str, _Identity]
        for engine, where in _places(self._config):
            key = engine, _identity(where)
            found[key] = self._made.get(key) or found.get(key) or ASK[engine](engine, where)
        kubelet = self._config.workloads.kubelet_url
        if kubelet:
            key = "kubelet", kubelet
            found[key] = self._made.get(key) or KubeletNames(kubelet, self._kubelet_access())
        self._made = found
        return list(found.values())

    def _kubelet_access(self) -> Access:
        file = self._config.workloads.kubelet_token_file
        if not file and os.path.exists(SERVICE_ACCOUNT):
            file = SERVICE_ACCOUNT
        return Access(self._config.http.ca_file, file)


def cri_runtimes(config: Config) -> list[CriNames]:
    """The runtimes of Kubernetes' among them that can be asked now."""
    return [source for source in NameSources(config)() if isinstance(source, CriNames)]


def docker_engines(config: Config) -> list[tuple[str, str]]:
    """The engines that speak Docker's API, each with its socket's path, without the one at ``docker.host``."""
    found = {_identity(config.docker.host.removeprefix("unix://")): ("", "")}
    for engine, where in _places(config):
        if ASK[engine] is DockerNames:
            found.setdefault(_identity(where), (engine, where))
    return [place for place in found.values() if place[0]]


def _identity(where: str) -> _Identity:
    """Of a socket, under whatever paths it is mounted: in a container one may be there twice, by itself and below the
    host's root."""
    try:
        status = os.stat(where)
    except OSError:
        return os.path.realpath(where)
    return status.st_dev, status.st_ino


def _places(config: Config) -> Iterator[tuple[str, str]]:
    """The engines to query, each with its socket's path. A configured one is queried even if its socket is missing."""
    for word in config.workloads.engines.split(","):
        engine, _, where = word.strip().partition("=")
        if where:
            yield engine, where
        elif engine == "auto":
            for each in SOCKETS:
                yield from _usual(config, each)
        elif engine:
            yield from _usual(config, engine)


def _usual(config: Config, engine: str) -> Iterator[tuple[str, str]]:
    host = config.docker.host
    if engine == "docker" and host.startswith("unix://"):
        where = host.removeprefix("unix://")
        yield "podman" if "podman" in where else "docker", where
    root = config.paths.rootfs.rstrip("/")
    for pattern in SOCKETS[engine]:
        for path in sorted({*glob.glob(pattern), *glob.glob(root + pattern)}):
            yield engine, path
