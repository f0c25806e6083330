"""GPUs as their drivers describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from wattview.model.source import Reading


class GpuProfile(Struct, frozen=True, kw_only=True):
    """Utilisation of a GPU's units between two readings, from its hardware counters (NVML's GPM).

    Shares are 0 to 1: of time (``graphics_active``), of the SMs' cycles (the others), of memory bandwidth
    (``dram_active``). ``sm_occupancy`` is resident warps by the maximum.
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
    """One instance of a partitioned GPU (MIG). ``profile`` is its size in NVIDIA's notation (``1g.10gb``)."""

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
    """One process on a GPU. Percentages are of the whole GPU over the last seconds; None if the driver gives none.

    ``cgroup`` is its path in ``/proc/<pid>/cgroup``, which identifies its container; "" if unreadable.
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
    """One GPU as its driver describes it. A value that the driver does not provide is None.

    ``index`` is the driver's own number, which GPUs of different vendors may share; ``uuid`` is unique. ``integrated``:
    the GPU, and its power, are part of the processor. ``asleep``: the driver has suspended the GPU; it draws almost
    nothing and reports nothing. A GPU that cannot be read is listed with what is known of it, so that the others are
    not mistaken for all. ``last_xid`` is the last XID error since WattView started to listen: 0 if there was none, None
    if NVML does not report them; ``xids`` counts them by number. ``encoder_latency_seconds`` is the mean over the
    active encoder sessions. ``processes_known``: the driver lists the processes; an empty list then means none.
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
    processes_known: bool = False

    @property
    def called(self) -> str:
        """What its events are about."""
        return f"GPU {self.index} {self.name}"

    @property
    def source(self) -> str:
        """The power source that reports it: the name of one of ``POWER_SOURCES``."""
        return "nvml" if self.vendor == "nvidia" else "drm"

    @property
    def draws_beside(self) -> bool:
        """Whether it draws power that the processor's counters do not include."""
        return not (self.integrated or self.asleep)


class GpusReading(Reading, frozen=True, kw_only=True):
    """All GPUs. ``hostname`` is dcgm-exporter's label ``Hostname``.

    ``joules_totals``: energy of each source's GPUs outside of the processor since they were first read; None if one of
    them does not report it. It never falls, even if a GPU's own counter restarts.
    """

    gpus: tuple[Gpu, ...] = ()
    hostname: str = ""
    joules_totals: Mapping[str, float | None] = {}
