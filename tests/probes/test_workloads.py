"""Workloads: each cgroup is what its path says, has its own CPU time and no other's, and the name that others know."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.conftest import ConfigFactory
from tests.support.docker_api import FakeDockerApi
from tests.support.workload_tree import CRI_ID, DOCKER_ID, POD_UID, PODMAN_ID, SANDBOX_ID, WorkloadTree, until
from wattview.model import Workload, WorkloadLookup, WorkloadsReading
from wattview.probes.workloads.cgroup import WorkloadCgroup
from wattview.probes.workloads.classify import ROOT, WorkloadPlace, place
from wattview.probes.workloads.families import families
from wattview.probes.workloads.probe import WorkloadsProbe

Version = Literal[1, 2]


def classified(path: str) -> WorkloadPlace | None:
    """What the last cgroup of a path is."""
    found, above = None, ROOT
    for name in path.strip("/").split("/"):
        found, above = place(name, above)
    return found


POD_SLICE = f"kubepods-burstable-pod{POD_UID.replace('-', '_')}.slice"
MACHINE_POD = "a" * 64
USER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "kind", "engine", "unit"),
    [
        (f"/docker/{DOCKER_ID}", "container", "docker", ""),
        (f"/system.slice/docker-{DOCKER_ID}.scope", "container", "docker", ""),
        (f"{USER}/user.slice/docker-{DOCKER_ID}.scope", "container", "docker", ""),
        (f"/machine.slice/libpod-{PODMAN_ID}.scope", "container", "podman", ""),
        (f"/machine.slice/machine-libpod_pod_{MACHINE_POD}.slice/libpod-{PODMAN_ID}.scope", "container", "podman", ""),
        (f"/libpod_parent/libpod-{PODMAN_ID}", "container", "podman", ""),
        (f"/libpod_parent/{MACHINE_POD}/libpod-{PODMAN_ID}", "container", "podman", ""),
        (f"/system.slice/web.service/libpod-payload-{PODMAN_ID}", "container", "podman", ""),
        (f"/kubepods.slice/kubepods-burstable.slice/{POD_SLICE}/cri-containerd-{CRI_ID}.scope", "container",
         "containerd", ""),
        (f"/kubelet.slice/kubelet-kubepods.slice/kubelet-{POD_SLICE}/cri-containerd-{CRI_ID}.scope", "container",
         "containerd", ""),
        (f"/kubepods.slice/{POD_SLICE}/crio-{CRI_ID}.scope", "container", "crio", ""),
        (f"/kubepods/besteffort/pod{POD_UID}/{CRI_ID}", "container", "", ""),
        (f"/kubepods/pod{POD_UID}/crio-{CRI_ID}", "container", "crio", ""),
        (f"/system.slice/containerd.service/{POD_SLICE}:cri-containerd:{CRI_ID}", "container", "containerd", ""),
        (f"/k8s.io/{CRI_ID}", "container", "containerd", ""),
        ("/default/bare", "container", "containerd", ""),
        ("/lxc.payload.web", "container", "lxc", ""),
        (f"/kubepods.slice/{POD_SLICE}", "pod", "", ""),
        (f"/kubepods/burstable/pod{POD_UID}", "pod", "", ""),
        ("/kubepods/pod0123456789abcdef0123456789abcdef", "pod", "", ""),
        ("/system.slice/nginx.service", "unit", "", "nginx.service"),
        ("/system.slice/system-getty.slice/getty@tty1.service", "unit", "", "getty@tty1.service"),
        ("/init.scope", "unit", "", "init.scope"),
        (f"/machine.slice/libpod-conmon-{PODMAN_ID}.scope", "unit", "", f"libpod-conmon-{PODMAN_ID}.scope"),
        ("/user.slice/user-1000.slice/session-3.scope", "session", "", "session-3.scope"),
        (f"{USER}/app.slice/obs.service", "unit", "",
         "user@1000.service/obs.service"),
        (f"{USER}/app.slice/app-gnome-obs-2.scope", "unit", "",
         "user@1000.service/app-gnome-obs-2.scope"),
        (USER, "unit", "", "user@1000.service"),
        ("/mine/encoders", "unit", "", ""),
    ],
)  # fmt: skip
def test_a_cgroup_is_classified_by_its_path(path: str, kind: str, engine: str, unit: str) -> None:
    found = classified(path)
    assert found is not None
    assert (found.kind, found.engine, found.unit) == (kind, engine, unit)


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{DOCKER_ID}/system.slice/nginx.service",
        f"/docker/{DOCKER_ID}/docker/{PODMAN_ID}",
        "/system.slice/systemd-udevd.service/udev",
        f"/machine.slice/libpod-{PODMAN_ID}.scope/container",
        "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service",
    ],
)
def test_nested_control_groups_belong_to_their_container_or_unit(path: str) -> None:
    assert classified(path) is None


Make = Callable[..., WorkloadsProbe]


@pytest.fixture
def make(tmp_path: Path, make_config: ConfigFactory) -> Iterator[Make]:
    probes = []

    def made(tree: WorkloadTree, *sets: str) -> WorkloadsProbe:
        paths = (f"paths.sysfs={tree.sysfs}", f"paths.procfs={tree.procfs}", f"paths.rootfs={tmp_path}")
        probes.append(WorkloadsProbe(make_config("workloads.engines=", *paths, *sets)))
        return probes[-1]

    yield made
    for one in probes:
        one.close()


def by_id(reading: WorkloadsReading) -> dict[str, Workload]:
    return {one.id: one for one in reading.workloads}


def seconds(reading: WorkloadsReading) -> dict[str, float | None]:
    return {id: one.cpu_seconds_total for id, one in by_id(reading).items()}


def cgroup(probe: WorkloadsProbe, path: str) -> WorkloadCgroup:
    """As it was last read, in whichever thread."""
    assert probe._tree is not None
    one = probe._tree.root
    for name in path.strip("/").split("/"):
        one = one.children[name]
    return one


SERVICE = "/system.slice/web.service"
QUADLET = f"{SERVICE}/libpod-payload-{PODMAN_ID}"
SESSION = "/user.slice/user-1000.slice/session-3.scope"


@pytest.mark.parametrize("version", [1, 2])
def test_memory_of_a_cgroup_that_holds_workloads_is_what_these_leave(
    make: Make, tmp_path: Path, version: Version
) -> None:
    """So that memory can be summed like CPU time; again at each reading, and unknown where a part is."""
    tree = WorkloadTree(tmp_path, version)
    tree.add(SERVICE, 1.0, memory=100)
    tree.add(QUADLET, 1.0, memory=30)
    tree.add("/system.slice/cron.service", 1.0, memory=50)
    tree.charge(SERVICE, 100)
    tree.charge("/system.slice", 400)
    probe = make(tree)
    probe.read()
    tree.use("/system.slice", 2.0)
    for _ in range(2):
        found = by_id(probe.read())
        assert [found[path].memory_bytes for path in (QUADLET, SERVICE, "/system.slice")] == [30, 70, 250]
    tree.charge(QUADLET, None)
    found = by_id(probe.read())
    assert [found[path].memory_bytes for path in (QUADLET, SERVICE, "/system.slice")] == [None, None, 250]


@pytest.mark.parametrize("version", [1, 2])
def test_each_cgroup_is_charged_to_one_workload(make: Make, tmp_path: Path, version: Version) -> None:
    tree = WorkloadTree(tmp_path, version)
    tree.add(f"/docker/{DOCKER_ID}", 100.0)
    tree.add(SERVICE, 7.0)
    tree.add(QUADLET, 3.0, memory=12345)
    tree.add(SESSION, 2.0)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")
    probe = make(tree)
    first = probe.read()
    # an hour of a container that was there before is no use of what holds it
    assert seconds(first)[f"/docker/{DOCKER_ID}"] == pytest.approx(100.0)
    assert seconds(first)[SERVICE] == pytest.approx(7.0)
    assert not {"/docker", "/system.slice"} & by_id(first).keys()
    assert by_id(first)[QUADLET].memory_bytes == 12345
    assert (by_id(first)[SESSION].kind, by_id(first)[SESSION].name) == ("session", "alice")

    tree.use(QUADLET, 5.0)
    tree.use(SERVICE, 7.5)
    tree.use("/system.slice", 0.25)
    second = probe.read()
    assert seconds(second)[QUADLET] == pytest.approx(5.0)
    assert seconds(second)[SERVICE] == pytest.approx(7.5)
    # something came and went in the slice before anybody could see it
    assert seconds(second)["/system.slice"] == pytest.approx(0.25)


@pytest.mark.parametrize("version", [1, 2])
def test_a_workload_that_lived_between_two_reads_is_reported_with_its_last_counter(
    make: Make, tmp_path: Path, version: Version
) -> None:
    tree = WorkloadTree(tmp_path, version)
    tree.add(SERVICE, 50.0)
    probe = make(tree)
    probe.read()
    job = "/system.slice/run-42.service"
    tree.add(job, 0.0)
    tree.use(job, 0.5)
    if version == 1:
        # nothing tells there that it is about to go: what it used after the last read is its slice's
        until(lambda: seconds(probe.read()).get(job), 0.5)
    tree.use(job, 0.75)
    tree.empty(job)
    if version == 2:
        until(lambda: "run-42.service" in cgroup(probe, "/system.slice").children, True)
        until(lambda: cgroup(probe, job).seconds, 0.75)
    tree.remove(job)
    until(lambda: len(probe.read().ended), 1)
    reading = probe.read()
    (ended,) = reading.ended
    assert (ended.id, ended.unit, ended.memory_bytes) == (job, "run-42.service", None)
    assert ended.ended == pytest.approx(time.time(), abs=5)
    last = ended.cpu_seconds_total
    assert last is not None
    assert last >= (0.75 if version == 2 else 0.5)
    assert last + (seconds(reading).get("/system.slice") or 0.0) == pytest.approx(0.75)
    assert seconds(reading)[SERVICE] == 50.0


def test_processes_outside_of_cgroups_are_named_by_their_program(make: Make, tmp_path: Path) -> None:
    tree = WorkloadTree(tmp_path, 2)
    tree.process(1, "init", 2.0)
    tree.process(2, "kthreadd", 1.0, kernel=True)
    tree.process(9, "kworker/0:1", 4.0, kernel=True)
    tree.process(70, "ffmpeg", 10.0)
    tree.process(71, "ffmpeg", 20.0)
    tree.interrupts(60.0, 6.0)
    (tree.procfs / "70" / "exe").symlink_to("/opt/bin/ffmpeg (deleted)")
    probe = make(tree)
    first = probe.read()
    kinds = {one.id: (one.kind, one.name, one.cpu_seconds_total) for one in first.workloads}
    assert kinds == {
        "program:init": ("process", "init", 2.0),
        "program:ffmpeg": ("process", "ffmpeg", 30.0),
        "kernel:threads": ("kernel", "kernel threads", 5.0),
        "kernel:interrupts": ("kernel", "interrupts", 6.0),
    }
    assert first.pids == {1: "program:init", 70: "program:ffmpeg", 71: "program:ffmpeg"}
    owner = WorkloadLookup(first).owner("/", 71)
    assert owner is not None
    assert owner.id == "program:ffmpeg"

    tree.process(9, "kworker/0:1", 5.5, kernel=True)
    tree.process(70, "ffmpeg", 11.0)
    tree.exit(71)
    second = seconds(probe.read())
    assert (second["program:ffmpeg"], second["kernel:threads"]) == (31.0, 6.5)
    tree.exit(70)
    third = probe.read()
    assert "program:ffmpeg" not in by_id(third)
    assert [(one.id, one.cpu_seconds_total) for one in third.ended] == [("program:ffmpeg", 31.0)]


def test_containers_of_several_engines_are_called_what_each_engine_calls_them(make: Make, tmp_path: Path) -> None:
    docker, podman = FakeDockerApi(tmp_path / "docker.sock"), FakeDockerApi(tmp_path / "podman.sock")
    docker.add(DOCKER_ID, "web", 100)
    podman.add(PODMAN_ID, "web", 200)
    tree = WorkloadTree(tmp_path, 2)
    nameless = "/system.slice/docker-" + "f" * 64 + ".scope"
    for path in (f"/system.slice/docker-{DOCKER_ID}.scope", f"/machine.slice/libpod-{PODMAN_ID}.scope", nameless):
        tree.add(path, 1.0)
    engines = f"docker={tmp_path}/docker.sock,podman={tmp_path}/podman.sock,docker={tmp_path}/none.sock"
    probe = make(tree, f"workloads.engines={engines}")
    named = {
        f"/system.slice/docker-{DOCKER_ID}.scope": ("web", "docker"),
        f"/machine.slice/libpod-{PODMAN_ID}.scope": ("web", "podman"),
        nameless: ("f" * 64, "docker"),
    }
    until(lambda: {one.id: (one.name, one.engine) for one in probe.read().workloads if one.kind == "container"}, named)
    assert probe.read().faults == ()
    # a new one has its name as soon as the engine was asked
    docker.add(CRI_ID, "db", 300)
    tree.add(f"/system.slice/docker-{CRI_ID}.scope", 0.5)
    until(lambda: [one.name for one in probe.read().workloads if one.container_id == CRI_ID], ["db"])
    docker.raw["/containers/json"] = b"<html>"
    podman.close()
    docker.close()


def test_a_container_that_no_reading_saw_running_has_its_name(make: Make, tmp_path: Path) -> None:
    docker = FakeDockerApi(tmp_path / "docker.sock")
    tree = WorkloadTree(tmp_path, 2)
    tree.add("/system.slice/ssh.service")
    probe = make(tree, f"workloads.engines=docker={tmp_path}/docker.sock")
    probe.read()
    docker.add(CRI_ID, "brief", 300)
    path = f"/system.slice/docker-{CRI_ID}.scope"
    tree.add(path, 0.5)
    until(lambda: CRI_ID in probe._names.containers, True)
    tree.empty(path)
    tree.remove(path)
    until(lambda: [one.name for one in probe.read().ended], ["brief"])
    docker.close()


def test_workloads_with_one_name_are_series_of_their_own(make: Make, tmp_path: Path) -> None:
    tree = WorkloadTree(tmp_path, 2)
    for uid in ("1000", "1001"):
        tree.add(f"/user.slice/user-{uid}.slice/user@{uid}.service/app.slice/obs.service", float(uid))
    docker = [FakeDockerApi(tmp_path / f"{number}.sock") for number in range(2)]
    for number, id in enumerate((DOCKER_ID, SANDBOX_ID)):
        tree.add(f"/docker/{id}", float(number))
        docker[number].add(id, "web", 100)
    probe = make(tree, f"workloads.engines=docker={tmp_path}/0.sock,docker={tmp_path}/1.sock")
    cpu, *_ = families(probe.read())
    texts = [text for text, _ in cpu.samples]
    assert len(texts) == len(set(texts))
    assert sum('name="web"' in text for text in texts) == 1
    assert sum('name="web (' in text for text in texts) == 1
    assert sum('unit="user@1000.service/obs.service"' in text for text in texts) == 1
    for one in docker:
        one.close()
