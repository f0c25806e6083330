"""The containers probe beside a real Docker engine with real containers."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_engine import Engine, docker_engine, engine
from tests.support.open_files import open_files
from wattview.config import Config
from wattview.exposition import OPENMETRICS, render
from wattview.model import Container, ContainersReading
from wattview.probes import SourceError
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.docker_stats_families import docker_families
from wattview.probes.containers.probe import ContainersProbe

__all__ = ["docker_engine"]

MakeConfig = Callable[..., Config]
BUSY = ("sh", "-c", "while :; do :; done")


class Watched:
    """A probe on an engine, and the containers that a test makes there."""

    def __init__(self, engine: Engine, make_config: MakeConfig, *sets: str) -> None:
        self.engine = engine
        self.probe = ContainersProbe(make_config(f"docker.host={engine.host}", *sets))
        self.made: list[str] = []

    def run(self, name: str, *command: str, **options: Any) -> str:
        made = self.engine.run(name, *command, **options)
        self.made.append(made)
        return made

    def until(self, wanted: Callable[[ContainersReading], bool], seconds: float = 20.0) -> ContainersReading:
        deadline = time.monotonic() + seconds
        last: object = None
        while time.monotonic() < deadline:
            try:
                last = reading = self.probe.read()
            except SourceError as error:
                last = error
            else:
                if wanted(reading):
                    return reading
            threading.Event().wait(0.02)
        raise AssertionError(f"not seen within {seconds} s; last there was: {last!r}")


@pytest.fixture
def watched(docker_engine: Engine, make_config: MakeConfig) -> Iterator[Watched]:
    found = Watched(docker_engine, make_config)
    yield found
    found.probe.close()
    for container_id in found.made:
        docker_engine.remove(container_id)


def named(reading: ContainersReading, name: str) -> Container:
    return next(container for container in reading.containers if container.name == name)


def names(reading: ContainersReading) -> set[str]:
    return {container.name for container in reading.containers}


def engine_is_away(reading: ContainersReading) -> bool:
    return "docker" in {fault.part for fault in reading.faults}


def stats(engine: Engine, container_id: str) -> dict[str, Any]:
    """What ``docker stats`` is made of."""
    found: dict[str, Any] = engine.client.stats(container_id, stream=False, one_shot=True)
    return found


def test_cpu_seconds_and_memory_are_those_of_docker_stats(watched: Watched) -> None:
    made = watched.run("busy", *BUSY)
    busy = watched.until(
        lambda reading: "busy" in names(reading) and (named(reading, "busy").cpu_seconds_total or 0) > 0.5
    )
    before = named(busy, "busy").cpu_seconds_total
    said = stats(watched.engine, made)
    after = named(watched.probe.read(), "busy")
    truth = said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    assert before is not None
    assert after.cpu_seconds_total is not None
    assert before <= truth <= after.cpu_seconds_total
    assert after.memory_usage_bytes == pytest.approx(said["memory_stats"]["usage"], rel=0.2)
    assert after.pids == said["pids_stats"]["current"]


def test_cpu_percent_is_100_for_one_core(watched: Watched) -> None:
    # A tenth of a core is enforced by the kernel, and there for it whatever else this machine does meanwhile.
    watched.run("tenth", *BUSY, cpu_period=20_000, cpu_quota=2_000)
    watched.probe.read()
    threading.Event().wait(2.0)
    tenth = named(watched.probe.read(), "tenth")
    assert tenth.cpu_percent is not None
    assert 1 < tenth.cpu_percent < 12
    detail = watched.probe.read().details[tenth.id].counters
    assert detail.cfs_throttled_periods_total is not None
    assert detail.cfs_throttled_periods_total > 0
    assert detail.spec.cpu_quota_us == 2_000


def test_a_container_appears_and_disappears_through_events(watched: Watched) -> None:
    assert names(watched.probe.read()) == set()
    made = watched.run("guest", "sleep", "1000", mem_limit="64m")
    guest = named(watched.until(lambda reading: "guest" in names(reading)), "guest")
    assert guest.id == made
    assert guest.memory_limit_bytes == 64 << 20
    assert guest.cgroup.endswith(made) or f"docker-{made}.scope" in guest.cgroup
    watched.engine.client.rename(made, "visitor")
    watched.until(lambda reading: names(reading) == {"visitor"})
    watched.engine.client.pause(made)
    watched.until(lambda reading: named(reading, "visitor").state == "paused")
    watched.engine.client.unpause(made)
    watched.engine.client.update_container(made, mem_limit="32m", memswap_limit="64m")
    watched.until(lambda reading: named(reading, "visitor").memory_limit_bytes == 32 << 20)
    watched.engine.remove(made)
    watched.until(lambda reading: names(reading) == set())


def test_a_container_that_lived_between_two_reads_is_reported_with_its_last_counters(watched: Watched) -> None:
    watched.probe.read()
    made = watched.run("brief", "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    watched.engine.client.wait(made)
    reading = watched.until(lambda reading: any(gone.id == made for gone in reading.ended))
    brief = next(gone for gone in reading.ended if gone.id == made)
    assert brief.state == "exited"
    assert brief.cpu_seconds_total is not None
    state = watched.engine.client.inspect_container(made)["State"]
    assert state["ExitCode"] == 0
    assert brief.cpu_seconds_total > 0.05, "it was read when it ended, not only when it began"
    assert 'name="brief",cpu="cpu0' in render(cadvisor_families(reading)).decode()


def test_the_last_counters_are_the_last(watched: Watched) -> None:
    made = watched.run("ending", *BUSY)
    watched.until(
        lambda reading: "ending" in names(reading) and (named(reading, "ending").cpu_seconds_total or 0) > 0.2
    )
    before = stats(watched.engine, made)["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    watched.engine.client.kill(made)
    reading = watched.until(lambda reading: any(gone.id == made for gone in reading.ended))
    (ended,) = [gone for gone in reading.ended if gone.id == made]
    assert ended.cpu_seconds_total is not None
    assert ended.cpu_seconds_total >= before


def test_odd_label_values_go_through_both_endpoints(watched: Watched) -> None:
    odd = 'a "quoted"\\ \n ünïcode {x="y"} '
    watched.run("odd", "sleep", "1000", labels={"com.example.odd-label": odd, "com.example.odd_label": "2"})
    watched.run("plain", "sleep", "1000")
    reading = watched.until(lambda reading: names(reading) == {"odd", "plain"})
    assert named(reading, "odd").labels["com.example.odd-label"] == odd
    from prometheus_client.parser import text_string_to_metric_families

    found = {
        sample.labels["name"]: sample.labels
        for family in text_string_to_metric_families(render(cadvisor_families(reading)).decode())
        for sample in family.samples
        if sample.name == "container_memory_usage_bytes"
    }
    assert found["odd"]["container_label_com_example_odd_label"] == odd
    assert found["plain"].get("container_label_com_example_odd_label", "") == ""
    assert {"id", "image", "name"} <= found["plain"].keys()


def test_both_endpoints_are_good_openmetrics(watched: Watched) -> None:
    watched.run("web", "sleep", "1000")
    reading = watched.until(lambda reading: names(reading) == {"web"})
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    assert "openmetrics" in OPENMETRICS
    for families in (docker_families(reading), cadvisor_families(reading)):
        parsed = list(text_string_to_metric_families(render(families, openmetrics=True).decode()))
        assert len(parsed) > 5


def test_traffic_is_counted_by_interface_and_once(watched: Watched) -> None:
    made = watched.engine.client.create_network("wattview-test", driver="bridge")["Id"]
    gateway = watched.engine.client.inspect_network(made)["IPAM"]["Config"][0]["Gateway"]
    sent = 512 << 10
    try:
        with socket.create_server((gateway, 0)) as server:
            port = server.getsockname()[1]
            command = f"dd if=/dev/zero bs=1024 count=512 | nc {gateway} {port}; sleep 1000"
            client = watched.run("client", "sh", "-c", command, network="wattview-test")
            server.settimeout(20)
            connection, _ = server.accept()
            with connection:
                received = 0
                while received < sent:
                    received += len(connection.recv(65536))
        shared = watched.run("sharing", "sleep", "1000", network=f"container:{client}")
        reading = watched.until(lambda reading: names(reading) == {"client", "sharing"})
        (nic,) = named(reading, "client").network
        assert nic.device == "eth0"
        assert sent < nic.transmit_bytes_total < 1.2 * sent
        assert nic.receive_bytes_total < nic.transmit_bytes_total
        assert reading.details[client].network[0].transmit_packets > 10
        assert reading.details[shared].network == ()
        assert named(reading, "sharing").network == ()
    finally:
        for container_id in reversed(watched.made):
            watched.engine.remove(container_id)
        watched.engine.client.remove_network(made)


def test_what_a_container_writes_is_seen_on_its_disk_and_in_its_block_io_where_the_kernel_counts_it(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched.probe._background, "_walk_seconds", 0.2)
    monkeypatch.setattr(watched.probe._background, "_tasks_seconds", 0.2)
    made = watched.run("writer", "sh", "-c", "dd if=/dev/zero of=/data bs=65536 count=64 oflag=direct; sleep 1000")
    size = 64 * 65536

    def written(reading: ContainersReading) -> bool:
        detail = reading.details.get(made)
        return detail is not None and detail.space is not None and detail.space.used_bytes >= size

    reading = watched.until(written)
    space = reading.details[made].space
    assert space is not None
    assert size <= space.used_bytes < size + (1 << 20)
    assert space.used_inodes >= 2
    assert space.limit_bytes is not None
    assert space.limit_bytes > space.used_bytes
    assert space.device.startswith("/dev/") or ":" in space.device or space.device
    watched.until(lambda reading: reading.details[made].tasks.get("sleeping", 0) >= 1)
    written_bytes = named(watched.probe.read(), "writer").block_write_bytes_total
    if kernel_counts_io():
        assert written_bytes is not None
        assert written_bytes >= size
    else:
        assert written_bytes is None, "no data is no number"


def kernel_counts_io() -> bool:
    """Since Linux 6.10 block I/O is counted by cgroup on v2 only, or on disks that are throttled."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return True
    return ":" in (root / "blkio" / "blkio.throttle.io_service_bytes").read_text()


def test_health_and_restarts_are_the_engines(watched: Watched) -> None:
    check = {"test": ["CMD", "true"], "interval": 1_000_000_000, "timeout": 1_000_000_000, "retries": 1}
    watched.run("sound", "sleep", "1000", healthcheck=check)
    watched.run("unsteady", "sh", "-c", "sleep 0.1; false", restart_policy={"Name": "on-failure"})
    reading = watched.until(lambda reading: "sound" in names(reading) and named(reading, "sound").health == "healthy")
    assert 'docker_container_healthy{name="sound"} 1' in render(docker_families(reading)).decode()
    watched.until(lambda reading: "unsteady" in names(reading) and (named(reading, "unsteady").restarts or 0) >= 1)


def test_a_container_killed_by_the_oom_killer_is_counted(watched: Watched) -> None:
    made = watched.run(
        "hungry", "sh", "-c", "x=xxxxxxxxxxxxxxxx; (while :; do x=$x$x; done); sleep 1000",
        mem_limit="16m",
    )  # fmt: skip
    reading = watched.until(lambda reading: (reading.details[made].counters.oom_kills_total or 0) >= 1)
    assert (reading.details[made].counters.memory_limit_hits_total or 0) >= 1
    assert "container_oom_events_total{" in render(cadvisor_families(reading)).decode()


def test_the_engine_measured_is_the_one_that_was_asked(watched: Watched) -> None:
    use = watched.probe.read().engine
    own = watched.engine.pid
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    resident = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            name = stat.read_text().partition("(")[2].rpartition(")")[0]
            if int(stat.parent.name) == own or (int(fields[1]) == own and name == "containerd"):
                resident[name] = (int(fields[21]) * page, (int(fields[11]) + int(fields[12])) / tick)
    assert "dockerd" in resident
    assert use.memory_bytes == pytest.approx(sum(bytes_ for bytes_, _ in resident.values()), rel=0.1)
    assert use.cpu_seconds_total == pytest.approx(sum(seconds for _, seconds in resident.values()), abs=0.2)
    assert use.cgroup_version in (1, 2)
    assert math.isfinite(use.memory_percent or math.nan)


def test_an_engine_that_is_killed_leaves_its_containers_measured_and_is_found_again(
    make_config: MakeConfig,
) -> None:
    with engine() as own:
        watched = Watched(own, make_config)
        try:
            made = watched.run("survivor", *BUSY)
            first = named(watched.until(lambda reading: names(reading) == {"survivor"}), "survivor")
            own.kill()
            reading = watched.until(engine_is_away)
            orphan = named(reading, "survivor")
            assert orphan.id == made
            assert (orphan.cpu_seconds_total or 0) >= (first.cpu_seconds_total or 0)
            own.start()
            watched.until(lambda reading: not engine_is_away(reading))
            own.remove(made)
            watched.until(lambda reading: names(reading) == set())
        finally:
            watched.probe.close()


def test_closing_the_probe_leaves_no_thread_and_no_file(docker_engine: Engine, make_config: MakeConfig) -> None:
    threads, files = set(threading.enumerate()), open_files()
    watched = Watched(docker_engine, make_config)
    watched.run("web", "sleep", "1000")
    watched.probe.read()
    assert {thread.name for thread in set(threading.enumerate()) - threads} >= {"docker-events", "process-exits"}
    assert any("memory.stat" in path for path in open_files() - files)
    watched.probe.close()
    docker_engine.remove(watched.made[0])
    assert set(threading.enumerate()) - threads == set()
    assert [path for path in open_files() - files if not path.startswith(("socket:", "/proc/"))] == []
