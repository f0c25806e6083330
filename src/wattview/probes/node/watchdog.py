"""Watchdog timers, from /sys/class/watchdog."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import Directories, of_sysfs

# File, name.
_TABLE = (
    ("bootstatus", "bootstatus"),
    ("fw_version", "fw_version"),
    ("nowayout", "nowayout"),
    ("timeleft", "timeleft_seconds"),
    ("timeout", "timeout_seconds"),
    ("pretimeout", "pretimeout_seconds"),
    ("access_cs0", "access_cs0"),
)
_INFO = ("options", "identity", "state", "status", "pretimeout_governor")


@of_sysfs(Directories, "class/watchdog")
def collector(directories: Directories) -> list[Family]:
    """``node_watchdog_*{name}``."""
    timers = directories.found()
    if not timers:
        return []
    families = [
        gauge(f"node_watchdog_{name}", f"Value of /sys/class/watchdog/<watchdog>/{file}") for file, name in _TABLE
    ]
    info = gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>")
    for timer, directory in timers.items():
        for family, (file, _) in zip(families, _TABLE, strict=True):
            family.add(directory.number(file), labels(name=timer))
        info.add(1, labels(name=timer, **{name: (directory.text(name) or "").strip() for name in _INFO}))
    return [*families, info]
