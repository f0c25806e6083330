"""Whose CPU time ``docker_engine_*`` is: the engine's own processes, or nobody's where that cannot be told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import cgroup_tree as tree
from wattview.probes.containers.engine_processes import Asked, EngineProcesses, EngineUse
from wattview.probes.containers.engine_socket import (
    ENGINES,
    absent_fix,
    engine_at,
    engine_of_program,
    engine_that_answers,
    refused_fix,
)

SYSTEMD = 1


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Debian with Docker from systemd, an engine of somebody's tests, a Kubernetes, and Podman's service."""
    tree.process(tmp_path, SYSTEMD, name="systemd", parent=0)
    for pid, name, parent, pages, command, unit in (
        (10, "dockerd", SYSTEMD, 1000, "/usr/sbin/dockerd -H fd://", "docker.service"),
        (11, "containerd", SYSTEMD, 100, "/usr/bin/containerd", "containerd.service"),
        (20, "dockerd", 19, 20000, "dockerd --host unix:///tmp/docker.sock", "session-1.scope"),
        (21, "containerd", 20, 2000, "containerd --config /tmp/x", "session-1.scope"),
        (30, "containerd", 29, 3000, "/var/lib/rancher/k3s/bin/containerd", "k3s.service"),
        (40, "podman", SYSTEMD, 400, "/usr/bin/podman --log-level=info system service", "podman.service"),
        (41, "podman", SYSTEMD, 4000, "/usr/bin/podman run -d image", "web.service"),
    ):
        directory = tree.process(
            tmp_path, pid, name=name, parent=parent, resident_pages=pages, cgroup=f"0::/system.slice/{unit}\n"
        )
        (directory / "cmdline").write_bytes(command.replace(" ", "\0").encode() + b"\0")
    return tmp_path


def use(proc: Path, program: str, peer: int | None, *, here: bool = True) -> EngineUse | None:
    return EngineProcesses(str(proc)).read(0.0, Asked(program, peer, here))


def pages(found: EngineUse | None) -> float | None:
    return None if found is None else found.resident_bytes / os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("program", "peer", "resident"),
    [
        ("dockerd", 10, 1100),
        ("dockerd", SYSTEMD, 1100),
        ("dockerd", 20, 22000),
        ("podman", SYSTEMD, 400),
        ("podman", 40, 400),
        ("dockerd", None, None),
        ("podman", 4242, None),
    ],
)
def test_the_engine_is_the_process_behind_the_socket(
    proc: Path, program: str, peer: int | None, resident: int | None
) -> None:
    assert pages(use(proc, program, peer)) == resident


def test_a_single_engine_is_identified(tmp_path: Path) -> None:
    # A daemon in a container: the engine's process is in another process namespace, and has no number in ours.
    tree.process(tmp_path, 10, name="dockerd", resident_pages=7)
    tree.process(tmp_path, 11, name="containerd", parent=10, resident_pages=2)
    assert pages(use(tmp_path, "dockerd", None)) == 9
    assert use(tmp_path, "dockerd", None, here=False) is None, "this one answers over the network"


def test_an_engine_with_an_ambiguous_containerd_has_no_sum(tmp_path: Path) -> None:
    tree.process(tmp_path, 10, name="dockerd", resident_pages=7)
    for pid in (11, 12):
        tree.process(tmp_path, pid, name="containerd", parent=9)
    assert use(tmp_path, "dockerd", 10) is None


@pytest.mark.parametrize(
    ("where", "fix"),
    [
        ("/run/podman/podman.sock", "sudo systemctl start podman.socket, "),
        ("/run/user/1000/podman/podman.sock", "systemctl --user start podman.socket, "),
        ("/run/user/1000/docker.sock", "systemctl --user start docker, "),
        ("/var/run/docker.sock", "sudo apt-get install docker.io, "),
    ],
)
def test_a_missing_socket_is_created_by_its_own_engine(where: str, fix: str) -> None:
    assert absent_fix(where).startswith(fix)


def test_a_socket_in_a_private_directory_belongs_to_its_owner(tmp_path: Path) -> None:
    # Rootless Docker's is in /run/user/UID, root's Podman's in /run/podman: no group lets anybody in there.
    fix = refused_fix("/proc/1/root/none" if os.geteuid() else str(tmp_path))
    assert fix == "only root may open it: run WattView as root"


@pytest.mark.parametrize(
    ("name", "program", "socket", "headers"),
    [
        ("Docker", "dockerd", "/var/run/docker.sock", {"Api-Version": "1.43", "Server": "Docker/24.0.7 (linux)"}),
        (
            "Podman",
            "podman",
            "/run/user/1000/podman/podman.sock",
            {"Libpod-Api-Version": "4.3.1"},
        ),
    ],
)
def test_an_engine_is_recognised_by_socket_answer_and_program(
    name: str, program: str, socket: str, headers: dict[str, str]
) -> None:
    found = {engine_at(socket).name, engine_that_answers(headers).name, engine_of_program(program).name}
    assert found == {name}
    assert len({kind.name for kind in ENGINES}) == len(ENGINES)
