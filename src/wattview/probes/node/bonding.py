"""Bonded network interfaces: how many slaves each has, and how many of them are up."""

from __future__ import annotations

from pathlib import Path

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile


class Bonding:
    """``node_bonding_*{master}``; no data if the bonding module is not loaded."""

    def __init__(self, config: Config) -> None:
        self._root = Path(config.paths.sysfs, "class/net")
        self._masters = KernelFile(self._root / "bonding_masters")

    def collect(self) -> list[Family]:
        slaves = gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.")
        active = gauge("node_bonding_active", "Number of active slaves per bonding interface.")
        for master in self._masters.read().decode("utf-8", "replace").split():
            members = (self._root / master / "bonding/slaves").read_text("utf-8").split()
            slaves.add(len(members), labels(master=master))
            active.add(sum(self._is_up(master, member) for member in members), labels(master=master))
        return [slaves, active]

    def _is_up(self, master: str, member: str) -> bool:
        # Before Linux 3.13 the links to members were named "slave_".
        for prefix in ("lower_", "slave_"):
            path = self._root / master / f"{prefix}{member}" / "bonding_slave/mii_status"
            if path.exists():
                return path.read_text("ascii", "replace").strip() == "up"
        return False
