"""CPU time and memory of the container engine's own processes (dockerd and its containerd, or Podman's service),
without its containers.

The process that created the engine's socket is the engine itself, or systemd, which opened the socket for it. In the
latter case the engine is the process of that name which the same systemd started to listen there. If several processes
qualify, as on a machine with several engines, there are no figures. The search is repeated when a process is gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from wattview.probes.containers.engine_socket import engine_of_program
from wattview.probes.kernel_files import KernelFile, bytes_of
from wattview.probes.procfs import PidStat, pid_stat

_SEARCH_AGAIN_SECONDS = 30.0
"""How long to wait after an unsuccessful search, which reads one file of every process."""

_CONTAINERD_UNIT = "containerd.service"


class EngineUse(NamedTuple):
    """Use by the engine's processes: CPU seconds since they started, current resident bytes."""

    cpu_seconds: float
    resident_bytes: int


class Asked(NamedTuple):
    """The engine to look for: its program, the process that created its socket, and whether it runs on this machine."""

    program: str
    peer_pid: int | None
    is_here: bool


class EngineProcesses:
    """The engine's processes, their files open."""

    def __init__(self, procfs: str) -> None:
        self._procfs = procfs
        self._files: dict[int, KernelFile] = {}
        self._stats: dict[int, PidStat] = {}
        self._asked: Asked | None = None
        self._rest_until = 0.0

    def read(self, monotonic: float, engine: Asked) -> EngineUse | None:
        """Their sum now; None if they are not visible or cannot be told from another engine's."""
        if engine != self._asked:
            self._asked = engine
            self.close()
            self._rest_until = 0.0
        stats = self._known()
        if stats is None:
            if monotonic < self._rest_until:
                return None
            self._search(engine)
            stats = self._known()
            if stats is None:
                self._rest_until = monotonic + _SEARCH_AGAIN_SECONDS
                return None
        return EngineUse(
            sum(stat.user_seconds + stat.system_seconds for stat in stats), sum(stat.resident_bytes for stat in stats)
        )

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._stats.clear()

    def _known(self) -> list[PidStat] | None:
        """The known processes; None if there are none, or if one has changed."""
        stats = []
        for pid, file in self._files.items():
            try:
                stat = pid_stat(file.read())
            except (OSError, ValueError):
                return None
            before = self._stats[pid]
            if (stat.name, stat.started_seconds) != (before.name, before.started_seconds):
                return None
            stats.append(stat)
        return stats or None

    def _search(self, asked: Asked) -> None:
        self.close()
        found = self._processes(frozenset((asked.program, "containerd", "systemd")))
        engine = self._engine_of(found, asked)
        if engine is None:
            return
        wanted: list[PidStat | None] = [engine]
        if engine_of_program(asked.program).has_containerd:
            wanted.append(self._containerd_of(found, engine))
        if None in wanted:
            # Without its containerd the sum would be too small.
            return
        for stat in wanted:
            if stat is not None:
                self._files[stat.pid] = KernelFile(f"{self._procfs}/{stat.pid}/stat")
                self._stats[stat.pid] = stat

    def _processes(self, names: frozenset[str]) -> dict[int, PidStat]:
        marks = [f"({name})".encode() for name in names]
        found: dict[int, PidStat] = {}
        for pid in os.listdir(self._procfs):
            if pid.isdigit():
                data = bytes_of(f"{self._procfs}/{pid}/stat")
                # A process's name is in parentheses; most processes need not be parsed.
                if any(mark in data for mark in marks):
                    try:
                        stat = pid_stat(data)
                    except ValueError:
                        continue
                    if stat.name in names:
                        found[stat.pid] = stat
        return found

    def _engine_of(self, found: dict[int, PidStat], engine: Asked) -> PidStat | None:
        peer = found.get(engine.peer_pid) if engine.peer_pid is not None else None
        if peer is None:
            # For an engine in another process namespace, or behind a proxy: the only one here, if any.
            return _only(found, lambda one: one.name == engine.program) if engine.is_here else None
        if peer.name == engine.program:
            return peer
        started = {pid: one for pid, one in found.items() if (one.name, one.parent) == (engine.program, peer.pid)}
        if len(started) > 1:
            listens = engine_of_program(engine.program).listens
            started = {pid: one for pid, one in started.items() if listens in bytes_of(f"{self._procfs}/{pid}/cmdline")}
        return _only(started, lambda one: True)

    def _containerd_of(self, found: dict[int, PidStat], engine: PidStat) -> PidStat | None:
        """The containerd that the engine started, or else the system's: no other engine's, and not Kubernetes'."""
        own = _only(found, lambda one: one.name == "containerd" and one.parent == engine.pid)
        if own is not None:
            return own
        others = {
            pid: one
            for pid, one in found.items()
            if one.name == "containerd" and getattr(found.get(one.parent), "name", "") != "dockerd"
        }
        if len(others) > 1:
            of_system = [pid for pid in others if _CONTAINERD_UNIT.encode() in bytes_of(f"{self._procfs}/{pid}/cgroup")]
            others = {pid: others[pid] for pid in of_system}
        return _only(others, lambda one: True)


def _only(found: dict[int, PidStat], wanted: Callable[[PidStat], bool]) -> PidStat | None:
    """The only matching process; None if there is none, or more than one."""
    matching = [one for one in found.values() if wanted(one)]
    return matching[0] if len(matching) == 1 else None
