"""The words that all rooms speak: readings, the snapshot, scenarios, runs and results.

Everything here is a frozen ``msgspec.Struct``: a value that is passed on and never changed, and at the same time the
wire format of the control API and of the results files. Units are in the field names. ``None`` means *unknown*;
``0`` is a measurement. Times are Unix seconds (``time``) beside seconds of the monotonic clock (``monotonic``):
durations and rates come from the second, everything that is stored or shown comes from the first.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

PowerSource = Literal["rapl", "hwmon", "battery", "nvml", "estimated"]
ProbeState = Literal["unread", "ok", "degraded", "absent", "refused", "broken"]
"""``ok``: everything was read. ``degraded``: some parts could not be read, the rest is true. ``absent``: this machine
has no such source. ``refused``: it is there and may not be read. ``broken``: it is there and answers nonsense."""


class Fault(Struct, frozen=True):
    """One part of a source that gave no number, and the way out. ``part`` names it (a zone, a container, a file)."""

    part: str
    reason: str
    fix: str = ""


class Reading(Struct, frozen=True, kw_only=True):
    """What a probe saw at one moment. ``faults`` lists the parts that are missing from it."""

    time: float
    monotonic: float
    faults: tuple[Fault, ...] = ()


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """The state of one source. ``fix`` is a command or a setting that would mend it; empty where there is none."""

    probe: str
    state: ProbeState
    reason: str = ""
    fix: str = ""
    duration_seconds: float | None = None
    last_success: float | None = None


# power


class Zone(Struct, frozen=True, kw_only=True):
    """One powercap zone.

    ``package`` and ``zone`` are the labels of ``rapl_power_watts``: a socket is ``package-0``/``package-0``, its parts
    ``package-0``/``core``, ``uncore`` or ``dram``, the platform ``psys``/``psys``. ``path`` is the kernel's own name
    (``intel-rapl:0:1``). ``joules_total`` is what the kernel's counter has counted since the first reading, wraps
    undone. ``watts`` is the mean over the last second, None until there is one. ``counted``: this zone is part of the
    host's figure.
    """

    path: str
    package: str
    zone: str
    joules_total: float
    watts: float | None
    counted: bool


class PowerReading(Reading, frozen=True, kw_only=True):
    """Power of the whole host from its best source, and of each zone behind it.

    ``host_joules_total`` counts every joule once (packages + DRAM, or psys); None where a part of that sum cannot be
    read now: there is no host figure that silently lacks a socket. ``host_watts`` is its mean over the last second;
    ``host_peak_watts`` the largest power between two consecutive samples in that second.
    """

    source: PowerSource
    host_joules_total: float | None
    host_watts: float | None
    host_peak_watts: float | None
    zones: tuple[Zone, ...] = ()


# host


class Nic(Struct, frozen=True, kw_only=True):
    """One network interface. Rates are None until two readings are a second apart."""

    device: str
    receive_bytes_total: int
    transmit_bytes_total: int
    receive_bytes_per_second: float | None
    transmit_bytes_per_second: float | None


class HostReading(Reading, frozen=True, kw_only=True):
    """The machine at a glance: what the dashboard, the history and the analyses need of it.

    ``cpu_busy_seconds_total`` is user + nice + system + irq + softirq + steal over all CPUs; guest time is inside
    user, idle and iowait are not in it. ``cpu_percent`` is of the whole machine (0 to 100).
    """

    hostname: str
    cpus: int
    cpu_busy_seconds_total: float
    cpu_percent: float | None
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int
    load1: float
    load5: float
    load15: float
    boot_time: float
    nics: tuple[Nic, ...] = ()


# containers


class Container(Struct, frozen=True, kw_only=True):
    """One running Docker container. ``cpu_percent`` counts one full core as 100, as ``docker stats`` does.

    ``memory_working_set_bytes`` is usage less inactive file pages (cAdvisor's definition); ``memory_percent`` is
    the working set's share of the limit, or of the machine where there is no limit.
    ``cgroup`` is the path below the cgroup mount (``/docker/<id>``), the ``id`` label of cAdvisor. ``network`` is
    empty for a container that shares the host's network or another container's, whose traffic is counted there.
    ``addresses`` are its own in the engine's networks. ``ended`` is when a container ended (Unix seconds); None while
    it runs. ``power_watts`` is its share of the machine's active power (see ``PowerUse``), ``energy_joules_total`` the
    same since the daemon began.
    """

    id: str
    name: str
    image: str
    cgroup: str
    labels: dict[str, str] = {}
    state: str = "running"
    health: str | None = None
    restarts: int | None = None
    created: float | None = None
    started: float | None = None
    pid: int | None = None
    cpu_seconds_total: float | None = None
    cpu_user_seconds_total: float | None = None
    cpu_system_seconds_total: float | None = None
    cpu_percent: float | None = None
    memory_usage_bytes: int | None = None
    memory_working_set_bytes: int | None = None
    memory_rss_bytes: int | None = None
    memory_cache_bytes: int | None = None
    memory_limit_bytes: int | None = None
    memory_percent: float | None = None
    network: tuple[Nic, ...] = ()
    block_read_bytes_total: int | None = None
    block_write_bytes_total: int | None = None
    block_read_bytes_per_second: float | None = None
    block_write_bytes_per_second: float | None = None
    pids: int | None = None
    ended: float | None = None
    addresses: tuple[str, ...] = ()
    power_watts: float | None = None
    energy_joules_total: float | None = None


class CgroupSpec(Struct, frozen=True, kw_only=True):
    """What a cgroup may use. None: unlimited, or not set, or a controller that is not there.

    ``cpu_shares`` is on cgroup v1's scale (2 to 262144); a v2 weight is converted as the runtimes do.
    """

    cpu_shares: int | None = None
    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None
    memory_limit_bytes: int | None = None
    memory_swap_limit_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    pids_limit: int | None = None


class DiskIo(Struct, frozen=True, kw_only=True):
    """What a cgroup has read from and written to one block device. ``operations`` has the kernel's own names."""

    device: str
    major: int
    minor: int
    bytes_by_operation: dict[str, int] = {}
    ios_by_operation: dict[str, int] = {}
    cost_seconds: dict[str, float] = {}


class CgroupCounters(Struct, frozen=True, kw_only=True):
    """Everything that one container's cgroup says, v1 or v2. None: this kernel or this cgroup does not say.

    ``cpu_seconds_by_cpu`` is by CPU number, and empty on v2, which does not count by CPU. ``pressure`` is seconds
    stalled by resource and kind (``cpu some``, ``memory full``, ``io some`` …); empty on v1.
    """

    spec: CgroupSpec
    cpu_seconds_total: float | None = None
    cpu_user_seconds_total: float | None = None
    cpu_system_seconds_total: float | None = None
    cpu_seconds_by_cpu: tuple[float, ...] = ()
    cfs_periods_total: int | None = None
    cfs_throttled_periods_total: int | None = None
    cfs_throttled_seconds_total: float | None = None
    cfs_burst_periods_total: int | None = None
    cfs_burst_seconds_total: float | None = None
    memory_usage_bytes: int | None = None
    memory_max_usage_bytes: int | None = None
    memory_working_set_bytes: int | None = None
    memory_rss_bytes: int | None = None
    memory_cache_bytes: int | None = None
    memory_mapped_file_bytes: int | None = None
    memory_swap_bytes: int | None = None
    memory_kernel_bytes: int | None = None
    memory_active_anon_bytes: int | None = None
    memory_inactive_anon_bytes: int | None = None
    memory_active_file_bytes: int | None = None
    memory_inactive_file_bytes: int | None = None
    memory_anon_hugepages_bytes: int | None = None
    memory_dirty_bytes: int | None = None
    memory_writeback_bytes: int | None = None
    memory_limit_hits_total: int | None = None
    memory_high_events_total: int | None = None
    memory_max_events_total: int | None = None
    memory_page_faults_total: int | None = None
    memory_major_page_faults_total: int | None = None
    memory_pages_scanned_total: int | None = None
    memory_pages_stolen_total: int | None = None
    memory_refaults_file_total: int | None = None
    memory_refaults_anon_total: int | None = None
    oom_kills_total: int | None = None
    disks: tuple[DiskIo, ...] | None = None
    pids: int | None = None
    pressure: dict[str, float] = {}


class NicCounters(Struct, frozen=True, kw_only=True):
    """One network interface of a container, since it came up."""

    device: str
    receive_bytes: int
    receive_packets: int
    receive_errors: int
    receive_dropped: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errors: int
    transmit_dropped: int


class DiskSpace(Struct, frozen=True, kw_only=True):
    """What a container has written on the engine's filesystem: its own layer and its logs, walked at a low rate."""

    device: str
    used_bytes: int
    used_inodes: int
    limit_bytes: int | None = None
    free_inodes: int | None = None


class ContainerDetail(Struct, frozen=True, kw_only=True):
    """The rest of what is known of a container (``id``): what cAdvisor's families need beyond ``Container``."""

    id: str
    counters: CgroupCounters
    network: tuple[NicCounters, ...] = ()
    space: DiskSpace | None = None
    tasks: dict[str, int] = {}


class Machine(Struct, frozen=True, kw_only=True):
    """The machine as the container exporters describe it. Identifiers are "" where they may not be read."""

    cpus: int
    physical_cores: int | None
    sockets: int | None
    memory_bytes: int
    swap_bytes: int
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_version: str = ""


class Engine(Struct, frozen=True, kw_only=True):
    """The container engine itself: its own processes (dockerd and containerd) summed, not its containers."""

    version: str
    cgroup_version: int
    cpu_seconds_total: float | None
    cpu_percent: float | None
    memory_bytes: int | None
    memory_percent: float | None


class ContainersReading(Reading, frozen=True, kw_only=True):
    """All running containers, and the engine that runs them.

    ``ended`` are containers that ended in the last minute, with their last counters and ``Container.ended``.
    ``details`` has one entry for each of both, by id.
    """

    engine: Engine
    containers: tuple[Container, ...] = ()
    ended: tuple[Container, ...] = ()
    details: dict[str, ContainerDetail] = {}
    machine: Machine | None = None


# streams


class StreamClient(Struct, frozen=True, kw_only=True):
    """One connection to a stream: its publisher or a player."""

    id: str
    address: str
    publishing: bool
    connected_seconds: float | None = None
    dropped: int | None = None
    avsync_ms: int | None = None
    relay: bool = False
    """The server's own copy for another of its processes: no viewer, and counted nowhere."""


class Stream(Struct, frozen=True, kw_only=True):
    """One live stream of an RTMP server. Bandwidth is bytes per second; totals are bytes since it began.

    ``power_watts`` is what is known of its power: its part of the server's by its part of the traffic, and its
    publisher's where that is a container or an encoder of this machine.
    """

    app: str
    name: str
    active: bool
    uptime_seconds: float | None = None
    bytes_in_total: int | None = None
    bytes_out_total: int | None = None
    bandwidth_in_bytes: float | None = None
    bandwidth_out_bytes: float | None = None
    publishers: int = 0
    players: int = 0
    video_codec: str | None = None
    video_profile: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    audio_codec: str | None = None
    dropped_frames: int | None = None
    clients: tuple[StreamClient, ...] = ()
    bandwidth_video_bytes: float | None = None
    bandwidth_audio_bytes: float | None = None
    video_level: str | None = None
    audio_profile: str | None = None
    audio_channels: int | None = None
    audio_sample_rate_hertz: int | None = None
    avsync_ms: int | None = None
    relayed: bool = False
    """What this process holds is another one's copy: its input has been counted there."""

    power_watts: float | None = None


class RtmpServer(Struct, frozen=True, kw_only=True):
    """The RTMP server's own figures; ``name`` says which it is (``nginx-rtmp 1.1.4``). Bandwidth: bytes per second."""

    name: str
    pid: int | None
    uptime_seconds: float | None
    connections: int
    accepted_total: int | None
    bytes_in_total: int | None
    bytes_out_total: int | None
    bandwidth_in_bytes: float | None
    bandwidth_out_bytes: float | None


class StreamsReading(Reading, frozen=True, kw_only=True):
    """An RTMP server and its live streams."""

    server: RtmpServer
    streams: tuple[Stream, ...] = ()


# GPUs


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


class GpusReading(Reading, frozen=True, kw_only=True):
    """All GPUs. ``hostname`` is what dcgm-exporter's ``Hostname`` label says."""

    gpus: tuple[Gpu, ...] = ()
    hostname: str = ""


# health of the exporters


class ExporterHealth(Struct, frozen=True, kw_only=True):
    """What one fetch of one exporter showed. ``healthy``: it answered 200, in a form the parser accepts, with data.

    ``metric_count`` counts families; ``sample_count`` samples; ``has_data`` is false where every sample is about the
    exporter itself (``wattview_probe_*`` and the like) and none about the thing it measures.
    """

    exporter: str
    url: str
    reachable: bool
    healthy: bool
    has_data: bool
    metric_count: int
    sample_count: int
    scrape_seconds: float | None
    checked: float
    reason: str = ""


# scenarios and runs


class Output(Struct, frozen=True, kw_only=True):
    """One rendition of a scenario, as results files write it."""

    resolution: str
    fps: int


ScenarioName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Bitrate = Annotated[str, Meta(pattern=r"^[1-9][0-9]*(\.[0-9]+)?[kM]?$")]
Resolution = Annotated[str, Meta(pattern=r"^[1-9][0-9]{1,4}x[1-9][0-9]{1,4}$")]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo",
    "p1", "p2", "p3", "p4", "p5", "p6", "p7",
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13",
]  # fmt: skip
"""x264's names, which every encoder takes (they are translated to its own scale); NVENC's and SVT-AV1's own."""

VideoEncoder = Literal[
    "libx264", "libx265", "libsvtav1", "h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_vaapi", "hevc_vaapi", "av1_vaapi",
    "h264_qsv", "hevc_qsv", "av1_qsv",
]  # fmt: skip
RateControl = Literal["capped", "cbr", "crf"]


class Rendition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One output of a ladder. Without ``fps`` it has the scenario's; without ``bitrate`` the scenario's bitrate times
    (its pixels a second / those of the scenario) to the power of 0.75, a rule of thumb for equal looks."""

    resolution: Resolution
    fps: Annotated[int, Meta(ge=1, le=240)] | None = None
    bitrate: Bitrate | None = None


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to run: N concurrent streams of one setting, or an idle window (``baseline``).

    ``bitrate`` is what FFmpeg's ``-b:v`` takes (``2500k``); ``bitrates`` gives each stream its own instead.
    ``renditions`` makes each stream a ladder: one decode, several outputs. ``source`` is one of FFmpeg's test pictures
    (``testsrc2``) or the name of a file in the media directory. Durations are seconds: ``warmup`` before the measured
    window of ``duration``, ``cooldown`` after it; ``steady`` is how much longer than ``warmup`` may be waited until
    power and CPU use are steady.

    ``rate_control``: ``capped`` holds the mean and, over ``buffer_seconds``, the maximum at the bitrate; ``cbr`` fills
    up to it; ``crf`` aims at the constant quality ``crf`` with the bitrate as its maximum. ``viewers`` players pull
    each stream (each rendition of a ladder).
    """

    name: ScenarioName
    type: Literal["baseline", "streams"] = "streams"
    streams: Annotated[int, Meta(ge=1, le=64)] = 1
    bitrate: Bitrate = "2500k"
    resolution: Resolution = "1280x720"
    fps: Annotated[int, Meta(ge=1, le=240)] = 30
    duration: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    warmup: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    cooldown: Annotated[float, Meta(ge=0, le=3600)] = 3.0
    source: Annotated[str, Meta(min_length=1, max_length=255)] = "testsrc2"
    preset: Preset = "veryfast"
    quality: bool = True
    encoder: VideoEncoder = "libx264"
    bitrates: Annotated[list[Bitrate], Meta(min_length=1, max_length=64)] | None = None
    renditions: Annotated[list[Rendition], Meta(min_length=1, max_length=12)] | None = None
    rate_control: RateControl = "capped"
    crf: Annotated[int, Meta(ge=0, le=63)] | None = None
    gop_seconds: Annotated[float, Meta(gt=0, le=20)] = 2.0
    buffer_seconds: Annotated[float, Meta(ge=0.1, le=20)] = 2.0
    audio: Literal["aac", "none"] = "aac"
    audio_bitrate: Bitrate = "128k"
    viewers: Annotated[int, Meta(ge=0, le=50)] = 0
    steady: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class RunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /api/v1/runs``. ``baseline`` puts an idle window of that many seconds first (0: none), and
    ``baseline_after`` one of the same length last. ``repeat`` runs the whole list that many times, so that the repeats
    of one setting lie apart; ``pause`` is the idle time between two scenarios."""

    scenarios: Annotated[list[Scenario], Meta(min_length=1, max_length=1000)]
    baseline: Annotated[float, Meta(ge=0, le=86400)] = 0.0
    baseline_after: bool = False
    repeat: Annotated[int, Meta(ge=1, le=100)] = 1
    pause: Annotated[float, Meta(ge=0, le=3600)] = 0.0


RunState = Literal["running", "done", "aborted", "failed", "interrupted"]
Phase = Literal["preparing", "warmup", "measuring", "cooldown", "quality", "saving", "finished"]


class RunProgress(Struct, frozen=True, kw_only=True):
    """Where a run is. ``remaining_seconds`` is an estimate, None where nobody can say."""

    phase: Phase
    scenario: str | None
    scenario_index: int
    scenario_count: int
    fraction: float
    elapsed_seconds: float
    remaining_seconds: float | None
    message: str = ""


class EncoderStatus(Struct, frozen=True, kw_only=True):
    """What FFmpeg says of one encoder through ``-progress``. ``speed`` 1.0 is real time."""

    stream: str
    frames: int | None = None
    fps: float | None = None
    speed: float | None = None
    dropped_frames: int | None = None
    duplicated_frames: int | None = None
    bitrate_bps: float | None = None


class RenditionRecord(Struct, frozen=True, kw_only=True):
    """One stream or rendition of a scenario and its quality; VMAF pooled in four ways. PSNR is in dB."""

    stream: str
    resolution: str
    fps: int
    bitrate: str
    bitrate_bps: float | None = None
    vmaf_score: float | None = None
    vmaf_harmonic_mean: float | None = None
    vmaf_percentile_1: float | None = None
    vmaf_minimum: float | None = None
    psnr_score: float | None = None
    ssim_score: float | None = None
    quality_frames: int | None = None


class Playback(Struct, frozen=True, kw_only=True):
    """What the viewers of a scenario saw: means over all of them, and the worst. A stall is a time in which a player
    that holds ``buffer_seconds`` would have stood still. Ratios are of the measured window."""

    viewers: int
    start_delay_seconds: float | None = None
    start_delay_max_seconds: float | None = None
    stalls: int | None = None
    stalled_seconds: float | None = None
    received_frames_ratio: float | None = None
    buffer_seconds: float | None = None


class ScenarioRecord(Struct, frozen=True, kw_only=True):
    """One scenario as a results file holds it: the contract's fields first, then ours. Other programs' files carry a
    part of this; a field that is missing is None, and ``realtime`` is None where nobody watched the encoder.

    ``bitrate`` lists several with commas, in the order of streams or renditions. The scores are means over the streams,
    of the best rendition of each; ``renditions`` has them all. ``setting`` is the name before a repeat's number was
    added to it."""

    name: str
    bitrate: str | None = None
    resolution: str | None = None
    fps: float | None = None
    duration: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    outputs: list[Output] | None = None
    vmaf_score: float | None = None
    psnr_score: float | None = None
    ssim_score: float | None = None
    type: str | None = None
    streams: int | None = None
    source: str | None = None
    preset: str | None = None
    encoder: str | None = None
    pushed: bool | None = None
    realtime: bool | None = None
    encoders: list[EncoderStatus] | None = None
    vmaf_model: str | None = None
    quality_tool: str | None = None
    quality_frames: int | None = None
    viewers: int | None = None
    power_source: str | None = None
    status: str | None = None
    notes: list[str] | None = None
    setting: str | None = None
    repeat: int | None = None
    rate_control: str | None = None
    crf: int | None = None
    gop_seconds: float | None = None
    buffer_seconds: float | None = None
    audio: str | None = None
    warmup_seconds: float | None = None
    renditions: list[RenditionRecord] | None = None
    playback: Playback | None = None


class ResultsFile(Struct, frozen=True, kw_only=True):
    """A results file, ``test_results_YYYYmmdd_HHMMSS.json``. ``run`` is its stamp and the run's id."""

    test_date: str
    scenarios: list[ScenarioRecord]
    run: str | None = None
    status: str | None = None
    wattview_version: str | None = None
    machine: dict[str, Any] | None = None


class Run(Struct, frozen=True, kw_only=True):
    """A run of one or more scenarios. ``results_id`` names its results file once that is written."""

    id: str
    state: RunState
    scenarios: list[Scenario]
    started: float
    ended: float | None = None
    progress: RunProgress | None = None
    encoders: list[EncoderStatus] = []
    finished: list[ScenarioRecord] = []
    results_id: str | None = None
    error: str | None = None


# analysed results


class Efficiency(Struct, frozen=True, kw_only=True):
    """Energy, cost and carbon by what a scenario delivered. None where that is not known.

    ``sci_grams_per_stream_hour`` is the Software Carbon Intensity (ISO/IEC 21031): with the machine's embodied carbon.
    """

    watts_per_stream: float | None = None
    joules_per_frame: float | None = None
    joules_per_megapixel: float | None = None
    joules_per_gigabyte: float | None = None
    joules_per_viewer_hour: float | None = None
    cost_per_stream_hour: float | None = None
    cost_per_viewer_hour: float | None = None
    carbon_grams_per_stream_hour: float | None = None
    sci_grams_per_stream_hour: float | None = None


class Estimate(Struct, frozen=True, kw_only=True):
    """A mean of ``count`` repeats; ``low`` to ``high`` is its 95 % confidence interval, None with one repeat."""

    mean: float
    count: int
    low: float | None = None
    high: float | None = None
    standard_deviation: float | None = None


class Difference(Struct, frozen=True, kw_only=True):
    """The difference of two means with its 95 % confidence interval. ``differ`` is None where nobody can say."""

    difference: float
    differ: bool | None
    verdict: str
    low: float | None = None
    high: float | None = None
    degrees_of_freedom: float | None = None
    p_value: float | None = None


class ScenarioResult(Struct, frozen=True, kw_only=True):
    """What one recorded scenario means. A figure that cannot be had is None, and ``reasons`` says why, by figure.

    The true energy lies within ``energy_error_joules`` of ``energy_joules``: 0 where the counter was read at the very
    ends of the window, more where it had to be interpolated there. ``power_percentile_watts`` is by ``"5"``, ``"50"``,
    ``"95"`` and ``"99"``. What is called net is less what the baseline's power would have been over the same time.
    """

    record: ScenarioRecord
    duration_seconds: float | None = None
    energy_joules: float | None = None
    energy_error_joules: float | None = None
    power_mean_watts: float | None = None
    power_max_watts: float | None = None
    power_percentile_watts: dict[str, float] | None = None
    power_source: str | None = None
    cpu_seconds: float | None = None
    cpu_mean_percent: float | None = None
    gpu_energy_joules: float | None = None
    baseline: str | None = None
    baseline_diff_power_watts: float | None = None
    net_energy_joules: float | None = None
    efficiency: Efficiency | None = None
    net_efficiency: Efficiency | None = None
    qoe_score: float | None = None
    qoe_method: str | None = None
    cost_energy: float | None = None
    cost_compute: float | None = None
    cost_total: float | None = None
    cost_egress: float | None = None
    carbon_grams: float | None = None
    currency: str | None = None
    reasons: dict[str, str] = {}


class RunResult(Struct, frozen=True, kw_only=True):
    """A results file with its meaning. ``id`` is the stamp in its file name; ``error`` says why it has none."""

    id: str
    path: str
    test_date: str
    status: str | None = None
    history: str = ""
    scenarios: list[ScenarioResult] = []
    error: str | None = None


# comparisons


class Setting(Struct, frozen=True, kw_only=True):
    """What makes two scenarios repeats of each other: everything that was asked of the encoders, and not the name."""

    streams: int | None = None
    resolution: str | None = None
    fps: float | None = None
    bitrate: str | None = None
    outputs: tuple[Output, ...] = ()
    encoder: str | None = None
    preset: str | None = None
    source: str | None = None
    rate_control: str | None = None
    crf: int | None = None
    gop_seconds: float | None = None
    audio: str | None = None
    viewers: int | None = None


class Group(Struct, frozen=True, kw_only=True):
    """Repeats of one setting. ``figures`` are means with intervals by figure, over the repeats that have it;
    ``label`` names the setting for people. A repeat that was not in real time is counted in ``invalid`` only."""

    label: str
    setting: Setting
    figures: dict[str, Estimate]
    repeats: int
    invalid: int = 0
    power_source: str | None = None


class Comparison(Struct, frozen=True, kw_only=True):
    """Two groups figure by figure: the first less the second."""

    first: str
    second: str
    figures: dict[str, Difference]


class Pair(Struct, frozen=True, kw_only=True):
    """One setting in two runs, or a setting and what stands in its place in the other run. ``differences`` are the
    second less the first; ``remark`` says why the power is not among them."""

    first: Group
    second: Group
    differences: dict[str, Difference]
    remark: str = ""


class RunComparison(Struct, frozen=True, kw_only=True):
    """Two runs, by their ids: what they have in common, and the settings that only one of them has.

    ``baseline_watts`` is the difference of the idle machine's mean power, the second's less the first's: what changed
    beside the settings. None where one of the runs has no baseline, or theirs came from different power sources.
    """

    first: str
    second: str
    pairs: list[Pair]
    only_first: list[str]
    only_second: list[str]
    baseline_watts: Difference | None = None


class Choice(Struct, frozen=True, kw_only=True):
    """One measured setting in an advice: what it costs in the objective, and by how much it is above the best.
    ``reason`` says why it was not eligible; then it has no such figures."""

    label: str
    value: float | None = None
    above_best: float | None = None
    difference: Difference | None = None
    reason: str = ""


class Advice(Struct, frozen=True, kw_only=True):
    """The answer to *which setting is cheapest and still good enough*. ``best`` is None where none is eligible.

    ``choices`` are the eligible settings, best first; ``rejected`` are the others. ``verdict`` is the answer in words.
    """

    objective: str
    target: str
    best: str | None
    verdict: str
    choices: list[Choice]
    rejected: list[Choice]


# who used the power


class PowerUse(Struct, frozen=True, kw_only=True):
    """Who used the power in the last interval: ``watts`` is the whole (the host, and GPUs beside it), and the sum of
    ``idle_watts``, ``containers_watts``, ``encoders_watts`` and ``unattributed_watts`` (the rest of the system).

    ``idle_method`` says how idle power is known: ``baseline`` from a run's idle window, ``regression`` as the intercept
    of power on CPU use. Until it is known it and all shares are None, and ``reason`` says what is missing.
    ``containers_watts`` is None too where containers cannot be read: what they used is then unattributed.
    ``encoders`` is by name.
    """

    time: float
    seconds: float
    watts: float
    idle_watts: float | None = None
    idle_method: Literal["baseline", "regression"] | None = None
    idle_error_watts: float | None = None
    containers_watts: float | None = None
    encoders_watts: float | None = None
    unattributed_watts: float | None = None
    encoders: dict[str, float] = {}
    reason: str = ""


# the whole


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything the dashboard shows, now. A part whose source is absent is None or empty, and ``probes`` says why."""

    time: float
    version: str
    host: HostReading | None
    power: PowerReading | None
    containers: tuple[Container, ...]
    engine: Engine | None
    streams: tuple[Stream, ...]
    rtmp_server: RtmpServer | None
    gpus: tuple[Gpu, ...]
    exporters: tuple[ExporterHealth, ...]
    run: Run | None
    probes: tuple[ProbeStatus, ...]
    cost_per_hour: float | None
    carbon_grams_per_hour: float | None
    currency: str
    rtmp_url: str = ""
    power_use: PowerUse | None = None


class HistorySeries(Struct, frozen=True):
    """Past values of one series: ``name`` is its text ``metric{label="value"}``, points are (time, value)."""

    name: str
    points: list[tuple[float, float]]


class Finding(Struct, frozen=True, kw_only=True):
    """One line of ``wattview doctor``: a source or a tool, whether it works here, and what would mend it."""

    source: str
    state: Literal["works", "absent", "not permitted", "broken"]
    detail: str
    fix: str = ""


class ScenarioPreset(Struct, frozen=True, kw_only=True):
    """A ready-made choice of the launch dialog: its title and the scenarios it stands for."""

    id: str
    title: str
    scenarios: list[Scenario]
