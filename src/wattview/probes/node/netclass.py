"""Properties of network interfaces from /sys/class/net: state, speed, addresses, carrier changes."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, FamilyType, labels
from wattview.probes.node.collector import Directories, Filter, gauge

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


class Netclass:
    """``node_network_*`` that are properties of an interface; its traffic is the netdev collector's."""

    def __init__(self, config: Config) -> None:
        self._interfaces = Directories(f"{config.paths.sysfs}/class/net")
        self._filter = Filter(config.node.netclass_device_exclude)
        self._ignore_invalid_speed = config.node.netclass_ignore_invalid_speed

    def collect(self) -> list[Family]:
        up = gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.")
        info = gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.")
        speed = _property("speed_bytes", "gauge")
        families = [_property(name, kind) for _, name, kind in _TABLE]
        for device, directory in self._interfaces.found().items():
            if self._filter.ignores(device):
                continue
            text = labels(device=device)
            flags = None
            for family, (file, _, _) in zip(families, _TABLE, strict=True):
                value = directory.number(file)
                family.add(value, text)
                if file == "flags":
                    flags = value
            state = directory.text("operstate") or ""
            up.add(1 if state == "up" else 0, text)
            megabits = directory.number("speed")
            if megabits is not None and (megabits >= 0 or not self._ignore_invalid_speed):
                # For an unknown speed some drivers report -1, and node_exporter -125000 unless told otherwise.
                speed.add(megabits * 125000, text)
            info.add(
                1,
                labels(
                    device=device,
                    address=directory.text("address") or "",
                    broadcast=directory.text("broadcast") or "",
                    duplex=directory.text("duplex") or "",
                    operstate=state,
                    adminstate="unknown" if flags is None else "up" if flags & _FLAG_UP else "down",
                    ifalias=directory.text("ifalias") or "",
                ),
            )
        return [up, info, *families, speed]


def _property(name: str, kind: FamilyType) -> Family:
    return Family(f"node_network_{name}", kind, f"Network device property: {name}")
