"""Families of a reading: cAdvisor's names and types, docker-stats-exporter's, and what is not said."""

from __future__ import annotations

import gc
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.support import cgroup_tree as tree
from tests.support.cgroup_tree import ID, OTHER_ID
from wattview.config import Docker
from wattview.exposition import Family, render
from wattview.gc_tuning import OF_A_SCRAPE
from wattview.model import (
    CgroupCounters,
    CgroupSpec,
    Container,
    ContainerDetail,
    ContainersReading,
    DiskSpace,
    Engine,
    LoadAverage,
    Machine,
    Nic,
    NicCounters,
)
from wattview.probes.containers.cadvisor_families import cadvisor_families
from wattview.probes.containers.cgroups.cgroup import hierarchies, locate
from wattview.probes.containers.cgroups.files import CgroupFiles
from wattview.probes.containers.disks import Disks
from wattview.probes.containers.docker_stats_families import docker_families
from wattview.probes.containers.metric_labels import shown_labels

CADVISOR_DEFAULTS = {
    "container_last_seen": "gauge",
    "container_health_state": "gauge",
    "container_start_time_seconds": "gauge",
    "container_creation_time_seconds": "gauge",
    "container_cpu_user_seconds_total": "counter",
    "container_cpu_system_seconds_total": "counter",
    "container_cpu_usage_seconds_total": "counter",
    "container_cpu_cfs_periods_total": "counter",
    "container_cpu_cfs_throttled_periods_total": "counter",
    "container_cpu_cfs_throttled_seconds_total": "counter",
    "container_cpu_cfs_burst_periods_total": "counter",
    "container_cpu_cfs_burst_seconds_total": "counter",
    "container_cpu_load_average_10s": "gauge",
    "container_cpu_load_d_average_10s": "gauge",
    "container_tasks_state": "gauge",
    "container_memory_cache": "gauge",
    "container_memory_rss": "gauge",
    "container_memory_kernel_usage": "gauge",
    "container_memory_mapped_file": "gauge",
    "container_memory_swap": "gauge",
    "container_memory_failcnt": "counter",
    "container_memory_usage_bytes": "gauge",
    "container_memory_max_usage_bytes": "gauge",
    "container_memory_working_set_bytes": "gauge",
    "container_memory_total_active_anon_bytes": "gauge",
    "container_memory_total_inactive_anon_bytes": "gauge",
    "container_memory_anon_hugepages_bytes": "gauge",
    "container_memory_total_active_file_bytes": "gauge",
    "container_memory_total_inactive_file_bytes": "gauge",
    "container_memory_failures_total": "counter",
    "container_memory_events_high_total": "counter",
    "container_memory_events_max_total": "counter",
    "container_memory_file_dirty_bytes": "gauge",
    "container_memory_file_writeback_bytes": "gauge",
    "container_memory_pgscan_total": "counter",
    "container_memory_pgsteal_total": "counter",
    "container_memory_workingset_refault_file_total": "counter",
    "container_memory_workingset_refault_anon_total": "counter",
    "container_fs_inodes_free": "gauge",
    "container_fs_inodes_total": "gauge",
    "container_fs_limit_bytes": "gauge",
    "container_fs_usage_bytes": "gauge",
    "container_fs_reads_bytes_total": "counter",
    "container_fs_reads_total": "counter",
    "container_fs_writes_bytes_total": "counter",
    "container_fs_writes_total": "counter",
    "container_fs_io_cost_usage_seconds_total": "counter",
    "container_fs_io_cost_wait_seconds_total": "counter",
    "container_fs_io_cost_indebt_seconds_total": "counter",
    "container_fs_io_cost_indelay_seconds_total": "counter",
    "container_blkio_device_usage_total": "counter",
    "container_network_receive_bytes_total": "counter",
    "container_network_receive_packets_total": "counter",
    "container_network_receive_packets_dropped_total": "counter",
    "container_network_receive_errors_total": "counter",
    "container_network_transmit_bytes_total": "counter",
    "container_network_transmit_packets_total": "counter",
    "container_network_transmit_packets_dropped_total": "counter",
    "container_network_transmit_errors_total": "counter",
    "container_oom_events_total": "counter",
    "container_pressure_cpu_stalled_seconds_total": "counter",
    "container_pressure_cpu_waiting_seconds_total": "counter",
    "container_pressure_memory_stalled_seconds_total": "counter",
    "container_pressure_memory_waiting_seconds_total": "counter",
    "container_pressure_io_stalled_seconds_total": "counter",
    "container_pressure_io_waiting_seconds_total": "counter",
    "container_spec_cpu_period": "gauge",
    "container_spec_cpu_quota": "gauge",
    "container_spec_cpu_shares": "gauge",
    "container_spec_memory_limit_bytes": "gauge",
    "container_spec_memory_swap_limit_bytes": "gauge",
    "container_spec_memory_reservation_limit_bytes": "gauge",
    "container_scrape_error": "gauge",
    "cadvisor_version_info": "gauge",
    "machine_cpu_cores": "gauge",
    "machine_cpu_physical_cores": "gauge",
    "machine_cpu_sockets": "gauge",
    "machine_memory_bytes": "gauge",
    "machine_swap_bytes": "gauge",
    "machine_scrape_error": "gauge",
}
"""What cAdvisor shows of a Docker container by default, less what it prints as 0 because no kernel file has it: the
per-filesystem I/O times that Docker's handler never fills (those of the root cgroup are in ``test_root_cgroup``). Its
load averages are of its load reader, which is off by default there and prints 0."""

MACHINE = Machine(
    cpus=4, physical_cores=2, sockets=1, memory_bytes=8 << 30, swap_bytes=0, machine_id="m", boot_id="b",
    kernel_version="6.1", os_version="Debian GNU/Linux 12",
)  # fmt: skip
ENGINE = Engine(
    version="27.0", cgroup_version=2, cpu_seconds_total=9.0, cpu_percent=2.5, memory_bytes=1 << 20, memory_percent=1.2
)


def counters(sysfs: Path) -> CgroupCounters:
    """All that a v2 cgroup can say."""
    tree.v2_mount(sysfs)
    directory = tree.v2_cgroup(sysfs, f"/docker/{ID}", limit="67108864")
    costs = "cost.usage=250000 cost.wait=1000 cost.indebt=0 cost.indelay=0"
    tree.write(directory, {"io.stat": f"254:0 rbytes=4096 wbytes=8192 rios=3 wios=5 dbytes=0 dios=0 {costs}\n"})
    tree.block_device(sysfs, "254:0", "vda")
    mounted = hierarchies(str(sysfs))
    assert mounted is not None
    place = locate(mounted, ID, {})
    assert place is not None
    return CgroupFiles(place, 2, Disks(str(sysfs))).read()[0]


def container(container_id: str = ID, name: str = "web", **more: Any) -> Container:
    settings: dict[str, Any] = {
        "id": container_id, "name": name, "image": "nginx:1", "cgroup": f"/docker/{container_id}", "created": 99.5,
        "started": 100.5, "restarts": 0,
    }  # fmt: skip
    return Container(**(settings | more))


def reading(
    *containers: Container, details: dict[str, ContainerDetail] | None = None, **more: Any
) -> ContainersReading:
    nothing = CgroupCounters(spec=CgroupSpec())
    known = {one.id: ContainerDetail(id=one.id, counters=nothing) for one in (*containers, *more.get("ended", ()))}
    return ContainersReading(
        time=1000.7, monotonic=1.0, engine=ENGINE, machine=MACHINE, containers=containers,
        details=known | (details or {}), **more,
    )  # fmt: skip


def whole(sysfs: Path, **more: Any) -> ContainersReading:
    detail = ContainerDetail(
        id=ID,
        counters=counters(sysfs),
        network=(
            NicCounters(
                device="eth0", receive_bytes=1, receive_packets=2, receive_errors=3, receive_dropped=4,
                transmit_bytes=5, transmit_packets=6, transmit_errors=7, transmit_dropped=8,
            ),
        ),
        space=DiskSpace(device="/dev/vda1", used_bytes=4096, used_inodes=3, limit_bytes=1 << 30, free_inodes=77),
        tasks={"running": 1, "sleeping": 5},
        load=LoadAverage(running=1.5, uninterruptible=0.25),
    )  # fmt: skip
    return reading(container(**more), details={ID: detail})


def samples(families: list[Family]) -> dict[str, list[tuple[dict[str, str], float]]]:
    """By sample name, as the parser of Prometheus's own client sees them."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(render(families).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_every_default_family_of_cadvisor_is_there_with_its_type(tmp_path: Path) -> None:
    given = {family.name: family.type for family in cadvisor_families(whole(tmp_path)) if family.samples}
    assert {name: given.get(name) for name in CADVISOR_DEFAULTS} == CADVISOR_DEFAULTS


def test_every_sample_carries_the_labels_of_its_container(tmp_path: Path) -> None:
    found = samples(cadvisor_families(whole(tmp_path, labels={"com.docker.compose.service": "web"}, restarts=3)))
    own = {
        "id": f"/docker/{ID}", "name": "web", "image": "nginx:1", "container_label_restartcount": "3",
        "container_label_com_docker_compose_service": "web",
    }  # fmt: skip
    for name, values in found.items():
        if name.startswith("container_") and name != "container_scrape_error":
            for labels, _ in values:
                assert own.items() <= labels.items(), name


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("container_last_seen", {}, 1000),
        ("container_start_time_seconds", {}, 100),
        ("container_cpu_usage_seconds_total", {"cpu": "total"}, 2.25),
        ("container_memory_working_set_bytes", {}, 12582912 - 5120000),
        ("container_memory_failures_total", {"failure_type": "pgmajfault", "scope": "hierarchy"}, 2),
        ("container_fs_writes_bytes_total", {"device": "/dev/vda"}, 8192),
        ("container_fs_reads_total", {"device": "/dev/vda"}, 3),
        ("container_fs_io_cost_usage_seconds_total", {"device": "/dev/vda"}, 0.25),
        ("container_fs_usage_bytes", {"device": "/dev/vda1"}, 4096),
        ("container_fs_inodes_free", {"device": "/dev/vda1"}, 77),
        (
            "container_blkio_device_usage_total",
            {"device": "/dev/vda", "major": "254", "minor": "0", "operation": "Read"},
            4096,
        ),
        ("container_network_transmit_packets_dropped_total", {"interface": "eth0"}, 8),
        ("container_network_receive_errors_total", {"interface": "eth0"}, 3),
        ("container_pressure_cpu_waiting_seconds_total", {}, 1.5),
        ("container_pressure_cpu_stalled_seconds_total", {}, 0.25),
        ("container_spec_memory_limit_bytes", {}, 67108864),
        ("container_spec_memory_swap_limit_bytes", {}, 0),
        ("container_spec_cpu_quota", {}, 50000),
        ("container_tasks_state", {"state": "sleeping"}, 5),
        ("container_cpu_load_average_10s", {}, 1500),
        ("container_cpu_load_d_average_10s", {}, 250),
        ("machine_memory_bytes", {"machine_id": "m"}, 8 << 30),
        ("cadvisor_version_info", {"dockerVersion": "27.0", "kernelVersion": "6.1"}, 1),
    ],
)
def test_values_are_in_the_families_that_cadvisor_uses(
    tmp_path: Path, name: str, labels: dict[str, str], value: float
) -> None:
    found = samples(cadvisor_families(whole(tmp_path)))[name]
    assert [given for own, given in found if labels.items() <= own.items()] == [value]


def test_cpu_time_is_by_cpu_where_the_kernel_counts_it_so() -> None:
    by_cpu = CgroupCounters(spec=CgroupSpec(), cpu_seconds_total=1.75, cpu_seconds_by_cpu=(1.5, 0.0, 0.25))
    found = samples(cadvisor_families(reading(container(), details={ID: ContainerDetail(id=ID, counters=by_cpu)})))
    usage = {labels["cpu"]: value for labels, value in found["container_cpu_usage_seconds_total"]}
    assert usage == {"cpu00": 1.5, "cpu02": 0.25}, "their sum is the container's time, once"


@pytest.mark.parametrize(("health", "value"), [(None, -1), ("healthy", 1), ("unhealthy", 0), ("starting", 0)])
def test_health_is_a_number(health: str | None, value: int) -> None:
    found = samples(cadvisor_families(reading(container(health=health))))
    assert [given for _, given in found["container_health_state"]] == [value]


def test_unknown_values_have_no_sample() -> None:
    found = samples(cadvisor_families(reading(container())))
    for name in ("container_memory_usage_bytes", "container_cpu_usage_seconds_total", "container_spec_cpu_shares"):
        assert name not in found
    assert "docker_container_cpu_percent" not in samples(docker_families(reading(container())))


def test_every_series_carries_the_union_of_all_labels() -> None:
    one = container(labels={"a": "1"})
    two = container(OTHER_ID, "db", labels={"b": "2"}, restarts=1)
    labels = {found["name"]: found for found, _ in samples(cadvisor_families(reading(one, two)))["container_last_seen"]}
    assert labels["web"]["container_label_a"] == "1"
    assert labels["web"]["container_label_b"] == ""
    assert labels["web"]["container_label_restartcount"] == ""
    assert labels["db"]["container_label_a"] == ""
    assert labels["db"]["container_label_restartcount"] == "1"


def test_keys_that_become_one_label_name_stay_apart() -> None:
    one = container(labels={"a.b": "dot", "a_b": "line", "restartcount": "9"}, restarts=2)
    two = container(OTHER_ID, "db", labels={"a-b": "hyphen"})
    labels = {found["name"]: found for found, _ in samples(cadvisor_families(reading(one, two)))["container_last_seen"]}
    numbered = ("container_label_a_b", "container_label_a_b_conflict2", "container_label_a_b_conflict3")
    assert [labels["web"][name] for name in numbered] == ["", "dot", "line"]
    assert [labels["db"][name] for name in numbered] == ["hyphen", "", ""]
    assert labels["web"]["container_label_restartcount"] == "2", "this one is cAdvisor's own"
    assert labels["web"]["container_label_restartcount_conflict2"] == "9"


def test_labels_are_switched_off_or_listed_as_cadvisor_does_it() -> None:
    made = [container(labels={"team": "live", "build": "7"}), container(OTHER_ID, "db", labels={"other": "x"})]
    assert shown_labels(made, Docker()) == (("build", "other", "team"), None)
    assert shown_labels(made, Docker(store_container_labels=False)) == ((), None)
    listed = Docker(store_container_labels=False, whitelisted_container_labels="team, none")
    shown, _ = shown_labels(made, listed)
    assert shown == ("team",)
    found = samples(cadvisor_families(msgspec.structs.replace(reading(*made), labels_shown=shown)))
    for labels, _ in found["container_last_seen"]:
        assert {name for name in labels if name.startswith("container_label_")} == {"container_label_team"}


def test_twenty_thousand_labels_make_no_page_that_cannot_be_scraped(tmp_path: Path) -> None:
    labels = {f"label-{number:05d}": "x" * 5000 for number in range(20_000)}
    shown, fault = shown_labels([container(labels=labels)], Docker())
    assert fault is not None
    assert "20000 different labels" in fault.reason
    assert "whitelisted_container_labels" in fault.fix
    page = render(cadvisor_families(msgspec.structs.replace(whole(tmp_path, labels=labels), labels_shown=shown)))
    assert len(page) < 20e6


def test_a_container_that_ended_shows_its_last_counters_and_no_gauge(tmp_path: Path) -> None:
    living = whole(tmp_path)
    ended = msgspec.structs.replace(living.containers[0], ended=990.0, state="exited")
    found = samples(cadvisor_families(msgspec.structs.replace(living, containers=(), ended=(ended,))))
    assert [value for _, value in found["container_cpu_usage_seconds_total"]] == [2.25]
    assert [value for _, value in found["container_last_seen"]] == [990]
    assert [value for _, value in found["container_start_time_seconds"]] == [100]
    assert found["container_network_receive_bytes_total"]
    for name in ("container_memory_usage_bytes", "container_spec_memory_limit_bytes", "container_fs_usage_bytes"):
        assert name not in found, "it holds nothing any more"
    assert "docker_container_state" not in samples(
        docker_families(msgspec.structs.replace(living, containers=(), ended=(ended,)))
    )


def test_a_scrape_of_many_containers_is_answered_without_a_garbage_collection(tmp_path: Path) -> None:
    one = whole(tmp_path)
    ids = [f"{number:064x}" for number in range(500)]
    many = reading(
        *(container(each, name=each) for each in ids),
        details={each: msgspec.structs.replace(one.details[ID], id=each) for each in ids},
    )
    gc.collect()
    gc.disable()  # it counts the new objects that can be part of cycles, until the next collection
    try:
        before = gc.get_count()[0]
        families = cadvisor_families(many)
        new_objects = gc.get_count()[0] - before
    finally:
        gc.enable()
    assert sum(len(family.samples) for family in families) <= new_objects < OF_A_SCRAPE


def test_the_docker_endpoint_says_what_docker_stats_says_and_more() -> None:
    nics = (
        Nic(
            device="eth0", receive_bytes_total=1, transmit_bytes_total=1, receive_bytes_per_second=10.0,
            transmit_bytes_per_second=20.0,
        ),
        Nic(
            device="eth1", receive_bytes_total=1, transmit_bytes_total=1, receive_bytes_per_second=1.0,
            transmit_bytes_per_second=2.0,
        ),
    )  # fmt: skip
    web = container(
        cpu_percent=150.0, cpu_seconds_total=7.5, memory_percent=2.1, memory_working_set_bytes=5000, network=nics,
        block_read_bytes_per_second=3.0, block_write_bytes_per_second=4.0, health="unhealthy", restarts=2, pids=9,
    )  # fmt: skip
    found = samples(docker_families(reading(web)))
    flat = {name: values[0][1] for name, values in found.items()}
    assert flat == {
        "docker_engine_cpu_percent": 2.5,
        "docker_engine_memory_percent": 1.2,
        "docker_engine_memory_bytes": 1 << 20,
        "docker_container_cpu_percent": 150.0,
        "docker_container_cpu_seconds_total": 7.5,
        "docker_container_memory_percent": 2.1,
        "docker_container_memory_bytes": 5000,
        "docker_container_network_receive_bytes_per_second": 11.0,
        "docker_container_network_transmit_bytes_per_second": 22.0,
        "docker_container_block_read_bytes_per_second": 3.0,
        "docker_container_block_write_bytes_per_second": 4.0,
        "docker_container_processes": 9,
        "docker_container_restarts_total": 2,
        "docker_container_state": 1,
        "docker_container_healthy": 0,
        "docker_container_info": 1,
        "docker_container_start_time_seconds": 100.5,
        "docker_engine_info": 1,
    }
    assert found["docker_container_info"][0][0]["health"] == "unhealthy"
    assert all(values[0][0].get("name", "web") == "web" for values in found.values())
    assert found["docker_container_state"][0][0] == {"name": "web", "state": "running"}


def test_promtool_accepts_the_names_that_are_ours(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.fail("promtool is not installed; run: sudo apt-get install prometheus")
    theirs = ("docker_container_cpu_percent", "docker_container_memory_percent", "docker_engine_")
    own = [family for family in docker_families(whole(tmp_path)) if not family.name.startswith(theirs)]
    assert own
    checked = subprocess.run([promtool, "check", "metrics"], input=render(own), capture_output=True, check=False)
    assert (checked.stdout + checked.stderr).decode() == ""


text = st.text(st.characters(codec="utf-8"), max_size=30)


@given(st.lists(st.tuples(text, text, st.dictionaries(text, text, max_size=4)), min_size=1, max_size=4))
def test_any_names_and_labels_give_a_valid_exposition(
    made: list[tuple[str, str, dict[str, str]]],
) -> None:
    containers = [
        container(f"{number:064x}", name, image=image, labels=labels)
        for number, (name, image, labels) in enumerate(made)
    ]
    found = samples(cadvisor_families(reading(*containers)))["container_last_seen"]
    assert len(found) == len(made)
    for one in containers:
        (labels,) = [labels for labels, _ in found if labels["id"] == one.cgroup]
        assert (labels["name"], labels["image"]) == (one.name, one.image)
