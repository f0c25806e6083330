"""Where a real engine puts containers' cgroups: below another parent, nested as Docker in Docker nests them, moved
inside by their own init; and what states they go through. (The systemd driver needs a systemd: on trees of files.)"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.test_containers_engine import BUSY, MakeConfig, Watched, named, names, stats
from tests.support.docker_engine import Engine, docker_engine
from wattview.exposition import render
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.docker_stats_families import docker_families

__all__ = ["docker_engine"]


@pytest.fixture
def watched(docker_engine: Engine, make_config: MakeConfig) -> Iterator[Watched]:
    found = Watched(docker_engine, make_config)
    yield found
    found.probe.close()
    for container_id in reversed(found.made):
        docker_engine.remove(container_id)


def same_cpu_time(watched: Watched, name: str, container_id: str) -> None:
    """The container's CPU time, read before and after, is what ``docker stats`` says of it in between."""
    watched.until(lambda reading: name in names(reading) and (named(reading, name).cpu_seconds_total or 0) > 0.1)
    before = named(watched.probe.read(), name).cpu_seconds_total or 0
    said = stats(watched.engine, container_id)["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    after = named(watched.probe.read(), name).cpu_seconds_total or 0
    assert before <= said <= after


@pytest.fixture
def parent() -> Iterator[str]:
    """A path for cgroups, which the engine makes and leaves behind."""
    top = f"wattview-test-{os.getpid()}"
    yield f"/{top}/live.slice/encoders"
    for directory in sorted(Path("/sys/fs/cgroup").glob(f"*/{top}/**/"), reverse=True):
        with contextlib.suppress(OSError):
            directory.rmdir()


def test_a_container_below_another_parent_is_found_there(watched: Watched, parent: str) -> None:
    made = watched.run("elsewhere", *BUSY, cgroup_parent=parent)
    same_cpu_time(watched, "elsewhere", made)
    assert named(watched.probe.read(), "elsewhere").cgroup == f"{parent}/{made}"
    assert f'id="{parent}/{made}"' in render(cadvisor_families(watched.probe.read())).decode()
    watched.engine.remove(made)


def test_a_nested_container_is_not_mistaken_for_its_parent(watched: Watched) -> None:
    watched.run("outer", "sleep", "1000")
    watched.until(lambda reading: "outer" in names(reading))
    path = named(watched.probe.read(), "outer").cgroup
    inner = watched.run("inner", *BUSY, cgroup_parent=f"{path}/docker")
    same_cpu_time(watched, "inner", inner)
    reading = watched.probe.read()
    assert named(reading, "inner").cgroup == f"{path}/docker/{inner}"
    assert named(reading, "outer").cgroup == path
    watched.engine.client.kill(inner)
    reading = watched.until(lambda reading: names(reading) == {"outer"})
    assert [gone.name for gone in reading.ended] == ["inner"]


def test_a_container_whose_init_moved_into_a_child_cgroup_is_read_completely(
    watched: Watched, make_config: MakeConfig
) -> None:
    made = watched.run("mover", *BUSY)
    watched.until(lambda reading: "mover" in names(reading))
    found = named(watched.probe.read(), "mover")
    assert found.pid is not None
    for mount in Path("/sys/fs/cgroup").iterdir():
        parent = mount / found.cgroup.lstrip("/")
        if (parent / "cgroup.procs").exists() and not mount.is_symlink():
            (parent / "init").mkdir(exist_ok=True)
            if (mount / "cpuset.cpus").exists():
                (parent / "init/cpuset.cpus").write_text((parent / "cpuset.cpus").read_text())
                (parent / "init/cpuset.mems").write_text((parent / "cpuset.mems").read_text())
            (parent / "init/cgroup.procs").write_text(str(found.pid))
    fresh = Watched(watched.engine, make_config)
    try:
        same_cpu_time(fresh, "mover", made)
        assert named(fresh.probe.read(), "mover").cgroup == found.cgroup
    finally:
        fresh.probe.close()


def test_a_paused_container_is_shown_as_paused_and_uses_nothing(watched: Watched) -> None:
    # It rests most of the time: on a machine that is busy runc gives up freezing one that never does.
    burst = "while :; do i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 0.2; done"
    made = watched.run("pausing", "sh", "-c", burst)
    watched.until(lambda reading: "pausing" in names(reading) and (named(reading, "pausing").cpu_percent or 0) > 0)
    watched.engine.client.pause(made)
    watched.until(lambda reading: named(reading, "pausing").state == "paused")
    before = named(watched.probe.read(), "pausing").cpu_seconds_total
    reading = watched.probe.read()
    assert named(reading, "pausing").cpu_seconds_total == before
    assert 'docker_container_state{name="pausing",state="paused"} 1' in render(docker_families(reading)).decode()
    watched.engine.client.unpause(made)
    watched.until(lambda reading: (named(reading, "pausing").cpu_seconds_total or 0) > (before or 0))


def test_a_container_restarted_by_its_policy_stays_one_series(watched: Watched) -> None:
    watched.run("phoenix", "sh", "-c", "sleep 0.5; false", restart_policy={"Name": "always"})
    reading = watched.until(lambda reading: any(one.restarts for one in reading.containers))
    text = render(cadvisor_families(reading)).decode()
    mine = [line for line in text.splitlines() if 'name="phoenix"' in line and line.startswith("container_last_seen{")]
    assert len(mine) == 1
    assert 'container_label_restartcount="' in mine[0]
