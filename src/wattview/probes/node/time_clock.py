"""The system's time, its time zone, and the kernel's clock sources."""

from __future__ import annotations

import os
import time

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile


class Time:
    """``node_time_*``."""

    def __init__(self, config: Config) -> None:
        root = f"{config.paths.sysfs}/devices/system/clocksource"
        try:
            devices = sorted(name for name in os.listdir(root) if name.startswith("clocksource"))
        except OSError:
            devices = []
        self._sources = [
            (
                name.removeprefix("clocksource"),
                KernelFile(f"{root}/{name}/available_clocksource"),
                KernelFile(f"{root}/{name}/current_clocksource"),
            )
            for name in devices
        ]

    def collect(self) -> list[Family]:
        now = time.time()
        local = time.localtime(now)
        available = gauge(
            "node_time_clocksource_available_info",
            "Available clocksources read from '/sys/devices/system/clocksource'.",
        )
        current = gauge(
            "node_time_clocksource_current_info", "Current clocksource read from '/sys/devices/system/clocksource'."
        )
        for device, listed, chosen in self._sources:
            for source in listed.read().decode("utf-8", "replace").split():
                available.add(1, labels(device=device, clocksource=source))
            source = chosen.read().decode("utf-8", "replace").strip()
            current.add(1, labels(device=device, clocksource=source))
        return [
            gauge("node_time_seconds", "System time in seconds since epoch (1970).", now),
            gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.").add(
                local.tm_gmtoff, labels(time_zone=local.tm_zone)
            ),
            available,
            current,
        ]
