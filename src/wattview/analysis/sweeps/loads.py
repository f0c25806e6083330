"""Loads of scenarios: how many streams and pixels, and what the pixels hold. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wattview.analysis.efficiency import pixels
from wattview.analysis.results import is_baseline
from wattview.model import Load, ScenarioRecord, ScenarioResult
from wattview.model.run_request import bits_per_second

IDLE = Load(0.0, 0.0)


def load_of(result: ScenarioResult) -> Load | None:
    """Load of a scenario; None if the record does not say. A baseline has no streams."""
    record = result.record
    if is_baseline(record):
        return IDLE
    if record.streams is None or record.fault:
        return None
    outputs = [(output.resolution, float(output.fps)) for output in record.outputs or []]
    if not outputs and record.resolution is not None and record.fps is not None:
        outputs = [(record.resolution, record.fps)]
    try:
        return stream_load(
            record.streams, outputs, _bitrates(record), record.spatial_information_mean,
            record.temporal_information_mean,
        )  # fmt: skip
    except ValueError:
        return None


def stream_load(
    streams: int,
    outputs: Sequence[tuple[str, float]],
    bitrates: Sequence[str] = (),
    spatial: float | None = None,
    temporal: float | None = None,
) -> Load:
    """Load of that many streams with these ``(resolution, frames per second)`` each, and a bitrate for each of these.

    Several bitrates of one output are those of the streams. Raises ValueError for an invalid resolution or bitrate.
    """
    if not outputs:
        raise ValueError("no picture")
    rates = [pixels(resolution) * fps for resolution, fps in outputs]
    if not sum(rates):
        raise ValueError("no pixels")
    return Load(
        float(streams), streams * sum(rates) / 1e6, _bits_per_pixel(rates, [bits_per_second(one) for one in bitrates]),
        spatial, temporal,
    )  # fmt: skip


def _bits_per_pixel(pixel_rates: list[float], bits: list[int]) -> float | None:
    """Geometric mean over the pixels; None if the bitrates are not one for each output, or all of one output."""
    if not bits or len(pixel_rates) not in (1, len(bits)) or not all(bits):
        return None
    rates = pixel_rates if len(pixel_rates) == len(bits) else pixel_rates * len(bits)
    doublings = sum(rate * math.log2(one / rate) for rate, one in zip(rates, bits, strict=True)) / sum(rates)
    return float(f"{2**doublings:.6g}")


def _bitrates(record: ScenarioRecord) -> list[str]:
    """Of each output, or of each stream. With constant quality it is only a limit: the bitrate is not known before."""
    if record.bitrate is None or record.rate_control == "crf":
        return []
    rates = [part.strip() for part in record.bitrate.split(",")]
    try:
        return rates if all(bits_per_second(rate) for rate in rates) else []
    except ValueError:
        return []


def measured(results: Iterable[ScenarioResult]) -> list[tuple[Load, float]]:
    """The measured loads and their mean power."""
    return [
        (found, result.power_mean_watts)
        for result in results
        if result.power_mean_watts is not None and (found := load_of(result)) is not None
    ]
