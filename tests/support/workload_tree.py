"""A machine's control groups as files: whole trees of either version, their counters hierarchical as the kernel's."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from tests.support import cgroup_tree

DOCKER_ID = "4bd1c81a0fb2d6d2ac9a3c8ef2b5d6e07c9e5a1cf1d6ac2de4f8f5f5a6f6b001"
PODMAN_ID = "9e3f0c9b7a5d4e21bb0b6b8f2c7f4c55aa7d3e9b1c2d3e4f5a6b7c8d9e0f1a2b"
POD_UID = "0d9b8a7c-1f2e-4d3c-8b4a-5f6e7d8c9b0a"
CRI_ID, SANDBOX_ID = "c" * 64, "5" * 64

KERNEL_THREAD_FLAGS = 0x00200000


class WorkloadTree:
    """``sysfs`` and ``procfs`` of a machine. ``add`` makes a cgroup, ``use`` says what was used in it itself."""

    def __init__(self, root: Path, version: Literal[1, 2]) -> None:
        self.sysfs, self.procfs = root / "sys", root / "proc"
        self.version = version
        self._own: dict[str, float] = {}
        self._total: dict[str, float] = {}
        self._known: set[str] = {"/"}
        if version == 2:
            cgroup_tree.v2_mount(self.sysfs)
            self._cpu = self._memory = self.sysfs / "fs" / "cgroup"
        else:
            mounts = cgroup_tree.v1_mounts(self.sysfs, joined=False)
            self._cpu, self._memory = mounts / "cpuacct", mounts / "memory"
        cgroup_tree.procfs(self.procfs)
        self._processes: dict[int, tuple[str, int]] = {}

    def add(self, path: str, seconds: float = 0.0, memory: int = 4096) -> None:
        """A cgroup, with those above it that are missing."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            above = "/" + "/".join(parts[:depth])
            if above not in self._known:
                self._known.add(above)
                self._make(above, memory)
        self.use(path, seconds)

    def use(self, path: str, seconds: float) -> None:
        """CPU seconds used in a cgroup itself so far; all above it count them too."""
        more = seconds - self._own.get(path, 0.0)
        self._own[path] = seconds
        parts = path.strip("/").split("/")
        for depth in range(len(parts), 0, -1):
            above = "/" + "/".join(parts[:depth])
            self._total[above] = self._total.get(above, 0.0) + more
            self._write(above)

    def charge(self, path: str, memory: int | None) -> None:
        """Memory that is charged to a cgroup, with all that is below it; None: it cannot be read."""
        name = "memory.current" if self.version == 2 else "memory.usage_in_bytes"
        text = "" if memory is None else f"{memory}\n"
        (self._memory / path.lstrip("/") / name).write_text(text)

    def empty(self, path: str) -> None:
        """Its last process ends."""
        if self.version == 2:
            (self._cpu / path.lstrip("/") / "cgroup.events").write_text("populated 0\nfrozen 0\n")

    def remove(self, path: str) -> None:
        """The cgroup goes; what was used in it stays in the counters above it."""
        gone = {one for one in self._known if one == path or one.startswith(f"{path}/")}
        self._known -= gone
        for one in gone:
            self._own.pop(one, None)
            self._total.pop(one, None)
        for mount in {self._cpu, self._memory}:
            shutil.rmtree(mount / path.lstrip("/"))

    def process(self, pid: int, name: str, seconds: float = 0.0, *, kernel: bool = False, started: int = 100) -> None:
        """A process of the root cgroup."""
        fields = ["0"] * 50
        fields[0], fields[1], fields[17], fields[19] = "S", "2" if kernel else "1", "1", str(started)
        fields[6] = str(KERNEL_THREAD_FLAGS if kernel else 0)
        fields[11], fields[21] = str(round(seconds * 100)), "0" if kernel else "100"
        self._processes[pid] = (name, started)
        cgroup_tree.write(self.procfs / str(pid), {"stat": f"{pid} ({name}) {' '.join(fields)}\n"})
        self._list()

    def exit(self, pid: int) -> None:
        del self._processes[pid]
        shutil.rmtree(self.procfs / str(pid))
        self._list()

    def interrupts(self, busy: float, seconds: float, cpus: int = 4) -> None:
        """All CPU time of the machine so far, and what of it was soft interrupts."""
        lines = "".join(f"cpu{number} 0 0 0 0 0 0 0 0 0 0\n" for number in range(cpus))
        ticks = round((busy - seconds) * 100)
        stat = f"cpu {ticks} 0 0 0 0 0 {round(seconds * 100)} 0 0 0\n{lines}btime 1700000000\n"
        (self.procfs / "stat").write_text(stat)

    def _list(self) -> None:
        (self._cpu / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in self._processes))

    def _make(self, path: str, memory: int) -> None:
        below = path.lstrip("/")
        if self.version == 2:
            # The directory comes with its files in it, as the kernel's does.
            made = self._cpu.parent / "new"
            files = {
                "cpu.stat": self._counter(path),
                "memory.current": f"{memory}\n",
                "cgroup.events": "populated 1\nfrozen 0\n",
            }
            cgroup_tree.write(made, files)
            made.rename(self._cpu / below)
        else:
            for mount, files in (
                (self._memory, {"memory.usage_in_bytes": f"{memory}\n"}),
                (self._cpu, {"cpuacct.usage": self._counter(path)}),
            ):
                made = cgroup_tree.write(mount.parent / "new", files)
                made.rename(mount / below)

    def _counter(self, path: str) -> str:
        seconds = self._total.get(path, 0.0)
        if self.version == 2:
            return f"usage_usec {round(seconds * 1e6)}\nuser_usec 0\nsystem_usec 0\n"
        return f"{round(seconds * 1e9)}\n"

    def _write(self, path: str) -> None:
        name = "cpu.stat" if self.version == 2 else "cpuacct.usage"
        (self._cpu / path.lstrip("/") / name).write_text(self._counter(path))


def path_of(number: int) -> str:
    """The cgroup of one of many workloads: in turn Docker's, Podman's, systemd's and the CRI's."""
    id = f"{number:064x}"
    return (
        f"/system.slice/docker-{id}.scope",
        f"/machine.slice/libpod-{id}.scope",
        f"/system.slice/job-{number}.service",
        f"/kubepods.slice/kubepods-pod{id[-32:]}.slice/cri-containerd-{id}.scope",
    )[number % 4]


def until(seen: Callable[[], Any], wanted: Any, seconds: float = 5.0) -> None:
    """Waits for what another thread is to see."""
    deadline = time.monotonic() + seconds
    while (found := seen()) != wanted:
        assert time.monotonic() < deadline, f"{found!r} and not {wanted!r}"
        time.sleep(0.002)
