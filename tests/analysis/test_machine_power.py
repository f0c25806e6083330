"""The whole machine's power: each joule once, and nothing where a part is not known."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tests.support.dashboard import snapshot
from wattview.analysis.machine_power import machine_power
from wattview.model import Gpu, MachinePower, PowerReading

POWER = snapshot(0.0).power
assert POWER is not None
POWER = replace(POWER, source="rapl", host_watts=200.0, host_joules_total=5000.0, host_error_watts=0.25)


def of(source: Any) -> PowerReading:
    return replace(POWER, source=source)


def gpu(index: int = 0, **fields: Any) -> Gpu:
    return Gpu(index=index, uuid=f"u{index}", name="n", pci_bus_id="p", driver_version="1", **fields)


@pytest.mark.parametrize("source", ["rapl", "hwmon", "battery", "estimated"])
def test_a_machine_without_gpus_is_its_host(source: str) -> None:
    assert machine_power(of(source), ()) == MachinePower(
        source=source, watts=200.0, error_watts=0.25, joules_total=5000.0
    )


@pytest.mark.parametrize("source", ["rapl", "estimated"])
def test_gpus_are_added_where_the_host_does_not_see_them(source: str) -> None:
    gpus = [gpu(0, power_watts=50.0, energy_joules_total=70.0), gpu(1, power_watts=0.0, energy_joules_total=30.0)]
    found = machine_power(of(source), gpus)
    assert found == MachinePower(source=f"{source}+nvml", watts=250.0, error_watts=None, joules_total=5100.0)


@pytest.mark.parametrize("source", ["hwmon", "battery"])
def test_a_meter_that_feeds_the_gpus_includes_them(source: str) -> None:
    for gpus in ([gpu(power_watts=50.0)], [gpu()], None):
        found = machine_power(of(source), gpus)
        assert found is not None
        assert (found.source, found.watts, found.error_watts) == (source, 200.0, 0.25)


@pytest.mark.parametrize("source", ["estimated", "hwmon-processor"])
def test_a_meter_of_the_processors_does_not_include_cards(source: str) -> None:
    found = machine_power(of(source), [gpu(power_watts=50.0)])
    assert found is not None
    assert (found.source, found.watts) == (f"{source}+nvml", 250.0)


def test_cards_of_every_vendor_are_added_and_parts_of_the_processor_are_not() -> None:
    found = machine_power(POWER, [gpu(vendor="amd", power_watts=90.0), gpu(vendor="intel", integrated=True)])
    assert found == MachinePower(source="rapl+drm", watts=290.0)


def test_an_unknown_part_makes_no_smaller_sum() -> None:
    silent = machine_power(POWER, [gpu(0, power_watts=50.0), gpu(1), gpu(2)])
    assert silent is not None
    assert (silent.watts, silent.reason) == (None, "GPU 1, 2 does not report its power")
    unread = machine_power(POWER, None)
    assert unread == MachinePower(source="rapl", reason="its GPUs cannot be read at the moment")
    no_host = machine_power(replace(POWER, host_watts=None), [gpu(power_watts=50.0)])
    assert no_host is not None
    assert (no_host.watts, no_host.reason) == (None, "")
    uncounted = machine_power(POWER, [gpu(power_watts=50.0)])
    assert uncounted is not None
    assert (uncounted.watts, uncounted.joules_total) == (250.0, None)


def test_without_a_power_source_there_is_no_figure() -> None:
    assert machine_power(None, [gpu(power_watts=50.0)]) is None
