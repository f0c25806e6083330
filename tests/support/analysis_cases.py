"""Windows that were worked out by hand: a record, the series of its window, and the prices."""

from __future__ import annotations

from wattview.analysis.windows.series import Evidence
from wattview.config import Cost
from wattview.model import HistorySeries, ScenarioRecord

PRICES = Cost(energy_per_kwh=0.30, cpu_per_hour=0.50, gpu_per_hour=2.0, currency="EUR", pue=1.5, carbon_g_per_kwh=400.0)
START = 1_700_000_000.0


def record(name: str = "one", start: float = 0.0, end: float = 60.0, **fields: object) -> ScenarioRecord:
    return ScenarioRecord(name=name, start_time=START + start, end_time=START + end, **fields)  # type: ignore[arg-type]


def line(key: str, per_second: float, first: float = 1000.0, span: tuple[int, int] = (-5, 65)) -> HistorySeries:
    """A counter that grows evenly, read every 5 s."""
    return HistorySeries(key, [(START + at, first + per_second * (at + 5)) for at in range(span[0], span[1] + 1, 5)])


def flat(key: str, value: float, *peaks: tuple[float, float]) -> HistorySeries:
    points = {START + at: value for at in range(-5, 70, 5)} | {START + at: peak for at, peak in peaks}
    return HistorySeries(key, sorted(points.items()))


def evidence(*series: HistorySeries) -> Evidence:
    found: dict[str, list[HistorySeries]] = {}
    for one in series:
        found.setdefault(one.name.partition("{")[0], []).append(one)
    return Evidence(found)
