"""Bonded network interfaces: how many slaves each has, and how many of them are up."""

from __future__ import annotations

from pathlib import Path

from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import Directory, of_sysfs


@of_sysfs(Directory, "class/net")
def collector(interfaces: Directory) -> list[Family]:
    """``node_bonding_*{master}``; no data if the bonding module is not loaded."""
    slaves = gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.")
    active = gauge("node_bonding_active", "Number of active slaves per bonding interface.")
    for name in interfaces.read("bonding_masters").decode("utf-8", "replace").split():
        master = Path(interfaces.path, name)
        members = (master / "bonding/slaves").read_text("utf-8").split()
        slaves.add(len(members), labels(master=name))
        active.add(sum(_is_up(master, member) for member in members), labels(master=name))
    return [slaves, active]


def _is_up(master: Path, member: str) -> bool:
    # Before Linux 3.13 the links to members were named "slave_".
    for prefix in ("lower_", "slave_"):
        path = master / f"{prefix}{member}" / "bonding_slave/mii_status"
        if path.exists():
            return path.read_text("ascii", "replace").strip() == "up"
    return False
