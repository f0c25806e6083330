"""Thermal zones and the devices that cool them, from /sys/class/thermal."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.node.collector import Directories


class ThermalZone:
    """``node_thermal_zone_temp`` and ``node_cooling_device_*``; a zone that is off or unreadable is left out."""

    def __init__(self, config: Config) -> None:
        root = f"{config.paths.sysfs}/class/thermal"
        self._zones = Directories(root, r"thermal_zone[0-9]+")
        self._coolers = Directories(root, r"cooling_device[0-9]+")

    def collect(self) -> list[Family]:
        temperature = gauge("node_thermal_zone_temp", "Zone temperature in Celsius")
        for name, directory in self._zones.found_or_none().items():
            millidegrees = directory.number("temp")
            if millidegrees is None or directory.text("mode") == "disabled":
                continue
            text = labels(zone=name.removeprefix("thermal_zone"), type=(directory.text("type") or "").strip())
            temperature.add(millidegrees / 1000, text)
        now = gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device")
        most = gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device")
        for name, directory in self._coolers.found_or_none().items():
            text = labels(name=name.removeprefix("cooling_device"), type=(directory.text("type") or "").strip())
            now.add(directory.number("cur_state"), text)
            most.add(directory.number("max_state"), text)
        return [temperature, now, most]
