"""The figures of results as the dashboard names and writes them, and how a row or a group of repeats has each.

All of them come from the control API under ``Figure.name``; nothing is computed here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wattview.model import Group, ScenarioResult
from wattview.tui.text import UNKNOWN, number, signed

CURRENCY = "currency"
"""Stands for the unit of a price: the currency of the result itself."""


class Figure(NamedTuple):
    """``title`` heads a column, ``words`` stand in a sentence; ``factor`` brings the API's value to ``unit``.
    ``part`` of the sheet it stands in; ``difference``: it is one, and is written with its sign."""

    name: str
    part: str
    title: str
    words: str
    unit: str
    decimals: int = 2
    factor: float = 1.0
    difference: bool = False


class Value(NamedTuple):
    """A figure with how far the truth may be from it: half of the repeats' 95 % interval, or of one measurement its
    own error. None is unknown."""

    value: float | None = None
    half: float | None = None


ENERGY, QUALITY, COST = "Energy", "Quality", "Cost"

FIGURES = {
    figure.name: figure
    for figure in (
        Figure("duration_seconds", ENERGY, "Length s", "length", "s", 1),
        Figure("energy_joules", ENERGY, "Energy J", "energy", "J", 1),
        Figure("net_energy_joules", ENERGY, "Net J", "energy above the baseline", "J", 1),
        Figure("power_mean_watts", ENERGY, "Mean W", "mean power", "W"),
        Figure("power_max_watts", ENERGY, "Max W", "largest power", "W"),
        Figure("baseline_diff_power_watts", ENERGY, "Δ base W", "power above the baseline", "W", difference=True),
        Figure("net_watts_per_stream", ENERGY, "Δ/stream W", "power above the baseline per stream", "W",
               difference=True),
        Figure("watts_per_stream", ENERGY, "W/stream", "power per stream", "W"),
        Figure("joules_per_frame", ENERGY, "J/frame", "energy of a frame", "J", 3),
        Figure("joules_per_megapixel", ENERGY, "J/Mpixel", "energy of a megapixel", "J", 4),
        Figure("joules_per_gigabyte", ENERGY, "kJ/GB", "energy of a gigabyte", "kJ", 2, 1e-3),
        Figure("joules_per_viewer_hour", ENERGY, "Wh/viewer-h", "energy of a viewer-hour", "Wh", 3, 1 / 3600),
        Figure("cpu_mean_percent", ENERGY, "CPU %", "CPU use", "%", 1),
        Figure("cpu_seconds", ENERGY, "CPU s", "CPU time", "s", 1),
        Figure("gpu_energy_joules", ENERGY, "GPU J", "energy of the GPUs", "J", 1),
        Figure("vmaf_score", QUALITY, "VMAF", "VMAF", ""),
        Figure("vmaf_harmonic_mean", QUALITY, "Harmonic", "VMAF, harmonic mean", ""),
        Figure("vmaf_percentile_1", QUALITY, "Worst 1 %", "VMAF, first percentile", ""),
        Figure("vmaf_minimum", QUALITY, "Worst", "VMAF of the worst frame", ""),
        Figure("psnr_score", QUALITY, "PSNR dB", "PSNR", "dB"),
        Figure("xpsnr_score", QUALITY, "XPSNR dB", "XPSNR", "dB"),
        Figure("ssim_score", QUALITY, "SSIM", "SSIM", "", 4),
        Figure("qoe_score", QUALITY, "QoE 1-5", "QoE score", ""),
        Figure("start_delay_seconds", QUALITY, "Start s", "delay before the first picture", "s"),
        Figure("end_to_end_delay_seconds", QUALITY, "End to end s", "delay from the source to a viewer", "s", 3),
        Figure("stalls", QUALITY, "Stalls", "stalls", "", 0),
        Figure("stalled_seconds", QUALITY, "Stalled s", "time stalled", "s"),
        Figure("received_frames_ratio", QUALITY, "Received %", "frames that viewers received", "%", 1, 100.0),
        Figure("cost_total", COST, "Total", "cost", CURRENCY, 6),
        Figure("cost_energy", COST, "Energy", "cost of energy", CURRENCY, 6),
        Figure("cost_compute", COST, "Compute", "cost of compute", CURRENCY, 6),
        Figure("cost_egress", COST, "Egress", "cost of egress", CURRENCY, 6),
        Figure("cost_per_stream_hour", COST, "Stream-hour", "cost of a stream-hour", CURRENCY, 6),
        Figure("cost_per_viewer_hour", COST, "Viewer-hour", "cost of a viewer-hour", CURRENCY, 6),
        Figure("carbon_grams", COST, "CO₂e g", "carbon", "g", 3),
        Figure("carbon_grams_per_stream_hour", COST, "g/stream-h", "carbon of a stream-hour", "g"),
        Figure("sci_grams_per_stream_hour", COST, "SCI g/str-h", "software carbon intensity of a stream-hour", "g"),
    )
}  # fmt: skip
"""By the API's name, in the order of the sheet."""


def of_scenario(one: ScenarioResult, name: str) -> Value:
    """The figure of a single measurement."""
    if name == "net_watts_per_stream":
        return Value(one.net_efficiency.watts_per_stream if one.net_efficiency is not None else None)
    errors = {"energy_joules": one.energy_error_joules, "power_mean_watts": one.power_error_watts}
    owners: tuple[Any, ...] = (one, one.efficiency, one.record, one.record.playback)
    owner = next((owner for owner in owners if hasattr(owner, name)), None)
    return Value(getattr(owner, name, None), errors.get(name))


def of_group(group: Group, name: str) -> Value:
    """The figure of repeats: their mean, and half of its interval."""
    found = group.figures.get(name)
    if found is None:
        return Value()
    half = None if found.low is None or found.high is None else (found.high - found.low) / 2
    return Value(found.mean, half)


def written(figure: Figure, value: float | None) -> str:
    """The figure in its unit, without it: ``40.00``, ``+10.00``."""
    if value is None:
        return UNKNOWN
    return (signed if figure.difference else number)(value * figure.factor, figure.decimals)


def signed_written(figure: Figure, difference: float) -> str:
    """A difference of two values of the figure, in its unit."""
    return signed(difference * figure.factor, figure.decimals)


def around(figure: Figure, half: float | None) -> str:
    """``±3.1``, and nothing where it is unknown or too small to be seen."""
    text = number(half * figure.factor, figure.decimals) if half is not None else ""
    return f"±{text}" if text.strip("0.") else ""


def spoken(figure: Figure, value: Value, currency: str) -> str:
    """``40.00 ±0.15 W``."""
    unit = currency if figure.unit == CURRENCY else figure.unit
    return " ".join(part for part in (written(figure, value.value), around(figure, value.half), unit) if part)
