"""The families of the dcgm-exporter endpoint (9400), from a GpusReading.

Names, types, help and labels are those of dcgm-exporter's default counters (NVIDIA/dcgm-exporter,
etc/default-counters.csv), as far as NVML gives them. Units are DCGM's: MHz, MiB, mJ. Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable

from wattview.exposition import Family, FamilyType, labels
from wattview.model import Gpu, GpusReading

_MIB = 1024 * 1024
Value = Callable[[Gpu], float | None]


def _scaled(field: str, divisor: float) -> Value:
    def value(gpu: Gpu) -> float | None:
        number = getattr(gpu, field)
        return None if number is None else _plain(number / divisor)

    return value


def _floored(field: str, divisor: int) -> Value:
    def value(gpu: Gpu) -> float | None:
        number = getattr(gpu, field)
        return None if number is None else int(number) // divisor

    return value


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number


_DCGM: tuple[tuple[str, FamilyType, str, Value], ...] = (
    ("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", _scaled("sm_clock_hertz", 1e6)),
    ("DCGM_FI_DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz).", _scaled("memory_clock_hertz", 1e6)),
    ("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C).", _scaled("memory_temperature_celsius", 1)),
    ("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", _scaled("temperature_celsius", 1)),
    ("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", _scaled("power_watts", 1)),
    (
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "counter",
        "Total energy consumption since boot (in mJ).",
        lambda gpu: None if gpu.energy_joules_total is None else round(gpu.energy_joules_total * 1000),
    ),
    (
        "DCGM_FI_DEV_PCIE_TX_THROUGHPUT",
        "counter",
        "Total number of bytes transmitted through PCIe TX (in KB) via NVML.",
        _floored("pcie_transmit_bytes_total", 1000),
    ),
    (
        "DCGM_FI_DEV_PCIE_RX_THROUGHPUT",
        "counter",
        "Total number of bytes received through PCIe RX (in KB) via NVML.",
        _floored("pcie_receive_bytes_total", 1000),
    ),
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "Total number of PCIe retries.", _scaled("pcie_replay_total", 1)),
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", _scaled("utilization_percent", 1)),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %).", _scaled("memory_utilization_percent", 1)),
    ("DCGM_FI_DEV_ENC_UTIL", "gauge", "Encoder utilization (in %).", _scaled("encoder_percent", 1)),
    ("DCGM_FI_DEV_DEC_UTIL", "gauge", "Decoder utilization (in %).", _scaled("decoder_percent", 1)),
    ("DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.", _scaled("last_xid", 1)),
    ("DCGM_FI_DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB).", _floored("memory_free_bytes", _MIB)),
    ("DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).", _floored("memory_used_bytes", _MIB)),
    (
        "DCGM_FI_DEV_FB_RESERVED",
        "gauge",
        "Framebuffer memory reserved (in MiB).",
        _floored("memory_reserved_bytes", _MIB),
    ),
    (
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for uncorrectable errors",
        _scaled("remapped_rows_uncorrectable_total", 1),
    ),
    (
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for correctable errors",
        _scaled("remapped_rows_correctable_total", 1),
    ),
    (
        "DCGM_FI_DEV_ROW_REMAP_FAILURE",
        "gauge",
        "Whether remapping of rows has failed",
        lambda gpu: None if gpu.remap_failed is None else int(gpu.remap_failed),
    ),
)


def families(reading: GpusReading) -> list[Family]:
    """dcgm-exporter's default counters. A value that NVML does not give is no sample."""
    marked = [(_labels(gpu, reading.hostname), gpu) for gpu in reading.gpus]
    result = []
    for name, kind, help_text, value in _DCGM:
        family = Family(name, kind, help_text)
        for text, gpu in marked:
            family.add(value(gpu), text)
        result.append(family)
    return result


def _labels(gpu: Gpu, hostname: str) -> str:
    return labels(
        gpu=str(gpu.index),
        UUID=gpu.uuid,
        pci_bus_id=gpu.pci_bus_id,
        device=gpu.device,
        modelName=gpu.name,
        Hostname=hostname,
        DCGM_FI_DRIVER_VERSION=gpu.driver_version,
    )
