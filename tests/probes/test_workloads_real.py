"""Real engines at once on this machine: Docker's containers, a pod of containerd's CRI, and what is in neither."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.containerd import IMAGE, containerd
from tests.support.docker_engine import engine
from tests.support.workload_tree import POD_UID, until
from wattview.daemon.children import child_command
from wattview.model import Workload
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.cgroups.cgroup import hierarchies
from wattview.probes.containers.probe import ContainersProbe
from wattview.probes.kernel_files import read_once
from wattview.probes.procfs import cpu_total
from wattview.probes.workloads.probe import WorkloadsProbe

BUSY = ["/bin/sh", "-c", "while :; do :; done"]


def spent() -> float:
    """CPU seconds of this machine so far."""
    return cpu_total(Path("/proc/stat").read_bytes()).busy


@pytest.mark.slow
def test_docker_and_a_pod_and_a_program_of_nobodys_are_each_a_workload(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    with engine() as docker, containerd(tmp_path) as cri:
        docked = docker.run("web", *BUSY, cpu_quota=20_000, cpu_period=100_000)
        pod = cri.pod("live", "encoder", POD_UID, ffmpeg=BUSY)
        probe = WorkloadsProbe(
            make_config(f"docker.host={docker.host}", f"workloads.engines=docker,containerd={cri.socket}")
        )
        with subprocess.Popen(child_command(["busybox", "yes"]), stdout=subprocess.DEVNULL) as loose:
            try:
                first, before = probe.read(), spent()
                by_container = {one.container_id: one for one in first.workloads if one.container_id}
                assert _about(by_container[docked]) == ("container", "web", "", "", "", "docker")
                assert _about(by_container[pod["ffmpeg"]]) == (
                    "container",
                    "ffmpeg",
                    "live",
                    "encoder",
                    "ffmpeg",
                    "containerd",
                )
                assert by_container[pod["ffmpeg"]].image == IMAGE
                assert (by_container[pod["ffmpeg"]].memory_bytes or 0) > 0
                assert pod[""] not in by_container
                pods = [one for one in first.workloads if one.kind == "pod"]
                assert [(one.name, one.namespace, one.pod) for one in pods] == [("encoder", "live", "encoder")]
                assert first.pids[loose.pid] == "program:busybox"

                time.sleep(3)
                second, after = probe.read(), spent()
                was = {one.id: one.cpu_seconds_total or 0.0 for one in first.workloads}
                grown = {one.id: (one.cpu_seconds_total or 0.0) - was.get(one.id, 0.0) for one in second.workloads}
                # what is owned is nearly all that was used; programs that came and went in between are nobody's here
                assert sum(grown.values()) == pytest.approx(after - before, rel=0.25, abs=0.2)
                assert grown[by_container[docked].id] == pytest.approx(0.6, abs=0.35)
                assert grown[by_container[pod["ffmpeg"]].id] > 0.3
                assert grown["program:busybox"] > 0.3

                cri.remove(pod["ffmpeg"])
                until(lambda: [one.name for one in probe.read().ended if one.container_id == pod["ffmpeg"]], ["ffmpeg"])
                (ended,) = [one for one in probe.read().ended if one.container_id == pod["ffmpeg"]]
                assert (ended.cpu_seconds_total or 0.0) >= was[ended.id] + grown[ended.id]
            finally:
                loose.kill()
                probe.close()


def test_a_short_workload_is_read_when_its_process_ends(make_config: ConfigFactory) -> None:
    """Its cgroup goes before anybody asks; engines and systemd take some ten milliseconds to remove it."""
    mounted = hierarchies("/sys")
    assert mounted is not None
    cgroup = Path(mounted.mounts["" if mounted.version == 2 else "cpuacct"], f"wattview-test-{os.getpid()}.service")
    probe = WorkloadsProbe(make_config("docker.host=unix:///nowhere", "workloads.engines="))
    try:
        probe.read()
        cgroup.mkdir()
        work = f"echo 0 >{cgroup}/cgroup.procs; exec timeout 0.5 sh -c 'while :; do :; done'"
        subprocess.run(["sh", "-c", work], check=False)
        time.sleep(0.2)
        used = read_once(f"{cgroup}/{'cpu.stat' if mounted.version == 2 else 'cpuacct.usage'}").split()
        cgroup.rmdir()
        (ended,) = [one for one in probe.read().ended if one.name == cgroup.name]
        spent = int(used[1]) / 1e6 if mounted.version == 2 else int(used[0]) / 1e9
        assert ended.cpu_seconds_total == pytest.approx(spent)
        assert spent > 0
    finally:
        probe.close()


def test_a_leftover_cgroup_is_no_workload_until_it_has_a_process(
    make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattview.probes.workloads.tree.LEFT_OVER_SECONDS", 1.0)
    mounted = hierarchies("/sys")
    assert mounted is not None
    mount = mounted.mounts["" if mounted.version == 2 else "cpuacct"]
    left = Path(mount, f"wattview-left-{os.getpid()}.service")
    full = Path(mount, f"wattview-full-{os.getpid()}.service")
    inner = full / "inner"
    for cgroup in (left, full, inner):
        cgroup.mkdir()
    probe = WorkloadsProbe(make_config("docker.host=unix:///nowhere", "workloads.engines="))

    def listed() -> set[str]:
        return {one.name for one in probe.read().workloads} & {left.name, full.name}

    with subprocess.Popen(["sleep", "60"]) as first, subprocess.Popen(["sleep", "60"]) as later:
        try:
            (inner / "cgroup.procs").write_text(f"{first.pid}")
            assert listed() == {full.name}
            (left / "cgroup.procs").write_text(f"{later.pid}")
            until(listed, {left.name, full.name})
            later.kill()
            until(listed, {full.name})
        finally:
            first.kill()
            later.kill()
            probe.close()
    for cgroup in (inner, full, left):
        cgroup.rmdir()


@pytest.mark.slow
def test_a_pods_containers_are_served_with_the_labels_of_the_kubelets_cadvisor(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    with containerd(tmp_path) as cri:
        pod = cri.pod("live", "encoder", POD_UID, ffmpeg=BUSY)
        probe = ContainersProbe(
            make_config(f"docker.host=unix://{tmp_path}/none", f"workloads.engines=containerd={cri.socket}")
        )
        try:
            reading = probe.read()
            assert {fault.part for fault in reading.faults} <= {"cgroup blkio"}
            assert reading.engine.name == "containerd"
            assert {one.id for one in reading.containers} == set(pod.values())
            found = {family.name: dict(family.samples) for family in cadvisor_families(reading)}
            usage = [text for text in found["container_cpu_usage_seconds_total"] if pod["ffmpeg"] in text]
            for label in (
                'container="ffmpeg"', 'pod="encoder"', 'namespace="live"', f'image="{IMAGE}"',
                f'name="k8s_ffmpeg_encoder_live_{POD_UID}_0"',
                'container_label_io_kubernetes_container_name="ffmpeg"',
                f'container_label_io_kubernetes_pod_uid="{POD_UID}"',
            ):  # fmt: skip
                assert all(label in text for text in usage), label
            assert usage
            memory = {one.id: one.memory_working_set_bytes for one in reading.containers}
            assert (memory[pod["ffmpeg"]] or 0) > 0
            started = {one.id: one.started for one in reading.containers}
            assert started[pod["ffmpeg"]] == pytest.approx(time.time(), abs=60)
            cri.remove(pod["ffmpeg"])
            until(lambda: [one.name.split("_")[1] for one in probe.read().ended], ["ffmpeg"])
        finally:
            probe.close()


def _about(one: Workload) -> tuple[str, ...]:
    return one.kind, one.name, one.namespace, one.pod, one.container, one.engine
