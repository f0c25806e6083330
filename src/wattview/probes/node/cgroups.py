"""How many control groups each controller has."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import gauge


class Cgroups:
    """``node_cgroups_*{subsys_name}``, from /proc/cgroups."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/cgroups")

    def collect(self) -> list[Family]:
        help_text = "Current cgroup number of the subsystem."
        count = gauge("node_cgroups_cgroups", help_text)
        enabled = gauge("node_cgroups_enabled", help_text)
        for line in self._file.read().decode("ascii", "replace").splitlines():
            if line.startswith("#"):
                continue
            fields = line.split()
            if len(fields) != 4:
                raise ValueError(f"cgroups: not a controller: {line[:80]!r}")
            text = labels(subsys_name=fields[0])
            count.add(int(fields[2]), text)
            enabled.add(int(fields[3]), text)
        return [count, enabled]
