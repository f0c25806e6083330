"""All other engines of a machine: Podman and further Docker engines, of root and of users.

Each is followed as the one at ``docker.host`` is. A container is named as its engine names it; where two engines use
one name, it is that of the one at ``docker.host``, and the others' have their engine in parentheses: ``web (podman)``,
``web (podman of anna)``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from wattview.config import Config
from wattview.probes.containers.docker_engine import ContainerInfo, DockerEngine, EngineState
from wattview.probes.workloads.engines import docker_engines
from wattview.probes.workloads.names import users_of

LOOK_SECONDS = 15.0
"""How often their sockets are looked for: an engine may be installed, a user may log in."""

_OF_USER = re.compile(r"/run/user/([0-9]+)/")


class OtherEngine(NamedTuple):
    """One engine. ``label`` distinguishes it from others of its kind."""

    label: str
    where: str
    engine: DockerEngine


class OtherEngines:
    """The engines at their usual sockets, or at those of ``workloads.engines``."""

    def __init__(self, config: Config, on_change: Callable[[], None]) -> None:
        self._config = config
        self._on_change = on_change
        self._passwd = Path(config.paths.rootfs) / "etc" / "passwd"
        self._engines: dict[str, OtherEngine] = {}
        self._looked = float("-inf")
        self._waited = False

    def __iter__(self) -> Iterator[OtherEngine]:
        return iter(list(self._engines.values()))

    def look(self) -> None:
        """Follows those that have come, and leaves those whose socket is gone."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        here = {where: name for name, where in docker_engines(self._config)}
        for where in self._engines.keys() - here.keys():
            if self._engines[where].engine.state.problem is not None:
                self._engines.pop(where).engine.close()
        for where, name in here.items():
            if where not in self._engines:
                engine = DockerEngine(f"unix://{where}", on_change=lambda state: self._on_change())
                self._engines[where] = OtherEngine(self._label(name, where), where, engine)
                engine.start()

    def wait(self, seconds: float) -> None:
        """The first time, waits until each has been reached, or has failed, once, or for so long: one that comes later
        says so itself (``on_change``)."""
        if self._waited:
            return
        self._waited = True
        until = time.monotonic() + seconds
        for one in self:
            one.engine.wait(max(0.0, until - time.monotonic()))

    def close(self) -> None:
        for one in self:
            one.engine.close()

    def _label(self, name: str, where: str) -> str:
        user = _OF_USER.search(where)
        return f"{name} of {users_of(self._passwd).get(user[1], user[1])}" if user else name


class NamedApart:
    """The containers of all engines under names that differ."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[ContainerInfo, ContainerInfo]] = {}

    def merged(
        self, first: EngineState, others: Iterable[tuple[str, Mapping[str, ContainerInfo]]]
    ) -> dict[str, ContainerInfo]:
        """By id. ``others`` are by their engine's label. One that two engines tell of is the first one's. One whose
        description has not changed is the same object as before, and one that was told apart stays so."""
        found = dict(first.containers)
        taken = {info.name for info in found.values()}
        known: dict[str, tuple[ContainerInfo, ContainerInfo]] = {}
        for label, containers in others:
            for id, info in containers.items():
                if id in found:
                    continue
                before = self._known.get(id)
                kept = (before[1].name,) if before is not None and before[0].name == info.name else ()
                name = next(one for one in (*kept, *_names(info, label)) if one not in taken)
                taken.add(name)
                if before is None or before[0] is not info or before[1].name != name:
                    before = info, replace(info, name=name, engine=label)
                known[id] = before
                found[id] = before[1]
        self._known = known
        return found


def _names(info: ContainerInfo, label: str) -> Iterator[str]:
    yield info.name
    yield f"{info.name} ({label})"
    yield f"{info.name} ({label}, {info.id[:12]})"
    yield info.id
