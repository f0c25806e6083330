"""Several engines on one machine: the containers of all of them, each once, and each under a name of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import cgroup_tree as tree
from tests.support.cgroup_tree import ID, OTHER_ID
from tests.support.docker_api import FakeDockerApi
from wattview.config import Config
from wattview.exposition import render
from wattview.model import ContainersReading
from wattview.probes import SourceAbsent
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.docker_stats_families import docker_families
from wattview.probes.containers.engines.other_engines import OtherEngines
from wattview.probes.containers.probe import ContainersProbe
from wattview.probes.workloads.engines import docker_engines

MakeConfig = Callable[..., Config]
THIRD_ID = "7" * 64


class Engines:
    """Docker, Podman of root, and Podman of the user anna, over one tree of control groups."""

    def __init__(self, root: Path, make_config: MakeConfig, sockets: Path) -> None:
        self._proc, self._sys = tree.procfs(root / "proc"), root / "sys"
        tree.v2_mount(self._sys)
        tree.write(root / "rootfs", {"etc/passwd": "root:x:0:0::/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n"})
        own = sockets / "run" / "user" / "1000" / "podman"
        own.mkdir(parents=True)
        self.docker = FakeDockerApi(sockets / "docker.sock")
        self.podman = FakeDockerApi(sockets / "podman.sock", podman=True)
        self.annas = FakeDockerApi(own / "podman.sock", podman=True)
        engines = ",".join(f"podman={one.host.removeprefix('unix://')}" for one in (self.podman, self.annas))
        self._pid = 4000
        self.probe = ContainersProbe(
            make_config(
                f"paths.procfs={self._proc}", f"paths.sysfs={self._sys}", f"paths.rootfs={root / 'rootfs'}",
                f"docker.host={self.docker.host}", f"workloads.engines=docker,{engines}",
            )
        )  # fmt: skip

    def run(self, api: FakeDockerApi, container_id: str, name: str) -> None:
        self._pid += 1
        path = f"/machine.slice/libpod-{container_id}.scope"
        tree.v2_cgroup(self._sys, path)
        tree.process(self._proc, self._pid, cgroup=f"0::{path}\n")
        api.add(container_id, name, self._pid)

    def until(self, wanted: set[str]) -> ContainersReading:
        deadline = time.monotonic() + 10
        while names(reading := self.probe.read()) != wanted:
            assert time.monotonic() < deadline, names(reading)
            threading.Event().wait(0.01)
        return reading

    def close(self) -> None:
        self.probe.close()
        for api in (self.docker, self.podman, self.annas):
            api.close()


def names(reading: ContainersReading) -> set[str]:
    return {one.name for one in reading.containers}


@pytest.fixture
def engines(tmp_path: Path, make_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    import tempfile

    # A Unix socket's path must be short; pytest's own directories are not.
    with tempfile.TemporaryDirectory(prefix="wv") as sockets:
        made = Engines(tmp_path, make_config, Path(sockets))
        yield made
        made.close()


def series(reading: ContainersReading, families: Callable[[ContainersReading], list[object]]) -> list[object]:
    """All series, which prometheus_client's parser has read."""
    text = render(families(reading))  # type: ignore[arg-type]
    return [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text.decode() if isinstance(text, bytes) else text)
        for sample in family.samples
    ]


def test_the_containers_of_all_engines_are_there(engines: Engines) -> None:
    engines.run(engines.docker, ID, "web")
    engines.run(engines.podman, OTHER_ID, "encoder")
    engines.run(engines.annas, THIRD_ID, "studio")
    reading = engines.until({"web", "encoder", "studio"})
    assert {one.name: one.engine for one in reading.containers} == {
        "web": "", "encoder": "podman", "studio": "podman of anna"
    }  # fmt: skip
    assert all(one.cpu_seconds_total == 2.25 for one in reading.containers)
    assert reading.engine.name == "Docker"
    text = "\n".join(map(str, series(reading, docker_families)))  # type: ignore[arg-type]
    assert "('engine', 'podman of anna')" in text


def test_one_name_in_several_engines_makes_no_series_twice(engines: Engines) -> None:
    for api, id in ((engines.docker, ID), (engines.podman, OTHER_ID), (engines.annas, THIRD_ID)):
        engines.run(api, id, "web")
    reading = engines.until({"web", "web (podman)", "web (podman of anna)"})
    assert next(one.id for one in reading.containers if one.name == "web") == ID, "docker.host's keeps its name"
    for families in (docker_families, cadvisor_families):
        found = series(reading, families)  # type: ignore[arg-type]
        assert len(found) == len(set(found)) > 0


def test_a_container_keeps_its_distinguishing_name_when_the_other_ends(engines: Engines) -> None:
    """Its energy so far is under that name."""
    engines.run(engines.docker, ID, "web")
    engines.run(engines.podman, OTHER_ID, "web")
    engines.until({"web", "web (podman)"})
    del engines.docker.containers[ID]
    engines.docker.followed.acquire(timeout=5)
    engines.docker.event("die", ID)
    engines.until({"web (podman)"})


@pytest.mark.parametrize("action", ["die", "destroy"])
def test_podmans_end_of_a_container_has_its_own_event_name(engines: Engines, action: str) -> None:
    engines.run(engines.podman, OTHER_ID, "encoder")
    engines.until({"encoder"})
    engines.podman.followed.acquire(timeout=5)
    del engines.podman.containers[OTHER_ID]
    engines.podman.event(action, OTHER_ID)
    engines.until(set())


def test_a_container_reported_by_two_sockets_is_one(engines: Engines) -> None:
    engines.run(engines.docker, ID, "web")
    engines.podman.containers = engines.docker.containers
    assert engines.until({"web"}).containers[0].engine == ""


def test_an_engine_under_two_paths_is_asked_once(tmp_path: Path, make_config: MakeConfig) -> None:
    """As in a container that has the host's root and, beside it, the engine's socket."""
    api = FakeDockerApi(tmp_path / "docker.sock")
    again = tmp_path / "again.sock"
    again.hardlink_to(tmp_path / "docker.sock")
    try:
        config = make_config(f"docker.host={api.host}", f"workloads.engines=docker={again},podman={tmp_path}/none.sock")
        assert docker_engines(config) == [("podman", f"{tmp_path}/none.sock")]
    finally:
        api.close()


def test_a_late_engine_does_not_delay_a_reading(tmp_path: Path, make_config: MakeConfig) -> None:
    late = tmp_path / "late.sock"
    engines = OtherEngines(make_config(f"docker.host=unix://{tmp_path}/none", f"workloads.engines=podman={late}"), list)
    try:
        engines.wait(1.0)
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(str(late))
            silent.listen()
            engines.look()
            began = time.monotonic()
            engines.wait(5.0)
            assert [one.where for one in engines] == [str(late)]
            assert time.monotonic() - began < 1.0
    finally:
        engines.close()


def test_podman_works_without_docker(engines: Engines) -> None:
    engines.docker.close()
    engines.run(engines.podman, OTHER_ID, "encoder")
    reading = engines.until({"encoder"})
    assert reading.faults == ()
    assert reading.engine.name == "Podman"


def test_a_malformed_engine_answer_is_reported_and_affects_no_other(engines: Engines) -> None:
    engines.run(engines.docker, ID, "web")
    engines.annas.raw["/containers/json"] = b"<html>"
    reading = engines.until({"web"})
    assert [fault.part.partition(" at ")[0] for fault in reading.faults] == ["podman of anna"]


def test_with_no_engine_at_all_the_source_is_absent(engines: Engines) -> None:
    for api in (engines.docker, engines.podman, engines.annas):
        api.close()
    with pytest.raises(SourceAbsent):
        engines.probe.read()
