"""A simulated machine with everything at once (engines, units, a login, loose programs, the kernel): each one's energy
against the truth, and the sum of all in every interval.

Power is a powercap tree's and CPU time is in files of cgroups and of /proc, all read by the real readers; only the
clock is turned by hand.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import pytest
from msgspec.structs import astuple, replace

from tests.conftest import ConfigFactory
from tests.support.docker_api import FakeDockerApi
from tests.support.powercap import PowercapTree, machine
from tests.support.workload_tree import CRI_ID, DOCKER_ID, POD_UID, PODMAN_ID, WorkloadTree
from wattview.daemon.attribution.attributor import Attributor
from wattview.exposition import Family
from wattview.model import ProbeStatus, Reading, Workload, WorkloadsReading
from wattview.probes.host import HostProbe
from wattview.probes.power.energy_source import Moment
from wattview.probes.power.probe import PowerProbe
from wattview.probes.workloads.probe import WorkloadsProbe

CPUS = 8
IDLE_WATTS, WATTS_PER_CPU = 40.0, 9.0
STEP = 0.05
SECONDS = 400.0

POD = f"/kubepods.slice/kubepods-pod{POD_UID.replace('-', '_')}.slice"
USER = "/user.slice/user-1000.slice"


class Job(NamedTuple):
    """Something that uses CPU: a cgroup by its path, a process of the root cgroup by its pid, or interrupts."""

    place: str | int
    busy: Callable[[float], float]
    kernel: bool = False
    name: str = ""


def steady(cpus: float) -> Callable[[float], float]:
    return lambda at: cpus if at % 100 < 70 else 0.0


def wave(cpus: float, period: float) -> Callable[[float], float]:
    return lambda at: cpus * (1 + math.sin(2 * math.pi * at / period)) / 2


def jobs(version: int) -> list[Job]:
    """Systemd's layout on version 2; on version 1 that of a machine without it, where engines make their own cgroups
    and all else is in the root."""
    loose = [
        Job(2, wave(0.04, 13), kernel=True, name="kthreadd"),
        Job(40, wave(0.1, 9), kernel=True, name="kworker/0:1"),
        Job("interrupts", wave(0.06, 5)),
    ]
    if version == 1:
        return [
            Job(f"/docker/{DOCKER_ID}", steady(1.2)),
            Job(f"/libpod_parent/libpod-{PODMAN_ID}", wave(0.9, 40)),
            Job(f"/k8s.io/{CRI_ID}", wave(0.5, 17)),
            Job(100, steady(0.8), name="ffmpeg"),
            Job(101, wave(0.4, 21), name="nginx"),
            *loose,
        ]
    return [
        Job(f"/system.slice/docker-{DOCKER_ID}.scope", steady(1.2)),
        Job(f"/machine.slice/libpod-{PODMAN_ID}.scope", wave(0.9, 40)),
        Job(f"{POD}/cri-containerd-{CRI_ID}.scope", wave(0.5, 17)),
        Job("/system.slice/encoder.service", steady(0.8)),
        Job("/system.slice/nginx.service", wave(0.4, 21)),
        Job(f"{USER}/session-3.scope", wave(0.3, 33)),
        Job(f"{USER}/user@1000.service/app.slice/obs.service", wave(0.6, 25)),
        *loose,
    ]


class Mixture:
    """The machine, and an attributor that sees the readings of its files, each taken at a moment of its own."""

    def __init__(self, directory: Path, make_config: ConfigFactory, version: Literal[1, 2], *sets: str) -> None:
        self.jobs = jobs(version)
        self.at = 0.0
        self._used: dict[str | int, list[float]] = {job.place: [0.0] for job in self.jobs}
        self._joules = [0.0]
        for step in range(round((SECONDS + 1) / STEP)):
            busy = {job.place: job.busy(step * STEP) for job in self.jobs}
            for place, cpus in busy.items():
                self._used[place].append(self._used[place][-1] + cpus * STEP)
            watts = IDLE_WATTS + WATTS_PER_CPU * sum(busy.values())
            self._joules.append(self._joules[-1] + watts * STEP)
        self._tree = WorkloadTree(directory, version)
        self._write(0.0)
        (self._tree.procfs / "loadavg").write_text("0 0 0 1/1 1\n")
        self._powercap = PowercapTree(self._tree.sysfs, machine(self, bits=32))
        paths = (f"paths.sysfs={self._tree.sysfs}", f"paths.procfs={self._tree.procfs}", f"paths.rootfs={directory}")
        config = make_config(*paths, f"power.idle_watts={IDLE_WATTS}", *sets)
        Path(config.paths.state).mkdir()
        self._origin = Moment(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
        self._reading_at = 0.0
        self._power = PowerProbe(config, self._moment)
        self._host = HostProbe(config)
        self.probe = WorkloadsProbe(config)
        self._sources: dict[str, Any] = {}
        self._chance = random.Random(14)
        self.attributor = Attributor(config, SimpleNamespace(sources=self._sources), lambda: None)  # type: ignore[arg-type]

    def joules(self, seconds: float) -> float:
        return _on_grid(self._joules, seconds)

    def used(self, place: str | int, at: float) -> float:
        return _on_grid(self._used[place], at)

    async def look(self, every: float = 5.0) -> WorkloadsReading:
        """Lets some time go by, and reads every source once."""
        self.at += every
        late = [self._chance.uniform(0.0, 0.4) for _ in range(3)]
        self._reading_at = self.at - late[0]
        self._powercap.write(self._reading_at)
        self._note("power", self._power.read())
        for name, probe, at in (("host", self._host, self.at - late[1]), ("workloads", self.probe, self.at - late[2])):
            self._write(at)
            moment = {"time": self._origin.time + at, "monotonic": self._origin.monotonic + at}
            self._note(name, replace(probe.read(), **moment))  # type: ignore[attr-defined]
        await self.attributor.advance()
        reading = self._sources["workloads"].latest
        assert isinstance(reading, WorkloadsReading)
        return reading

    def close(self) -> None:
        self._power.close()
        self._host.close()
        self.probe.close()
        self._powercap.close()

    def _write(self, at: float) -> None:
        busy = interrupts = 0.0
        for job in self.jobs:
            used = self.used(job.place, at)
            busy += used
            if isinstance(job.place, int):
                self._tree.process(job.place, job.name, used, kernel=job.kernel)
            elif job.place == "interrupts":
                interrupts = used
            else:
                # There were hours before anybody looked.
                self._tree.add(job.place, 7200.0 + used)
        self._tree.interrupts(busy, interrupts, CPUS)

    def _moment(self) -> Moment:
        return Moment(*(origin + self._reading_at for origin in astuple(self._origin)))

    def _note(self, name: str, reading: Reading) -> None:
        self._sources[name] = SimpleNamespace(latest=reading, status=ProbeStatus(probe=name, state="ok"))


def _on_grid(values: list[float], at: float) -> float:
    step = min(at / STEP, len(values) - 1.001)
    low = int(step)
    return values[low] + (values[low + 1] - values[low]) * (step - low)


NAMES = {
    1: {
        f"/docker/{DOCKER_ID}": ("container", "web", "docker"),
        f"/libpod_parent/libpod-{PODMAN_ID}": ("container", "transcode", "podman"),
        f"/k8s.io/{CRI_ID}": ("container", CRI_ID, "containerd"),
        "program:ffmpeg": ("process", "ffmpeg", ""),
        "program:nginx": ("process", "nginx", ""),
    },
    2: {
        f"/system.slice/docker-{DOCKER_ID}.scope": ("container", "web", "docker"),
        f"/machine.slice/libpod-{PODMAN_ID}.scope": ("container", "transcode", "podman"),
        f"{POD}/cri-containerd-{CRI_ID}.scope": ("container", CRI_ID, "containerd"),
        "/system.slice/encoder.service": ("unit", "encoder.service", ""),
        "/system.slice/nginx.service": ("unit", "nginx.service", ""),
        f"{USER}/session-3.scope": ("session", "1000", ""),
        f"{USER}/user@1000.service/app.slice/obs.service": ("unit", "obs.service", ""),
    },
}


@pytest.mark.parametrize("version", [1, 2])
async def test_the_watts_of_all_workloads_add_up_to_the_total(
    tmp_path: Path, make_config: ConfigFactory, version: Literal[1, 2]
) -> None:
    docker, podman = FakeDockerApi(tmp_path / "docker.sock"), FakeDockerApi(tmp_path / "podman.sock")
    docker.add(DOCKER_ID, "web", 100)
    podman.add(PODMAN_ID, "transcode", 200)
    engines = f"workloads.engines=docker={tmp_path}/docker.sock,podman={tmp_path}/podman.sock"
    mixture = Mixture(tmp_path, make_config, version, engines)
    try:
        while mixture.at < SECONDS - 5:
            reading = await mixture.look()
            use = mixture.attributor.power_use()
            if use is not None and use.workloads_watts is not None and use.idle_watts is not None:
                shown = mixture.attributor.workloads(reading.workloads)
                watts = sum(one.power_watts or 0.0 for one in shown)
                assert watts == pytest.approx(use.workloads_watts)
                outside = use.watts - use.idle_watts - watts
                # nothing runs that is no workload; counters of a hundredth of a second waver by that much
                assert -1e-6 <= outside <= 0.03 * (use.watts - use.idle_watts) + 0.1
        shown = mixture.attributor.workloads(reading.workloads)
        said = {one.id: (one.kind, one.name, one.engine) for one in shown if one.kind != "kernel"}
        assert {id: said.get(id) for id in NAMES[version]} == NAMES[version]
        _check_energy(mixture, {one.id: one for one in shown})
        _check_metrics(mixture.attributor.families(), len(shown))
    finally:
        mixture.close()
        docker.close()
        podman.close()


def _check_energy(mixture: Mixture, shown: dict[str, Workload]) -> None:
    """Each one's joules since the first look, within 3 %; the kernel's, which gives way to the others', within 6 %."""
    ids: dict[str | int, str] = {40: "kernel:threads", "interrupts": "kernel:interrupts"}
    for job in mixture.jobs:
        if job.place == 2:
            continue
        id = ids.get(job.place) or (f"program:{job.name}" if isinstance(job.place, int) else job.place)
        used = mixture.used(job.place, mixture.at) - mixture.used(job.place, 5.0)
        if job.place == 40:
            used += mixture.used(2, mixture.at) - mixture.used(2, 5.0)
        energy = shown[str(id)].energy_joules_total
        bound = 0.06 if str(id).startswith("kernel") else 0.03
        assert energy == pytest.approx(WATTS_PER_CPU * used, rel=bound), id


def _check_metrics(families: list[Family], count: int) -> None:
    by_name = {family.name: family for family in families}
    for name in ("wattview_workload_power_watts", "wattview_workload_energy_joules_total"):
        texts = [text for text, _ in by_name[name].samples]
        assert len(texts) == len(set(texts)) == count


async def test_a_workload_ended_between_samples_keeps_its_last_joule(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    mixture = Mixture(tmp_path, make_config, 2, "workloads.engines=")
    try:
        for _ in range(4):
            await mixture.look()
        gone = "/system.slice/encoder.service"
        before = mixture.attributor._accounts.marginal.ledger.by_workload[gone]
        mixture.jobs = [job for job in mixture.jobs if job.place != gone]
        mixture._tree.empty(gone)
        mixture._tree.remove(gone)
        reading = await mixture.look()
        ended = {one.id: one for one in reading.ended}
        assert gone in ended
        assert mixture.attributor._accounts.marginal.ledger.by_workload[gone] >= before
        texts = [text for family in mixture.attributor.families() for text, _ in family.samples]
        assert sum('unit="encoder.service"' in text for text in texts) >= 1
    finally:
        mixture.close()
