"""Containers of all engines: identity from the engines' APIs, resource use from their cgroups.

A read sends no request to an engine: it uses the state of ``docker_engine``, and reads the cgroup files of each
running container, which stay open between reads. If the engine stops answering, the known containers are still measured
while their cgroups exist, and the reading has a Fault. A container that ends is read once more at that moment, so that
none of its CPU time is lost.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
import time

from wattview.config import Config
from wattview.model import ContainersReading, Engine, Fault, Machine
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.containers.background import Background
from wattview.probes.containers.cgroups.cgroup import hierarchies
from wattview.probes.containers.cgroups.files import OPEN_FILES, CgroupGone
from wattview.probes.containers.cgroups.root import RootCgroup
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.docker_engine import DockerEngine, EngineInfo, EngineState
from wattview.probes.containers.engine_processes import Asked, EngineProcesses
from wattview.probes.containers.engine_socket import engine_of_program
from wattview.probes.containers.engines.cri_containers import CriContainers
from wattview.probes.containers.engines.other_engines import NamedApart, OtherEngines
from wattview.probes.containers.exit_watch import ExitWatch
from wattview.probes.containers.machine import read_machine
from wattview.probes.containers.metric_labels import shown_labels
from wattview.probes.containers.running_container import MeasuredUse, RunningContainer
from wattview.probes.rates import Rate

log = logging.getLogger("wattview.containers")

FIRST_LIST_SECONDS = 3.0
"""How long the first read waits for the engine's list; later reads do not wait."""

_INSPECT = "docker inspect must work for it; else remove it, or restart the engine"


class ContainersProbe:
    """The engine at ``docker.host``, and the running containers of it and of the other engines.

    ``read`` raises SourceAbsent, SourceRefused or SourceBroken if no engine can be reached and no container is known.
    """

    def __init__(self, config: Config) -> None:
        self._paths = config.paths
        self._settings = config.docker
        self._machine: Machine | None = None
        self._cgroup_version = 0
        self._engine = DockerEngine(config.docker.host, on_change=lambda state: self._changed())
        self._cri = CriContainers(config, on_change=self._changed)
        self._others = OtherEngines(config, on_change=self._changed)
        self._named = NamedApart()
        self._processes = EngineProcesses(config.paths.procfs)
        self._engine_cpu = Rate()
        self._disks = Disks(config.paths.sysfs)
        self._exits = ExitWatch(config.paths.procfs, self._exited)
        self._background = Background(config.paths, self._disks)
        self._root: RootCgroup | None = None
        self._lock = threading.Lock()
        self._running: dict[str, RunningContainer] = {}
        self._ended: dict[str, tuple[MeasuredUse, float]] = {}
        self._over: dict[str, int] = {}

    def read(self, detailed: bool = True) -> ContainersReading:
        """``detailed``: with ``details``, which only cAdvisor's metrics show."""
        machine = self._read_machine()
        self._engine.start()
        self._cri.start()
        self._others.look()
        if not self._engine.wait(FIRST_LIST_SECONDS):
            raise SourceBroken(f"the Docker engine has not answered within {FIRST_LIST_SECONDS:g} s", "look at its log")
        self._cri.wait(FIRST_LIST_SECONDS)
        self._others.wait(FIRST_LIST_SECONDS)
        now, monotonic = time.time(), time.monotonic()
        faults: dict[str, Fault] = {}
        with self._lock:
            state = self._state()
            self._follow(state, machine)
            running = self._measure(state, faults, detailed)
            ended = self._recently_ended(monotonic)
            root = None
            if detailed:
                self._background.follow({container_id: known.target for container_id, known in self._running.items()})
                root = self._read_root(machine)
        if state.problem is not None:
            if not running:
                raise state.problem.with_traceback(None)
            faults["docker"] = Fault("docker", state.problem.reason, state.problem.fix)
        for one in self._others:
            problem = one.engine.state.problem
            if problem is not None and not isinstance(problem, SourceAbsent):
                faults[one.where] = Fault(f"{one.label} at {one.where}", problem.reason, problem.fix)
        if state.unknown:
            container_id, reason = next(iter(state.unknown.items()))
            if not running:
                raise SourceBroken(f"the engine cannot describe container {container_id[:12]}: {reason}", _INSPECT)
            for container_id, reason in state.unknown.items():
                part = f"container {container_id[:12]}"
                faults[part] = Fault(part, f"the engine cannot describe it: {reason}", _INSPECT)
        if self._background.fault is not None:
            faults["container filesystems"] = self._background.fault
        everyone = [measured.container for measured in (*running, *ended)]
        labels_shown, too_many = shown_labels(everyone, self._settings)
        if too_many is not None:
            faults[too_many.part] = too_many
        return ContainersReading(
            labels_shown=labels_shown,
            time=now,
            monotonic=monotonic,
            faults=tuple(faults.values()),
            engine=self._engine_use(state.info or EngineInfo(), machine, monotonic),
            containers=tuple([measured.container for measured in running]),
            ended=tuple([measured.container for measured in ended]),
            root=None if root is None else root.container,
            details={one.container.id: one.detail for one in (*ended, *running, *([root] if root else []))}
            if detailed
            else {},
            machine=machine,
        )

    def close(self) -> None:
        self._engine.close()
        self._cri.close()
        self._others.close()
        self._exits.close()
        self._background.close()
        self._processes.close()
        with self._lock:
            for running in self._running.values():
                running.close()
            self._running.clear()
            if self._root is not None:
                self._root.close()

    def _read_machine(self) -> Machine:
        if self._machine is None:
            mounted = hierarchies(self._paths.sysfs)
            self._cgroup_version = 0 if mounted is None else mounted.version
            try:
                self._machine = read_machine(self._paths)
            except (OSError, ValueError, KeyError) as error:
                raise SourceBroken(f"{self._paths.procfs} is not a procfs: {error}", "set paths.procfs") from None
        return self._machine

    def _state(self) -> EngineState:
        """What all engines say together, under the lock. A machine without Docker lacks nothing if another answers."""
        first, others = self._engine.state, [(one.label, one.engine.state) for one in self._others]
        more = [(self._cri.engine, self._cri.containers), *((label, state.containers) for label, state in others)]
        containers = self._named.merged(first, more)
        answers = [state.info for _, state in others if state.info is not None and state.problem is None]
        absent = isinstance(first.problem, SourceAbsent) and not first.containers and (containers or answers)
        unknown = {id: reason for _, state in others for id, reason in state.unknown.items()}
        return EngineState(
            first.info or (answers[0] if answers and absent else None),
            containers,
            None if absent else first.problem,
            {**unknown, **first.unknown},
        )

    def _changed(self) -> None:
        """In the engine's thread: makes sure that a container that starts and ends between two reads is seen."""
        if self._machine is None:
            return
        try:
            with self._lock:
                self._follow(self._state(), self._machine)
        except OSError as error:
            # The next read has the same error, and reports it.
            log.debug("containers: %s", error)

    def _exited(self, pid: int) -> None:
        """In the exit watch's thread: the cgroup exists for some milliseconds more."""
        with self._lock:
            for container_id, running in self._running.items():
                if running.info.pid == pid:
                    self._end(container_id)
                    return

    def _follow(self, state: EngineState, machine: Machine) -> None:
        """Opens the cgroups of new containers, and closes those of ended ones."""
        containers = state.containers
        for container_id in self._running.keys() - containers.keys():
            self._end(container_id)
        self._over = {container_id: pid for container_id, pid in self._over.items() if container_id in containers}
        mounted = None
        for container_id, info in containers.items():
            running = self._running.get(container_id)
            if running is not None and running.info is info:
                continue
            if running is not None and running.info.pid == info.pid:
                running.update(info)
                continue
            if running is not None:
                # It was restarted: the cgroup is new, and its counters start at 0.
                self._end(container_id)
            if self._over.get(container_id) == info.pid:
                # It has ended, but the engine has not reported it yet.
                continue
            mounted = mounted or hierarchies(self._paths.sysfs)
            keep_open = len(self._running) < _containers_kept_open()
            running = RunningContainer(info, self._paths.procfs, mounted, self._disks, machine.memory_bytes, keep_open)
            self._running[container_id] = running
            if running.has_cgroup:
                self._exits.add(info.pid)
                running.read_last()

    def _measure(self, state: EngineState, faults: dict[str, Fault], detailed: bool) -> list[MeasuredUse]:
        found: list[MeasuredUse] = []
        slow = self._background
        for container_id in list(self._running):
            running = self._running[container_id]
            try:
                measured = running.read(
                    faults, slow.space.get(container_id), slow.tasks.get(container_id), slow.load.get(container_id),
                    detailed=detailed,
                )  # fmt: skip
            except CgroupGone:
                self._end(container_id)
                continue
            if running.has_cgroup or state.problem is None:
                found.append(measured)
        return found

    def _read_root(self, machine: Machine) -> MeasuredUse | None:
        """The root cgroup, if there are cgroups at all."""
        if self._root is None:
            mounted = hierarchies(self._paths.sysfs)
            if mounted is None:
                return None
            self._root = RootCgroup(self._paths, mounted, self._disks, machine)
        try:
            return self._root.read(self._background.filesystems)
        except CgroupGone:
            return None

    def _end(self, container_id: str) -> None:
        running = self._running.pop(container_id)
        self._over[container_id] = running.info.pid
        monotonic = time.monotonic()
        last = running.end(time.time())
        if last is not None:
            self._ended[container_id] = last, monotonic
        self._recently_ended(monotonic)

    def _recently_ended(self, monotonic: float) -> list[MeasuredUse]:
        """The last state of each container that ended recently and has not been restarted."""
        self._ended = {
            container_id: (last, at)
            for container_id, (last, at) in self._ended.items()
            if monotonic - at < self._settings.ended_seconds
        }
        return [last for container_id, (last, _) in self._ended.items() if container_id not in self._running]

    def _is_here(self) -> bool:
        """Whether the engine runs on this machine: its socket is here, or a container's cgroup is."""
        return self._settings.host.startswith("unix://") or any(
            running.has_cgroup for running in self._running.values()
        )

    def _engine_use(self, info: EngineInfo, machine: Machine, monotonic: float) -> Engine:
        use = self._processes.read(monotonic, Asked(info.program, info.peer_pid, self._is_here()))
        rate = None if use is None else self._engine_cpu.update(monotonic, use.cpu_seconds)
        return Engine(
            name=engine_of_program(info.program).name if info.version or not self._cri.engine else self._cri.engine,
            version=info.version,
            cgroup_version=self._cgroup_version,
            cpu_seconds_total=None if use is None else use.cpu_seconds,
            cpu_percent=None if rate is None else rate * 100,
            memory_bytes=None if use is None else use.resident_bytes,
            memory_percent=None if use is None else use.resident_bytes / machine.memory_bytes * 100,
        )


def _containers_kept_open() -> int:
    """For how many containers files stay open: half of this process's descriptors are reserved for others."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, soft) // 2 // OPEN_FILES if soft != resource.RLIM_INFINITY else sys.maxsize
