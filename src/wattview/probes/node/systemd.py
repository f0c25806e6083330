"""systemd's units: their states, timers, sockets and tasks, over D-Bus (org.freedesktop.systemd1(5))."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from wattview.config import Config
from wattview.exposition import Family, Row, gauge, labels, named, rows
from wattview.probes.node.collector import NoSource
from wattview.probes.node.dbus import Bus, Property, ServiceUnknown

_SERVICE = "org.freedesktop.systemd1"
_MANAGER = "/org/freedesktop/systemd1"
_STATES = ("active", "activating", "deactivating", "inactive", "failed")
_VERSION = re.compile(r"[0-9]{3,}(\.[0-9]+)?")
# "no limit" or "not counted" in a property of type ``t`` (UINT64_MAX).
_NONE = (1 << 64) - 1


# Each a number of the units of one type: by the unit's interface and its property there.
_TIMERS_AND_SOCKETS = rows("""
Timer.LastTriggerUSec node_systemd_timer_last_trigger_seconds Seconds since epoch of last trigger.
Socket.NAccepted node_systemd_socket_accepted_connections_total Total number of accepted socket connections
Socket.NConnections node_systemd_socket_current_connections Current number of socket connections
Socket.NRefused node_systemd_socket_refused_connections_total Total number of refused socket connections
""")
_TASKS = rows("""
Service.TasksCurrent node_systemd_unit_tasks_current Current number of tasks per Systemd unit
Service.TasksMax node_systemd_unit_tasks_max Maximum number of tasks per Systemd unit
""")
_RESTARTS = rows("""
Service.NRestarts node_systemd_service_restart_total Service unit count of Restart triggers
""")
[_START] = rows("""
Unit.ActiveEnterTimestamp node_systemd_unit_start_time_seconds Start time of the unit since unix epoch in seconds.
""")
_GAUGES = ("Socket.NRefused",)  # in node_exporter too, despite its name
_MICROSECONDS = ("USec", "Timestamp")


class Unit(NamedTuple):
    """One line of ListUnits, with the fields used here."""

    name: str
    load_state: str
    active_state: str
    path: str


class Systemd:
    """``node_systemd_*``; no data if systemd does not run this machine."""

    def __init__(self, config: Config) -> None:
        node = config.node
        self._address = node.dbus_address
        self._include, self._exclude = re.compile(node.systemd_unit_include), re.compile(node.systemd_unit_exclude)
        self._numbers = (
            *_TIMERS_AND_SOCKETS,
            *(_TASKS if node.systemd_task_metrics else ()),
            *(_RESTARTS if node.systemd_restarts_metrics else ()),
        )
        self._start_times = node.systemd_start_time_metrics

    def collect(self) -> list[Family]:
        with Bus(self._address, _SERVICE) as bus:
            try:
                units = listed(bus.call(_MANAGER, "Manager", "ListUnits"))
            except ServiceUnknown:
                raise NoSource("systemd is not on the system bus") from None
            chosen = [unit for unit in units if self._wanted(unit)]
            return [*_manager(bus), _summary(units), _states(bus, chosen), *self._of_units(bus, chosen)]

    def _wanted(self, unit: Unit) -> bool:
        return (
            unit.load_state == "loaded"
            and self._include.fullmatch(unit.name) is not None
            and self._exclude.fullmatch(unit.name) is None
        )

    def _of_units(self, bus: Bus, units: list[Unit]) -> list[Family]:
        found = []
        for row in self._numbers:
            suffix = f".{row.source.partition('.')[0].lower()}"
            found.append(_numbers(bus, (unit for unit in units if unit.name.endswith(suffix)), row))
        if self._start_times:
            start = _numbers(bus, (unit for unit in units if unit.active_state == "active"), _START)
            for unit in units:
                if unit.active_state != "active":
                    start.add(0, labels(name=unit.name))
            found.append(start)
        return found


def listed(answer: Iterable[tuple[Any, ...]]) -> list[Unit]:
    """ListUnits' ``a(ssssssouso)`` as units."""
    return [Unit(name, load, active, path) for name, _, load, active, _, _, path, *_ in answer]


def version_number(text: str) -> float:
    """252.39 from ``252.39-1~deb12u1``; 0 if there is no number in it."""
    match = _VERSION.search(text)
    return float(match[0]) if match else 0


def _manager(bus: Bus) -> list[Family]:
    said = {
        one.name: value
        for one, value in bus.properties(
            [Property(_MANAGER, "Manager", name) for name in ("Version", "Virtualization", "SystemState")]
        ).items()
    }
    version = gauge("node_systemd_version", "Detected systemd version")
    if text := said.get("Version"):
        version.add(version_number(text), labels(version=text))
    virtualization = gauge("node_systemd_virtualization_info", "Detected virtualization technology")
    # An empty text means no virtualization.
    virtualization.add(1, labels(virtualization_type=said.get("Virtualization", "unknown") or "none"))
    state = said.get("SystemState")
    running = gauge(
        "node_systemd_system_running",
        "Whether the system is operational (see 'systemctl is-system-running')",
        None if state is None else int(state == "running"),
    )
    return [version, virtualization, running]


def _summary(units: list[Unit]) -> Family:
    family = gauge("node_systemd_units", "Summary of systemd unit states")
    counts = Counter(unit.active_state for unit in units)
    for state in dict.fromkeys((*_STATES, *sorted(counts))):
        family.add(counts[state], labels(state=state))
    return family


def _states(bus: Bus, units: list[Unit]) -> Family:
    """Each unit in one of five states; services and mounts with their type."""
    family = gauge("node_systemd_unit_state", "Systemd unit")
    asked = {
        unit.name: Property(unit.path, interface, "Type")
        for unit in units
        for suffix, interface in ((".service", "Service"), (".mount", "Mount"))
        if unit.name.endswith(suffix)
    }
    types = bus.properties(list(asked.values()))
    for unit in units:
        kind = str(types.get(asked[unit.name], "")) if unit.name in asked else ""
        for state in _STATES:
            family.add(int(state == unit.active_state), labels(name=unit.name, state=state, type=kind))
    return family


def _numbers(bus: Bus, units: Iterable[Unit], row: Row) -> Family:
    family = gauge(row.name, row.help) if row.source in _GAUGES else named(row.name, row.help)
    interface, _, name = row.source.partition(".")
    asked = {Property(unit.path, interface, name): unit.name for unit in units}
    for wanted, value in bus.properties(list(asked)).items():
        if isinstance(value, int) and value != _NONE:
            family.add(value * 1e-6 if name.endswith(_MICROSECONDS) else value, labels(name=asked[wanted]))
    return family
