"""Processes without a cgroup of their own: those of the root cgroup, by program, and the kernel itself.

Under systemd these are only the kernel's threads; without it, everything outside of containers. The root's
``cgroup.procs`` lists the processes; their CPU time is in ``/proc/<pid>/stat``. Most kernel threads sleep: those that
ran recently are read each time, the others every ``SLEEPERS_READS`` times.
"""

from __future__ import annotations

import os

from wattview.foreign_text import encodable
from wattview.probes.kernel_files import KernelFile
from wattview.probes.procfs import PidStat, pid_stat
from wattview.probes.rates import Rate

SLEEPERS_READS = 6


class Program:
    """The processes of one program together; the kernel's threads are one too. ``seconds`` is what they have used,
    those that have ended as well. ``started`` is when the first of them came, where that was seen (Unix seconds)."""

    __slots__ = ("_rate", "name", "percent", "pids", "resident_bytes", "seconds", "started")

    def __init__(self, name: str, started: float | None) -> None:
        self.name = name
        self.started = started
        self.seconds = 0.0
        self.percent: float | None = None
        self.resident_bytes = 0
        self.pids: set[int] = set()
        self._rate = Rate()

    def settle(self, monotonic: float) -> None:
        rate = self._rate.update(monotonic, self.seconds)
        self.percent = None if rate is None else rate * 100


class _Process:
    """One process. ``seconds`` is its CPU time that is included in its program's sum; ``seen`` is its file as it was
    last read: that of a process that sleeps stays the same, and is not parsed again."""

    __slots__ = ("comm", "file", "program", "ran", "resident_bytes", "seconds", "seen", "started")

    def __init__(self, file: KernelFile, stat: PidStat, program: Program) -> None:
        self.file = file
        self.started = stat.started_seconds
        self.comm = stat.name
        self.program = program
        self.seconds = 0.0
        self.resident_bytes = 0
        self.ran = True
        self.seen = b""


class LooseProcesses:
    """The processes of the root cgroup. ``programs`` are by name; ``kernel`` is the sum of its threads."""

    def __init__(self, procfs: str, root_cgroup: str) -> None:
        self.kernel = Program("kernel threads", None)
        self.programs: dict[str, Program] = {}
        self._procfs = procfs
        self._procs = f"{root_cgroup}/cgroup.procs"
        self._known: dict[int, _Process] = {}
        self._looked: float | None = None
        self._reads = 0

    def read(self, now: float, monotonic: float) -> list[Program]:
        """Takes their CPU time as it is now; the programs of which the last process has ended, which are forgotten.

        ``now`` is Unix seconds. Raises OSError or ValueError where the root cgroup does not say who is in it.
        """
        # A process of another pid namespace is listed as 0.
        # cgroup v1 gives an open file the same list again until it has not been read for a second (cgroup-v1.c,
        # CGROUP_PIDLIST_DESTROY_DELAY), so that it is opened anew each time.
        with open(self._procs, "rb") as procs:
            listed = {pid for pid in map(int, procs.read().split()) if pid}
        everyone = self._reads % SLEEPERS_READS == 0
        self._reads += 1
        for pid in self._known.keys() - listed:
            self._end(pid)
        for program in self.programs.values():
            program.resident_bytes = 0
        for pid in listed:
            process = self._known.get(pid)
            if process is None or everyone or process.ran or process.program is not self.kernel:
                self._read(pid, process, now)
        for program in (self.kernel, *self.programs.values()):
            program.settle(monotonic)
        self._looked = now
        ended = [program for program in self.programs.values() if not program.pids]
        for program in ended:
            del self.programs[program.name]
        return ended

    def pids(self) -> dict[int, str]:
        """The program of each process, without kernel threads."""
        return {pid: one.program.name for pid, one in self._known.items() if one.program is not self.kernel}

    def close(self) -> None:
        for process in self._known.values():
            process.file.close()

    def _read(self, pid: int, process: _Process | None, now: float) -> None:
        file = KernelFile(f"{self._procfs}/{pid}/stat", size=1024) if process is None else process.file
        try:
            data = file.read()
            if process is not None and data == process.seen:
                self._sleeps(process)
                return
            stat = pid_stat(data)
        except (OSError, ValueError):
            # It has just ended: the next list will not have it.
            file.close()
            return
        if process is not None and process.started != stat.started_seconds:
            self._end(pid)
            process = None
        used = stat.user_seconds + stat.system_seconds
        if process is None:
            process = self._known[pid] = _Process(file, stat, self._program(pid, stat, now))
        elif process.comm != stat.name and process.program is not self.kernel:
            # It executes another program; its previous use stays with the old one.
            process.program.pids.discard(pid)
            process.comm, process.program = stat.name, self._program(pid, stat, now)
        process.program.pids.add(pid)
        process.ran = used > process.seconds
        process.program.seconds += max(used - process.seconds, 0.0)
        process.seconds = max(used, process.seconds)
        process.resident_bytes, process.seen = stat.resident_bytes, data
        process.program.resident_bytes += stat.resident_bytes
        if process.program is self.kernel and not process.ran:
            process.file.close()

    def _sleeps(self, process: _Process) -> None:
        process.ran = False
        process.program.resident_bytes += process.resident_bytes
        if process.program is self.kernel:
            process.file.close()

    def _program(self, pid: int, stat: PidStat, now: float) -> Program:
        if stat.of_kernel:
            return self.kernel
        name = self._name(pid) or stat.name
        program = self.programs.get(name)
        if program is None:
            program = self.programs[name] = Program(name, None if self._looked is None else now)
        return program

    def _name(self, pid: int) -> str:
        """The file name of its program; without permission, the kernel's short name of it."""
        try:
            name = os.path.basename(os.readlink(f"{self._procfs}/{pid}/exe").removesuffix(" (deleted)"))
        except OSError:
            return ""
        return "" if name.startswith("memfd:") else encodable(name)

    def _end(self, pid: int) -> None:
        process = self._known.pop(pid)
        process.program.pids.discard(pid)
        process.file.close()
