"""The processes of one workload, read only while a client shows them.

A control group lists its processes (``cgroup.procs``), and ``/proc/<pid>/stat`` has the CPU time of each: some 40 µs a
process, in a thread. Reading them takes at most a tenth of a core, however many there are: an answer is reused until
ten times the CPU time that it cost has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from wattview.config import Config
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.attribution.processes import accounted_cgroup, pids_of
from wattview.daemon.sampler import Sampler
from wattview.model import (
    GpusReading,
    PowerAccount,
    Workload,
    WorkloadLookup,
    WorkloadProcess,
    WorkloadProcesses,
    WorkloadsReading,
)
from wattview.probes import procfs
from wattview.probes.containers.cgroups.cgroup import hierarchies, subdirectories
from wattview.probes.kernel_files import bytes_of
from wattview.probes.shown_command import shown_command
from wattview.probes.workloads.names import users_of

FIRST_SECONDS = 0.5
"""Between the two readings of the first answer, without which there is no rate."""

LEAST_SECONDS, MOST_SECONDS = 0.5, 20.0
"""An answer is reused for at least the first; a rate over more than the second would not be current."""

COST = 10.0
"""An answer is reused until this many times the CPU time of looking has passed."""

MOST_BY_CPU, MOST_BY_MEMORY = 300, 200
"""How many processes are listed."""

KEPT = 64
"""How many workloads' readings are kept at most."""

_COMMAND_BYTES = 4096

_ProcessKey = tuple[int, float]
"""A pid, and when it started: pids are reused."""


class _Used(NamedTuple):
    at: float
    seconds: float


class _Look(Struct, frozen=True):
    """All processes of a workload at one moment (monotonic), with what they and the workload had used. ``cost`` is the
    CPU time of looking."""

    at: float
    cost: float
    stats: Mapping[_ProcessKey, procfs.PidStat]
    used: Mapping[_ProcessKey, _Used]
    workload: _Used | None


class _LastAnswer(NamedTuple):
    look: _Look
    answer: WorkloadProcesses
    until: float


class ProcessWatch:
    """Answers who runs in a workload."""

    def __init__(self, config: Config, sampler: Sampler, attributor: Attributor) -> None:
        self._paths = config.paths
        self._sampler = sampler
        self._attributor = attributor
        self._lock = asyncio.Lock()
        self._answered: dict[tuple[str, PowerAccount | None], _LastAnswer] = {}

    async def of(self, id: str, account: PowerAccount | None = None) -> WorkloadProcesses:
        """The processes of a workload. Raises LookupError if none of that id runs."""
        async with self._lock:
            before = self._answered.pop((id, account), None)
            if before is None or time.monotonic() >= before.until:
                before = await self._answer(id, account, before.look if before is not None else None)
            self._answered[id, account] = before
            current = time.monotonic() - MOST_SECONDS
            self._answered = dict([one for one in self._answered.items() if one[1].look.at > current][-KEPT:])
            return before.answer

    async def _answer(self, id: str, account: PowerAccount | None, before: _Look | None) -> _LastAnswer:
        if before is None or time.monotonic() - before.at > MOST_SECONDS:
            before = (await self._look(id))[1]
            await asyncio.sleep(FIRST_SECONDS)
        workload, look = await self._look(id)
        await self._attributor.advance()
        workload = self._attributor.workloads([workload], account)[0]
        answer, cost = await asyncio.to_thread(self._compose, workload, look, before, self._gpu_pids())
        return _LastAnswer(look, answer, time.monotonic() + max(LEAST_SECONDS, COST * (look.cost + cost)))

    async def _look(self, id: str) -> tuple[Workload, _Look]:
        reading = await self._sampler.read_or_none("workloads")
        if not isinstance(reading, WorkloadsReading):
            raise LookupError("the workloads of this machine are not known; wattview doctor says why")
        workload = next((one for one in reading.workloads if one.id == id), None)
        if workload is None:
            raise LookupError(f"no workload {id!r} is running")
        seconds = workload.cpu_seconds_total
        used = None if seconds is None else _Used(reading.monotonic, seconds)
        return workload, await asyncio.to_thread(self._read, workload, reading, used)

    def _gpu_pids(self) -> frozenset[int]:
        source = self._sampler.sources.get("gpu")
        latest = source.latest if source is not None else None
        gpus = latest.gpus if isinstance(latest, GpusReading) else ()
        return frozenset(process.pid for gpu in gpus for process in gpu.processes)

    # in a thread

    def _read(self, workload: Workload, reading: WorkloadsReading, whole: _Used | None) -> _Look:
        at, began = time.monotonic(), time.thread_time()
        stats, used = {}, {}
        for pid in workload_pids(self._paths.sysfs, self._paths.procfs, workload, reading):
            try:
                stat = procfs.pid_stat(bytes_of(f"{self._paths.procfs}/{pid}/stat"))
            except ValueError:
                continue  # it has ended
            if stat.of_kernel == (workload.kind == "kernel"):
                key = pid, stat.started_seconds
                stats[key] = stat
                used[key] = _Used(time.monotonic(), stat.user_seconds + stat.system_seconds)
        return _Look(at, time.thread_time() - began, stats, used, whole)

    def _compose(
        self, workload: Workload, look: _Look, before: _Look, on_gpu: frozenset[int]
    ) -> tuple[WorkloadProcesses, float]:
        """The answer, and the CPU time of it."""
        now, began = time.time(), time.thread_time()
        rates = {key: _rate(before.used.get(key), used) for key, used in look.used.items()}
        watts, reason = self._watts(workload, look, before, rates, on_gpu)
        boot = now - time.clock_gettime(time.CLOCK_BOOTTIME)
        users = users_of(Path(self._paths.rootfs) / "etc" / "passwd")
        listed = [
            WorkloadProcess(
                pid=key[0],
                program=stat.name,
                command=self._command(stat),
                user=self._user(key[0], users),
                started=boot + stat.started_seconds,
                cpu_seconds_total=look.used[key].seconds,
                cpu_percent=None if (rate := rates[key]) is None else rate * 100,
                memory_bytes=stat.resident_bytes,
                power_watts=watts.get(key),
            )
            for key, stat in _listed(look.stats, rates)
        ]
        answer = WorkloadProcesses(
            workload=workload.id, time=now, total=len(look.stats), processes=tuple(listed), reason=reason
        )
        return answer, time.thread_time() - began

    def _watts(
        self,
        workload: Workload,
        look: _Look,
        before: _Look,
        rates: Mapping[_ProcessKey, float | None],
        on_gpu: frozenset[int],
    ) -> tuple[dict[_ProcessKey, float], str]:
        """The workload's power by CPU time, and why there is none. Processes that have ended meanwhile had a part of it
        too: the listed ones may be given less than all."""
        if workload.id == "kernel:interrupts":
            return {}, "interrupts have no processes"
        if not look.stats:
            return {}, "its control group lists no process that is visible here"
        if workload.power_watts is None:
            return {}, "the power of the workload is not known"
        if any(pid in on_gpu for pid, _ in look.stats):
            return {}, "a process uses a GPU: the power of this workload cannot be divided by CPU time"
        known = {key: rate for key, rate in rates.items() if rate is not None}
        total = max(_rate(before.workload, look.workload) or 0.0, sum(known.values()))
        if not total:
            return dict.fromkeys(known, 0.0) if not workload.power_watts else {}, ""
        return {key: workload.power_watts * rate / total for key, rate in known.items()}, ""

    def _command(self, stat: procfs.PidStat) -> str:
        data = bytes_of(f"{self._paths.procfs}/{stat.pid}/cmdline", _COMMAND_BYTES)
        return shown_command(data.decode("utf-8", "replace").rstrip("\0").split("\0")) or f"[{stat.name}]"

    def _user(self, pid: int, users: Mapping[str, str]) -> str:
        """Its effective user: the owner of its directory is root if it has changed its user (proc(5), "dumpable")."""
        for line in bytes_of(f"{self._paths.procfs}/{pid}/status").decode("utf-8", "replace").splitlines():
            if line.startswith("Uid:") and len(ids := line.split()) > 2:
                return users.get(ids[2], ids[2])
        return ""


def workload_pids(sysfs: str, root: str, workload: Workload, reading: WorkloadsReading) -> Iterable[int]:
    """The processes of a workload, without those of workloads inside it. ``root`` is the procfs."""
    if workload.kind == "process":
        return [pid for pid, owner in reading.pids.items() if owner == workload.id]
    if workload.id == "kernel:interrupts":
        return []
    mounted = hierarchies(sysfs)
    mount = mounted.mount("cpuacct") if mounted is not None else None
    if mount is None:
        return []
    others = {one.id for one in reading.workloads}
    path = "" if workload.kind == "kernel" else workload.id
    pids = set(_members(mount, path, others if path else None))
    # A control group lists a process of another pid namespace as 0.
    return _by_their_cgroups(root, workload, WorkloadLookup(reading)) if pids == {0} else pids - {0}


def _members(mount: str, path: str, others: set[str] | None) -> Iterator[int]:
    """The processes in a control group and, if ``others`` are given, below it, except in these."""
    yield from map(int, bytes_of(f"{mount}{path}/cgroup.procs").split())
    if others is None:
        return
    for name in subdirectories(f"{mount}{path}"):
        if (one := f"{path}/{name}") not in others:
            yield from _members(mount, one, others)


def _by_their_cgroups(root: str, workload: Workload, lookup: WorkloadLookup) -> Iterator[int]:
    for pid in pids_of(root):
        cgroup = accounted_cgroup(bytes_of(f"{root}/{pid}/cgroup").decode("utf-8", "replace"))
        owner = lookup.owner(cgroup, pid)
        if owner is not None and owner.id == workload.id:
            yield pid


def _rate(before: _Used | None, now: _Used | None) -> float | None:
    """CPU seconds per second; None if the process is new."""
    if before is None or now is None or now.at <= before.at:
        return None
    return max(now.seconds - before.seconds, 0.0) / (now.at - before.at)


def _listed(
    stats: Mapping[_ProcessKey, procfs.PidStat], rates: Mapping[_ProcessKey, float | None]
) -> list[tuple[_ProcessKey, procfs.PidStat]]:
    """The busiest processes and the largest, the busiest first."""

    def busy(one: tuple[_ProcessKey, procfs.PidStat]) -> tuple[float, int]:
        return rates[one[0]] or 0.0, one[1].resident_bytes

    if len(stats) <= MOST_BY_CPU + MOST_BY_MEMORY:
        found = dict(stats)
    else:
        largest = nlargest(MOST_BY_MEMORY, stats.items(), key=lambda one: one[1].resident_bytes)
        found = dict([*nlargest(MOST_BY_CPU, stats.items(), key=busy), *largest])
    return sorted(found.items(), key=busy, reverse=True)
