"""Thermal zones and the devices that cool them, from /sys/class/thermal."""

from __future__ import annotations

from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import Directories, of_sysfs


@of_sysfs(Directories, "class/thermal", r"(thermal_zone|cooling_device)[0-9]+")
def collector(directories: Directories) -> list[Family]:
    """``node_thermal_zone_temp`` and ``node_cooling_device_*``; a zone that is off or unreadable is left out."""
    temperature = gauge("node_thermal_zone_temp", "Zone temperature in Celsius")
    now = gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device")
    most = gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device")
    for name, directory in directories.found_or_none().items():
        kind = (directory.text("type") or "").strip()
        if name.startswith("cooling_device"):
            text = labels(name=name.removeprefix("cooling_device"), type=kind)
            now.add(directory.number("cur_state"), text)
            most.add(directory.number("max_state"), text)
        elif (millidegrees := directory.number("temp")) is not None and directory.text("mode") != "disabled":
            temperature.add(millidegrees / 1000, labels(zone=name.removeprefix("thermal_zone"), type=kind))
    return [temperature, now, most]
