"""The GPUs' own power stands beside the host's other sources, whole or not at all."""

from __future__ import annotations

import msgspec

from tests.support.dashboard import gpu
from wattview.daemon.exporters.endpoints import _merged
from wattview.exposition import Family, labels, render
from wattview.model import GpusReading
from wattview.probes.gpu.probe import host_families

NVML = labels(source="nvml")


def samples(*gpus: object) -> dict[str, float]:
    reading = GpusReading(time=1.0, monotonic=1.0, gpus=gpus)  # type: ignore[arg-type]
    return {family.name + text: value for family in host_families(reading) for text, value in family.samples}


def test_the_gpus_of_a_machine_are_added_up() -> None:
    one = msgspec.structs.replace(gpu(0), power_watts=100.0, energy_joules_total=5000.0)
    two = msgspec.structs.replace(gpu(1), power_watts=50.5, energy_joules_total=700.0)
    assert samples(one, two) == {
        f"wattview_host_power_watts{NVML}": 150.5,
        f"wattview_host_energy_joules_total{NVML}": 5700.0,
    }


def test_a_gpu_that_does_not_say_leaves_no_smaller_sum() -> None:
    one = msgspec.structs.replace(gpu(0), power_watts=100.0, energy_joules_total=5000.0)
    silent = msgspec.structs.replace(gpu(1), power_watts=None, energy_joules_total=None)
    assert samples(one, silent) == {}
    assert samples() == {}


def test_a_gpu_of_another_vendor_is_not_nvmls() -> None:
    amd = msgspec.structs.replace(gpu(0), vendor="amd", power_watts=100.0)
    assert samples(amd) == {}


def test_two_sources_of_one_family_are_one_family_in_the_text() -> None:
    rapl = Family("wattview_host_power_watts", "gauge", "Power.").add(40, labels(source="rapl"))
    nvml = Family("wattview_host_power_watts", "gauge", "Power of all GPUs.").add(100, NVML)
    text = render(_merged([[rapl], [nvml]])).decode()
    assert text.count("# TYPE wattview_host_power_watts") == 1
    assert 'wattview_host_power_watts{source="rapl"} 40' in text
    assert 'wattview_host_power_watts{source="nvml"} 100' in text
