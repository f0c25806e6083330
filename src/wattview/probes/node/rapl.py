"""Energy counters of /sys/class/powercap, as the kernel reports them, wraps included.

WattView's own power figures come from ``probes.power``; this collector serves node_exporter's dashboards.
"""

from __future__ import annotations

import re

from wattview.exposition import Families, Family, labels
from wattview.probes.lines import integer
from wattview.probes.node.collector import Directories, NoSource, of_sysfs

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@of_sysfs(Directories, "class/powercap")
def collector(directories: Directories) -> list[Family]:
    """``node_rapl_*_joules_total{index,path}``; no data if the counters do not exist or are for root only."""
    families = Families()
    counts: dict[str, int] = {}
    for directory in directories.found().values():
        zone = directory.text("name")
        if zone is None:
            continue
        index, name = index_and_name(zone.strip(), counts)
        try:
            microjoules = integer(directory.read("energy_uj"), f"{directory.path}/energy_uj")
        except PermissionError:
            raise NoSource(f"{directory.path}/energy_uj is readable by root only") from None
        except (FileNotFoundError, ValueError):
            continue
        full_name = f"node_rapl_{_NOT_IN_A_NAME.sub('_', name)}_joules_total"
        text = labels(index=str(index), path=directory.path)
        families.add(full_name, f"Current RAPL {name} value in joules", microjoules / 1e6, text)
    return families.all()


def index_and_name(zone: str, counts: dict[str, int]) -> tuple[int, str]:
    """(1, ``package``) from ``package-1``; names without a number are numbered in order."""
    name, dash, number = zone.partition("-")
    index = int(number) if dash and number.isdigit() else counts.get(zone, 0)
    name = name if dash and number.isdigit() else zone
    counts[name] = index + 1
    return index, name
