"""Bounds of physical quantities. A value outside of them is a fault, not a sample: drivers report "unknown" with all
bits set, firmware returns nonsense, and counters are corrupted.

The bounds are wide: no existing hardware comes near them. One table for all power sources and GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from wattview.model import Fault


class Bounds(NamedTuple):
    """Name, minimum, maximum and unit of a quantity."""

    name: str
    least: float
    most: float
    unit: str


ZONE_WATTS = Bounds("power of a powercap zone", 0, 10_000, "W")
HOST_WATTS = Bounds("power of a machine", 0, 100_000, "W")
BATTERY_WATTS = Bounds("power of a battery", 0, 1_000, "W")
METER_WATTS = Bounds("power behind a meter", 0, 100_000, "W")
GPU_WATTS = Bounds("power of a GPU", 0, 5_000, "W")
PERCENT = Bounds("percentage", 0, 100, "%")

GPU_UNITS: dict[str, Bounds] = {
    "watts": GPU_WATTS,
    "percent": PERCENT,
    "celsius": Bounds("temperature", -60, 200, "°C"),
    "bytes": Bounds("size of a memory", 0, 2**50, "B"),
    "hertz": Bounds("clock", 0, 1e11, "Hz"),
    "joules": Bounds("energy", 0, 1e14, "J"),
    "seconds": Bounds("latency", 0, 3600, "s"),
    "sessions": Bounds("number of sessions", 0, 10_000, ""),
    "per_second": Bounds("rate", 0, 1e15, "/s"),
    "active": Bounds("share", 0, 1, ""),
    "occupancy": Bounds("share", 0, 1, ""),
}
"""By the last words of a field's name in ``model.Gpu``, without ``_total``; others have no bounds."""


def implausible(value: float, bounds: Bounds) -> str:
    """Why the value is impossible; "" if it is plausible."""
    if bounds.least <= value <= bounds.most:
        return ""
    unit = f" {bounds.unit}" if bounds.unit else ""
    return f"{value:g}{unit} is not a possible {bounds.name} ({bounds.least:g} to {bounds.most:g}{unit})"


def plausible(part: str, values: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
    """The plausible figures of a GPU, by name; each other becomes a fault of ``part``."""
    good: dict[str, Any] = {}
    for name, value in values.items():
        reasons = [implausible(value, bounds) for bounds in _bounds(name)] if isinstance(value, int | float) else []
        if any(reasons):
            faults.append(Fault(f"{part} {name}", reasons[0]))
        else:
            good[name] = value
    return good


def _bounds(name: str) -> Iterator[Bounds]:
    name = name.removesuffix("_total")
    if name.endswith("per_second"):
        yield GPU_UNITS["per_second"]
    elif not name.startswith(("pcie_", "nvlink_")):
        yield from (bounds for unit, bounds in GPU_UNITS.items() if name.endswith(f"_{unit}"))
