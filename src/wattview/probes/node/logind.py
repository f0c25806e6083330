"""logind's sessions, over D-Bus (org.freedesktop.login1(5))."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import NoSource
from wattview.probes.node.dbus import Bus, Property, ServiceUnknown

_SERVICE = "org.freedesktop.login1"
_MANAGER = "/org/freedesktop/login1"
_REMOTE = ("true", "false")
# Session types of logind in systemd 229; later ones become "other".
_TYPES = ("other", "unspecified", "tty", "x11", "wayland", "mir", "web")
_CLASSES = ("other", "user", "greeter", "lock-screen", "background")
_ASKED = ("Remote", "Type", "Class")


class Logind:
    """``node_logind_sessions{seat,remote,type,class}``; a session on no seat (SSH) has an empty one."""

    def __init__(self, config: Config) -> None:
        self._address = config.node.dbus_address

    def collect(self) -> list[Family]:
        with Bus(self._address, _SERVICE) as bus:
            try:
                seats = [seat for seat, _ in bus.call(_MANAGER, "Manager", "ListSeats")]
            except ServiceUnknown:
                raise NoSource("logind is not on the system bus") from None
            sessions = bus.call(_MANAGER, "Manager", "ListSessions")
            said = bus.properties([Property(path, "Session", name) for *_, path in sessions for name in _ASKED])
        counts: Counter[tuple[str, ...]] = Counter()
        for _, _, _, seat, path in sessions:
            known = [said.get(Property(path, "Session", name)) for name in _ASKED]
            # A session that has ended since it was listed has no properties.
            if None not in known:
                counts[seat, *_labelled(*known)] += 1
        family = gauge("node_logind_sessions", "Number of sessions registered in logind.")
        for remote, kind, group, seat in product(_REMOTE, _TYPES, _CLASSES, (*seats, "")):
            text = labels(seat=seat, remote=remote, type=kind, **{"class": group})
            family.add(counts[seat, remote, kind, group], text)
        return [family]


def _labelled(remote: Any, kind: Any, group: Any) -> tuple[str, str, str]:
    return (
        "true" if remote else "false",
        kind if kind in _TYPES else "other",
        group if group in _CLASSES else "other",
    )
