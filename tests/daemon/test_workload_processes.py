"""The processes of a workload: which belong to it, what each of them uses, and what it costs to look."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest

from tests.conftest import ConfigFactory
from tests.support import cgroup_tree
from tests.support.daemon import DaemonProcess, running_daemon
from tests.support.workload_tree import CRI_ID, POD_UID, SANDBOX_ID, WorkloadTree
from wattview.daemon.attribution.attributor import Attributor
from wattview.daemon.attribution.workload_processes import (
    MOST_BY_CPU,
    MOST_BY_MEMORY,
    ProcessWatch,
    workload_pids,
)
from wattview.model import WorkloadProcesses
from wattview.probes.workloads.probe import WorkloadsProbe

SERVICE = "/system.slice/encoder.service"


class Machine:
    """A tree of control groups with processes in them, and what a daemon says of them."""

    def __init__(self, directory: Path, make_config: ConfigFactory, version: Literal[1, 2]) -> None:
        self.tree = WorkloadTree(directory, version)
        self.config = make_config(
            f"paths.sysfs={self.tree.sysfs}", f"paths.procfs={self.tree.procfs}", f"paths.rootfs={directory}"
        )
        self._version = version
        self.probe = WorkloadsProbe(self.config)

    def put(self, path: str, *pids: int, listed_as: int | None = None) -> None:
        """Processes in a control group."""
        self.tree.add(path, 1.0)
        mount = self.tree.sysfs / "fs" / "cgroup" / ("" if self._version == 2 else "cpuacct")
        lines = "".join(f"{pid if listed_as is None else listed_as}\n" for pid in pids)
        (mount / path.lstrip("/") / "cgroup.procs").write_text(lines)
        for pid in pids:
            line = f"0::{path}\n" if self._version == 2 else f"4:cpuacct:{path}\n"
            cgroup_tree.process(self.tree.procfs, pid, name="encode", cgroup=line, resident_pages=pid)

    def pids(self, id: str) -> set[int]:
        reading = self.probe.read()
        workload = next(one for one in reading.workloads if one.id == id)
        return set(workload_pids(self.config.paths.sysfs, self.config.paths.procfs, workload, reading))

    def watch(self) -> ProcessWatch:
        async def read(name: str, max_age: float = 0.1) -> Any:
            return self.probe.read()

        sampler: Any = SimpleNamespace(sources={}, read_or_none=read)
        Path(self.config.paths.state).mkdir(exist_ok=True)
        return ProcessWatch(self.config, sampler, Attributor(self.config, sampler, lambda: None))


@pytest.fixture(params=[1, 2])
def machine(request: pytest.FixtureRequest, tmp_path: Path, make_config: ConfigFactory) -> Iterator[Machine]:
    made = Machine(tmp_path, make_config, request.param)
    yield made
    made.probe.close()


def test_a_service_has_its_own_processes_and_those_below_it(machine: Machine) -> None:
    machine.put(SERVICE, 100)
    machine.put(f"{SERVICE}/workers", 101, 102)
    machine.put("/system.slice/other.service", 200)
    assert machine.pids(SERVICE) == {100, 101, 102}


def test_a_pod_does_not_list_the_processes_of_its_containers(machine: Machine) -> None:
    pod = f"/kubepods.slice/kubepods-pod{POD_UID.replace('-', '_')}.slice"
    machine.put(pod, 300)
    machine.put(f"{pod}/cri-containerd-{CRI_ID}.scope", 301)
    machine.put(f"{pod}/cri-containerd-{SANDBOX_ID}.scope", 302)
    assert machine.pids(f"{pod}/cri-containerd-{CRI_ID}.scope") == {301}
    machine.tree.use(pod, 9.0)
    assert machine.pids(pod) == {300}


def test_programs_and_the_kernel_have_those_of_the_root(machine: Machine) -> None:
    machine.tree.process(50, "obs", 1.0)
    machine.tree.process(51, "obs", 1.0)
    machine.tree.process(40, "kworker/0:1", 1.0, kernel=True)
    assert machine.pids("program:obs") == {50, 51}
    assert 40 in machine.pids("kernel:threads")
    assert machine.pids("kernel:interrupts") == set()


def test_processes_of_another_pid_namespace_are_found_by_their_control_group(machine: Machine) -> None:
    """The kernel lists them as 0; the host's procfs has them."""
    machine.put(SERVICE, 100, 101, listed_as=0)
    machine.put("/system.slice/other.service", 200)
    assert machine.pids(SERVICE) == {100, 101}


async def test_kernel_threads_belong_to_nobody_and_other_processes_not_to_the_kernel(machine: Machine) -> None:
    machine.tree.process(50, "obs", 1.0)
    machine.tree.process(40, "kworker/0:1", 1.0, kernel=True)
    answer = await machine.watch().of("kernel:threads")
    assert [one.command for one in answer.processes] == ["[kworker/0:1]"]


async def test_only_the_busiest_and_largest_processes_are_listed(tmp_path: Path, make_config: ConfigFactory) -> None:
    machine = Machine(tmp_path, make_config, 2)
    pids = range(1000, 1600)
    machine.put(SERVICE, *pids)
    watch = machine.watch()
    answer = await watch.of(SERVICE)
    assert answer.total == len(pids)
    assert len(answer.processes) <= MOST_BY_CPU + MOST_BY_MEMORY
    assert max(pids) in {one.pid for one in answer.processes}, "it has the most memory"
    shutil.rmtree(machine.tree.procfs / "1000")
    assert await watch.of(SERVICE) is answer, "asked again at once, nothing is read"
    machine.probe.close()


async def test_an_ended_workload_is_shown_as_ended(machine: Machine) -> None:
    machine.put(SERVICE, 100)
    watch = machine.watch()
    await watch.of(SERVICE)
    with pytest.raises(LookupError, match=r"no workload .* is running"):
        await watch.of("/system.slice/none.service")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    with running_daemon(tmp_path, "docker.host=unix:///nowhere", "workloads.engines=") as running:
        yield running


@pytest.mark.slow
def test_real_processes_share_the_watts_of_their_workload_by_cpu_time(daemon: DaemonProcess, tmp_path: Path) -> None:
    """Two shells as one program: one is busy for ever, the other waits."""
    program = shutil.copy(shutil.which("dash") or "/bin/sh", tmp_path / f"wv-encoder-{os.getpid()}")
    busy = subprocess.Popen([program, "-c", "while :; do :; done", "--password", "hunter2"], user=os.getuid())
    resting = subprocess.Popen([program, "-c", "read line"], stdin=subprocess.PIPE)
    try:
        answer = _ask(daemon, Path(program).name, busy.pid)
        found = {one.pid: one for one in answer.processes}
        assert found.keys() >= {busy.pid, resting.pid}
        assert (found[busy.pid].cpu_percent or 0) > 1
        assert found[resting.pid].cpu_percent == 0
        assert found[busy.pid].command.endswith("while :; do :; done --password ***")
        assert found[busy.pid].memory_bytes > 100_000
        assert abs(found[busy.pid].started - time.time()) < 60
        workload = next(one for one in daemon.snapshot().workloads if one.id == answer.workload)
        assert workload.power_watts is not None, answer.reason
        assert found[resting.pid].power_watts == 0
        assert found[busy.pid].power_watts == pytest.approx(workload.power_watts, rel=0.5)
    finally:
        for one in (busy, resting):
            one.kill()
            one.wait()
    refused = daemon.api.get("/api/v1/workloads/processes", params={"id": "program:none"})
    assert refused.status_code == 404
    assert "no workload 'program:none' is running" in refused.text


def _ask(daemon: DaemonProcess, name: str, pid: int) -> WorkloadProcesses:
    """Until power is known as well."""
    deadline = time.monotonic() + 20
    while True:
        for workload in daemon.snapshot().workloads:
            if workload.name == name or workload.kind == "container":
                answer = daemon.api.get("/api/v1/workloads/processes", params={"id": workload.id})
                if answer.status_code == 404:
                    continue  # a container of somebody else's that has just ended
                told = msgspec.json.decode(answer.content, type=WorkloadProcesses)
                if pid in {one.pid for one in told.processes if one.power_watts is not None}:
                    return told
        assert time.monotonic() < deadline, "the workload of the process was not found"
        time.sleep(0.3)
