"""The probe through the real pynvml, whose C library is played by Python functions: the calls fit the binding."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pynvml
import pytest

from tests.conftest import ConfigFactory
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.gpu.probe import GpuProbe


class Library:
    """libnvidia-ml.so.1 with one GPU. A function that is not here is not in this version of the library."""

    def __init__(self) -> None:
        self.power_status = pynvml.NVML_SUCCESS
        self.samples = 0

    def nvmlInitWithFlags(self, flags: Any) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlShutdown(self) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlErrorString(self, code: Any) -> bytes:
        return b"some error"

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        buffer.value = b"570.86.15"
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = 1
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, device: Any) -> int:
        device._obj.contents = pynvml.struct_c_nvmlDevice_t()
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetUUID(self, device: Any, buffer: Any, size: Any) -> int:
        buffer.value = b"GPU-77"
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetName(self, device: Any, buffer: Any, size: Any) -> int:
        buffer.value = b"NVIDIA L4"
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetPciInfo_v3(self, device: Any, info: Any) -> int:
        info._obj.busId = b"00000000:31:00.0"
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetPowerUsage(self, device: Any, milliwatts: Any) -> int:
        milliwatts._obj.value = 35_500
        return self.power_status

    def nvmlDeviceGetTotalEnergyConsumption(self, device: Any, millijoules: Any) -> int:
        millijoules._obj.value = 2**40
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetUtilizationRates(self, device: Any, rates: Any) -> int:
        rates._obj.gpu, rates._obj.memory = 12, 3
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetEncoderUtilization(self, device: Any, percent: Any, period: Any) -> int:
        percent._obj.value = 44
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetEncoderStats(self, device: Any, sessions: Any, fps: Any, latency: Any) -> int:
        sessions._obj.value, fps._obj.value, latency._obj.value = 2, 30, 1500
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:
        memory._obj.total, memory._obj.used, memory._obj.free = 1000, 300, 700
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetMemoryInfo_v2(self, device: Any, memory: Any) -> int:
        assert memory._obj.version == pynvml.nvmlMemory_v2
        memory._obj.total, memory._obj.used, memory._obj.free, memory._obj.reserved = 1000, 200, 700, 100
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetRemappedRows(self, device: Any, corrected: Any, not_corrected: Any, pending: Any, bad: Any) -> int:
        corrected._obj.value, not_corrected._obj.value, pending._obj.value, bad._obj.value = 1, 2, 1, 0
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetFieldValues(self, device: Any, count: Any, values: Any) -> int:
        for value in values._obj:
            value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED
            if value.fieldId == pynvml.NVML_FI_DEV_MEMORY_TEMP:
                value.nvmlReturn = pynvml.NVML_SUCCESS
                value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
                value.value.uiVal = 58
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetComputeRunningProcesses_v3(self, device: Any, count: Any, processes: Any) -> int:
        if processes is None:
            count._obj.value = 1
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        count._obj.value = 1
        processes[0].pid, processes[0].usedGpuMemory, processes[0].gpuInstanceId = 4321, 50, 0xFFFFFFFF
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetProcessUtilization(self, device: Any, samples: Any, count: Any, since: Any) -> int:
        if samples is None:
            count._obj.value = 1
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        samples[0].pid, samples[0].timeStamp, samples[0].smUtil, samples[0].encUtil = 4321, since.value + 1, 9, 40
        return pynvml.NVML_SUCCESS

    def nvmlEventSetCreate(self, event_set: Any) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlEventSetFree(self, event_set: Any) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlDeviceRegisterEvents(self, device: Any, types: Any, event_set: Any) -> int:
        assert types.value == pynvml.nvmlEventTypeXidCriticalError
        return pynvml.NVML_SUCCESS

    def nvmlEventSetWait_v2(self, event_set: Any, data: Any, timeout: Any) -> int:
        assert timeout.value == 0, "a reading waits for nothing"
        return pynvml.NVML_ERROR_TIMEOUT

    def nvmlGpmQueryDeviceSupport(self, device: Any, support: Any) -> int:
        support._obj.isSupportedDevice = 1
        return pynvml.NVML_SUCCESS

    def nvmlGpmSampleAlloc(self, sample: Any) -> int:
        self.samples += 1
        sample._obj.contents = pynvml.struct_c_nvmlGpmSample_t()
        return pynvml.NVML_SUCCESS

    def nvmlGpmSampleGet(self, device: Any, sample: Any) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlGpmSampleFree(self, sample: Any) -> int:
        self.samples -= 1
        return pynvml.NVML_SUCCESS

    def nvmlGpmMetricsGet(self, question: Any) -> int:
        for index in range(question._obj.numMetrics):
            metric = question._obj.metrics[index]
            known = metric.metricId == pynvml.NVML_GPM_METRIC_SM_UTIL
            metric.nvmlReturn = pynvml.NVML_SUCCESS if known else pynvml.NVML_ERROR_NOT_SUPPORTED
            metric.value = 62.5
        return pynvml.NVML_SUCCESS


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return library


def test_a_complete_reading_through_the_real_binding(library: Library, make_config: ConfigFactory) -> None:
    probe = GpuProbe(make_config("paths.sysfs=/nonexistent"))
    reading = probe.read()
    assert reading.faults == ()
    (gpu,) = reading.gpus
    assert (gpu.uuid, gpu.name, gpu.pci_bus_id, gpu.driver_version) == (
        "GPU-77", "NVIDIA L4", "00000000:31:00.0", "570.86.15")  # fmt: skip
    assert (gpu.power_watts, gpu.energy_joules_total) == (35.5, 2**40 / 1000)
    assert (gpu.utilization_percent, gpu.encoder_percent, gpu.decoder_percent) == (12, 44, None)
    assert (gpu.encoder_sessions, gpu.encoder_latency_seconds) == (2, 0.0015)
    assert (gpu.memory_total_bytes, gpu.memory_used_bytes, gpu.memory_reserved_bytes) == (1000, 200, 100)
    assert (gpu.remapped_rows_uncorrectable_total, gpu.remap_pending, gpu.remap_failed) == (2, True, False)
    assert (gpu.memory_temperature_celsius, gpu.pcie_transmit_bytes_total, gpu.last_xid) == (58, None, 0)
    (process,) = gpu.processes
    assert (process.pid, process.memory_bytes, process.sm_percent, process.encoder_percent) == (4321, 50, 9.0, 40.0)
    probe.close()
    assert library.samples == 0


def test_profiling_through_the_binding(
    library: Library, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattview.probes.gpu.nvml_gpm.MIN_SPAN_SECONDS", 0.0)
    probe = GpuProbe(make_config("paths.sysfs=/nonexistent"))
    probe.read()
    profile = probe.read().gpus[0].profiling
    assert profile is not None
    assert (profile.sm_active, profile.tensor_active) == (0.625, None)
    assert library.samples == 1
    probe.close()
    assert library.samples == 0


def test_a_list_without_entries_is_not_an_error(
    library: Library, make_config: ConfigFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Library, "nvmlDeviceGetProcessUtilization", lambda *_: pynvml.NVML_SUCCESS)
    reading = GpuProbe(make_config("paths.sysfs=/nonexistent")).read()
    assert reading.faults == ()
    assert reading.gpus[0].processes[0].sm_percent == 0.0


def test_a_lost_gpu_through_the_binding(library: Library, make_config: ConfigFactory) -> None:
    probe = GpuProbe(make_config("paths.sysfs=/nonexistent"))
    probe.read()
    library.power_status = pynvml.NVML_ERROR_GPU_IS_LOST
    with pytest.raises(SourceBroken, match="lost"):
        probe.read()


def test_a_library_without_functions_is_absent_or_broken_and_never_a_crash(
    monkeypatch: pytest.MonkeyPatch, make_config: ConfigFactory
) -> None:
    """An old driver's library may lack any function."""
    names = [name for name in vars(Library) if name.startswith("nvml")]
    whole: Callable[[], Library] = Library
    for name in names:
        library = whole()
        lacking = type("Lacking", (), {n: getattr(library, n) for n in names if n != name})()
        monkeypatch.setattr(pynvml, "nvmlLib", lacking)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        probe = GpuProbe(make_config("paths.sysfs=/nonexistent"))
        try:
            assert probe.read().gpus[0].uuid == "GPU-77"
        except (SourceAbsent, SourceBroken) as error:
            assert error.reason
        probe.close()


def test_the_sizes_of_the_bindings_structs_are_nvmls() -> None:
    """What the script above fills in is laid out as nvml.h lays it out."""
    assert ctypes.sizeof(pynvml.c_nvmlMemory_v2_t) == pynvml.nvmlMemory_v2 & 0xFFFFFF
