"""The one list of all sources of power. To add one is to add its module, and one entry here.

The module has ``make(settings)``, which gives its ``EnergySource`` (``probes/power/source.py``). All else that is said
of a source, on the dashboard, by the doctor and in the analyses, stands in its entry.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Sees = Literal["machine", "processor", "gpus"]


class PowerSourceEntry(NamedTuple):
    """One source of power.

    ``name`` is the value of ``power.sources`` and of the label ``source``. ``words`` stand beside its figure on the
    dashboard, ``found`` in the doctor's list (``{zones}`` is how many counters it has). ``sees``: all that the machine
    draws, or the processor with its memory alone, so that cards are added to it, or only these cards. ``measures`` is
    False for an estimate. ``module`` is a file in ``probes/power/``; "" for what the GPUs' own probe reads.
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
"""In order: ``power.sources = "auto"`` takes the first that works, and an estimate only where nothing measures."""

HOST_SOURCES = tuple(entry for entry in POWER_SOURCES if entry.module)
"""Those of the host: alternatives, of which one is used at a time."""

GPU_SOURCES = tuple(entry.name for entry in POWER_SOURCES if entry.sees == "gpus")
"""The names of those that are added to a source that sees the processor alone."""

PROCESSOR_SOURCES = tuple(entry.name for entry in POWER_SOURCES if entry.sees == "processor")


def power_source(name: str) -> PowerSourceEntry | None:
    """The entry of a source; None where this version does not know it."""
    return next((entry for entry in POWER_SOURCES if entry.name == name), None)
