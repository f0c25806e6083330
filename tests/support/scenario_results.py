"""Analysed scenarios whose power and quality are given."""

from __future__ import annotations

from wattview.model import Efficiency, ScenarioRecord, ScenarioResult


def result(
    watts: float | None, vmaf: float | None = 95.0, *, name: str = "x", net: float | None = None,
    power_source: str | None = "rapl", machine: str | None = None, **fields: object,
) -> ScenarioResult:  # fmt: skip
    """Two streams of 720p by libx264, but for what ``fields`` say; ``net`` is the power above idle of each stream."""
    settings: dict[str, object] = {
        "type": "streams", "streams": 2, "resolution": "1280x720", "fps": 30.0, "bitrate": "2500k", "realtime": True,
        "encoder": "libx264", "preset": "veryfast",
    }  # fmt: skip
    record = ScenarioRecord(name=name, vmaf_score=vmaf, **(settings | fields))  # type: ignore[arg-type]
    return ScenarioResult(
        record=record,
        machine=machine,
        power_mean_watts=watts,
        power_source=power_source if watts is not None else None,
        net_efficiency=Efficiency(watts_per_stream=net) if net is not None else None,
        reasons={} if watts is not None else {"energy_joules": "no samples"},
    )


def baseline(watts: float, machine: str | None = None) -> ScenarioResult:
    record = ScenarioRecord(name="b", type="baseline")
    return ScenarioResult(record=record, machine=machine, power_mean_watts=watts, power_source="rapl")
