"""Power meters of only the processors, through hwmon, for a machine without its own meter (see ``hwmon``)."""

from __future__ import annotations

from wattview.config import Config
from wattview.probes.power.hwmon import PROCESSOR_METERS, HwmonMeters


def make(config: Config) -> HwmonMeters:
    """The source, as configured."""
    return HwmonMeters(config.paths.sysfs, "hwmon-processor", PROCESSOR_METERS)
