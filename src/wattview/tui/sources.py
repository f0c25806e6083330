"""Where a figure of power comes from, in words. ``rapl+nvml`` is the host by RAPL with its GPUs by NVML added."""

from __future__ import annotations

SOURCES = {
    "rapl": "measured by RAPL",
    "hwmon": "measured by hwmon sensors",
    "battery": "measured at the battery",
    "nvml": "GPUs by NVML",
    "estimated": "from CPU use",
}
"""What is said beside the figure. An estimate is marked by a word of its own as well."""


def source_words(source: str | None) -> str:
    """``measured by RAPL, GPUs by NVML``; "" where there is none."""
    return ", ".join(SOURCES.get(part, part) for part in (source or "").split("+"))


def is_estimate(source: str | None) -> bool:
    """Whether a part of the figure is computed and was not measured."""
    return "estimated" in (source or "").split("+")
