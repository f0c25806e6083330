"""The families of the dcgm-exporter endpoint (9400), from a GpusReading.

``DCGM_FI_*``: names, types, help and labels of dcgm-exporter's default counters and of its profiling set
(NVIDIA/dcgm-exporter, etc/default-counters.csv and dcp-metrics-included.csv), as far as NVML provides them, in DCGM's
units: MHz, MiB, mJ. A GPU in MIG mode shows its memory and its profiling by instance, as in dcgm-exporter, and not
again as a whole. ``wattview_gpu_*``: what all vendors have in common, and what dcgm-exporter leaves out. Pure
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wattview.exposition import Family, FamilyType, counter, gauge, labels
from wattview.model import Gpu, GpuInstance, GpuProcess, GpuProfile, GpusReading
from wattview.model.power_sources import GPU_SOURCES

_MIB = 1024 * 1024
Value = Callable[[Gpu], float | None]
Row = tuple[str, FamilyType, str, Value]


def _scaled(field: str, divisor: float = 1) -> Value:
    def value(gpu: Gpu) -> float | None:
        number = getattr(gpu, field)
        return None if number is None else _whole(number / divisor)

    return value


def _floored(field: str, divisor: int) -> Callable[[Gpu | GpuInstance], float | None]:
    def value(part: Gpu | GpuInstance) -> float | None:
        number = getattr(part, field)
        return None if number is None else int(number) // divisor

    return value


def _flag(field: str) -> Value:
    def value(gpu: Gpu) -> float | None:
        flag = getattr(gpu, field)
        return None if flag is None else int(flag)

    return value


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def host_families(reading: GpusReading) -> list[Family]:
    """Total power of this machine's GPUs, beside the host's other sources: NVIDIA's as ``source="nvml"``, AMD's and
    Intel's as ``source="drm"``.

    If one GPU has no figure there is no sum, as it would be too small.
    """
    watts = gauge("wattview_host_power_watts", "Power of all GPUs that a driver tells of.")
    joules = counter("wattview_host_energy_joules_total", "Energy of those GPUs since they were first read.")
    for source in GPU_SOURCES:
        gpus = [gpu for gpu in reading.gpus if gpu.source == source and gpu.draws_beside]
        watts.add(_total(gpu.power_watts for gpu in gpus), labels(source=source))
        joules.add(reading.joules_totals.get(source), labels(source=source))
    return [watts, joules]


def _total(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if not known or None in known else sum(value for value in known if value is not None)


_DCGM: tuple[Row, ...] = (
    ("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", _scaled("sm_clock_hertz", 1e6)),
    ("DCGM_FI_DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz).", _scaled("memory_clock_hertz", 1e6)),
    ("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C).", _scaled("memory_temperature_celsius")),
    ("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", _scaled("temperature_celsius")),
    ("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", _scaled("power_watts")),
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
    ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter", "Total number of PCIe retries.", _scaled("pcie_replay_total")),
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", _scaled("utilization_percent")),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %).", _scaled("memory_utilization_percent")),
    ("DCGM_FI_DEV_ENC_UTIL", "gauge", "Encoder utilization (in %).", _scaled("encoder_percent")),
    ("DCGM_FI_DEV_DEC_UTIL", "gauge", "Decoder utilization (in %).", _scaled("decoder_percent")),
    ("DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.", _scaled("last_xid")),
    (
        "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL",
        "counter",
        "Total number of NVLink bandwidth counters for all lanes",
        _scaled("nvlink_bandwidth_total"),
    ),
    ("DCGM_FI_DEV_VGPU_LICENSE_STATUS", "gauge", "vGPU License status", _flag("vgpu_licensed")),
    (
        "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for uncorrectable errors",
        _scaled("remapped_rows_uncorrectable_total"),
    ),
    (
        "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS",
        "counter",
        "Number of remapped rows for correctable errors",
        _scaled("remapped_rows_correctable_total"),
    ),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed", _flag("remap_failed")),
)

_DCGM_MEMORY: tuple[tuple[str, str, Callable[[Gpu | GpuInstance], float | None]], ...] = (
    ("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", _floored("memory_free_bytes", _MIB)),
    ("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", _floored("memory_used_bytes", _MIB)),
    ("DCGM_FI_DEV_FB_RESERVED", "Framebuffer memory reserved (in MiB).", _floored("memory_reserved_bytes", _MIB)),
)

_DCGM_PROFILING: tuple[tuple[str, str, Callable[[GpuProfile], float | None]], ...] = (
    (
        "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
        "Ratio of time the graphics engine is active.",
        lambda profile: profile.graphics_active,
    ),
    (
        "DCGM_FI_PROF_SM_ACTIVE",
        "The ratio of cycles an SM has at least 1 warp assigned.",
        lambda profile: profile.sm_active,
    ),
    (
        "DCGM_FI_PROF_SM_OCCUPANCY",
        "The ratio of number of warps resident on an SM.",
        lambda profile: profile.sm_occupancy,
    ),
    (
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
        "Ratio of cycles the tensor (HMMA) pipe is active.",
        lambda profile: profile.tensor_active,
    ),
    (
        "DCGM_FI_PROF_DRAM_ACTIVE",
        "Ratio of cycles the device memory interface is active sending or receiving data.",
        lambda profile: profile.dram_active,
    ),
    (
        "DCGM_FI_PROF_PIPE_FP64_ACTIVE",
        "Ratio of cycles the fp64 pipes are active.",
        lambda profile: profile.fp64_active,
    ),
    (
        "DCGM_FI_PROF_PIPE_FP32_ACTIVE",
        "Ratio of cycles the fp32 pipes are active.",
        lambda profile: profile.fp32_active,
    ),
    (
        "DCGM_FI_PROF_PIPE_FP16_ACTIVE",
        "Ratio of cycles the fp16 pipes are active.",
        lambda profile: profile.fp16_active,
    ),
    (
        "DCGM_FI_PROF_PCIE_TX_BYTES",
        "The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - "
        "in bytes per second.",
        lambda profile: profile.pcie_transmit_bytes_per_second,
    ),
    (
        "DCGM_FI_PROF_PCIE_RX_BYTES",
        "The rate of data received over the PCIe bus - including both protocol headers and data payloads - "
        "in bytes per second.",
        lambda profile: profile.pcie_receive_bytes_per_second,
    ),
    (
        "DCGM_FI_PROF_NVLINK_TX_BYTES",
        "The rate of data transmitted over NVLink, in bytes per second.",
        lambda profile: profile.nvlink_transmit_bytes_per_second,
    ),
    (
        "DCGM_FI_PROF_NVLINK_RX_BYTES",
        "The rate of data received over NVLink, in bytes per second.",
        lambda profile: profile.nvlink_receive_bytes_per_second,
    ),
)

_OURS: tuple[Row, ...] = (
    ("wattview_gpu_power_watts", "gauge", "Power that the GPU draws.", _scaled("power_watts")),
    ("wattview_gpu_power_limit_watts", "gauge", "Power that the GPU may draw.", _scaled("power_limit_watts")),
    (
        "wattview_gpu_energy_joules_total",
        "counter",
        "Energy that the GPU has used, by its own counter.",
        lambda gpu: gpu.energy_joules_total,
    ),
    ("wattview_gpu_utilization_percent", "gauge", "Time that the GPU was busy.", _scaled("utilization_percent")),
    ("wattview_gpu_memory_used_bytes", "gauge", "Memory of the GPU in use.", _scaled("memory_used_bytes")),
    ("wattview_gpu_memory_total_bytes", "gauge", "Memory that the GPU has.", _scaled("memory_total_bytes")),
    ("wattview_gpu_temperature_celsius", "gauge", "Temperature of the GPU.", _scaled("temperature_celsius")),
    ("wattview_gpu_clock_hertz", "gauge", "Clock of the GPU's shader cores.", _scaled("sm_clock_hertz")),
    ("wattview_gpu_encoder_sessions", "gauge", "Video encoding sessions.", _scaled("encoder_sessions")),
    (
        "wattview_gpu_encoder_frames_per_second",
        "gauge",
        "Mean frame rate of the encoding sessions.",
        _scaled("encoder_frames_per_second"),
    ),
    (
        "wattview_gpu_encoder_latency_seconds",
        "gauge",
        "Mean time that the encoding sessions take for a frame.",
        lambda gpu: gpu.encoder_latency_seconds,
    ),
    (
        "wattview_gpu_row_remap_pending",
        "gauge",
        "Whether rows of memory are remapped at the next reset.",
        _flag("remap_pending"),
    ),
)

_PROCESS: tuple[tuple[str, str, Callable[[GpuProcess], float | None]], ...] = (
    (
        "wattview_gpu_process_memory_bytes",
        "Memory of the GPU that the process holds.",
        lambda process: process.memory_bytes,
    ),
    (
        "wattview_gpu_process_utilization_percent",
        "Share of the GPU's time that ran the process.",
        lambda process: process.sm_percent,
    ),
    (
        "wattview_gpu_process_encoder_percent",
        "Share of the GPU's encoder that the process used.",
        lambda process: process.encoder_percent,
    ),
    (
        "wattview_gpu_process_decoder_percent",
        "Share of the GPU's decoder that the process used.",
        lambda process: process.decoder_percent,
    ),
)


def families(reading: GpusReading) -> list[Family]:
    """All of the above. A value that a driver does not provide has no sample."""
    nvidia = [(_dcgm_labels(gpu, reading.hostname), gpu) for gpu in reading.gpus if gpu.vendor == "nvidia"]
    everyone = [(_our_labels(gpu), gpu) for gpu in reading.gpus]
    return [
        *(_family(row, nvidia) for row in _DCGM),
        *_by_instance(reading),
        *(_family(row, everyone) for row in _OURS),
        _xids(reading.gpus),
        *_processes(reading.gpus),
    ]


def _family(row: Row, gpus: Iterable[tuple[str, Gpu]]) -> Family:
    name, kind, help_text, value = row
    family = Family(name, kind, help_text)
    for text, gpu in gpus:
        family.add(value(gpu), text)
    return family


def _by_instance(reading: GpusReading) -> list[Family]:
    parts: list[tuple[str, Gpu | GpuInstance]] = []
    for gpu in reading.gpus:
        if gpu.vendor == "nvidia":
            shared: dict[int, GpuInstance] = {}
            for instance in gpu.instances:
                # Compute instances share their GPU instance's memory.
                shared.setdefault(instance.gpu_instance, instance)
            parts += [(_dcgm_labels(gpu, reading.hostname, one), one) for one in shared.values()]
            if not shared:
                parts.append((_dcgm_labels(gpu, reading.hostname), gpu))
    result = []
    for name, help_text, value in _DCGM_MEMORY:
        family = gauge(name, help_text)
        for text, part in parts:
            family.add(value(part), text)
        result.append(family)
    for name, help_text, share in _DCGM_PROFILING:
        family = gauge(name, help_text)
        for text, part in parts:
            if part.profiling is not None:
                family.add(share(part.profiling), text)
        result.append(family)
    return result


def _xids(gpus: Iterable[Gpu]) -> Family:
    family = counter("wattview_gpu_xid_errors_total", "XID errors since WattView began to listen, by number.")
    for gpu in gpus:
        for xid, count in sorted(gpu.xids.items()):
            family.add(count, labels(gpu=str(gpu.index), uuid=gpu.uuid, xid=str(xid)))
    return family


def _processes(gpus: Iterable[Gpu]) -> list[Family]:
    marked = [
        (
            labels(
                gpu=str(gpu.index), uuid=gpu.uuid, pid=str(process.pid), process=process.name, cgroup=process.cgroup
            ),
            process,
        )
        for gpu in gpus
        for process in gpu.processes
    ]
    result = []
    for name, help_text, value in _PROCESS:
        family = gauge(name, help_text)
        for text, process in marked:
            family.add(value(process), text)
        result.append(family)
    return result


def _our_labels(gpu: Gpu) -> str:
    return labels(gpu=str(gpu.index), uuid=gpu.uuid, vendor=gpu.vendor, name=gpu.name)


def _dcgm_labels(gpu: Gpu, hostname: str, instance: GpuInstance | None = None) -> str:
    mig = {} if instance is None else {"GPU_I_PROFILE": instance.profile, "GPU_I_ID": str(instance.gpu_instance)}
    return labels(
        gpu=str(gpu.index),
        UUID=gpu.uuid,
        pci_bus_id=gpu.pci_bus_id,
        device=gpu.device,
        modelName=gpu.name,
        **mig,
        Hostname=hostname,
        # dcgm-exporter's name since 4.8.3; older dashboards use the other one.
        hostname=hostname,
        DCGM_FI_DRIVER_VERSION=gpu.driver_version,
    )
