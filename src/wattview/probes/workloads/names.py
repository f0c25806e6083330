"""Names of containers, pods and users, from the engines' lists, the CRI and the kubelet.

A thread queries them when something has no name yet, and once a minute for renamed ones; nobody waits for it. Unknown
names stay empty, never guessed. A source that cannot be queried is a Fault, and is retried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from wattview.foreign_text import shortened
from wattview.model import Fault
from wattview.probes import SourceAbsent, SourceError
from wattview.probes.workloads.naming import Named, NameSource

AGAIN_SECONDS = 60.0
"""How often known names are refreshed."""

_PAUSES = (0.5, 1.0, 5.0, 15.0, AGAIN_SECONDS)
"""Seconds between two queries while something has no name; the last one repeats."""

NEW_SECONDS = 0.2
"""How long after a container has come the engines are asked: they come in bursts, and one may live for a second."""

_LEAST_SECONDS = 1.0
"""Between two queries for new ones."""


class Names:
    """``containers`` by id and ``pods`` by uid are the known names; ``look`` sets what needs names."""

    def __init__(self, sources: Callable[[], list[NameSource]], rootfs: str) -> None:
        self.containers: dict[str, Named] = {}
        self.pods: dict[str, Named] = {}
        self._faults: tuple[Fault, ...] = ()
        self._sources = sources
        self._answers: dict[NameSource, list[Named]] = {}
        self._passwd = Path(rootfs) / "etc" / "passwd"
        self._users: dict[str, str] | None = None
        self._unnamed: frozenset[str] = frozenset()
        self._wake = threading.Event()
        self._asked = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def look(self, containers: Iterable[str]) -> None:
        """The ids of the containers there are now."""
        unnamed = frozenset(one for one in containers if one not in self.containers)
        if unnamed - self._unnamed:
            self._wake.set()
        self._unnamed = unnamed
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="workload-names", daemon=True)
            self._thread.start()

    def expect(self, container: str) -> None:
        """A container has just come: its name is asked for while it lives, though nobody reads."""
        self._unnamed |= {container}
        self._wake.set()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Who could not be asked, while a container has no name."""
        return self._faults if self._unnamed - self.containers.keys() else ()

    def wait(self, seconds: float) -> None:
        """Waits until every source has been queried once, or for that long."""
        self._asked.wait(seconds)

    def user(self, uid: str) -> str:
        """The login name of a user of the host; the number if unknown."""
        if not uid:
            return ""
        if self._users is None:
            self._users = users_of(self._passwd)
        return self._users.get(uid, uid)

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        tries, missing = 0, frozenset[str]()
        while True:
            self._wake.clear()
            if self._closed:
                return
            began = time.monotonic()
            self._ask()
            self._asked.set()
            before, missing = missing, self._unnamed - self.containers.keys()
            # Something that nobody can name is queried at growing intervals.
            tries = tries + 1 if missing <= before else 0
            pause = _PAUSES[min(tries, len(_PAUSES) - 1)] if missing else AGAIN_SECONDS
            if not self._wake.wait(pause):
                self._users = None
            elif not self._closed:
                time.sleep(max(NEW_SECONDS, began + _LEAST_SECONDS - time.monotonic()))

    def _ask(self) -> None:
        answers: dict[NameSource, list[Named]] = {}
        faults = []
        for source in self._sources():
            try:
                answers[source] = source.ask()
            except SourceAbsent:
                # A missing engine has no containers.
                continue
            except Exception as error:
                answers[source] = self._answers.get(source, [])
                reason = error.reason if isinstance(error, SourceError) else f"{source.where}: {error!r}"
                fix = error.fix if isinstance(error, SourceError) else ""
                faults.append(Fault(f"names of {source.engine}", reason, fix))
        self._answers, self._faults = answers, tuple(faults)
        named = [_bounded(one) for answer in self._answers.values() for one in answer]
        self.pods = {one.pod_uid: one for one in named if one.pod_uid}
        self.containers = {one.id: one for one in named if one.id}


def _bounded(named: Named) -> Named:
    return named._replace(
        name=shortened(named.name), image=shortened(named.image), namespace=shortened(named.namespace),
        pod=shortened(named.pod), container=shortened(named.container),
    )  # fmt: skip


def users_of(passwd: Path) -> dict[str, str]:
    """Login names by user id; empty if the file cannot be read."""
    try:
        lines = passwd.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    fields = [line.split(":") for line in lines]
    return {field[2]: field[0] for field in fields if len(field) > 2}
