"""CPU time of single processes, and where an RTMP server runs: on trees of /proc, and on this machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support import cgroup_tree as tree
from tests.support.daemon import running_daemon
from wattview.daemon.attribution.processes import ProcessTimes, Server, container_of, find_server, own_chain
from wattview.model import Container, RtmpServer

LOCAL = "http://127.0.0.1:8088/stat"
MEDIA = Container(
    id=tree.ID, name="media", image="", cgroup="", labels={"com.docker.compose.service": "rtmp"},
    addresses=("172.18.0.3",),
)  # fmt: skip
OTHER = Container(id=tree.OTHER_ID, name="other", image="", cgroup="")


def server(pid: int | None, name: str = "nginx-rtmp 1.1.4") -> RtmpServer:
    return RtmpServer(
        name=name, pid=pid, uptime_seconds=None, connections=0, accepted_total=None, bytes_in_total=None,
        bytes_out_total=None, bandwidth_in_bytes=None, bandwidth_out_bytes=None,
    )  # fmt: skip


def process(root: Path, pid: int, comm: str, *, inner: int | None = None, container: str = "", parent: int = 1) -> None:
    cgroup = f"0::/system.slice/docker-{container}.scope\n" if container else "0::/system.slice/nginx.service\n"
    tree.process(root, pid, name=comm, cgroup=cgroup, parent=parent)
    pids = f"{pid}" if inner is None else f"{pid}\t{inner}"
    tree.write(root / str(pid), {"comm": f"{comm}\n", "status": f"Name:\t{comm}\nNSpid:\t{pids}\n"})


def test_a_local_server_is_the_process_with_the_reported_pid(tmp_path: Path) -> None:
    process(tmp_path, 800, "nginx")
    process(tmp_path, 801, "nginx")
    assert find_server(str(tmp_path), LOCAL, server(801), [OTHER]) == Server(pid=801)


def test_a_pid_of_a_containers_namespace_is_found_there(tmp_path: Path) -> None:
    process(tmp_path, 7, "rcu_gp")
    process(tmp_path, 4242, "nginx", inner=7, container=tree.ID)
    assert find_server(str(tmp_path), LOCAL, server(7), [OTHER, MEDIA]) == Server(container=tree.ID)


def test_indistinguishable_servers_are_not_guessed(tmp_path: Path) -> None:
    process(tmp_path, 4242, "nginx", inner=7, container=tree.ID)
    process(tmp_path, 4343, "nginx", inner=7, container=tree.OTHER_ID)
    assert find_server(str(tmp_path), LOCAL, server(7), [OTHER, MEDIA]) is None


def test_workers_in_one_container_are_that_container(tmp_path: Path) -> None:
    for pid in (4242, 4243, 4244):
        process(tmp_path, pid, "nginx", inner=pid - 4240, container=tree.ID)
    assert find_server(str(tmp_path), LOCAL, server(None), [MEDIA]) == Server(container=tree.ID)


def test_a_server_without_a_pid_is_found_by_its_program(tmp_path: Path) -> None:
    process(tmp_path, 800, "nginx")
    process(tmp_path, 900, "mediamtx")
    assert find_server(str(tmp_path), LOCAL, server(None, "mediamtx 1.9.0"), []) == Server(pid=900)


@pytest.mark.parametrize("url", ["http://rtmp/stat", "http://media:8080/stat", "http://172.18.0.3:8080/stat"])
def test_an_address_that_names_a_container_is_that_container(tmp_path: Path, url: str) -> None:
    assert find_server(str(tmp_path), url, server(7), [OTHER, MEDIA]) == Server(container=tree.ID)


def test_a_remote_server_is_not_mistaken_for_a_local_process(tmp_path: Path) -> None:
    process(tmp_path, 801, "nginx")
    assert find_server(str(tmp_path), "http://media.example.org/stat", server(801), [OTHER]) is None


def test_a_server_at_one_of_this_machines_own_addresses_is_on_it(tmp_path: Path) -> None:
    process(tmp_path, 801, "nginx")
    tree.write(tmp_path / "1", {"net/fib_trie": "     |-- 192.0.2.10\n        /32 host LOCAL\n"})
    assert find_server(str(tmp_path), "http://192.0.2.10:8088/stat", server(801), []) == Server(pid=801)
    assert find_server(str(tmp_path), "http://192.0.2.11:8088/stat", server(801), []) is None


def test_a_container_is_found_in_the_cgroup_of_either_driver() -> None:
    for path in (f"/docker/{tree.ID}", f"/system.slice/docker-{tree.ID}.scope", f"/../{tree.ID}/init.scope"):
        assert container_of(path, [OTHER, MEDIA]) is MEDIA
    assert container_of("/user.slice", [OTHER, MEDIA]) is None
    assert container_of("", [OTHER, MEDIA]) is None


def test_the_daemon_and_all_above_it_are_its_chain(tmp_path: Path) -> None:
    process(tmp_path, 50, "python", parent=40)
    process(tmp_path, 40, "sh", parent=30)
    process(tmp_path, 30, "containerd-shim", parent=1)
    process(tmp_path, 1, "systemd", parent=0)
    (tmp_path / "self").symlink_to("50")
    assert own_chain(str(tmp_path)) == {50, 40, 30, 1}
    assert {os.getpid(), os.getppid()} <= own_chain("/proc")
    assert own_chain(str(tmp_path / "nothing")) == frozenset()


def test_cpu_time_of_a_running_process_grows_and_an_ended_one_has_none() -> None:
    times = ProcessTimes("/proc")
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            deadline = begun + 20
            while not (now := times.read([busy.pid]).get(busy.pid)) or now.seconds < 0.2:
                assert time.monotonic() < deadline, "it never got any CPU time"
                time.sleep(0.02)
            assert now.seconds <= time.monotonic() - begun + 0.05
            assert now.started == pytest.approx(begun, abs=0.5)
        finally:
            busy.kill()
    assert times.read([busy.pid]) == {}
    times.close()


def test_without_an_embedded_history_9500_can_still_be_scraped(tmp_path: Path) -> None:
    sets = ("history.backend=prometheus", "history.prometheus_url=http://127.0.0.1:9", "power.sources=estimated")
    with running_daemon(tmp_path, *sets, f"docker.host=unix://{tmp_path}/none.sock") as daemon:
        url = f"{daemon.exporters()['rapl-exporter'].url}/metrics"

        def attributed_joules() -> float:
            lines = httpx.get(url, trust_env=False, timeout=30).text.splitlines()
            return sum(
                float(line.rpartition(" ")[2])
                for line in lines
                if line.startswith("wattview_attributed_energy_joules_total{")
            )

        attributed_joules()
        time.sleep(1.1)
        first = attributed_joules()
        time.sleep(1.1)
        assert 0 < first < attributed_joules()
    assert not (tmp_path / "state" / "idle.json").exists(), "what an estimate's idle is, is not remembered"
