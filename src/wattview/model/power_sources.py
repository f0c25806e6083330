"""The list of all power sources. To add one, add its module and one entry here.

The module has ``make(settings)``, which returns its ``EnergySource`` (``probes/power/energy_source.py``). Everything
else about a source, for the dashboard, the doctor and the analyses, is in its entry.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Sees = Literal["machine", "processor", "gpus"]


class PowerSourceEntry(NamedTuple):
    """One power source.

    ``name`` is the value of ``power.sources`` and of the label ``source``. ``words`` accompany its figure on the
    dashboard, ``found`` is the doctor's text (``{zones}`` is the number of its counters). ``sees`` is its scope: the
    whole machine, the processor with its memory (to which cards are added), or only the GPUs. ``measures`` is False for
    an estimate. ``module`` is a file in ``probes/power/``; "" if the GPU probe reads it.
    """

    name: str
    words: str
    found: str
    sees: Sees
    module: str = ""
    measures: bool = True


POWER_SOURCES: tuple[PowerSourceEntry, ...] = (
    PowerSourceEntry("rapl", "measured by RAPL", "RAPL, {zones} zones", sees="processor", module="powercap"),
    PowerSourceEntry(
        "hwmon",
        "measured by hwmon sensors",
        "the board's or the power supply's own meter (hwmon)",
        sees="machine",
        module="hwmon",
    ),
    PowerSourceEntry(
        "hwmon-processor",
        "processors measured by hwmon sensors",
        "a meter of the processors (hwmon)",
        sees="processor",
        module="hwmon_processor",
    ),
    PowerSourceEntry(
        "ina3221",
        "measured at the Jetson module (INA3221)",
        "the Jetson module's own monitors (INA3221)",
        sees="machine",
        module="ina3221",
    ),
    PowerSourceEntry(
        "pmic",
        "measured by the Raspberry Pi's PMIC",
        "the Raspberry Pi's PMIC: its rails, without USB devices and losses",
        sees="machine",
        module="raspberry_pi",
    ),
    PowerSourceEntry(
        "battery",
        "measured at the battery",
        "the battery, which feeds the machine now",
        sees="machine",
        module="battery",
    ),
    PowerSourceEntry(
        "estimated",
        "from CPU use",
        "an ESTIMATE from CPU use; no counter was found",
        sees="processor",
        module="estimate",
        measures=False,
    ),
    PowerSourceEntry("nvml", "GPUs by NVML", "", sees="gpus"),
    PowerSourceEntry("drm", "GPUs by their drivers", "", sees="gpus"),
)
"""In order of preference: ``power.sources = "auto"`` uses the first that works, so an estimate only if nothing
measures."""

HOST_SOURCES = tuple(entry for entry in POWER_SOURCES if entry.module)
"""Sources of host power: alternatives, of which one is used at a time."""

GPU_SOURCES = tuple(entry.name for entry in POWER_SOURCES if entry.sees == "gpus")
"""Names of the sources that are added to a source that sees only the processor."""

PROCESSOR_SOURCES = tuple(entry.name for entry in POWER_SOURCES if entry.sees == "processor")


def power_source(name: str) -> PowerSourceEntry | None:
    """The entry of a source; None if this version does not know it."""
    return next((entry for entry in POWER_SOURCES if entry.name == name), None)


def is_estimate(source: str | None) -> bool:
    """Whether a part of a figure is computed rather than measured: ``source`` is as in ``rapl+nvml``."""
    return any((entry := power_source(part)) and not entry.measures for part in (source or "").split("+"))
