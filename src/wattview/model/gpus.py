"""GPUs as their drivers describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from wattview.model.source import Reading


class GpuProfile(Struct, frozen=True, kw_only=True):
    """How busy the parts of a GPU were between two readings, from its hardware counters (NVML's GPM).

    The shares are 0 to 1: of the time (``graphics_active``), of the SMs' cycles (the others), of the memory's bandwidth
    (``dram_active``). ``sm_occupancy`` is resident warps by the most that could be.
    """

    graphics_active: float | None = None
    sm_active: float | None = None
    sm_occupancy: float | None = None
    tensor_active: float | None = None
    fp64_active: float | None = None
    fp32_active: float | None = None
    fp16_active: float | None = None
    dram_active: float | None = None
    pcie_transmit_bytes_per_second: float | None = None
    pcie_receive_bytes_per_second: float | None = None
    nvlink_transmit_bytes_per_second: float | None = None
    nvlink_receive_bytes_per_second: float | None = None


class GpuInstance(Struct, frozen=True, kw_only=True):
    """One part of a GPU that is divided (MIG). ``profile`` is its size as NVIDIA writes it (``1g.10gb``)."""

    uuid: str
    profile: str
    gpu_instance: int
    compute_instance: int | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_reserved_bytes: int | None = None
    profiling: GpuProfile | None = None


class GpuProcess(Struct, frozen=True, kw_only=True):
    """One process on a GPU. Percentages are of the whole GPU over the last seconds, None where the GPU tells none.

    ``cgroup`` is its path in ``/proc/<pid>/cgroup``, which ties it to a container; "" where that cannot be read.
    """

    pid: int
    name: str
    cgroup: str = ""
    memory_bytes: int | None = None
    sm_percent: float | None = None
    memory_percent: float | None = None
    encoder_percent: float | None = None
    decoder_percent: float | None = None
    gpu_instance: int | None = None


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU as its driver describes it. A value that the driver does not give is None.

    ``index`` is the driver's own number; GPUs of several vendors can share one, ``uuid`` is unique.
    ``integrated``: it is a part of the processor, and so is its power. ``asleep``: the driver has switched it off to
    save power, so that it draws next to nothing and tells nothing. A GPU that cannot be read is here with what is known
    of it, so that nobody takes the others for all.
    ``last_xid`` is the last XID error since WattView began to listen, 0 where there was none, None where NVML tells
    none; ``xids`` counts them by number. ``encoder_latency_seconds`` is the mean of the sessions that encode now.
    """

    index: int
    uuid: str
    name: str
    pci_bus_id: str
    driver_version: str
    vendor: Literal["nvidia", "amd", "intel"] = "nvidia"
    device: str = ""
    integrated: bool = False
    asleep: bool = False
    power_watts: float | None = None
    power_limit_watts: float | None = None
    energy_joules_total: float | None = None
    utilization_percent: float | None = None
    memory_utilization_percent: float | None = None
    encoder_percent: float | None = None
    decoder_percent: float | None = None
    encoder_sessions: int | None = None
    encoder_frames_per_second: float | None = None
    encoder_latency_seconds: float | None = None
    temperature_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None
    memory_reserved_bytes: int | None = None
    sm_clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    pcie_replay_total: int | None = None
    pcie_transmit_bytes_total: int | None = None
    pcie_receive_bytes_total: int | None = None
    nvlink_bandwidth_total: int | None = None
    remapped_rows_correctable_total: int | None = None
    remapped_rows_uncorrectable_total: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    vgpu_licensed: bool | None = None
    last_xid: int | None = None
    xids: dict[int, int] = {}
    profiling: GpuProfile | None = None
    instances: tuple[GpuInstance, ...] = ()
    processes: tuple[GpuProcess, ...] = ()

    @property
    def source(self) -> str:
        """Who tells its power: the name of one of ``POWER_SOURCES``."""
        return "nvml" if self.vendor == "nvidia" else "drm"

    @property
    def draws_beside(self) -> bool:
        """It draws power that the processor's counters do not see."""
        return not (self.integrated or self.asleep)


class GpusReading(Reading, frozen=True, kw_only=True):
    """All GPUs. ``hostname`` is what dcgm-exporter's ``Hostname`` label says.

    ``joules_totals``: what the GPUs of each source that draw beside the processor have used together since they were
    first read; None where one of them does not tell. It never falls, also where a GPU's own counter begins anew.
    """

    gpus: tuple[Gpu, ...] = ()
    hostname: str = ""
    joules_totals: Mapping[str, float | None] = {}
