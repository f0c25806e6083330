"""NVML calls: the meaning of its errors, and a table of its simple queries.

``Caller`` makes the calls for one GPU; values that the GPU or this version of the library does not support are None.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, itemgetter
from typing import Any

from wattview.model import Fault


class DriverGone(Exception):
    """The driver was unloaded, or NVML was shut down: no GPU can be read."""


class GpuLost(Exception):
    """This GPU has fallen off the bus, or must be reset."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class Caller:
    """NVML's functions for one GPU. ``faults`` collects failures other than an unsupported value."""

    def __init__(self, nvml: Any, index: int) -> None:
        self.nvml = nvml
        self.part = f"GPU {index}"
        self.faults: list[Fault] = []
        self._reset = f"see dmesg for an XID; reset it with: sudo nvidia-smi --gpu-reset -i {index}"
        self._empty = {nvml.NVML_ERROR_NOT_FOUND, nvml.NVML_SUCCESS}  # the binding raises a success without entries
        self._unsupported = self._empty | {
            nvml.NVML_ERROR_NOT_SUPPORTED,
            nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
            nvml.NVML_ERROR_INVALID_ARGUMENT,
            nvml.NVML_ERROR_NO_DATA,
            nvml.NVML_ERROR_NOT_READY,
        }
        self._gone = {nvml.NVML_ERROR_UNINITIALIZED, nvml.NVML_ERROR_DRIVER_NOT_LOADED}
        self._lost = {nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED, nvml.NVML_ERROR_GPU_NOT_FOUND}

    def ask(self, what: str, function: str, *arguments: Any, empty: Any = None) -> Any:
        """One call; None if unsupported, ``empty`` if NVML has found nothing. Raises GpuLost, DriverGone."""
        call = getattr(self.nvml, function, None)
        if call is None:
            return None  # an older binding
        try:
            return call(*arguments)
        except self.nvml.NVMLLibraryMismatchError:
            return None  # an older library
        except UnicodeDecodeError:
            return None  # invalid text
        except self.nvml.NVMLError as error:
            code = error.value
            if code in self._gone:
                raise DriverGone(str(error)) from None
            if code in self._lost:
                raise GpuLost(Fault(self.part, str(error), self._reset)) from None
            if code not in self._unsupported:
                self.faults.append(Fault(f"{self.part} {what}", str(error)))
            return empty if code in self._empty else None

    def plain(self, handle: Any) -> dict[str, Any]:
        """The answers to all simple queries, by field of ``model.Gpu``. Raises GpuLost, DriverGone."""
        values: dict[str, Any] = {}
        for function, constant, fields in _CALLS:
            arguments = (getattr(self.nvml, constant),) if constant else ()
            answer = self.ask(fields[0][0], function, handle, *arguments)
            if answer is not None:
                values |= {field: convert(answer) for field, convert in fields}
        return values | self._field_values(handle)

    def memory(self, handle: Any) -> dict[str, int | None]:
        """Version 2 reports the driver's share separately; version 1 includes it in ``used``."""
        version = getattr(self.nvml, "nvmlMemory_v2", None)
        info = self.ask("memory", "nvmlDeviceGetMemoryInfo", handle, version) if version else None
        reserved = None if info is None else info.reserved
        if info is None:
            info = self.ask("memory", "nvmlDeviceGetMemoryInfo", handle)
        if info is None:
            return {}
        return {
            "memory_total_bytes": info.total,
            "memory_used_bytes": info.used,
            "memory_free_bytes": info.free,
            "memory_reserved_bytes": reserved,
        }

    def _field_values(self, handle: Any) -> dict[str, Any]:
        """Values that NVML provides by field number only, in one call."""
        numbers = {getattr(self.nvml, name): field for name, field in _FIELD_VALUES if hasattr(self.nvml, name)}
        answers = self.ask("fields", "nvmlDeviceGetFieldValues", handle, list(numbers))
        return {
            numbers[answer.fieldId]: self._member(answer)
            for answer in answers or ()
            if answer.nvmlReturn == self.nvml.NVML_SUCCESS and answer.fieldId in numbers
        }

    def _member(self, answer: Any) -> Any:
        """The member of NVML's union for its value type."""
        nvml = self.nvml
        member = {
            nvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
            nvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
            nvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
            nvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
            nvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
        }.get(answer.valueType)
        return None if member is None else getattr(answer.value, member)


Conversion = Callable[[Any], Any]


def _thousandth(value: Any) -> Any:
    return value / 1000


def _megahertz(value: Any) -> Any:
    return value * 1e6


def _licensed(features: Any) -> bool:
    count = features.licensableFeaturesCount
    return any(features.gridLicensableFeatures[index].featureState for index in range(count))


# NVML's function, the constant after its device argument, and our fields with their conversions.
_CALLS: tuple[tuple[str, str, tuple[tuple[str, Conversion], ...]], ...] = (
    ("nvmlDeviceGetPowerUsage", "", (("power_watts", _thousandth),)),
    ("nvmlDeviceGetEnforcedPowerLimit", "", (("power_limit_watts", _thousandth),)),
    ("nvmlDeviceGetTotalEnergyConsumption", "", (("energy_joules_total", _thousandth),)),
    (
        "nvmlDeviceGetUtilizationRates",
        "",
        (
            ("utilization_percent", attrgetter("gpu")),
            ("memory_utilization_percent", attrgetter("memory")),
        ),
    ),
    ("nvmlDeviceGetEncoderUtilization", "", (("encoder_percent", itemgetter(0)),)),
    ("nvmlDeviceGetDecoderUtilization", "", (("decoder_percent", itemgetter(0)),)),
    (
        "nvmlDeviceGetEncoderStats",
        "",
        (
            ("encoder_sessions", itemgetter(0)),
            ("encoder_frames_per_second", itemgetter(1)),
            # Without a session there is no latency, and NVML reports 0.
            ("encoder_latency_seconds", lambda stats: stats[2] / 1e6 if stats[0] else None),
        ),
    ),
    ("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU", (("temperature_celsius", lambda value: value),)),
    ("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM", (("sm_clock_hertz", _megahertz),)),
    ("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM", (("memory_clock_hertz", _megahertz),)),
    ("nvmlDeviceGetPcieReplayCounter", "", (("pcie_replay_total", lambda value: value),)),
    (
        "nvmlDeviceGetRemappedRows",
        "",
        (
            ("remapped_rows_correctable_total", itemgetter(0)),
            ("remapped_rows_uncorrectable_total", itemgetter(1)),
            ("remap_pending", lambda rows: bool(rows[2])),
            ("remap_failed", lambda rows: bool(rows[3])),
        ),
    ),
    ("nvmlDeviceGetGridLicensableFeatures", "", (("vgpu_licensed", _licensed),)),
)

_FIELD_VALUES = (
    ("NVML_FI_DEV_MEMORY_TEMP", "memory_temperature_celsius"),
    ("NVML_FI_DEV_PCIE_COUNT_TX_BYTES", "pcie_transmit_bytes_total"),
    ("NVML_FI_DEV_PCIE_COUNT_RX_BYTES", "pcie_receive_bytes_total"),
    ("NVML_FI_DEV_NVLINK_BANDWIDTH_C0_TOTAL", "nvlink_bandwidth_total"),
)
