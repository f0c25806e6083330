"""The GPUs' own power stands beside the host's other sources, whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.dashboard import gpu
from tests.support.fake_nvml import GPU_IS_LOST, NO_PERMISSION, UNKNOWN, Code, FakeGpu, FakeNvml
from wattview.analysis.machine_power import machine_power
from wattview.config import Config
from wattview.daemon.exporters.scrape import _merged
from wattview.exposition import Family, labels, render
from wattview.model import Gpu, GpusReading, PowerReading
from wattview.probes.gpu.families import host_families
from wattview.probes.gpu.probe import GpuEnergy, GpuProbe

NVML = labels(source="nvml")


def samples(*gpus: object) -> dict[str, float]:
    totals = GpuEnergy().add(1.0, gpus)  # type: ignore[arg-type]
    reading = GpusReading(time=1.0, monotonic=1.0, gpus=gpus, joules_totals=totals)  # type: ignore[arg-type]
    return {family.name + text: value for family in host_families(reading) for text, value in family.samples}


def test_the_gpus_of_a_machine_are_added_up() -> None:
    one = msgspec.structs.replace(gpu(0), power_watts=100.0, energy_joules_total=5000.0)
    two = msgspec.structs.replace(gpu(1), power_watts=50.5, energy_joules_total=700.0)
    assert samples(one, two) == {
        f"wattview_host_power_watts{NVML}": 150.5,
        f"wattview_host_energy_joules_total{NVML}": 0.0,
    }


def test_a_gpu_that_does_not_report_makes_the_sum_unknown() -> None:
    one = msgspec.structs.replace(gpu(0), power_watts=100.0, energy_joules_total=5000.0)
    silent = msgspec.structs.replace(gpu(1), power_watts=None, energy_joules_total=None)
    assert samples(one, silent) == {}
    assert samples() == {}


def test_a_gpu_of_another_vendor_is_a_separate_source() -> None:
    amd = msgspec.structs.replace(gpu(0), vendor="amd", power_watts=100.0, energy_joules_total=None)
    drm = labels(source="drm")
    assert samples(amd) == {f"wattview_host_power_watts{drm}": 100.0, f"wattview_host_energy_joules_total{drm}": 0.0}


@pytest.mark.parametrize("how", [{"integrated": True}, {"asleep": True, "power_watts": None}])
def test_a_gpu_inside_the_processor_is_not_added(how: dict[str, object]) -> None:
    beside = msgspec.structs.replace(gpu(0), vendor="amd", power_watts=100.0)
    other = msgspec.structs.replace(gpu(1), vendor="amd", **how)
    assert samples(other) == {}
    assert samples(beside, other)[f"wattview_host_power_watts{labels(source='drm')}"] == 100.0


# the energy of all, as a counter


def total(energy: GpuEnergy, at: float, *gpus: Gpu, source: str = "nvml") -> float | None:
    return energy.add(at, gpus)[source]


def counted(index: int, joules: float | None, watts: float | None = 300.0) -> Gpu:
    return msgspec.structs.replace(gpu(index), uuid=f"GPU-{index}", energy_joules_total=joules, power_watts=watts)


def test_a_gpu_that_is_lost_for_a_while_makes_the_counter_neither_fall_nor_jump() -> None:
    energy = GpuEnergy()
    lifetime = 2e8
    assert total(energy, 0, counted(0, lifetime), counted(1, lifetime)) == 0.0
    assert total(energy, 10, counted(0, lifetime + 3000), counted(1, lifetime + 3000)) == 6000.0
    assert total(energy, 20, counted(0, lifetime + 6000), counted(1, None, None)) is None
    assert total(energy, 30, counted(0, lifetime + 9000), counted(1, lifetime + 9000)) == 18000.0


def test_a_restarted_gpu_counter_adds_what_it_counted_since() -> None:
    energy = GpuEnergy()
    total(energy, 0, counted(0, 2e8), counted(1, 2e8))
    assert total(energy, 10, counted(0, 2e8 + 3000), counted(1, 1200)) == 4200.0
    assert total(energy, 20, counted(0, 2e8 + 6000), counted(1, 2e8)) == 7200.0, "a jump that no power explains"


def test_a_gpu_without_a_counter_is_integrated_from_its_power() -> None:
    energy = GpuEnergy()
    total(energy, 0, counted(0, None, 100.0))
    assert total(energy, 5, counted(0, None, 120.0)) == 550.0


# the machine


def host_reading(source: str = "rapl") -> PowerReading:
    return PowerReading(
        time=1.0, monotonic=1.0, source=source, host_joules_total=10.0, host_watts=100.0, host_peak_watts=None
    )


def test_the_machine_is_the_host_and_the_cards_that_it_does_not_see() -> None:
    amd = msgspec.structs.replace(gpu(1), vendor="amd", power_watts=50.0)
    machine = machine_power(host_reading(), [counted(0, 1.0), amd])
    assert machine is not None
    assert (machine.source, machine.watts) == ("rapl+nvml+drm", 450.0)
    alone = machine_power(host_reading("battery"), [counted(0, 1.0), amd])
    assert alone is not None
    assert (alone.source, alone.watts) == ("battery", 100.0)


@pytest.mark.parametrize("when", ["running", "opening"])
@pytest.mark.parametrize("code", [GPU_IS_LOST, UNKNOWN, NO_PERMISSION])
def test_a_gpu_that_cannot_be_read_leaves_no_sum_and_no_power_of_the_machine(when: str, code: Code) -> None:
    first = FakeGpu("GPU-a", nvmlDeviceGetPowerUsage=300_000)
    second = FakeGpu("GPU-b", nvmlDeviceGetPowerUsage=300_000)
    probe = GpuProbe(Config(), nvml=FakeNvml(first, second))
    if when == "running":
        probe.read()
        for question in ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetTotalEnergyConsumption"):
            second.answers[question] = code
    else:
        second.answers["nvmlDeviceGetHandleByIndex"] = code
    reading = probe.read()
    machine = machine_power(host_reading(), reading.gpus)
    assert machine is not None
    assert (machine.watts, machine.joules_total) == (None, None)
    assert "GPU 1" in machine.reason
    assert [sample for family in host_families(reading) for sample in family.samples] == []
    assert [fault.part.partition(" ")[2][:1] for fault in reading.faults] == ["1"] * len(reading.faults) != []
    assert reading.gpus[0].power_watts == 300.0


def test_two_sources_of_one_family_are_one_family_in_the_text() -> None:
    rapl = Family("wattview_host_power_watts", "gauge", "Power.").add(40, labels(source="rapl"))
    nvml = Family("wattview_host_power_watts", "gauge", "Power of all GPUs.").add(100, NVML)
    text = render(_merged([[rapl], [nvml]])).decode()
    assert text.count("# TYPE wattview_host_power_watts") == 1
    assert 'wattview_host_power_watts{source="rapl"} 40' in text
    assert 'wattview_host_power_watts{source="nvml"} 100' in text
