"""The encoder of a stream whose server is on another machine, as the encoder's machine knows it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import ConfigFactory
from tests.support.socket_tree import SocketTree
from wattview.daemon.attribution.publishers.matching import PushedStream
from wattview.daemon.attribution.publishers.remote_server import RemotePushes
from wattview.model import Workload, WorkloadProcess, WorkloadProcesses, WorkloadsReading

SERVER = "198.51.100.1"
HERE = "192.0.2.10"
UNIT = "/system.slice/encode.service"


@pytest.fixture
def tree(tmp_path: Path) -> SocketTree:
    """Two encoders that push to a server elsewhere, one of them a unit with a helper, and a browser."""
    found = SocketTree(tmp_path / "proc")
    found.process(1, "systemd")
    found.process(100, f"ffmpeg -i a -f flv rtmp://{SERVER}/live/cam1", cgroup=f"0::{UNIT}")
    found.process(101, "x264 -", parent=100, cgroup=f"0::{UNIT}")
    found.process(200, f"ffmpeg -i b -f flv rtmp://{SERVER}/live/cam2", cgroup="0::/user.slice/session-3.scope")
    found.process(300, "firefox", cgroup="0::/user.slice/session-3.scope")
    found.socket(100, (HERE, 40001), (SERVER, 1935))
    found.socket(200, (HERE, 40002), (SERVER, 1935))
    found.socket(300, (HERE, 40003), (SERVER, 443))
    return found


def pushes(tree: SocketTree, make_config: ConfigFactory, **watts: float | None) -> RemotePushes:
    reading = WorkloadsReading(
        time=0.0, monotonic=0.0, cgroup_version=2, workloads=(Workload(id=UNIT, kind="unit", name="encode.service"),)
    )

    async def read(name: str, max_age: float = 0.0) -> Any:
        return reading

    async def of(id: str, account: str | None = None) -> WorkloadProcesses:
        listed = [
            WorkloadProcess(pid=int(pid[1:]), program="", command="", user="", started=0.0, cpu_seconds_total=0.0,
                            cpu_percent=0.0, memory_bytes=0, power_watts=one)
            for pid, one in watts.items()
        ]  # fmt: skip
        return WorkloadProcesses(workload=id, time=0.0, total=len(listed), processes=tuple(listed))

    known: Any = SimpleNamespace(read_or_none=read, of=of)
    return RemotePushes(make_config(f"paths.procfs={tree.write()}"), known, known)


@pytest.mark.parametrize(("name", "port", "pid"), [("cam1", 40001, 100), ("cam2", 40002, 200)])
async def test_a_remote_publisher_is_found_by_its_address_and_port(
    tree: SocketTree, make_config: ConfigFactory, name: str, port: int, pid: int
) -> None:
    found = await pushes(tree, make_config).encoder(PushedStream("live", name, f"{HERE}:{port}"))
    assert (found.pid, found.program) == (pid, "ffmpeg")


@pytest.mark.parametrize(("name", "pid"), [("cam1", 100), ("cam2", 200)])
async def test_without_a_port_the_command_line_identifies_the_connection(
    tree: SocketTree, make_config: ConfigFactory, name: str, pid: int
) -> None:
    assert (await pushes(tree, make_config).encoder(PushedStream("live", name, HERE))).pid == pid


async def test_its_watts_are_those_of_its_processes_in_its_workload(
    tree: SocketTree, make_config: ConfigFactory
) -> None:
    found = await pushes(tree, make_config, p100=3.0, p101=4.5, p999=90.0).encoder(PushedStream("live", "cam1", HERE))
    assert (found.kind, found.name, found.watts) == ("unit", "encode.service", 7.5)


async def test_watts_of_which_a_part_is_unknown_are_unknown(tree: SocketTree, make_config: ConfigFactory) -> None:
    found = await pushes(tree, make_config, p100=3.0, p101=None).encoder(PushedStream("live", "cam1", HERE))
    assert found.watts is None


@pytest.mark.parametrize(
    ("name", "address", "port"),
    [
        ("cam1", "203.0.113.9:40001", 1935),  # not an address of this machine
        ("cam1", f"{HERE}:40003", 1935),  # a connection to something else
        ("cam1", f"{HERE}:40002", 1935),  # of a process that pushes another stream
        ("cam3", HERE, 1935),
        ("cam1", HERE, 19350),
        ("cam1", "127.0.0.1:40001", 1935),  # loopback is the server's own machine
        ("cam1", "", 1935),
    ],
)
async def test_an_uncertain_publisher_is_not_named(
    tree: SocketTree, make_config: ConfigFactory, name: str, address: str, port: int
) -> None:
    tree.process(400, f"ffmpeg -i c -f flv rtmp://{SERVER}/live/cam1")  # not connected
    with pytest.raises(LookupError, match="no process of this machine"):
        await pushes(tree, make_config).encoder(PushedStream("live", name, address), port)
