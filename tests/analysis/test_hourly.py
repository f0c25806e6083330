"""What an hour costs at this moment's rate, worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.dashboard import snapshot
from wattview.analysis.machine_power import machine_power
from wattview.analysis.pricing.hourly import hourly_cost
from wattview.config import Cost, Tariff
from wattview.model import Gpu, MachinePower, WallPower

PRICES = Cost(energy_per_kwh=0.30, pue=1.5, cpu_per_hour=0.05, gpu_per_hour=2.0, carbon_g_per_kwh=400.0)
WHOLE = snapshot(0.0)
HOST, POWER = WHOLE.host, WHOLE.power
assert HOST is not None
assert POWER is not None
HOST = replace(HOST, cpus=8, cpu_percent=25.0)
POWER = replace(POWER, host_watts=200.0, source="rapl")
MACHINE = MachinePower(source="rapl", watts=200.0)


def gpu(**fields: Any) -> Gpu:
    return Gpu(index=0, uuid="u", name="n", pci_bus_id="p", driver_version="1", **fields)


def test_energy_and_busy_cpus_are_added() -> None:
    """0.2 kW at 0.30 and a PUE of 1.5 are 0.09 an hour; 2 of 8 CPUs at 0.05 are 0.10; 0.3 kWh at 400 g are 120 g."""
    found = hourly_cost(MACHINE, HOST, (), 0.0, PRICES)
    assert (found.energy, found.compute, found.total) == (
        pytest.approx(0.09), pytest.approx(0.10), pytest.approx(0.19),
    )  # fmt: skip
    assert found.carbon_grams == pytest.approx(120.0)


def test_a_gpu_adds_its_time_and_what_the_hosts_meter_does_not_see() -> None:
    """50 W beside RAPL are 0.0225 an hour; a GPU used by half is 1.00."""
    gpus = [gpu(power_watts=50.0, utilization_percent=50.0)]
    found = hourly_cost(machine_power(POWER, gpus), HOST, gpus, 0.0, PRICES)
    assert (found.energy, found.compute) == (pytest.approx(0.1125), pytest.approx(1.10))


def test_a_part_that_is_unknown_makes_the_sum_unknown() -> None:
    no_power = hourly_cost(replace(MACHINE, watts=None), HOST, (), 0.0, PRICES)
    assert (no_power.energy, no_power.compute, no_power.total) == (None, pytest.approx(0.10), None)
    no_cpu = hourly_cost(MACHINE, replace(HOST, cpu_percent=None), (), 0.0, PRICES)
    assert (no_cpu.energy, no_cpu.compute, no_cpu.total) == (pytest.approx(0.09), None, None)
    assert hourly_cost(MACHINE, HOST, [gpu(power_watts=1.0)], 0.0, PRICES).compute is None
    assert hourly_cost(MACHINE, HOST, None, 0.0, PRICES).compute is None, "GPUs that cannot be read have a price too"
    assert hourly_cost(MACHINE, HOST, None, 0.0, replace(PRICES, gpu_per_hour=0.0)).compute == pytest.approx(0.10)
    assert hourly_cost(None, None, (), 0.0, PRICES).total is None
    assert hourly_cost(MACHINE, HOST, (), 0.0, Cost()).carbon_grams is None


def test_the_price_is_the_one_of_this_hour() -> None:
    prices = replace(PRICES, timezone="UTC", tariff=[Tariff(energy_per_kwh=0.10, start="22:00", end="06:00")])
    for hour, cost in ((12, 0.09), (23, 0.03)):
        moment = datetime(2026, 3, 2, hour, tzinfo=UTC).timestamp()
        assert hourly_cost(MACHINE, HOST, (), moment, prices).energy == pytest.approx(cost)


def test_an_hour_is_billed_by_the_plug_where_that_is_known() -> None:
    wall = WallPower(source="meter", time=0.0, monotonic=0.0, watts=300.0)
    assert hourly_cost(MACHINE, HOST, (), 0.0, PRICES, wall).energy == pytest.approx(0.09 * 1.5)
    assert hourly_cost(None, HOST, (), 0.0, PRICES, wall).carbon_grams == pytest.approx(180.0)
    assert hourly_cost(MACHINE, HOST, (), 0.0, PRICES, replace(wall, watts=None)).energy == pytest.approx(0.09)
