"""NVIDIA GPUs through NVML: what it gives, what it does not, and what happens when it goes away."""

from __future__ import annotations

import socket
import sys
from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fake_nvml import (
    GPU_IS_LOST,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNINITIALIZED,
    UNKNOWN,
    Code,
    FakeGpu,
    FakeNvml,
)
from wattview.config import Config
from wattview.exposition import render
from wattview.model import Gpu, GpusReading
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.gpu.families import families
from wattview.probes.gpu.probe import GpuProbe


def one(**script: object) -> Gpu:
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu(**script))).read()
    assert reading.faults == ()
    return reading.gpus[0]


def exposed(reading: GpusReading) -> dict[str, list[tuple[dict[str, str], float]]]:
    parsed = text_string_to_metric_families(render(families(reading)).decode())
    return {family.name: [(s.labels, s.value) for s in family.samples] for family in parsed}


def test_units_are_ours_in_the_reading() -> None:
    gpu = one()
    assert (gpu.power_watts, gpu.power_limit_watts, gpu.energy_joules_total) == (68.452, 700.0, 123_456.789)
    assert (gpu.utilization_percent, gpu.memory_utilization_percent, gpu.decoder_percent) == (37, 12, 3)
    assert (gpu.temperature_celsius, gpu.memory_temperature_celsius) == (29, 41)
    assert (gpu.sm_clock_hertz, gpu.memory_clock_hertz) == (345e6, 2619e6)
    assert (gpu.pci_bus_id, gpu.driver_version, gpu.device) == ("00000000:19:00.0", "570.86.15", "nvidia0")


def test_the_drivers_own_memory_is_told_apart_where_nvml_can() -> None:
    gpu = one()
    mib = 1024 * 1024
    assert (gpu.memory_used_bytes, gpu.memory_reserved_bytes) == (549 * mib, 551 * mib)


def test_an_old_library_reports_memory_including_the_drivers_share() -> None:
    from tests.support.fake_nvml import _memory

    def old(version: int | None = None) -> object:
        return Code(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) if version else _memory()

    gpu = one(nvmlDeviceGetMemoryInfo=old)
    assert (gpu.memory_used_bytes, gpu.memory_reserved_bytes) == (1100 * 1024 * 1024, None)


def test_unsupported_gpu_figures_have_no_sample_and_are_never_zero() -> None:
    nothing = {name: NOT_SUPPORTED for name in FakeGpu().answers if name not in
               ("nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetPciInfo")}  # fmt: skip
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu(**nothing))).read()
    assert reading.faults == ()
    (gpu,) = reading.gpus
    assert (gpu.power_watts, gpu.energy_joules_total, gpu.utilization_percent, gpu.last_xid) == (None,) * 4
    assert exposed(reading) == {}


def test_a_function_that_the_binding_does_not_have_is_none() -> None:
    nvml = FakeNvml(FakeGpu())
    nvml.missing = {"nvmlDeviceGetRemappedRows", "nvmlDeviceGetTotalEnergyConsumption", "nvmlEventSetCreate"}
    gpu = GpuProbe(Config(), nvml=nvml).read().gpus[0]
    assert (gpu.remap_failed, gpu.energy_joules_total, gpu.last_xid) == (None, None, None)
    assert gpu.power_watts == 68.452


def test_families_are_dcgm_exporters() -> None:
    figures = exposed(GpuProbe(Config(), nvml=FakeNvml(FakeGpu("GPU-a"), FakeGpu("GPU-b"))).read())
    (labels, watts), second = figures["DCGM_FI_DEV_POWER_USAGE"]
    assert watts == 68.452
    assert labels == {
        "gpu": "0",
        "UUID": "GPU-a",
        "pci_bus_id": "00000000:19:00.0",
        "device": "nvidia0",
        "modelName": "NVIDIA H100 80GB HBM3",
        "Hostname": socket.gethostname(),
        "hostname": socket.gethostname(),
        "DCGM_FI_DRIVER_VERSION": "570.86.15",
    }
    assert (second[0]["gpu"], second[0]["UUID"]) == ("1", "GPU-b")
    expected = {
        "DCGM_FI_DEV_SM_CLOCK": 345,
        "DCGM_FI_DEV_MEM_CLOCK": 2619,
        "DCGM_FI_DEV_MEMORY_TEMP": 41,
        "DCGM_FI_DEV_GPU_TEMP": 29,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 123_456_789,
        "DCGM_FI_DEV_PCIE_TX_THROUGHPUT": 7000,
        "DCGM_FI_DEV_PCIE_RX_THROUGHPUT": 9000,
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": 0,
        "DCGM_FI_DEV_GPU_UTIL": 37,
        "DCGM_FI_DEV_MEM_COPY_UTIL": 12,
        "DCGM_FI_DEV_DEC_UTIL": 3,
        "DCGM_FI_DEV_XID_ERRORS": 0,
        "DCGM_FI_DEV_FB_FREE": 80459,
        "DCGM_FI_DEV_FB_USED": 549,
        "DCGM_FI_DEV_FB_RESERVED": 551,
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 2,
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": 1,
        "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
    }
    assert {name: figures[name][0][1] for name in expected} == expected
    assert "DCGM_FI_DEV_ENC_UTIL" not in figures


def test_the_text_is_dcgm_exporters_of_before_and_after_the_hosts_label_became_small() -> None:
    text = render(families(GpuProbe(Config(), nvml=FakeNvml(FakeGpu())).read())).decode()
    host = socket.gethostname()
    assert (
        "# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).\n"
        "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\n"
        'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-0",pci_bus_id="00000000:19:00.0",device="nvidia0",'
        f'modelName="NVIDIA H100 80GB HBM3",Hostname="{host}",hostname="{host}",'
        'DCGM_FI_DRIVER_VERSION="570.86.15"} 29\n'
    ) in text
    assert "# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n" in text


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, SourceAbsent, "libnvidia-ml"),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, SourceAbsent, "not loaded"),
        (pynvml.NVML_ERROR_NO_PERMISSION, SourceRefused, "may not open"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, SourceBroken, "different versions"),
        (pynvml.NVML_ERROR_UNKNOWN, SourceBroken, "NVML"),
    ],
)
def test_each_nvml_start_failure_has_a_reason_and_a_fix(code: int, error: type[SourceError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        GpuProbe(Config(), nvml=FakeNvml(FakeGpu(), init=code)).read()
    assert caught.value.fix


def test_a_machine_without_gpu_is_absent_with_the_real_library() -> None:
    if sys.platform == "linux":
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            with pytest.raises(SourceAbsent) as caught:
                GpuProbe(Config()).read()
            assert caught.value.fix
        else:
            pynvml.nvmlShutdown()
            assert GpuProbe(Config()).read().gpus


def test_no_gpu_in_the_driver_is_absent() -> None:
    nvml = FakeNvml()
    with pytest.raises(SourceAbsent, match="no GPU"):
        GpuProbe(Config(), nvml=nvml).read()
    assert not nvml.initialised


def test_nvml_is_started_once() -> None:
    nvml = FakeNvml(FakeGpu())
    probe = GpuProbe(Config(), nvml=nvml)
    for _ in range(5):
        probe.read()
    assert nvml.calls["nvmlInit"] == 1
    probe.close()
    assert not nvml.initialised
    assert nvml.calls["nvmlEventSetFree"] == 1


def test_a_lost_gpu_only_loses_its_own_figures() -> None:
    lost = FakeGpu("GPU-b")
    probe = GpuProbe(Config(), nvml=FakeNvml(FakeGpu("GPU-a"), lost))
    assert len(probe.read().gpus) == 2
    lost.answers["nvmlDeviceGetPowerUsage"] = GPU_IS_LOST
    reading = probe.read()
    assert [(gpu.uuid, gpu.power_watts) for gpu in reading.gpus] == [("GPU-a", 68.452), ("GPU-b", None)]
    assert reading.faults[0].part == "GPU 1"
    assert "lost" in reading.faults[0].reason
    assert "nvidia-smi" in reading.faults[0].fix


def test_a_lost_gpu_is_searched_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu(nvmlDeviceGetPowerUsage=GPU_IS_LOST)
    nvml = FakeNvml(gpu)
    probe = GpuProbe(Config(), nvml=nvml)
    with pytest.raises(SourceBroken, match="lost"):
        probe.read()
    gpu.answers["nvmlDeviceGetPowerUsage"] = 1000
    monkeypatch.setattr("wattview.probes.gpu.nvml.LOST_RETRY_SECONDS", 0.0)
    assert probe.read().gpus[0].power_watts == 1.0
    assert nvml.calls["nvmlInit"] == 2


def test_a_driver_that_is_unloaded_is_broken_and_found_again() -> None:
    gpu = FakeGpu()
    nvml = FakeNvml(gpu)
    probe = GpuProbe(Config(), nvml=nvml)
    probe.read()
    gpu.answers["nvmlDeviceGetPowerUsage"] = UNINITIALIZED
    with pytest.raises(SourceBroken, match="has gone"):
        probe.read()
    nvml.init = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    with pytest.raises(SourceBroken, match="not loaded"):
        probe.read()
    nvml.init = None
    gpu.answers["nvmlDeviceGetPowerUsage"] = 5000
    assert probe.read().gpus[0].power_watts == 5.0


@pytest.mark.parametrize("code", [NO_PERMISSION, UNKNOWN])
def test_a_failing_figure_is_a_fault_and_the_others_remain(code: Code) -> None:
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu(nvmlDeviceGetPowerUsage=code))).read()
    assert reading.gpus[0].power_watts is None
    assert reading.gpus[0].energy_joules_total == 123_456.789
    assert [fault.part for fault in reading.faults] == ["GPU 0 power_watts"]


def test_a_gpu_that_may_not_be_opened_leaves_the_others() -> None:
    closed = FakeGpu("GPU-a", nvmlDeviceGetHandleByIndex=NO_PERMISSION)
    reading = GpuProbe(Config(), nvml=FakeNvml(closed, FakeGpu("GPU-b"))).read()
    assert [(gpu.index, gpu.power_watts) for gpu in reading.gpus] == [(0, None), (1, 68.452)]
    assert reading.faults[0].part == "GPU 0"


def test_a_gpu_that_was_lost_when_nvml_was_opened_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("wattview.probes.gpu.nvml.time", clock)
    lost = FakeGpu("GPU-b", nvmlDeviceGetHandleByIndex=GPU_IS_LOST)
    nvml = FakeNvml(FakeGpu("GPU-a"), lost)
    probe = GpuProbe(Config(), nvml=nvml)
    probe.read()
    nvml.events = [(nvml.gpus[0], 31)]
    probe.read()
    del lost.answers["nvmlDeviceGetHandleByIndex"]
    assert nvml.calls["nvmlInit"] == 1
    clock.now += 11.0
    reading = probe.read()
    assert [(gpu.uuid, gpu.power_watts) for gpu in reading.gpus] == [("GPU-a", 68.452), ("GPU-b", 68.452)]
    assert reading.faults == ()
    assert reading.gpus[0].last_xid == 31, "what was counted before stays"
    clock.now += 11.0
    probe.read()
    assert nvml.calls["nvmlInit"] == 2


def test_a_gpu_that_the_driver_no_longer_lists_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = FakeGpu("GPU-b")
    nvml = FakeNvml(FakeGpu("GPU-a"), lost)
    probe = GpuProbe(Config(), nvml=nvml)
    probe.read()
    lost.answers["nvmlDeviceGetPowerUsage"] = GPU_IS_LOST
    probe.read()
    nvml.gpus.remove(lost)
    monkeypatch.setattr("wattview.probes.gpu.nvml.LOST_RETRY_SECONDS", 0.0)
    reading = probe.read()
    assert [(gpu.uuid, gpu.power_watts) for gpu in reading.gpus] == [("GPU-a", 68.452), ("GPU-b", None)]
    assert "list" in reading.faults[0].reason


def test_failed_calls_of_a_gpu_are_retried() -> None:
    gpu = FakeGpu()
    memory = gpu.answers["nvmlDeviceGetMemoryInfo"]
    gpu.answers["nvmlDeviceGetMemoryInfo"] = UNKNOWN
    probe = GpuProbe(Config(), nvml=FakeNvml(gpu))
    assert probe.read().gpus[0].memory_total_bytes is None
    gpu.answers["nvmlDeviceGetMemoryInfo"] = memory
    assert probe.read().gpus[0].memory_total_bytes == 81559 * 1024 * 1024


def test_an_invalid_name_only_loses_its_own_entry() -> None:
    """Drivers of 2024 under WSL: https://github.com/gpuopenanalytics/pynvml/issues/53, nvitop #127, codecarbon #697."""

    class Garbled(FakeNvml):
        def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
            return b"\xf8\x03\x00".decode() if gpu is self.gpus[0] else "NVIDIA L4"

    reading = GpuProbe(Config(), nvml=Garbled(FakeGpu("GPU-a"), FakeGpu("GPU-b"))).read()
    assert [(gpu.name, gpu.power_watts) for gpu in reading.gpus] == [("", 68.452), ("NVIDIA L4", 68.452)]
    assert reading.faults == ()


@pytest.mark.parametrize("function", ["nvmlDeviceGetName", "nvmlDeviceGetPciInfo"])
@pytest.mark.parametrize("code", [NOT_SUPPORTED, UNKNOWN])
def test_an_odd_gpu_name_loses_none_of_its_figures(function: str, code: Code) -> None:
    """A GPU on the processor's own bus may have no PCI address."""
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu(**{function: code}))).read()
    (gpu,) = reading.gpus
    assert "" in (gpu.name, gpu.pci_bus_id)
    assert gpu.power_watts == 68.452


def test_values_that_a_gpu_cannot_have_are_faults_and_no_samples() -> None:
    wrong = {
        "nvmlDeviceGetPowerUsage": 0xFFFFFFFF,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=65535, memory=12),
        "nvmlDeviceGetTemperature": lambda sensor: -2147483648,
        "nvmlDeviceGetTotalEnergyConsumption": 2**64 - 1,
    }
    reading = GpuProbe(Config(), nvml=FakeNvml(FakeGpu(**wrong))).read()
    (gpu,) = reading.gpus
    assert (gpu.power_watts, gpu.utilization_percent, gpu.temperature_celsius, gpu.energy_joules_total) == (None,) * 4
    assert gpu.memory_utilization_percent == 12
    assert {fault.part.rpartition(" ")[2] for fault in reading.faults} == {
        "power_watts", "utilization_percent", "temperature_celsius", "energy_joules_total",
    }  # fmt: skip
    assert "4.29497e+06 W is not a possible power of a GPU" in next(
        f.reason for f in reading.faults if "watts" in f.part
    )


def test_the_last_xid_is_kept_for_its_gpu() -> None:
    first, second = FakeGpu("GPU-a"), FakeGpu("GPU-b")
    nvml = FakeNvml(first, second)
    probe = GpuProbe(Config(), nvml=nvml)
    assert [gpu.last_xid for gpu in probe.read().gpus] == [0, 0]
    nvml.events = [(second, 31), (second, 79)]
    assert [gpu.last_xid for gpu in probe.read().gpus] == [0, 79]
    assert [gpu.last_xid for gpu in probe.read().gpus] == [0, 79]
