"""Properties of network interfaces from /sys/class/net: state, speed, addresses, carrier changes.

An interface has 23 such files, and a container host hundreds of interfaces. Those that tell of a change (``SIGNS``) are
read at every scrape; the rest when one of them has changed, and at least every ``KEPT_SECONDS``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wattview.config import Config
from wattview.exposition import Family, FamilyType, gauge, labels
from wattview.probes.node.collector import Directories, Directory, Filter, integer_or_none

SIGNS = ("operstate", "carrier_changes", "flags", "mtu")
KEPT_SECONDS = 60.0

# File of an interface's directory, name, type (Documentation/ABI/testing/sysfs-class-net).
_TABLE: tuple[tuple[str, str, FamilyType], ...] = (
    ("addr_assign_type", "address_assign_type", "gauge"),
    ("carrier", "carrier", "gauge"),
    ("carrier_changes", "carrier_changes_total", "counter"),
    ("carrier_up_count", "carrier_up_changes_total", "counter"),
    ("carrier_down_count", "carrier_down_changes_total", "counter"),
    ("dev_id", "device_id", "gauge"),
    ("dormant", "dormant", "gauge"),
    ("flags", "flags", "gauge"),
    ("ifindex", "iface_id", "gauge"),
    ("iflink", "iface_link", "gauge"),
    ("link_mode", "iface_link_mode", "gauge"),
    ("mtu", "mtu_bytes", "gauge"),
    ("name_assign_type", "name_assign_type", "gauge"),
    ("netdev_group", "net_dev_group", "gauge"),
    ("tx_queue_len", "transmit_queue_length", "gauge"),
    ("type", "protocol_type", "gauge"),
)
_FLAG_UP = 0x1
_WORDS = ("address", "broadcast", "duplex", "ifalias")
_FILES = (*(file for file, _, _ in _TABLE), "speed", *_WORDS)


class _Interface:
    """One interface: the signs as they were, and the files that were read then."""

    __slots__ = ("_read_at", "_signs", "values")

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self._signs: dict[str, bytes] = {}
        self._read_at = 0.0

    def read(self, directory: Directory, now: float) -> None:
        signs = {name: data for name in SIGNS if (data := _content(directory.read, name)) is not None}
        if signs != self._signs or now - self._read_at >= KEPT_SECONDS:
            self._signs, self._read_at = signs, now
            others = {name: _content(directory.read_once, name) for name in _FILES if name not in SIGNS}
            self.values = {name: data for name, data in others.items() if data is not None} | signs

    def number(self, name: str) -> int | None:
        data = self.values.get(name)
        return None if data is None else integer_or_none(data)

    def text(self, name: str) -> str:
        return self.values.get(name, b"").decode("utf-8", "replace")


def _content(read: Callable[[str], bytes], name: str) -> bytes | None:
    """None if it is missing or unreadable (drivers refuse many attributes)."""
    try:
        return read(name)
    except OSError:
        return None


class Netclass:
    """``node_network_*`` that are properties of an interface; its traffic is the netdev collector's."""

    def __init__(self, config: Config) -> None:
        self._interfaces = Directories(f"{config.paths.sysfs}/class/net")
        self._filter = Filter(config.node.netclass_device_exclude)
        self._ignore_invalid_speed = config.node.netclass_ignore_invalid_speed
        self._known: dict[Directory, _Interface] = {}

    def collect(self) -> list[Family]:
        up = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.")
        info = gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.")
        speed = _property("speed_bytes", "gauge")
        families = [_property(name, kind) for _, name, kind in _TABLE]
        found, now = self._interfaces.found(), time.monotonic()
        wanted = {device: directory for device, directory in found.items() if not self._filter.ignores(device)}
        self._known = {directory: self._known.get(directory) or _Interface() for directory in wanted.values()}
        for device, directory in wanted.items():
            interface = self._known[directory]
            interface.read(directory, now)
            text = labels(device=device)
            for family, (file, _, _) in zip(families, _TABLE, strict=True):
                family.add(interface.number(file), text)
            state, flags = interface.text("operstate"), interface.number("flags")
            up.add(1 if state == "up" else 0, text)
            megabits = interface.number("speed")
            if megabits is not None and (megabits >= 0 or not self._ignore_invalid_speed):
                # For an unknown speed some drivers report -1, and node_exporter -125000 unless told otherwise.
                speed.add(megabits * 125000, text)
            info.add(
                1,
                labels(
                    device=device,
                    address=interface.text("address"),
                    broadcast=interface.text("broadcast"),
                    duplex=interface.text("duplex"),
                    operstate=state,
                    adminstate="unknown" if flags is None else "up" if flags & _FLAG_UP else "down",
                    ifalias=interface.text("ifalias"),
                ),
            )
        return [up, info, *families, speed]


def _property(name: str, kind: FamilyType) -> Family:
    return Family(f"node_network_{name}", kind, f"Network device property: {name}")
