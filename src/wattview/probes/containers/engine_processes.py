"""CPU time and memory of the container engine's own processes: dockerd and its containerd, not their containers.

They are found by their exact names under ``procfs`` once, and looked for again when one of them has gone. Where the
engine's socket told its pid, that engine and its own containerd are meant, and not others on the same machine.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from wattview.probes.kernel_files import KernelFile
from wattview.probes.procfs import PidStat, pid_stat

_NAMES = frozenset(("dockerd", "containerd"))

_SEARCH_AGAIN_SECONDS = 30.0
"""How long to rest after a search that found nothing: a search reads one file of every process."""


class EngineUse(NamedTuple):
    """What the engine's processes have used: CPU seconds since they began, resident bytes now."""

    cpu_seconds: float
    resident_bytes: int


class EngineProcesses:
    """The engine's processes, their files open."""

    def __init__(self, procfs: str) -> None:
        self._procfs = procfs
        self._files: dict[int, KernelFile] = {}
        self._started: dict[int, float] = {}
        self._engine_pid: int | None = None
        self._rest_until = 0.0

    def read(self, monotonic: float, engine_pid: int | None) -> EngineUse | None:
        """Their sum now; None where there are none to be seen (an engine elsewhere, another pid namespace)."""
        if engine_pid != self._engine_pid:
            self._engine_pid = engine_pid
            self.close()
            self._rest_until = 0.0
        stats = self._known()
        if stats is None:
            if monotonic < self._rest_until:
                return None
            self._search()
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
        self._started.clear()

    def _known(self) -> list[PidStat] | None:
        """The known processes; None where there are none, or one is not what it was."""
        stats = []
        for pid, file in self._files.items():
            try:
                stat = pid_stat(file.read())
            except (OSError, ValueError):
                return None
            if stat.name not in _NAMES or stat.started_seconds != self._started[pid]:
                return None
            stats.append(stat)
        return stats or None

    def _search(self) -> None:
        self.close()
        found: dict[int, PidStat] = {}
        for name in os.listdir(self._procfs):
            if not name.isdigit():
                continue
            try:
                with open(f"{self._procfs}/{name}/stat", "rb") as file:
                    data = file.read()
                # A process's name is in parentheses; most processes need not be parsed.
                if b"(dockerd)" in data or b"(containerd)" in data:
                    stat = pid_stat(data)
                    if stat.name in _NAMES:
                        found[int(name)] = stat
            except (OSError, ValueError):
                continue
        for pid in _of_one_engine(found, self._engine_pid):
            self._files[pid] = KernelFile(f"{self._procfs}/{pid}/stat")
            self._started[pid] = found[pid].started_seconds


def _of_one_engine(found: dict[int, PidStat], engine_pid: int | None) -> set[int]:
    """Which of the processes belong to the engine with this pid; all of them where it is not known."""
    engine = found.get(engine_pid) if engine_pid is not None else None
    if engine is None or engine.name != "dockerd":
        return set(found)
    own = {pid for pid, stat in found.items() if stat.name == "containerd" and stat.parent == engine.pid}
    if not own:
        # It uses the system's containerd: one that no dockerd has started for itself.
        own = {
            pid
            for pid, stat in found.items()
            if stat.name == "containerd" and (stat.parent not in found or found[stat.parent].name != "dockerd")
        }
    return {engine.pid, *own}
