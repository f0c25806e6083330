"""A D-Bus system bus of a test's own (the real dbus-daemon), with a systemd and a logind on it that answer as captured.

The answers are those of a Debian 12 server (systemd 252): ``busctl call org.freedesktop.systemd1 …``. Both our
collectors and the real node_exporter can be pointed at it.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from jeepney import HeaderFields, Message, MessageType, new_error, new_method_return
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

NO_LIMIT = (1 << 64) - 1
MANAGER = "/org/freedesktop/systemd1"
LOGIN = "/org/freedesktop/login1"

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
  </policy>
</busconfig>
"""


class FakeUnit(NamedTuple):
    """A unit: its states, and its properties by interface and name, each (signature, value)."""

    name: str
    active: str = "active"
    load: str = "loaded"
    properties: dict[str, tuple[str, Any]] = {}  # noqa: RUF012 - of a constant

    @property
    def path(self) -> str:
        """Its object path: what is no letter and no digit is escaped (systemd's bus_label_escape)."""
        return f"{MANAGER}/unit/" + "".join(
            char if char.isalpha() or (char.isdigit() and at) else f"_{ord(char):02x}"
            for at, char in enumerate(self.name)
        )


UNITS = (
    FakeUnit("ssh.service", properties={
        "Service.Type": ("s", "notify"), "Service.NRestarts": ("u", 3), "Service.TasksCurrent": ("t", 1),
        "Service.TasksMax": ("t", 4557), "Unit.ActiveEnterTimestamp": ("t", 1700000000123456),
    }),
    FakeUnit("kmod-static-nodes.service", "inactive", properties={
        "Service.Type": ("s", "oneshot"), "Service.NRestarts": ("u", 0), "Service.TasksCurrent": ("t", NO_LIMIT),
        "Service.TasksMax": ("t", NO_LIMIT),
    }),
    FakeUnit("nginx.service", "failed", properties={
        "Service.Type": ("s", "forking"), "Service.NRestarts": ("u", 5), "Service.TasksCurrent": ("t", NO_LIMIT),
        "Service.TasksMax": ("t", 4557),
    }),
    FakeUnit("apt-daily.timer", properties={
        "Timer.LastTriggerUSec": ("t", 1700000100000000), "Unit.ActiveEnterTimestamp": ("t", 1700000001000000),
    }),
    FakeUnit("dbus.socket", properties={
        "Socket.NAccepted": ("u", 0), "Socket.NConnections": ("u", 2), "Socket.NRefused": ("u", 1),
        "Unit.ActiveEnterTimestamp": ("t", 1700000002000000),
    }),
    FakeUnit("multi-user.target", properties={"Unit.ActiveEnterTimestamp": ("t", 1700000003000000)}),
    FakeUnit("auditd.service", "inactive", "not-found"),
    FakeUnit("dev-sda1.device"),
    FakeUnit("srv-media.mount", "activating", properties={"Mount.Type": ("s", "nfs4")}),
    FakeUnit("user.slice"),
)  # fmt: skip

SESSIONS = {
    f"{LOGIN}/session/_31": ("1", 1000, "kim", "seat0", {"Remote": False, "Type": "wayland", "Class": "user"}),
    f"{LOGIN}/session/_32": ("2", 1000, "kim", "", {"Remote": True, "Type": "tty", "Class": "user"}),
    f"{LOGIN}/session/_33": ("3", 1001, "lou", "", {"Remote": True, "Type": "tty", "Class": "user"}),
    f"{LOGIN}/session/c1": ("c1", 116, "gdm", "seat0", {"Remote": False, "Type": "x11", "Class": "manager-early"}),
}


class SystemBus:
    """``with SystemBus(folder) as bus: bus.address``; with ``names=()`` nobody is on it."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("org.freedesktop.systemd1", "org.freedesktop.login1")):
        self.path = folder / "system_bus_socket"
        self.address = f"unix:path={self.path}"
        self.units = list(UNITS)
        self.manager: dict[str, str] = {
            "Version": "252.39-1~deb12u1", "Virtualization": "kvm", "SystemState": "degraded",
        }  # fmt: skip
        self.silent: set[str] = set()
        """Members that get no answer."""
        self._names = names
        self._config = folder / "bus.conf"
        self._config.write_text(CONFIG.format(path=self.path))

    def __enter__(self) -> Self:
        program = shutil.which("dbus-daemon")
        assert program, "dbus-daemon is missing; run: sudo apt-get install dbus-daemon"
        command = [program, f"--config-file={self._config}", "--nofork", "--print-address"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._daemon.stdout is not None
        assert self._daemon.stdout.readline(), "dbus-daemon did not start"
        self._connection = open_dbus_connection(self.address)
        for name in self._names:
            self._connection.send_and_get_reply(message_bus.RequestName(name))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def _serve(self) -> None:
        while True:
            try:
                call = self._connection.receive()
                if call.header.message_type is MessageType.method_call:
                    member = call.header.fields[HeaderFields.member]
                    if member not in self.silent:
                        self._connection.send(self._answer(call, member))
            except (OSError, ValueError):
                return

    def _answer(self, call: Message, member: str) -> Message:
        path = call.header.fields[HeaderFields.path]
        if member == "ListUnits":
            rows = [
                (unit.name, "a unit", unit.load, unit.active, "x", "", unit.path, 0, "", "/") for unit in self.units
            ]
            return new_method_return(call, "a(ssssssouso)", (rows,))
        if member == "ListSeats":
            return new_method_return(call, "a(so)", ([("seat0", f"{LOGIN}/seat/seat0")],))
        if member == "ListSessions":
            sessions = [(name, uid, user, seat, path) for path, (name, uid, user, seat, _) in SESSIONS.items()]
            return new_method_return(call, "a(susso)", (sessions,))
        interface, name = call.body
        value = self._property(path, interface.rpartition(".")[2], name)
        if value is None:
            return new_error(call, "org.freedesktop.DBus.Error.UnknownProperty", "s", (f"no {name}",))
        return new_method_return(call, "v", (value,))

    def _property(self, path: str, interface: str, name: str) -> tuple[str, Any] | None:
        if path == MANAGER:
            return ("s", self.manager[name]) if name in self.manager else None
        if path in SESSIONS:
            value = SESSIONS[path][4][name]
            return ("b" if isinstance(value, bool) else "s", value)
        unit = next((unit for unit in self.units if unit.path == path), None)
        return unit.properties.get(f"{interface}.{name}") if unit else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.terminate()
        self._daemon.wait(timeout=10)
        self._thread.join(timeout=10)
        self._connection.close()
        assert self._daemon.stdout is not None
        self._daemon.stdout.close()
