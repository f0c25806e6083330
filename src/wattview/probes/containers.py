"""Docker's containers: who they are from the engine's API, what they use from their cgroups.

A read asks the engine nothing: it looks at what ``docker_engine`` has been told, and reads the cgroup files of each
running container, which stay open between reads. Where the engine does not answer any more, the containers that were
known are still measured for as long as their cgroups exist, and the reading says so with a Fault.
"""

from __future__ import annotations

import threading
import time

from wattview.config import Config
from wattview.model import ContainersReading, Engine, Fault, Machine
from wattview.probes import SourceBroken
from wattview.probes.cgroup import hierarchies
from wattview.probes.cgroup_files import CgroupGone, DiskNames
from wattview.probes.docker_engine import ContainerInfo, DockerEngine, EngineInfo
from wattview.probes.engine_processes import EngineProcesses
from wattview.probes.machine import read_machine
from wattview.probes.rates import Rate
from wattview.probes.running_container import Measured, RunningContainer

FIRST_LIST_SECONDS = 3.0
"""How long the first read waits for the engine's list; later reads wait for nothing."""

ENDED_SECONDS = 60.0
"""How long a container that has ended stays in ``ContainersReading.ended``."""


class ContainersProbe:
    """The engine at ``docker.host`` and its running containers.

    ``read`` raises SourceAbsent, SourceRefused or SourceBroken where the engine cannot be reached and no container of
    it is known.
    """

    def __init__(self, config: Config) -> None:
        self._paths = config.paths
        self._engine = DockerEngine(config.docker.host)
        self._processes = EngineProcesses(config.paths.procfs)
        self._engine_cpu = Rate()
        self._disks = DiskNames(config.paths.sysfs)
        self._machine: Machine | None = None
        self._running: dict[str, RunningContainer] = {}
        self._ended: list[Measured] = []
        self._lock = threading.Lock()

    def read(self) -> ContainersReading:
        self._engine.start()
        if not self._engine.wait(FIRST_LIST_SECONDS):
            raise SourceBroken(f"the Docker engine has not answered within {FIRST_LIST_SECONDS:g} s", "look at its log")
        state = self._engine.state
        if state.info is None or (state.problem is not None and not state.containers):
            raise state.problem or SourceBroken("the Docker engine has not answered")
        now, monotonic = time.time(), time.monotonic()
        if self._machine is None:
            self._machine = read_machine(self._paths)
        faults: dict[str, Fault] = {}
        with self._lock:
            self._follow(state.containers, self._machine, now)
            running = self._measure(faults, now, engine_lost=state.problem is not None)
            self._ended = [gone for gone in self._ended if now - (gone.container.ended or now) < ENDED_SECONDS]
            ended = tuple(self._ended)
        if state.problem is not None:
            if not running:
                raise state.problem
            faults["docker"] = Fault("docker", state.problem.reason, state.problem.fix)
        return ContainersReading(
            time=now,
            monotonic=monotonic,
            faults=tuple(faults.values()),
            engine=self._engine_use(state.info, self._machine, monotonic),
            containers=tuple([measured.container for measured in running]),
            ended=tuple([measured.container for measured in ended]),
            details={measured.container.id: measured.detail for measured in (*ended, *running)},
            machine=self._machine,
        )

    def close(self) -> None:
        self._engine.close()
        self._processes.close()
        with self._lock:
            for running in self._running.values():
                running.close()
            self._running.clear()

    def _follow(self, containers: dict[str, ContainerInfo], machine: Machine, now: float) -> None:
        """Opens the cgroups of containers that are new, and lets go of those that have ended."""
        for container_id in self._running.keys() - containers.keys():
            self._end(container_id, now)
        mounted = None
        for container_id, info in containers.items():
            running = self._running.get(container_id)
            if running is not None and running.info is info:
                continue
            if running is not None and running.info.pid == info.pid:
                running.update(info)
                continue
            if running is not None:
                # It was restarted between two reads: the cgroup is a new one, and its counters begin anew.
                self._end(container_id, now)
            mounted = mounted or hierarchies(self._paths.sysfs)
            self._running[container_id] = RunningContainer(
                info, self._paths.procfs, mounted, self._disks, machine.memory_bytes
            )

    def _measure(self, faults: dict[str, Fault], now: float, *, engine_lost: bool) -> list[Measured]:
        found: list[Measured] = []
        for container_id in list(self._running):
            running = self._running[container_id]
            try:
                measured = running.read(faults)
            except CgroupGone:
                self._end(container_id, now)
                continue
            if running.has_cgroup or not engine_lost:
                found.append(measured)
        return found

    def _end(self, container_id: str, now: float) -> None:
        last = self._running.pop(container_id).end(now)
        if last is not None:
            self._ended.append(last)

    def _engine_use(self, info: EngineInfo, machine: Machine, monotonic: float) -> Engine:
        use = self._processes.read(monotonic, info.pid)
        rate = None if use is None else self._engine_cpu.update(monotonic, use.cpu_seconds)
        return Engine(
            version=info.version,
            cgroup_version=info.cgroup_version,
            cpu_seconds_total=None if use is None else use.cpu_seconds,
            cpu_percent=None if rate is None else rate * 100,
            memory_bytes=None if use is None else use.resident_bytes,
            memory_percent=None if use is None else use.resident_bytes / machine.memory_bytes * 100,
        )
