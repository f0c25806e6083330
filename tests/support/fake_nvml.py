"""A stand-in for the pynvml module: its constants and errors are the real ones, its answers a test's script.

``FakeNvml(FakeGpu(), FakeGpu(nvmlDeviceGetFanSpeed=…))``: each GPU answers what its script holds. An answer that is
an error code is raised as pynvml raises it, a callable is called with the arguments after the device, and a function
that the script does not hold is not supported. The default script is that of a data-centre GPU.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml


class Code(int):
    """An NVML error code as an answer."""


NOT_SUPPORTED = Code(pynvml.NVML_ERROR_NOT_SUPPORTED)
GPU_IS_LOST = Code(pynvml.NVML_ERROR_GPU_IS_LOST)
UNINITIALIZED = Code(pynvml.NVML_ERROR_UNINITIALIZED)
NO_PERMISSION = Code(pynvml.NVML_ERROR_NO_PERMISSION)
UNKNOWN = Code(pynvml.NVML_ERROR_UNKNOWN)


def field(number: int, value: float, kind: str = "ullVal", status: int = pynvml.NVML_SUCCESS) -> SimpleNamespace:
    """One entry of ``nvmlDeviceGetFieldValues``."""
    types = {
        "dVal": pynvml.NVML_VALUE_TYPE_DOUBLE,
        "uiVal": pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        "ullVal": pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
    }
    return SimpleNamespace(
        fieldId=number, nvmlReturn=status, valueType=types[kind], value=SimpleNamespace(**{kind: value})
    )


def _memory(version: int | None = None) -> SimpleNamespace:
    mib = 1024 * 1024
    if version is None:
        return SimpleNamespace(total=81559 * mib, used=1100 * mib, free=80459 * mib)
    return SimpleNamespace(total=81559 * mib, reserved=551 * mib, used=549 * mib, free=80459 * mib)


def _fields(numbers: list[int]) -> list[SimpleNamespace]:
    known = {
        pynvml.NVML_FI_DEV_MEMORY_TEMP: (41, "uiVal"),
        pynvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES: (7_000_123, "ullVal"),
        pynvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES: (9_000_999, "ullVal"),
    }
    return [
        field(number, *known[number]) if number in known else field(number, 0, status=pynvml.NVML_ERROR_NOT_SUPPORTED)
        for number in numbers
    ]


class FakeGpu:
    """One device: function name → answer."""

    def __init__(self, uuid: str = "GPU-0", name: str = "NVIDIA H100 80GB HBM3", **script: Any) -> None:
        self.answers: dict[str, Any] = {
            "nvmlDeviceGetUUID": uuid,
            "nvmlDeviceGetName": name,
            "nvmlDeviceGetPciInfo": SimpleNamespace(busId=b"00000000:19:00.0"),
            "nvmlDeviceGetPowerUsage": 68_452,
            "nvmlDeviceGetEnforcedPowerLimit": 700_000,
            "nvmlDeviceGetTotalEnergyConsumption": 123_456_789,
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=37, memory=12),
            "nvmlDeviceGetEncoderUtilization": NOT_SUPPORTED,
            "nvmlDeviceGetDecoderUtilization": [3, 167_000],
            "nvmlDeviceGetTemperature": lambda sensor: 29,
            "nvmlDeviceGetClockInfo": lambda clock: {pynvml.NVML_CLOCK_SM: 345, pynvml.NVML_CLOCK_MEM: 2619}[clock],
            "nvmlDeviceGetPcieReplayCounter": 0,
            "nvmlDeviceGetMemoryInfo": _memory,
            "nvmlDeviceGetFieldValues": _fields,
            "nvmlDeviceGetRemappedRows": (1, 2, 0, 0),
            "nvmlDeviceRegisterEvents": lambda types, event_set: None,
            **script,
        }
        self.instances: dict[int, FakeGpu] = {}
        """GPU instance → its counters, in MIG mode."""
        self.gpm: dict[int, float] = {}
        """GPM metric → value between any two samples; empty: this GPU has no GPM."""


class FakeNvml:
    """The module. ``calls`` counts the calls by function; ``events`` are XIDs that wait: (GPU, number)."""

    def __init__(self, *gpus: FakeGpu, driver: str = "570.86.15", init: int | None = None) -> None:
        self.gpus = list(gpus)
        self.driver = driver
        self.init = init
        self.events: list[tuple[FakeGpu, int]] = []
        self.calls: dict[str, int] = {}
        self.initialised = False
        self._samples: dict[int, FakeGpu | None] = {}
        self.missing: set[str] = set()
        """Functions that this version of the binding does not have."""

    def nvmlInit(self) -> None:
        self._count("nvmlInit")
        if self.init is not None:
            raise pynvml.NVMLError(self.init)
        self.initialised = True

    def nvmlShutdown(self) -> None:
        self._count("nvmlShutdown")
        if not self.initialised:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
        self.initialised = False

    def nvmlSystemGetDriverVersion(self) -> str:
        return self.driver

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        answer = self.gpus[index].answers.get("nvmlDeviceGetHandleByIndex")
        if isinstance(answer, Code):
            raise pynvml.NVMLError(int(answer))
        return self.gpus[index]

    def nvmlEventSetCreate(self) -> object:
        return object()

    def nvmlEventSetFree(self, event_set: object) -> None:
        self._count("nvmlEventSetFree")

    def nvmlEventSetWait_v2(self, event_set: object, timeout: int) -> SimpleNamespace:
        if not self.events:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        gpu, xid = self.events.pop(0)
        return SimpleNamespace(device=gpu, eventType=pynvml.nvmlEventTypeXidCriticalError, eventData=xid)

    @property
    def samples_held(self) -> int:
        """GPM samples that were taken and not given back."""
        return len(self._samples)

    def nvmlGpmQueryDeviceSupport(self, gpu: FakeGpu) -> SimpleNamespace:
        return SimpleNamespace(isSupportedDevice=int(bool(gpu.gpm)))

    def nvmlGpmSampleAlloc(self) -> Any:
        self._count("nvmlGpmSampleAlloc")
        address = 0x1000 * self.calls["nvmlGpmSampleAlloc"]
        self._samples[address] = None
        return ctypes.cast(ctypes.c_void_p(address), pynvml.c_nvmlGpmSample_t)

    def nvmlGpmSampleGet(self, gpu: FakeGpu, sample: Any) -> Any:
        if "nvmlGpmSampleGet" in gpu.answers:
            raise pynvml.NVMLError(int(gpu.answers["nvmlGpmSampleGet"]))
        self._samples[_address(sample)] = gpu
        return sample

    def nvmlGpmMigSampleGet(self, gpu: FakeGpu, gpu_instance: int, sample: Any) -> Any:
        return self.nvmlGpmSampleGet(gpu.instances[gpu_instance], sample)

    def nvmlGpmSampleFree(self, sample: Any) -> None:
        del self._samples[_address(sample)]

    def nvmlGpmMetricsGet(self, question: Any) -> Any:
        assert question.version == pynvml.NVML_GPM_METRICS_GET_VERSION
        first, second = self._samples[_address(question.sample1)], self._samples[_address(question.sample2)]
        assert first is second is not None
        for metric in question.metrics[: question.numMetrics]:
            known = metric.metricId in second.gpm
            metric.nvmlReturn = pynvml.NVML_SUCCESS if known else pynvml.NVML_ERROR_NOT_SUPPORTED
            metric.value = second.gpm.get(metric.metricId, 0.0)
        return question

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("nvml") and name in self.missing:
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        if name in self.missing:
            raise AttributeError(name)
        if name.startswith("nvmlDevice"):
            return self._device_function(name)
        return getattr(pynvml, name)

    def _device_function(self, name: str) -> Callable[..., Any]:
        def call(gpu: FakeGpu, *arguments: Any) -> Any:
            self._count(name)
            if not self.initialised:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
            answer = gpu.answers.get(name, NOT_SUPPORTED)
            if callable(answer):
                answer = answer(*arguments)
            if isinstance(answer, Code):
                raise pynvml.NVMLError(int(answer))
            return answer

        getattr(pynvml, name)  # a function that pynvml does not have is a mistake of the test or the probe
        return call

    def _count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1


def _address(sample: Any) -> int:
    return ctypes.cast(sample, ctypes.c_void_p).value or 0
