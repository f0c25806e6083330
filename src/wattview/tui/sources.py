"""Descriptions of power sources. ``rapl+nvml`` is the host by RAPL plus its GPUs by NVML."""

from __future__ import annotations

from wattview.model.power_sources import power_source


def source_words(source: str | None) -> str:
    """``measured by RAPL, GPUs by NVML``; "" if there is none."""
    parts = (source or "").split("+")
    return ", ".join(entry.words if (entry := power_source(part)) is not None else part for part in parts)
