"""CPU time that only grows, CPUs that come and go, and clocks that are slow to read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.machine_tree import MachineTree
from tests.support.node_exporter import Exposition
from wattview.config import Config
from wattview.exposition import render
from wattview.probes import procfs
from wattview.probes.node import cpu, cpufreq
from wattview.probes.node.collector import Collector, Directory

FIELDS = procfs.CpuTimes.__struct_fields__


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path)


@pytest.fixture
def config(tree: MachineTree, make_config: ConfigFactory) -> Config:
    return make_config(*tree.settings)


def read(collector: Collector) -> Exposition:
    return Exposition(render(collector.collect()).decode())


def stat(**idle: int) -> str:
    lines = [f"{name} 10 0 10 {value} 5 0 0 0 0 0" for name, value in idle.items()]
    return "\n".join(["cpu 0 0 0 0 0 0 0 0 0 0", *lines, "intr 0", "btime 1", ""])


def idle_seconds(exposition: Exposition) -> dict[str, float]:
    name = "node_cpu_seconds_total"
    return {
        labels["cpu"]: exposition.value(name, **labels) for labels in exposition.labels_of(name)
        if labels["mode"] == "idle"
    }  # fmt: skip


def test_a_counter_that_steps_back_a_little_is_held(tree: MachineTree, config: Config) -> None:
    collector = cpu.Cpu(config)
    seen = []
    for idle in (50000, 49950, 50010):
        (tree.procfs / "stat").write_text(stat(cpu0=idle))
        seen.append(idle_seconds(read(collector))["0"])
    assert seen == [500, 500, 500.1]


def test_a_cpu_that_was_unplugged_and_returned_starts_again(tree: MachineTree, config: Config) -> None:
    collector = cpu.Cpu(config)
    seen = []
    for text in (stat(cpu0=100, cpu1=90000), stat(cpu0=200), stat(cpu0=300, cpu1=50), stat(cpu0=400, cpu1=90)):
        (tree.procfs / "stat").write_text(text)
        seen.append(idle_seconds(read(collector)))
    assert seen == [{"0": 1, "1": 900}, {"0": 2}, {"0": 3, "1": 0.5}, {"0": 4, "1": 0.9}]


def test_a_cpu_reset_between_two_scrapes_starts_again(tree: MachineTree, config: Config) -> None:
    collector = cpu.Cpu(config)
    seen = []
    for idle in (90000, 10):
        (tree.procfs / "stat").write_text(stat(cpu0=idle))
        seen.append(idle_seconds(read(collector))["0"])
    assert seen == [900, 0.1]


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=len(FIELDS), max_size=len(FIELDS)), min_size=2, max_size=8))
def test_what_is_shown_never_falls_but_where_a_cpu_was_reset(readings: list[list[int]]) -> None:
    shown = None
    for reading in readings:
        now = procfs.CpuTimes(*(value / 100 for value in reading))
        before, shown = shown, cpu.never_less(now, shown)
        if before is None or before.idle - now.idle >= cpu.JUMP_BACK_SECONDS:
            assert shown == now
        else:
            assert all(getattr(shown, field) == max(getattr(now, field), getattr(before, field)) for field in FIELDS)


def test_throttling_is_counted_once_a_core_and_once_a_package(config: Config) -> None:
    found = read(cpu.Cpu(config))
    cores = {
        (labels["package"], labels["core"]): found.value("node_cpu_core_throttles_total", **labels)
        for labels in found.labels_of("node_cpu_core_throttles_total")
    }
    assert cores == {("0", "0"): 5, ("0", "1"): 0, ("1", "0"): 40}
    assert len(found.labels_of("node_cpu_package_throttles_total")) == 2


def test_cpus_that_are_plugged_in_later_are_found(tree: MachineTree, config: Config) -> None:
    collector = cpu.Cpu(config)
    read(collector)
    for file, text in (
        ("topology/physical_package_id", "1"),
        ("topology/core_id", "9"),
        ("thermal_throttle/core_throttle_count", "77"),
    ):
        tree.write(tree.sysfs / "devices/system/cpu/cpu4" / file, text)
    assert read(collector).value("node_cpu_core_throttles_total", package="1", core="9") == 77


def test_a_cpu_without_a_switch_is_offline_where_others_have_one(tree: MachineTree, config: Config) -> None:
    root = tree.sysfs / "devices/system/cpu"
    (root / "cpu0/online").write_text("1\n")
    (root / "cpu1/online").write_text("0\n")
    found = read(cpu.Cpu(config))
    online = {labels["cpu"]: found.value("node_cpu_online", **labels) for labels in found.labels_of("node_cpu_online")}
    assert online == {"0": 1, "1": 0, "2": 0, "3": 0}


def test_cpuinfo_gives_model_and_clock_on_request(tree: MachineTree, make_config: ConfigFactory) -> None:
    (tree.procfs / "cpuinfo").write_text(
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: Some CPU @ 1.80GHz\n"
        "stepping\t: 10\nmicrocode\t: 0xb4\ncpu MHz\t\t: 799.998\ncache size\t: 8192 KB\n"
        "physical id\t: 0\ncore id\t\t: 3\n"
        "\nprocessor\t: 1\nphysical id\t: 0\ncore id\t\t: 4\n\n"
    )
    found = read(cpu.Cpu(make_config(*tree.settings, "node.cpu_info=true")))
    models = {labels["core"]: labels.get("model_name") for labels in found.labels_of("node_cpu_info")}
    assert models == {"3": "Some CPU @ 1.80GHz", "4": None}
    assert found.value("node_cpu_frequency_hertz", package="0", core="3", cpu="0") == 799998000
    assert "node_cpu_info" not in read(cpu.Cpu(make_config(*tree.settings))).names


@pytest.mark.parametrize(
    ("text", "cpus"), [("", []), ("\n", []), ("0\n", [0]), ("1,3-5\n", [1, 3, 4, 5]), ("0-1,8\n", [0, 1, 8])]
)
def test_lists_of_cpus(text: str, cpus: list[int]) -> None:
    assert cpu.cpu_list(text) == cpus


def test_the_average_frequency_is_given_where_the_driver_knows_it(tree: MachineTree, config: Config) -> None:
    (tree.sysfs / "devices/system/cpu/cpu1/cpufreq/cpuinfo_avg_freq").write_text("1500000\n")
    found = read(cpufreq.Cpufreq(config))
    assert found.labels_of("node_cpu_frequency_avg_hertz") == [{"cpu": "1"}]
    assert found.value("node_cpu_frequency_avg_hertz", cpu="1") == 1.5e9


def test_slow_counters_are_read_in_parallel(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = cpufreq.Cpufreq(config)
    usual = read(collector).values
    # From the second scrape on each of the four readers waits for the other three: one after the other they never end.
    together = threading.Barrier(4, timeout=10)
    number = Directory.number

    def waiting(directory: Directory, name: str) -> int | None:
        if name.endswith("scaling_cur_freq"):
            together.wait()
        return number(directory, name)

    monkeypatch.setattr(cpufreq, "SLOW_SECONDS", 0.0)
    assert read(collector).values == usual
    monkeypatch.setattr(Directory, "number", waiting)
    assert read(collector).values == usual
