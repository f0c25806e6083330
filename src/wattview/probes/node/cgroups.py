"""How many control groups each controller has."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.lines import understood
from wattview.probes.node.collector import of_file


@of_file("cgroups")
def collector(data: bytes) -> list[Family]:
    """``node_cgroups_*{subsys_name}``, from /proc/cgroups."""
    help_text = "Current cgroup number of the subsystem."
    count = gauge("node_cgroups_cgroups", help_text)
    enabled = gauge("node_cgroups_enabled", help_text)
    for controller, cgroups, on in proc_cgroups(data):
        count.add(cgroups, labels(subsys_name=controller))
        enabled.add(on, labels(subsys_name=controller))
    return [count, enabled]


def proc_cgroups(data: bytes) -> list[tuple[str, int, int]]:
    """(controller, its cgroups, whether it is enabled) of each line of /proc/cgroups."""

    def controller(line: str) -> tuple[str, int, int] | None:
        if line.startswith("#"):
            return None
        name, _, cgroups, enabled = line.split()
        return name, int(cgroups), int(enabled)

    return understood(data.decode("ascii", "replace").splitlines(), controller, "cgroups")
