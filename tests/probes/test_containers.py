"""The containers probe on trees of files and an engine whose answers are in the test's hands."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import cgroup_tree as tree
from tests.support.cgroup_tree import ID, OTHER_ID
from tests.support.docker_api import FakeDockerApi
from tests.support.nobody import as_nobody, directory_for_all
from tests.support.open_files import open_files
from wattview.config import Config, Docker
from wattview.exposition import render
from wattview.model import Container, ContainersReading
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.containers import bounded_docker
from wattview.probes.containers import probe as containers
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.docker_stats_families import docker_families
from wattview.probes.containers.probe import ContainersProbe

MakeConfig = Callable[..., Config]
PATH = f"/system.slice/docker-{ID}.scope"


class Machine:
    """A machine in files, an engine beside it, and the probe that looks at both."""

    def __init__(self, root: Path, make_config: MakeConfig) -> None:
        self.proc, self.sys = tree.procfs(root / "proc"), root / "sys"
        self.socket = Path(os.path.relpath(root)) / "docker.sock" if len(str(root)) > 90 else root / "docker.sock"
        self.api = FakeDockerApi(self.socket)
        self.config = make_config(
            f"paths.procfs={self.proc}",
            f"paths.sysfs={self.sys}",
            f"paths.rootfs={root / 'rootfs'}",
            f"docker.host={self.api.host}",
        )
        self.probe = ContainersProbe(self.config)

    def start(self, container_id: str, name: str, pid: int, path: str, **more: object) -> None:
        tree.process(self.proc, pid, cgroup=f"0::{path}\n")
        self.api.add(container_id, name, pid, **more)

    def until(self, wanted: Callable[[ContainersReading], bool], seconds: float = 10.0) -> ContainersReading:
        """Reads until an event has come through."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reading = self.probe.read()
            if wanted(reading):
                return reading
            threading.Event().wait(0.01)
        raise AssertionError(f"not seen within {seconds} s; the last reading: {reading}")

    def close(self) -> None:
        self.probe.close()
        self.api.close()


@pytest.fixture
def machine(tmp_path: Path, make_config: MakeConfig) -> Iterator[Machine]:
    found = Machine(tmp_path, make_config)
    tree.v2_mount(found.sys)
    yield found
    found.close()


def named(reading: ContainersReading, name: str) -> Container:
    return next(container for container in reading.containers if container.name == name)


def names(reading: ContainersReading) -> set[str]:
    return {container.name for container in reading.containers}


def test_a_containers_name_comes_from_the_engine_and_its_use_from_its_cgroup(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH, limit="67108864")
    machine.start(ID, "web", 4242, PATH, labels={"a.b": "c"}, health="healthy", restarts=3)
    reading = machine.probe.read()
    web = named(reading, "web")
    assert (web.id, web.image, web.labels, web.cgroup) == (ID, "nginx:1", {"a.b": "c"}, PATH)
    assert (web.state, web.health, web.restarts, web.pid) == ("running", "healthy", 3, 4242)
    assert (web.created, web.started) == (1767225601.0, 1767225602.5)
    assert web.cpu_seconds_total == 2.25
    assert web.memory_working_set_bytes == 12582912 - 5120000
    assert web.memory_limit_bytes == 67108864
    assert web.memory_percent == pytest.approx((12582912 - 5120000) / 67108864 * 100)
    assert (web.block_read_bytes_total, web.block_write_bytes_total) == (4096 + 1024, 8192)
    assert [(nic.device, nic.receive_bytes_total, nic.transmit_bytes_total) for nic in web.network] == [
        ("eth0", 1000, 2000)
    ]
    assert reading.faults == ()
    assert reading.engine.version == "99.0"
    assert reading.engine.cgroup_version == 2
    assert reading.machine is not None
    assert reading.machine.cpus == 4


def test_without_details_a_container_has_the_same_figures(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH, limit="67108864")
    machine.start(ID, "web", 4242, PATH)
    full, brief = machine.probe.read(), machine.probe.read(detailed=False)
    assert named(brief, "web") == named(full, "web")
    assert brief.details == {}, "which costs half of the files"


@pytest.mark.parametrize("limit", ["max", str(1 << 50)])
def test_without_a_limit_that_limits_memory_percent_is_of_the_machine(machine: Machine, limit: str) -> None:
    tree.v2_cgroup(machine.sys, PATH, limit=limit)
    machine.start(ID, "web", 4242, PATH)
    web = named(machine.probe.read(), "web")
    assert web.memory_limit_bytes == (None if limit == "max" else 1 << 50)
    assert web.memory_percent == pytest.approx((12582912 - 5120000) / 1_024_000_000 * 100)


def test_rates_come_from_the_counters_and_one_core_is_100(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.v2_cgroup(machine.sys, PATH, usage_usec=1_000_000)
    machine.start(ID, "web", 4242, PATH)
    clock = [1000.0]
    monkeypatch.setattr("wattview.probes.containers.running_container.time.monotonic", lambda: clock[0])
    first = named(machine.probe.read(), "web")
    assert first.cpu_percent is None, "one reading is no rate"
    clock[0] += 2.0
    tree.v2_cgroup(machine.sys, PATH, usage_usec=4_000_000)
    tree.process(machine.proc, 4242, cgroup=f"0::{PATH}\n", receive=1000 + 3000, transmit=2000 + 500)
    web = named(machine.probe.read(), "web")
    assert web.cpu_percent == pytest.approx(150.0)
    assert web.network[0].receive_bytes_per_second == pytest.approx(1500.0)
    assert web.network[0].transmit_bytes_per_second == pytest.approx(250.0)
    assert web.block_read_bytes_per_second == 0.0


@pytest.mark.parametrize("mode", ["host", f"container:{OTHER_ID}"])
def test_traffic_of_a_shared_network_namespace_is_not_counted_twice(machine: Machine, mode: str) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH, network_mode=mode)
    reading = machine.probe.read()
    assert named(reading, "web").network == ()
    assert reading.details[ID].network == ()


def test_events_bring_and_take_containers(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    assert names(machine.probe.read()) == {"web"}
    other = f"/docker/{OTHER_ID}"
    tree.v2_cgroup(machine.sys, other)
    machine.start(OTHER_ID, "db", 4343, other)
    machine.api.event("start", OTHER_ID)
    machine.until(lambda reading: names(reading) == {"web", "db"})
    machine.api.add(ID, "web", 0)
    machine.api.event("die", ID)
    reading = machine.until(lambda reading: names(reading) == {"db"})
    (ended,) = reading.ended
    assert (ended.name, ended.state, ended.cpu_seconds_total) == ("web", "exited", 2.25)
    assert ended.ended == pytest.approx(time.time(), abs=5)
    assert reading.details[ID].counters.cpu_seconds_total == 2.25


def test_a_new_name_state_and_health_are_seen(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH, health="starting")
    assert named(machine.probe.read(), "web").health == "starting"
    machine.api.add(ID, "shop", 4242, health="unhealthy", status="paused")
    machine.api.event("rename", ID)
    shop = named(machine.until(lambda reading: names(reading) == {"shop"}), "shop")
    assert (shop.health, shop.state) == ("unhealthy", "paused")


def test_a_limit_that_the_engine_changed_is_seen(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH, limit="max")
    machine.start(ID, "web", 4242, PATH)
    assert named(machine.probe.read(), "web").memory_limit_bytes is None
    tree.v2_cgroup(machine.sys, PATH, limit="33554432")
    machine.api.event("update", ID)
    machine.until(lambda reading: named(reading, "web").memory_limit_bytes == 33554432)


def test_a_restarted_container_starts_from_zero(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH, usage_usec=5_000_000)
    machine.start(ID, "web", 4242, PATH)
    assert named(machine.probe.read(), "web").cpu_seconds_total == 5.0
    tree.v2_cgroup(machine.sys, PATH, usage_usec=10_000)
    machine.start(ID, "web", 5555, PATH)
    machine.api.event("restart", ID)
    reading = machine.until(lambda reading: named(reading, "web").pid == 5555)
    assert named(reading, "web").cpu_seconds_total == 0.01
    assert reading.ended == (), "it runs: its former life would be a second series of the same name"


def test_an_ended_container_is_forgotten_after_a_while(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.probe.read()
    del machine.api.containers[ID]
    machine.api.event("die", ID)
    machine.until(lambda reading: [gone.name for gone in reading.ended] == ["web"])
    wrong = time.time() + 3 * 86400
    monkeypatch.setattr("wattview.probes.containers.probe.time.time", lambda: wrong)
    assert len(machine.probe.read().ended) == 1, "a clock that was set forward is no time that passed"
    later = time.monotonic() + Docker().ended_seconds
    monkeypatch.setattr("wattview.probes.containers.probe.time.monotonic", lambda: later)
    assert machine.probe.read().ended == ()


def test_a_container_without_a_local_cgroup_only_loses_its_own_figures(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.start(OTHER_ID, "rootless", 4343, "/user.slice/session-1.scope")
    reading = machine.probe.read()
    assert named(reading, "web").cpu_seconds_total == 2.25
    rootless = named(reading, "rootless")
    assert (rootless.cpu_seconds_total, rootless.memory_percent, rootless.network) == (None, None, ())
    (fault,) = reading.faults
    assert fault.part == "container rootless"
    assert "cgroup v2" in fault.fix


def test_a_removed_cgroup_ends_its_container_before_the_engine_says_so(machine: Machine) -> None:
    directory = tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    assert names(machine.probe.read()) == {"web"}
    with machine.probe._lock:
        # On this tree an open file outlives its name, on a cgroup mount it does not.
        machine.probe._running[ID]._cgroup.close()  # type: ignore[union-attr]
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    for _ in range(2):
        reading = machine.probe.read()
        assert reading.containers == ()
        assert reading.faults == ()
        assert [gone.name for gone in reading.ended] == ["web"]


def test_while_the_engine_is_away_known_containers_are_measured_and_it_says_so(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.probe.read()
    machine.api.close()
    reading = machine.until(lambda reading: bool(reading.faults))
    assert [fault.part for fault in reading.faults] == ["docker"]
    tree.v2_cgroup(machine.sys, PATH, usage_usec=9_000_000)
    assert named(machine.probe.read(), "web").cpu_seconds_total == 9.0


def test_an_engine_that_comes_back_is_found_with_what_it_has_now(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.probe.read()
    machine.api.close()
    machine.until(lambda reading: bool(reading.faults))
    machine.api = FakeDockerApi(machine.socket)
    other = f"/docker/{OTHER_ID}"
    tree.v2_cgroup(machine.sys, other)
    machine.start(OTHER_ID, "db", 4343, other)
    reading = machine.until(lambda reading: not reading.faults)
    assert names(reading) == {"db"}


def test_a_closed_event_stream_is_opened_again(machine: Machine) -> None:
    machine.api.followed.acquire(blocking=False)
    assert machine.probe.read().containers == ()
    assert machine.api.followed.acquire(timeout=5)
    machine.api.drop_streams()
    assert machine.api.followed.acquire(timeout=5), "it came back"
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.api.event("start", ID)
    machine.until(lambda reading: names(reading) == {"web"})


def test_more_containers_than_files_may_be_open_are_measured_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_containers_kept_open", lambda: 1)
    for container_id, name, pid in ((ID, "web", 4242), (OTHER_ID, "db", 4343)):
        tree.v2_cgroup(machine.sys, f"/docker/{container_id}")
        machine.start(container_id, name, pid, f"/docker/{container_id}")
    for _ in range(2):
        reading = machine.probe.read()
        assert {one.name: one.cpu_seconds_total for one in reading.containers} == {"web": 2.25, "db": 2.25}
        assert reading.faults == ()
    held = {Path(path).parent for path in open_files() if str(machine.sys) in path}
    assert len(held) == 1, "only one container's files are held"


def test_a_read_does_not_call_the_engine(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.probe.read()
    assert machine.api.followed.acquire(timeout=5)
    before = list(machine.api.requests)
    for _ in range(20):
        machine.probe.read()
    assert machine.api.requests == before


def test_a_missing_socket_is_an_absent_source_with_its_fix(tmp_path: Path, make_config: MakeConfig) -> None:
    probe = ContainersProbe(make_config(f"docker.host=unix://{tmp_path}/no.sock"))
    with pytest.raises(SourceAbsent) as caught:
        probe.read()
    assert "no.sock" in caught.value.reason
    assert "docker.host" in caught.value.fix
    probe.close()


def test_a_socket_where_nobody_listens_is_an_absent_source(tmp_path: Path, make_config: MakeConfig) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dead.sock"))
    probe = ContainersProbe(make_config(f"docker.host=unix://{tmp_path}/dead.sock"))
    with pytest.raises(SourceAbsent) as caught:
        probe.read()
    assert "systemctl start docker" in caught.value.fix
    probe.close()


def test_a_refused_socket_names_its_fix(make_config: MakeConfig) -> None:
    with directory_for_all() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = directory / "docker.sock"
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o660)
        os.chown(path, -1, grp.getgrnam("adm").gr_gid)
        with as_nobody() as uid:
            probe = ContainersProbe(make_config(f"docker.host=unix://{path}"))
            with pytest.raises(SourceRefused) as caught:
                probe.read()
            probe.close()
    assert caught.value.fix.startswith(f"sudo usermod -aG adm {pwd.getpwuid(uid).pw_name}, ")


@pytest.mark.parametrize(("health", "shown"), [("", None), ("none", None), ("starting", "starting")])
def test_a_container_without_a_health_check_has_no_health(machine: Machine, health: str, shown: str | None) -> None:
    # Docker leaves it out or says none; Podman says "".
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH, health=health)
    reading = machine.probe.read()
    assert named(reading, "web").health == shown
    text = render(docker_families(reading)).decode()
    assert ("docker_container_healthy{" in text) is (shown is not None)
    (state,) = [family for family in cadvisor_families(reading) if family.name == "container_health_state"]
    assert [value for labels, value in state.samples if 'name="web"' in labels] == [-1 if shown is None else 0]


@pytest.mark.parametrize(
    ("asked_for", "weight", "shares"),
    [(1024, "39", 1024), (1024, "100", 1024), (512, "59", 512), (0, "100", 1024), (0, "0", None), (2, "0", 2)],
)
def test_cpu_shares_match_the_engines_setting(
    machine: Machine, asked_for: int, weight: str, shares: int | None
) -> None:
    tree.write(tree.v2_cgroup(machine.sys, PATH), {"cpu.weight": f"{weight}\n"})
    machine.start(ID, "web", 4242, PATH, cpu_shares=asked_for)
    assert machine.probe.read().details[ID].counters.spec.cpu_shares == shares


def test_limits_are_the_tightest_from_the_containers_cgroup_down_to_its_inits(machine: Machine) -> None:
    # Podman's crun: the id's scope has systemd's limits, and the cgroup inside it those that were asked for.
    scope = f"/machine.slice/libpod-{ID}.scope"
    tree.v2_cgroup(machine.sys, scope, quota="max 100000")
    tree.v2_cgroup(machine.sys, f"{scope}/container", limit="67108864", quota="50000 100000")
    tree.v2_cgroup(machine.sys, f"{scope}/container/init.scope", limit="max", quota="max 100000")
    directory = machine.sys / f"fs/cgroup{scope}"
    tree.write(directory, {"cpu.stat": "usage_usec 9\nuser_usec 9\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\n"})
    (directory / "container/pids.max").write_text("50\n")
    machine.start(ID, "web", 4242, f"{scope}/container/init.scope")
    reading = machine.probe.read()
    counters = reading.details[ID].counters
    spec = counters.spec
    assert (spec.memory_limit_bytes, spec.cpu_quota_us, spec.cpu_period_us, spec.pids_limit) == (
        67108864, 50000, 100000, 50,
    )  # fmt: skip
    assert named(reading, "web").memory_limit_bytes == 67108864
    assert counters.cpu_seconds_total == 9e-6, "of the whole container"
    assert (counters.cfs_periods_total, counters.cfs_throttled_periods_total) == (10, 4), "counted where the quota is"


def test_an_engine_that_hangs_is_broken_and_is_found_when_it_wakes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "FIRST_LIST_SECONDS", 0.2)
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    machine.api.answering.clear()
    began = time.monotonic()
    with pytest.raises(SourceBroken, match="has not answered"):
        machine.probe.read()
    assert time.monotonic() - began < 5
    machine.api.answering.set()
    deadline = time.monotonic() + 10
    while True:
        try:
            reading = machine.probe.read()
            break
        except SourceError:
            assert time.monotonic() < deadline
    assert names(reading) == {"web"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/containers/json", b"not json"),
        ("/containers/json", b'{"message": "no list"}'),
        (f"/containers/{ID}/json", b'{"Id": "x", "Name": "/x", "State": {"Pid": "seven"}}'),
    ],
)
def test_malformed_answers_are_a_broken_source(machine: Machine, path: str, body: bytes) -> None:
    machine.start(ID, "web", 4242, PATH)
    machine.api.raw[path] = body
    with pytest.raises(SourceBroken) as caught:
        machine.probe.read()
    assert "engine" in caught.value.reason
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("path", ["/_ping", "/containers/json", f"/containers/{ID}/json"])
def test_an_answer_of_any_length_stays_within_the_stated_cost(machine: Machine, path: str) -> None:
    machine.start(ID, "web", 4242, PATH)
    machine.api.raw[path] = b"[" + b" " * (3 * bounded_docker.MAX_BYTES) + b"]"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        reasons = [fault.reason for fault in machine.probe.read().faults]
    except SourceBroken as error:
        reasons = [error.reason]
    assert any("larger than 32 MiB" in reason for reason in reasons), reasons
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * bounded_docker.MAX_BYTES / 1024


def test_an_endless_event_is_reported_and_containers_are_listed_again(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    assert names(machine.probe.read()) == {"web"}
    machine.api.followed.acquire(timeout=10)
    machine.api.say(b'{"Type": "' + b"x" * (2 * bounded_docker.MAX_EVENT_BYTES))
    assert machine.api.followed.acquire(timeout=20), "it is asked again"
    machine.until(lambda reading: names(reading) == {"web"})


@pytest.mark.parametrize("status", ["200 OK", "302 Found\r\nLocation: /", "500 Internal Server Error"])
def test_endless_events_that_are_not_in_chunks_stay_within_the_stated_cost(machine: Machine, status: str) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    assert names(machine.probe.read()) == {"web"}
    sent = []

    def endless() -> Iterator[bytes]:
        yield f"HTTP/1.1 {status}\r\n\r\n".encode()
        while len(sent) < 6 * bounded_docker.MAX_BYTES >> 20:
            sent.append(1 << 20)
            yield b"x" * sent[-1]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    machine.api.verbatim["/events"] = endless
    machine.api.drop_streams()
    reading = machine.until(lambda reading: any("the engine" in fault.reason for fault in reading.faults))
    assert names(reading) == {"web"}
    assert sum(sent) < 2 * bounded_docker.MAX_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 * bounded_docker.MAX_BYTES / 1024


def test_a_redirect_of_the_engine_is_not_followed(machine: Machine) -> None:
    head = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/elsewhere\r\n\r\n"
    machine.api.verbatim["/containers/json"] = lambda: [head]
    with pytest.raises(SourceBroken, match=r"307, a redirect to http://127\.0\.0\.1:1/elsewhere"):
        machine.probe.read()


def test_an_answer_that_trickles_ends_in_the_stated_time(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_docker, "SECONDS", 0.3)

    def trickle() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        for _ in range(1000):
            time.sleep(0.02)
            yield b" "

    machine.api.verbatim["/containers/json"] = trickle
    with pytest.raises(SourceBroken, match="does not end within"):
        machine.probe.read()


def test_an_event_in_single_bytes_is_read_in_linear_time(machine: Machine) -> None:
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    event = b'{"id": "%s"}\n' % (b"x" * 200_000)
    chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in event) + b"0\r\n\r\n"
    machine.api.verbatim["/events"] = lambda: [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunks]
    began = time.process_time()
    machine.probe.read()
    machine.until(lambda _: machine.api.requests.count("/events") > 1)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "broken",
    [
        b'{"message": "layer does not exist"}',
        b'{"Id": "x", "Name": "/x", "State": {"Pid": "seven"}}',
        b'{"Id": "x", "Name": "/x", "State": {"Pid": 7}, "Config": {"Labels": ["a=b"]}}',
        b'{"Id": "x", ',
    ],
)
def test_a_container_that_the_engine_cannot_describe_only_loses_itself(machine: Machine, broken: bytes) -> None:
    """https://github.com/containers/podman/issues/22655, and images whose layers are damaged."""
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(OTHER_ID, "damaged", 4343, "/elsewhere")
    machine.start(ID, "web", 4242, PATH)
    machine.api.raw[f"/containers/{OTHER_ID}/json"] = broken
    if b"message" in broken:
        machine.api.failing.add(f"/containers/{OTHER_ID}/json")
    reading = machine.probe.read()
    assert {one.name: one.cpu_seconds_total for one in reading.containers} == {"web": 2.25}
    (fault,) = reading.faults
    assert fault.part == f"container {OTHER_ID[:12]}"
    assert "cannot describe" in fault.reason
    # It is asked for again with the next event, whichever container that is of.
    machine.api.followed.acquire(timeout=10)
    machine.api.raw.clear()
    machine.api.event("rename", ID)
    machine.until(lambda reading: names(reading) == {"web", "damaged"})


def test_a_null_field_of_an_engine_only_loses_itself(machine: Machine) -> None:
    """Networks may be null (https://github.com/moby/moby/issues/39345), and so may each of them, and a name."""
    tree.v2_cgroup(machine.sys, PATH)
    machine.start(ID, "web", 4242, PATH)
    said = machine.api.containers[ID]
    said |= {"Name": None, "NetworkSettings": {"Networks": {"none": None, "bridge": {"IPAddress": "172.17.0.2"}}}}
    said["Config"] |= {"Labels": None}
    (container,) = machine.probe.read().containers
    assert (container.name, container.addresses, container.labels) == (ID[:12], ("172.17.0.2",), {})
    assert container.cpu_seconds_total == 2.25


def test_a_containers_monitor_process_is_not_mistaken_for_the_container(machine: Machine) -> None:
    """conmon's cgroup bears the id too: https://github.com/containers/podman/issues/364."""
    cgroups = tree.v2_cgroup(machine.sys, f"/machine.slice/libpod-conmon-{ID}.scope").parent
    (cgroups / f"libpod-conmon-{ID}.scope" / "cpu.stat").write_text("usage_usec 9\nuser_usec 9\nsystem_usec 0\n")
    path = f"/machine.slice/libpod-{ID}.scope"
    tree.v2_cgroup(machine.sys, path)
    machine.start(ID, "web", 4242, "/../../seen-from-elsewhere")
    (container,) = machine.probe.read().containers
    assert (container.cgroup, container.cpu_seconds_total) == (path, 2.25)


def test_the_engines_own_processes_are_summed_and_nobody_elses(machine: Machine) -> None:
    tree.process(machine.proc, 10, name="dockerd", user_ticks=300, system_ticks=100, resident_pages=1000)
    tree.process(machine.proc, 11, name="containerd", parent=10, user_ticks=50, system_ticks=50, resident_pages=500)
    tree.process(machine.proc, 12, name="containerd-shim", parent=1, user_ticks=9999, resident_pages=9999)
    tree.process(machine.proc, 13, name="not (dockerd)", parent=1, user_ticks=9999, resident_pages=9999)
    engine = machine.probe.read().engine
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    assert engine.cpu_seconds_total == pytest.approx(500 / ticks)
    assert engine.memory_bytes == 1500 * page
    assert engine.memory_percent == pytest.approx(1500 * page / 1_024_000_000 * 100)


def test_without_a_visible_engine_process_there_is_no_figure(machine: Machine) -> None:
    engine = machine.probe.read().engine
    assert (engine.cpu_seconds_total, engine.memory_bytes, engine.memory_percent) == (None, None, None)
