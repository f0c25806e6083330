"""NVIDIA GPUs through NVML, the library behind nvidia-smi (nvidia-ml-py is its binding).

NVML is initialised once and kept. What a GPU does not support is None, never 0. A GPU that has fallen off the bus
costs its own figures; a driver that has gone is looked for again at the next reading. The families are in
``gpu_families``. NVML's reference: https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from wattview.config import Config
from wattview.model import Fault, Gpu, GpusReading
from wattview.probes import SourceAbsent, SourceBroken, SourceError, SourceRefused
from wattview.probes.gpu_families import families

__all__ = ["GpuProbe", "families"]

LOST_RETRY_SECONDS = 30.0
"""How often NVML is started anew because a GPU is lost: a reset brings it back under a new handle."""

_DRIVER = "install the NVIDIA driver (nvidia-smi must work); in a container: docker run --gpus all"


class GpuProbe:
    """All NVIDIA GPUs. ``nvml`` is a module with pynvml's functions; None imports pynvml at the first reading."""

    def __init__(self, config: Config | None = None, nvml: ModuleType | Any = None) -> None:
        self._nvml = nvml
        self._devices: list[_Device] | None = None
        self._unopened: tuple[Fault, ...] = ()
        self._driver_version = ""
        self._events: _XidEvents | None = None
        self._lost_since: float | None = None

    def read(self) -> GpusReading:
        """Raises SourceAbsent (no library, no driver, no GPU), SourceRefused or SourceBroken."""
        now = time.monotonic()
        if self._lost_since is not None and now - self._lost_since > LOST_RETRY_SECONDS:
            self.close()
        if self._devices is None:
            self._open()
        assert self._devices is not None
        gpus: list[Gpu] = []
        faults = list(self._unopened)
        try:
            xids = self._events.collect() if self._events else {}
            for device in self._devices:
                try:
                    gpus.append(device.read(xids.get(device.key)))
                except _GpuLost as lost:
                    faults.append(lost.fault)
                    self._lost_since = self._lost_since or now
                faults += device.faults
        except _DriverGone as gone:
            self.close()
            raise SourceBroken(f"the NVIDIA driver has gone: {gone}", "see dmesg; nvidia-smi must work again") from None
        if not gpus and faults:
            raise SourceBroken(f"{faults[0].part}: {faults[0].reason}", faults[0].fix)
        return GpusReading(
            time=time.time(),
            monotonic=now,
            faults=tuple(faults),
            gpus=tuple(gpus),
            hostname=socket.gethostname(),
        )

    def close(self) -> None:
        if self._devices is not None:
            try:
                if self._events:
                    self._events.close()
                self._nvml.nvmlShutdown()
            except self._nvml.NVMLError:
                pass  # it has gone by itself
        self._devices = self._events = self._lost_since = None

    def _open(self) -> None:
        if self._nvml is None:
            try:
                import pynvml
            except ImportError:
                raise SourceAbsent(
                    "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
                ) from None
            self._nvml = pynvml
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise _start_error(nvml, error) from None
        try:
            self._driver_version = _text(nvml.nvmlSystemGetDriverVersion())
            handles, faults = _handles(nvml)
            devices = [_Device(nvml, index, handle, self._driver_version) for index, handle in handles]
        except nvml.NVMLError as error:
            nvml.nvmlShutdown()
            raise _start_error(nvml, error) from None
        if not devices:
            nvml.nvmlShutdown()
            if faults:
                raise SourceBroken(f"{faults[0].part}: {faults[0].reason}", faults[0].fix)
            raise SourceAbsent("the NVIDIA driver sees no GPU")
        self._devices, self._unopened = devices, tuple(faults)
        self._events = _XidEvents(nvml, devices)


class _DriverGone(Exception):
    pass


class _GpuLost(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def _handles(nvml: Any) -> tuple[list[tuple[int, Any]], list[Fault]]:
    found, faults = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append((index, nvml.nvmlDeviceGetHandleByIndex(index)))
        except nvml.NVMLError as error:
            faults.append(Fault(f"GPU {index}", str(error), "see dmesg for NVRM messages"))
    return found, faults


def _start_error(nvml: Any, error: Any) -> SourceError:
    code = error.value
    if code == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return SourceAbsent("no NVIDIA GPU: libnvidia-ml.so.1 is not here", _DRIVER)
    if code == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return SourceAbsent(
            "the NVIDIA driver is not loaded", "sudo modprobe nvidia; in a container: docker run --gpus all"
        )
    if code == nvml.NVML_ERROR_NO_PERMISSION:
        return SourceRefused("NVML may not open the GPUs", "let this user open /dev/nvidiactl and /dev/nvidia*")
    if code == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return SourceBroken("the NVIDIA library and kernel module are of different versions", "reboot")
    return SourceBroken(f"NVML: {error}", "nvidia-smi must work")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class _Device:
    """One GPU: what never changes, read once, and a reader of the rest."""

    def __init__(self, nvml: Any, index: int, handle: Any, driver_version: str) -> None:
        self._nvml = nvml
        self.handle = handle
        self.faults: list[Fault] = []
        self._unsupported = {
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
            nvml.NVML_ERROR_INVALID_ARGUMENT,
            nvml.NVML_ERROR_NO_DATA,
            nvml.NVML_ERROR_NOT_READY,
        }
        self._gone = {nvml.NVML_ERROR_UNINITIALIZED, nvml.NVML_ERROR_DRIVER_NOT_LOADED}
        self._lost = {nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED, nvml.NVML_ERROR_GPU_NOT_FOUND}
        self.key = _text(nvml.nvmlDeviceGetUUID(handle))
        self._fixed: dict[str, Any] = {
            "index": index,
            "uuid": self.key,
            "name": _text(nvml.nvmlDeviceGetName(handle)),
            "pci_bus_id": _text(nvml.nvmlDeviceGetPciInfo(handle).busId),
            "driver_version": driver_version,
            "device": f"nvidia{index}",
        }

    def read(self, last_xid: int | None) -> Gpu:
        """Raises _GpuLost for this GPU, _DriverGone for all."""
        nvml, handle = self._nvml, self.handle
        self.faults = []
        values: dict[str, Any] = {}
        for function, constant, fields in _CALLS:
            arguments = (getattr(nvml, constant),) if constant else ()
            answer = self._ask(fields[0][0], function, handle, *arguments)
            if answer is not None:
                values |= {field: convert(answer) for field, convert in fields}
        values |= self._memory() | self._field_values() | self._remapped_rows()
        return Gpu(**self._fixed, **values, last_xid=last_xid)

    def _ask(self, what: str, function: str, *arguments: Any) -> Any:
        """One NVML call; None where the GPU or this library does not know it."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except AttributeError:
            return None  # an older binding
        except self._nvml.NVMLError as error:
            self._judge(what, error)
            return None

    def _judge(self, what: str, error: Any) -> None:
        code = error.value
        if code in self._gone:
            raise _DriverGone(str(error)) from None
        part = f"GPU {self._fixed['index']}"
        if code in self._lost:
            fix = "see dmesg for an XID; reset it with: sudo nvidia-smi --gpu-reset -i " + str(self._fixed["index"])
            raise _GpuLost(Fault(part, str(error), fix)) from None
        if code not in self._unsupported:
            self.faults.append(Fault(f"{part} {what}", str(error)))

    def _memory(self) -> dict[str, int | None]:
        """Version 2 tells the driver's own share apart; version 1 has it inside ``used``."""
        version = getattr(self._nvml, "nvmlMemory_v2", None)
        info = self._ask("memory", "nvmlDeviceGetMemoryInfo", self.handle, version) if version else None
        reserved = None if info is None else info.reserved
        if info is None:
            info = self._ask("memory", "nvmlDeviceGetMemoryInfo", self.handle)
        if info is None:
            return {}
        return {"memory_used_bytes": info.used, "memory_free_bytes": info.free, "memory_reserved_bytes": reserved}

    def _remapped_rows(self) -> dict[str, Any]:
        rows = self._ask("remapped rows", "nvmlDeviceGetRemappedRows", self.handle)
        if rows is None:
            return {}
        correctable, uncorrectable, _pending, failed = rows
        return {
            "remapped_rows_correctable_total": correctable,
            "remapped_rows_uncorrectable_total": uncorrectable,
            "remap_failed": bool(failed),
        }

    def _field_values(self) -> dict[str, int]:
        """What NVML gives by field number only: one call for all."""
        numbers = {getattr(self._nvml, name): field for name, field in _FIELD_VALUES if hasattr(self._nvml, name)}
        answers = self._ask("fields", "nvmlDeviceGetFieldValues", self.handle, list(numbers))
        found = {}
        for answer in answers or ():
            if answer.nvmlReturn == self._nvml.NVML_SUCCESS and answer.fieldId in numbers:
                found[numbers[answer.fieldId]] = _field_value(self._nvml, answer)
        return found


Conversion = Callable[[Any], float]


def _plain(value: Any) -> float:
    return value  # type: ignore[no-any-return]


def _first(value_and_period: Any) -> float:
    return value_and_period[0]  # type: ignore[no-any-return]


def _thousandth(value: Any) -> float:
    return value / 1000  # type: ignore[no-any-return]


def _megahertz(value: Any) -> float:
    return value * 1e6  # type: ignore[no-any-return]


# NVML's function, the constant that it takes after the device, and our fields with what makes their unit of its.
_CALLS: tuple[tuple[str, str, tuple[tuple[str, Conversion], ...]], ...] = (
    ("nvmlDeviceGetPowerUsage", "", (("power_watts", _thousandth),)),
    ("nvmlDeviceGetEnforcedPowerLimit", "", (("power_limit_watts", _thousandth),)),
    ("nvmlDeviceGetTotalEnergyConsumption", "", (("energy_joules_total", _thousandth),)),
    (
        "nvmlDeviceGetUtilizationRates",
        "",
        (
            ("utilization_percent", lambda rates: rates.gpu),
            ("memory_utilization_percent", lambda rates: rates.memory),
        ),
    ),
    ("nvmlDeviceGetEncoderUtilization", "", (("encoder_percent", _first),)),
    ("nvmlDeviceGetDecoderUtilization", "", (("decoder_percent", _first),)),
    ("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU", (("temperature_celsius", _plain),)),
    ("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM", (("sm_clock_hertz", _megahertz),)),
    ("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM", (("memory_clock_hertz", _megahertz),)),
    ("nvmlDeviceGetPcieReplayCounter", "", (("pcie_replay_total", _plain),)),
)

_FIELD_VALUES = (
    ("NVML_FI_DEV_MEMORY_TEMP", "memory_temperature_celsius"),
    ("NVML_FI_DEV_PCIE_COUNT_TX_BYTES", "pcie_transmit_bytes_total"),
    ("NVML_FI_DEV_PCIE_COUNT_RX_BYTES", "pcie_receive_bytes_total"),
)


def _field_value(nvml: Any, answer: Any) -> Any:
    """The member of NVML's union that its type names."""
    member = {
        nvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
        nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
        nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    }.get(answer.valueType)
    return None if member is None else getattr(answer.value, member)


class _XidEvents:
    """XID errors, which NVML tells as events only: the last of each GPU since this began."""

    def __init__(self, nvml: Any, devices: list[_Device]) -> None:
        self._nvml = nvml
        self._set: Any = None
        self._last: dict[str, int] = {}
        try:
            self._set = nvml.nvmlEventSetCreate()
        except (nvml.NVMLError, AttributeError):
            return
        for device in devices:
            try:
                nvml.nvmlDeviceRegisterEvents(device.handle, nvml.nvmlEventTypeXidCriticalError, self._set)
            except nvml.NVMLError:
                continue
            self._last[device.key] = 0

    def collect(self) -> dict[str, int]:
        """UUID → last XID (0: none), for the GPUs that tell. Does not wait."""
        nvml = self._nvml
        for _ in range(1000 if self._last else 0):
            try:
                event = nvml.nvmlEventSetWait_v2(self._set, 0)
                if event.eventType == nvml.nvmlEventTypeXidCriticalError:
                    self._last[_text(nvml.nvmlDeviceGetUUID(event.device))] = int(event.eventData)
            except nvml.NVMLError:
                break  # NVML_ERROR_TIMEOUT: no more events
        return self._last

    def close(self) -> None:
        if self._set is not None:
            self._nvml.nvmlEventSetFree(self._set)
