"""Cost and carbon by the hour of the real grid, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.analysis_cases import PRICES, START, evidence, flat, line, record
from wattview.analysis.pricing.grid import integral, parts, value_at
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.analysis.results import analyse
from wattview.model import GridPrices, GridSeries, GridSpan, HistorySeries, MachinePower

RAPL = (
    line('wattview_host_energy_joules_total{source="rapl"}', 50.0),
    flat('wattview_host_power_watts{source="rapl"}', 50.0),
)
CPU = (line("wattview_host_cpu_busy_seconds_total", 2.0), flat("wattview_host_cpus", 8.0))
CARBON = GridSeries(
    quantity="carbon",
    source="uk-carbon-intensity",
    spans=(GridSpan(START, START + 20, 100.0), GridSpan(START + 20, START + 100, 400.0)),
)
PRICE = GridSeries(quantity="price", source="entsoe FR", spans=(GridSpan(START - 100, START + 100, 0.50),))


def test_a_windows_carbon_is_an_integral_and_not_a_product_of_means() -> None:
    """200 W in the first 20 s at 100 g, 50 W in the other 40 s at 400 g: 4000 J and 2000 J, PUE 1.5. A mean intensity
    of 300 g would give 0.75 g."""
    joules = [(at, 200.0 * at if at < 20 else 4000 + 50.0 * (at - 20)) for at in range(-5, 66, 5)]
    counter = HistorySeries(RAPL[0].name, [(START + at, 1000 + value) for at, value in joules])
    result = analyse(record(), evidence(counter, *CPU), PRICES, known=GridPrices(carbon=CARBON))
    assert result.energy_joules == pytest.approx(6000)
    assert result.carbon_grams == pytest.approx((4000 * 100 + 2000 * 400) / 3.6e6 * 1.5)
    assert "grid" not in result.remarks


def test_a_grid_price_takes_precedence_over_the_settings() -> None:
    result = analyse(record(), evidence(*RAPL, *CPU), PRICES, known=GridPrices(price=PRICE))
    assert result.cost_energy == pytest.approx(3000 / 3.6e6 * 0.50 * 1.5)


def test_the_last_known_value_is_used_and_marked() -> None:
    short = replace(CARBON, spans=(GridSpan(START - 50, START + 30, 200.0),))
    result = analyse(record(), evidence(*RAPL, *CPU), PRICES, known=GridPrices(carbon=short))
    assert result.carbon_grams == pytest.approx(3000 / 3.6e6 * 200 * 1.5)
    assert result.remarks["grid"] == "by the last known value: carbon of uk-carbon-intensity"


def test_a_window_before_the_first_value_uses_the_setting() -> None:
    later = replace(CARBON, spans=(GridSpan(START + 30, START + 100, 200.0),))
    result = analyse(record(), evidence(*RAPL, *CPU), PRICES, known=GridPrices(carbon=later))
    assert result.carbon_grams == pytest.approx(3000 / 3.6e6 * 400 * 1.5)
    unset = analyse(record(), evidence(*RAPL), replace(PRICES, carbon_g_per_kwh=0.0), known=GridPrices(carbon=later))
    assert unset.carbon_grams is None
    assert "carbon_grams" in unset.reasons


def test_the_live_figures_are_of_this_moment_with_the_machines_embodied_carbon() -> None:
    """0.05 kW, PUE 1.5, 400 g: 30 g an hour. 1,000 kg over 4 years are 28.5 g an hour; 58.5 g over 3 streams."""
    machine = MachinePower(source="rapl", watts=50.0)
    prices = replace(PRICES, embodied_kg=1000.0, lifetime_years=4.0)
    found = hourly_cost(machine, None, (), START + 50, prices, None, GridPrices(carbon=CARBON, price=PRICE))
    assert found.energy == pytest.approx(0.05 * 1.5 * 0.50)
    assert found.carbon_grams == pytest.approx(30.0)
    assert found.embodied_grams == pytest.approx(1e6 / (4 * 365.25 * 24))
    assert found.sci_grams(3) == pytest.approx((30.0 + 1e6 / (4 * 365.25 * 24)) / 3)
    assert found.sci_grams(0) is None
    assert not found.stale
    assert hourly_cost(machine, None, (), START + 500, prices, None, GridPrices(carbon=CARBON)).stale


@dataclass
class Ramp:
    """A power of 1 W more each second, whose energy between two moments is asked for."""

    asked: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, start: float, end: float) -> float:
        self.asked.append((start, end))
        return (end**2 - start**2) / 2


@given(
    st.lists(st.tuples(st.floats(0, 90), st.floats(1, 20), st.floats(-5, 500)), min_size=1, max_size=12),
    st.floats(0, 50),
    st.floats(1, 60),
)
def test_the_parts_of_a_window_are_the_window(
    rows: list[tuple[float, float, float]], start: float, length: float
) -> None:
    at, spans = 0.0, []
    for gap, wide, value in rows:
        spans.append(GridSpan(at + gap / 10, at + gap / 10 + wide, value))
        at = spans[-1].end
    known = GridSeries(quantity="carbon", source="x", spans=tuple(spans))
    found = parts(known, start, start + length)
    assert (found[0].start, found[-1].end) == (start, start + length)
    assert all(left.end == right.start for left, right in pairwise(found))
    ramp = Ramp()
    total = integral(known, ramp, start, start + length)
    fine = [start + length * (step + 0.5) / 4000 for step in range(4000)]
    values = [value_at(known, moment) for moment in fine]
    if None in values:
        assert total is None or start >= spans[0].start - length / 4000
    elif total is not None:
        truth = sum(m * v.value for m, v in zip(fine, values, strict=True) if v is not None) * length / 4000 / 3.6e6
        assert total[0] == pytest.approx(truth, rel=0.01, abs=0.05 * 500 * length / 3.6e6)
