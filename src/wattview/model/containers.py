"""Containers: the figures shown for each, and the counters that cAdvisor's families need beyond that."""

from __future__ import annotations

from msgspec import Struct, field

from wattview.model.host import Nic
from wattview.model.source import Reading


class DescribedContainer(Struct, frozen=True, kw_only=True):
    """What its engine says of a container. ``health`` is ``starting``, ``healthy`` or ``unhealthy``, None without a
    health check; ``addresses`` are its own in the engine's networks."""

    id: str
    name: str
    image: str
    engine: str = ""
    labels: dict[str, str] = {}
    state: str = "running"
    health: str | None = None
    restarts: int | None = None
    created: float | None = None
    started: float | None = None
    addresses: tuple[str, ...] = ()


class Container(DescribedContainer, frozen=True, kw_only=True):
    """One container. ``engine`` is "" for the one at ``docker.host``. ``cpu_percent`` counts one full core as 100, as
    ``docker stats`` does.

    ``memory_working_set_bytes`` is usage less inactive file pages (cAdvisor's definition); ``memory_percent`` is the
    working set's share of the limit, or of the machine's memory if there is no limit. ``cgroup`` is the path below the
    cgroup mount (``/docker/<id>``), cAdvisor's label ``id``. ``network`` is empty for a container that shares the
    network of the host or of another container, where its traffic is counted. ``addresses`` are its own in the engine's
    networks. ``ended`` is when it ended (Unix seconds); None while it runs. ``power_watts`` is its share of the
    machine's active power (see ``PowerUse``), ``energy_joules_total`` the same since the daemon started.
    """

    cgroup: str
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
    power_watts: float | None = None
    energy_joules_total: float | None = None


class CgroupSpec(Struct, frozen=True, kw_only=True):
    """Resource limits of a cgroup. None: unlimited, not set, or the controller is missing.

    ``cpu_shares`` is on cgroup v1's scale (2 to 262144): as requested from the engine, or the kernel's default.
    """

    cpu_shares: int | None = None
    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None
    memory_limit_bytes: int | None = None
    memory_swap_limit_bytes: int | None = None
    memory_reservation_bytes: int | None = None
    pids_limit: int | None = None


class DiskIo(Struct, frozen=True, kw_only=True):
    """A cgroup's reads from and writes to one block device. ``operations`` has the kernel's own names."""

    device: str
    major: int
    minor: int
    bytes_by_operation: dict[str, int] = {}
    ios_by_operation: dict[str, int] = {}
    cost_seconds: dict[str, float] = {}


class CgroupCounters(Struct, frozen=True, kw_only=True):
    """All counters of one container's cgroup, v1 or v2. None: this kernel or cgroup does not provide it.

    ``cpu_seconds_by_cpu`` is by CPU number; empty on v2, which does not count per CPU. ``pressure`` is seconds stalled
    by resource and kind (``cpu some``, ``memory full``, ``io some`` …); empty on v1.
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
    """Counters of one network interface of a container, since the interface came up."""

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
    """Disk space that a container uses on the engine's filesystem: its writable layer and its logs, walked at a low
    rate."""

    device: str
    used_bytes: int
    used_inodes: int
    limit_bytes: int | None = None
    free_inodes: int | None = None


class LoadAverage(Struct, frozen=True, kw_only=True):
    """Number of a container's tasks that ran or waited for a CPU, and that waited for I/O: means that decay over 10
    s."""

    running: float
    uninterruptible: float


class DiskCounters(Struct, frozen=True, kw_only=True):
    """A block device's counters since boot; ``in_progress`` is a gauge."""

    reads: int
    reads_merged: int
    sectors_read: int
    read_seconds: float
    writes: int
    writes_merged: int
    sectors_written: int
    write_seconds: float
    in_progress: int
    io_seconds: float
    weighted_io_seconds: float


class Filesystem(Struct, frozen=True, kw_only=True):
    """One filesystem of the machine on a block device: ``device`` by the mount table, ``node`` by the kernel's name.

    Space reserved for root counts as free.
    """

    device: str
    node: str
    size_bytes: int
    used_bytes: int
    inodes: int
    free_inodes: int
    disk: DiskCounters | None = None


class ContainerDetail(Struct, frozen=True, kw_only=True):
    """Further figures of a container (``id``) that cAdvisor's families need beyond ``Container``.

    ``filesystems`` are the machine's if ``id`` is the root cgroup's.
    """

    id: str
    counters: CgroupCounters
    network: tuple[NicCounters, ...] = ()
    space: DiskSpace | None = None
    filesystems: tuple[Filesystem, ...] = ()
    tasks: dict[str, int] = {}
    load: LoadAverage | None = None


class Machine(Struct, frozen=True, kw_only=True):
    """The machine as the container exporters describe it. Identifiers that may not be read are ""."""

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
    """The container engine: the sum over its own processes (dockerd and containerd, or Podman's service), without its
    containers."""

    name: str = "Docker"
    version: str
    cgroup_version: int
    cpu_seconds_total: float | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    memory_percent: float | None = None


class ContainersReading(Reading, frozen=True, kw_only=True):
    """All running containers, and the engine that runs them.

    ``ended`` are containers that ended within ``docker.ended_seconds``, with their last counters and
    ``Container.ended``. ``root`` is the root cgroup: the whole machine, containers included. ``details`` has one entry
    for each of these, by id; both are read for cAdvisor's metrics alone. ``labels_shown`` are the container labels that
    become metric labels; None for all.
    """

    engine: Engine
    containers: tuple[Container, ...] = ()
    ended: tuple[Container, ...] = ()
    root: Container | None = None
    details: dict[str, ContainerDetail] = field(default_factory=dict)
    machine: Machine | None = None
    labels_shown: tuple[str, ...] | None = None
