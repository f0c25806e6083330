"""Power meters of the processors alone, through hwmon: where no meter of the machine is there (see ``hwmon``)."""

from __future__ import annotations

from wattview.config import Config
from wattview.probes.power.hwmon import PROCESSOR_METERS, HwmonMeters


def make(config: Config) -> HwmonMeters:
    """The source, as the settings have it."""
    return HwmonMeters(config.paths.sysfs, "hwmon-processor", PROCESSOR_METERS)
