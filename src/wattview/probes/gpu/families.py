"""The families of the dcgm-exporter endpoint (9400), from a GpusReading.

``DCGM_FI_*``: names, types, help and labels of dcgm-exporter's default counters and of its profiling set
(NVIDIA/dcgm-exporter, etc/default-counters.csv and dcp-metrics-included.csv), as far as NVML provides them, in DCGM's
units: MHz, MiB, mJ. A GPU in MIG mode shows its memory and its profiling by instance, as in dcgm-exporter, and not
again as a whole. ``wattview_gpu_*``: what all vendors have in common, and what dcgm-exporter leaves out. Pure
functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from wattview.exposition import Family, Row, counter, families_of, gauge, labels, rows
from wattview.model import Gpu, GpuInstance, GpuProcess, GpusReading
from wattview.model.power_sources import GPU_SOURCES
from wattview.model.source import total


def host_families(reading: GpusReading) -> list[Family]:
    """Total power of this machine's GPUs, beside the host's other sources: NVIDIA's as ``source="nvml"``, AMD's and
    Intel's as ``source="drm"``.

    If one GPU has no figure there is no sum, as it would be too small.
    """
    watts = gauge("wattview_host_power_watts", "Power of all GPUs that a driver reports.")
    joules = counter("wattview_host_energy_joules_total", "Energy of those GPUs since they were first read.")
    for source in GPU_SOURCES:
        gpus = [gpu for gpu in reading.gpus if gpu.source == source and gpu.draws_beside]
        watts.add(total(gpu.power_watts for gpu in gpus), labels(source=source))
        joules.add(reading.joules_totals.get(source), labels(source=source))
    return [watts, joules]


_DCGM = rows("""
sm_clock_hertz DCGM_FI_DEV_SM_CLOCK  SM clock frequency (in MHz).
memory_clock_hertz DCGM_FI_DEV_MEM_CLOCK  Memory clock frequency (in MHz).
memory_temperature_celsius DCGM_FI_DEV_MEMORY_TEMP  Memory temperature (in C).
temperature_celsius DCGM_FI_DEV_GPU_TEMP  GPU temperature (in C).
power_watts DCGM_FI_DEV_POWER_USAGE  Power draw (in W).
energy_joules_total DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION  Total energy consumption since boot (in mJ).
pcie_transmit_bytes_total DCGM_FI_DEV_PCIE_TX_THROUGHPUT
    Total number of bytes transmitted through PCIe TX (in KB) via NVML.
pcie_receive_bytes_total DCGM_FI_DEV_PCIE_RX_THROUGHPUT
    Total number of bytes received through PCIe RX (in KB) via NVML.
pcie_replay_total DCGM_FI_DEV_PCIE_REPLAY_COUNTER  Total number of PCIe retries.
utilization_percent DCGM_FI_DEV_GPU_UTIL  GPU utilization (in %).
memory_utilization_percent DCGM_FI_DEV_MEM_COPY_UTIL  Memory utilization (in %).
encoder_percent DCGM_FI_DEV_ENC_UTIL  Encoder utilization (in %).
decoder_percent DCGM_FI_DEV_DEC_UTIL  Decoder utilization (in %).
last_xid DCGM_FI_DEV_XID_ERRORS  Value of the last XID error encountered.
nvlink_bandwidth_total DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL  Total number of NVLink bandwidth counters for all lanes
vgpu_licensed DCGM_FI_DEV_VGPU_LICENSE_STATUS  vGPU License status
remapped_rows_uncorrectable_total DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS
    Number of remapped rows for uncorrectable errors
remapped_rows_correctable_total DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS
    Number of remapped rows for correctable errors
remap_failed DCGM_FI_DEV_ROW_REMAP_FAILURE  Whether remapping of rows has failed
""")

_DCGM_MEMORY = rows("""
memory_free_bytes DCGM_FI_DEV_FB_FREE  Framebuffer memory free (in MiB).
memory_used_bytes DCGM_FI_DEV_FB_USED  Framebuffer memory used (in MiB).
memory_reserved_bytes DCGM_FI_DEV_FB_RESERVED  Framebuffer memory reserved (in MiB).
""")

_PROFILING = rows("""
graphics_active DCGM_FI_PROF_GR_ENGINE_ACTIVE  Ratio of time the graphics engine is active.
sm_active DCGM_FI_PROF_SM_ACTIVE  The ratio of cycles an SM has at least 1 warp assigned.
sm_occupancy DCGM_FI_PROF_SM_OCCUPANCY  The ratio of number of warps resident on an SM.
tensor_active DCGM_FI_PROF_PIPE_TENSOR_ACTIVE  Ratio of cycles the tensor (HMMA) pipe is active.
dram_active DCGM_FI_PROF_DRAM_ACTIVE
    Ratio of cycles the device memory interface is active sending or receiving data.
fp64_active DCGM_FI_PROF_PIPE_FP64_ACTIVE  Ratio of cycles the fp64 pipes are active.
fp32_active DCGM_FI_PROF_PIPE_FP32_ACTIVE  Ratio of cycles the fp32 pipes are active.
fp16_active DCGM_FI_PROF_PIPE_FP16_ACTIVE  Ratio of cycles the fp16 pipes are active.
pcie_transmit_bytes_per_second DCGM_FI_PROF_PCIE_TX_BYTES
    The rate of data transmitted over the PCIe bus - including both protocol headers and data payloads - in bytes per
    second.
pcie_receive_bytes_per_second DCGM_FI_PROF_PCIE_RX_BYTES
    The rate of data received over the PCIe bus - including both protocol headers and data payloads - in bytes per
    second.
nvlink_transmit_bytes_per_second DCGM_FI_PROF_NVLINK_TX_BYTES
    The rate of data transmitted over NVLink, in bytes per second.
nvlink_receive_bytes_per_second DCGM_FI_PROF_NVLINK_RX_BYTES
    The rate of data received over NVLink, in bytes per second.
""")

_DCGM_COUNTERS = frozenset(
    {
        "energy_joules_total", "pcie_transmit_bytes_total", "pcie_receive_bytes_total", "pcie_replay_total",
        "nvlink_bandwidth_total", "remapped_rows_uncorrectable_total", "remapped_rows_correctable_total",
    }
)  # fmt: skip

_IN_DCGM_UNITS: Mapping[str, Callable[[float], float]] = {
    "sm_clock_hertz": lambda hertz: _whole(hertz / 1e6),
    "memory_clock_hertz": lambda hertz: _whole(hertz / 1e6),
    "energy_joules_total": lambda joules: round(joules * 1000),
    **dict.fromkeys(("pcie_transmit_bytes_total", "pcie_receive_bytes_total"), lambda count: int(count) // 1000),
    **dict.fromkeys((row.source for row in _DCGM_MEMORY), lambda count: int(count) // (1024 * 1024)),
}
"""Figures that DCGM gives in other units, which are whole numbers."""

_OURS = rows("""
power_watts wattview_gpu_power_watts  Power that the GPU draws.
power_limit_watts wattview_gpu_power_limit_watts  Power that the GPU may draw.
energy_joules_total wattview_gpu_energy_joules_total  Energy that the GPU has used, by its own counter.
utilization_percent wattview_gpu_utilization_percent  Time that the GPU was busy.
memory_used_bytes wattview_gpu_memory_used_bytes  Memory of the GPU in use.
memory_total_bytes wattview_gpu_memory_total_bytes  Memory that the GPU has.
temperature_celsius wattview_gpu_temperature_celsius  Temperature of the GPU.
sm_clock_hertz wattview_gpu_clock_hertz  Clock of the GPU's shader cores.
encoder_sessions wattview_gpu_encoder_sessions  Video encoding sessions.
encoder_frames_per_second wattview_gpu_encoder_frames_per_second  Mean frame rate of the encoding sessions.
encoder_latency_seconds wattview_gpu_encoder_latency_seconds  Mean time that the encoding sessions take for a frame.
remap_pending wattview_gpu_row_remap_pending  Whether rows of memory are remapped at the next reset.
""")

_PROCESS = rows("""
memory_bytes wattview_gpu_process_memory_bytes  Memory of the GPU that the process holds.
sm_percent wattview_gpu_process_utilization_percent  Share of the GPU's time that ran the process.
encoder_percent wattview_gpu_process_encoder_percent  Share of the GPU's encoder that the process used.
decoder_percent wattview_gpu_process_decoder_percent  Share of the GPU's decoder that the process used.
""")


def families(reading: GpusReading) -> list[Family]:
    """All of the above. A value that a driver does not provide has no sample."""
    nvidia = [(_dcgm_labels(gpu, reading.hostname), gpu) for gpu in reading.gpus if gpu.vendor == "nvidia"]
    everyone = [(_our_labels(gpu), gpu) for gpu in reading.gpus]
    parts = list(_parts(reading))
    profiled = [(text, part.profiling) for text, part in parts if part.profiling is not None]
    return [
        *(_dcgm_family(row, nvidia) for row in _DCGM),
        *(_dcgm_family(row, parts) for row in _DCGM_MEMORY),
        *families_of(_PROFILING, profiled),
        *families_of(_OURS, everyone),
        _xids(reading.gpus),
        *families_of(_PROCESS, _processes(reading.gpus)),
    ]


def _dcgm_family(row: Row, parts: Iterable[tuple[str, Gpu | GpuInstance]]) -> Family:
    family = Family(row.name, "counter" if row.source in _DCGM_COUNTERS else "gauge", row.help)
    convert = _IN_DCGM_UNITS.get(row.source, _whole)
    for text, part in parts:
        value = getattr(part, row.source)
        family.add(None if value is None else convert(value), text)
    return family


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def _parts(reading: GpusReading) -> Iterator[tuple[str, Gpu | GpuInstance]]:
    """What shows memory and profiling: NVIDIA's GPUs, and in place of a partitioned one its instances."""
    for gpu in reading.gpus:
        if gpu.vendor == "nvidia":
            shared: dict[int, GpuInstance] = {}
            for instance in gpu.instances:
                # Compute instances share their GPU instance's memory.
                shared.setdefault(instance.gpu_instance, instance)
            for one in shared.values():
                yield _dcgm_labels(gpu, reading.hostname, one), one
            if not shared:
                yield _dcgm_labels(gpu, reading.hostname), gpu


def _xids(gpus: Iterable[Gpu]) -> Family:
    family = counter("wattview_gpu_xid_errors_total", "XID errors since WattView started to listen, by number.")
    for gpu in gpus:
        for xid, count in sorted(gpu.xids.items()):
            family.add(count, labels(gpu=str(gpu.index), uuid=gpu.uuid, xid=str(xid)))
    return family


def _processes(gpus: Iterable[Gpu]) -> Iterator[tuple[str, GpuProcess]]:
    for gpu in gpus:
        for one in gpu.processes:
            of_gpu = {"gpu": str(gpu.index), "uuid": gpu.uuid}
            yield labels(**of_gpu, pid=str(one.pid), process=one.name, cgroup=one.cgroup), one


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
