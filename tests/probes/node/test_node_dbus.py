"""systemd and logind over a real D-Bus: the real node_exporter and our collectors ask the same services."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.node_exporter import Exposition, RealNodeExporter
from tests.support.system_bus import FakeUnit, SystemBus
from wattview.config import Config, Node
from wattview.exposition import render
from wattview.probes import node
from wattview.probes.node import dbus
from wattview.probes.node.systemd import version_number

SETTINGS = (
    "node.enable=systemd,logind", "node.systemd_task_metrics=true", "node.systemd_restarts_metrics=true",
    "node.systemd_start_time_metrics=true",
)  # fmt: skip
ARGUMENTS = (
    "--collector.systemd.enable-task-metrics", "--collector.systemd.enable-restarts-metrics",
    "--collector.systemd.enable-start-time-metrics",
    f"--collector.systemd.unit-exclude={Node().systemd_unit_exclude}",  # Debian leaves targets out too
)  # fmt: skip


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SystemBus]:
    with SystemBus(tmp_path) as bus:
        yield bus


@pytest.fixture
def config(bus: SystemBus, make_config: ConfigFactory) -> Config:
    return make_config(*SETTINGS, f"node.dbus_address={bus.address}")


def read(config: Config, *names: str) -> node.NodeReading:
    return node.NodeProbe(config).read(set(names or ("systemd", "logind")))


def said(config: Config, *names: str) -> Exposition:
    return Exposition(render(node.families(read(config, *names))).decode())


def of_dbus(exposition: Exposition) -> dict[object, float]:
    return {
        series: value
        for series, value in exposition.values.items()
        if series[0].startswith(("node_systemd_", "node_logind_"))
    }


def test_every_series_is_the_real_ones_with_its_value_type_and_help(bus: SystemBus, config: Config) -> None:
    environ = {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    with RealNodeExporter(("systemd", "logind"), ARGUMENTS, environ=environ) as exporter:
        real = exporter.scrape()
    ours = said(config)
    assert len(of_dbus(real)) > 180
    # What kind of machine it runs on came with later versions.
    later = ("node_systemd_virtualization_info", frozenset({("virtualization_type", "kvm")}))
    theirs, mine = {**of_dbus(real), later: 1}, of_dbus(ours)
    assert (mine.keys() - theirs.keys(), theirs.keys() - mine.keys()) == (set(), set())
    assert {series: (value, theirs[series]) for series, value in mine.items() if value != theirs[series]} == {}
    shared = {name for name in real.names if name.startswith(("node_systemd_", "node_logind_"))}
    assert {name: ours.types[name] for name in shared} == {name: real.types[name] for name in shared}
    assert {name: ours.help[name] for name in shared} == {name: real.help[name] for name in shared}


def test_filters_match_full_names_and_both_apply(bus: SystemBus, make_config: ConfigFactory) -> None:
    config = make_config(
        "node.enable=systemd", f"node.dbus_address={bus.address}",
        r"node.systemd_unit_include=.+\.service|dbus", r"node.systemd_unit_exclude=nginx\.service",
    )  # fmt: skip
    names = {labels["name"] for labels in said(config, "systemd").labels_of("node_systemd_unit_state")}
    assert names == {"ssh.service", "kmod-static-nodes.service"}


def test_a_running_and_a_degraded_system_are_distinguished(bus: SystemBus, config: Config) -> None:
    assert said(config).value("node_systemd_system_running") == 0
    bus.manager["SystemState"] = "running"
    assert said(config).value("node_systemd_system_running") == 1


def test_a_value_that_systemd_does_not_know_has_no_sample(bus: SystemBus, config: Config) -> None:
    bus.manager.clear()
    bus.units = [FakeUnit("old.socket", properties={"Socket.NAccepted": ("u", 7), "Socket.NConnections": ("u", 1)})]
    found = said(config)
    assert found.value("node_systemd_socket_accepted_connections_total", name="old.socket") == 7
    assert not {"node_systemd_socket_refused_connections_total", "node_systemd_system_running"} & {
        name for name, _ in found.values
    }


def test_a_unit_in_an_unusual_state_counts_only_in_the_sum(bus: SystemBus, config: Config) -> None:
    bus.units = [FakeUnit("web.service", "reloading")]
    found = said(config)
    assert found.value("node_systemd_units", state="reloading") == 1
    assert sum(value for (name, _), value in found.values.items() if name == "node_systemd_unit_state") == 0


def test_five_hundred_units_are_read_in_one_scrape(bus: SystemBus, config: Config) -> None:
    bus.units = [FakeUnit(f"worker@{at}.service", properties={"Service.Type": ("s", "simple")}) for at in range(500)]
    found = said(config, "systemd")
    assert found.value("node_systemd_unit_state", name="worker@499.service", state="active", type="simple") == 1


def test_a_machine_without_a_bus_has_no_data(tmp_path: Path, make_config: ConfigFactory) -> None:
    config = make_config(*SETTINGS, f"node.dbus_address=unix:path={tmp_path}/nothing")
    reading = read(config)
    assert reading.faults == ()
    assert [collected.success for collected in reading.collectors] == [False, False]


def test_a_bus_without_systemd_has_no_data_and_says_so(tmp_path: Path, make_config: ConfigFactory) -> None:
    with SystemBus(tmp_path, names=()) as bus:
        reading = read(make_config(*SETTINGS, f"node.dbus_address={bus.address}"))
    assert reading.faults == ()
    assert {collected.reason for collected in reading.collectors} == {
        "systemd is not on the system bus",
        "logind is not on the system bus",
    }


def test_a_hanging_systemd_times_out(bus: SystemBus, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbus, "_TIMEOUT_SECONDS", 0.5)
    bus.silent.add("ListUnits")
    began = time.monotonic()
    (fault,) = read(config).faults
    assert "org.freedesktop.systemd1: ListUnits: no answer" in fault.reason
    assert time.monotonic() - began < 3


def test_an_invalid_address_is_a_fault_that_names_it(make_config: ConfigFactory) -> None:
    (fault, _) = read(make_config(*SETTINGS, "node.dbus_address=tcp:host=localhost")).faults
    assert "D-Bus at tcp:host=localhost" in fault.reason


@pytest.mark.parametrize(
    ("text", "number"), [("252.39-1~deb12u1", 252.39), ("v257~rc1", 257), ("249", 249), ("x", 0), ("", 0)]
)
def test_a_version_is_its_first_number(text: str, number: float) -> None:
    assert version_number(text) == number
