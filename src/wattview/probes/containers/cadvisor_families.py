"""A ContainersReading as cAdvisor's metric families, for 8080: a pure function and its tables.

Names, types and labels are those of cAdvisor with its default set of metrics for Docker containers. A value that the
kernel does not provide has no sample here; cAdvisor prints 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from wattview import __version__
from wattview.exposition import Family, FamilyType, label_text, labels
from wattview.model import Container, ContainerDetail, ContainersReading, Engine, Filesystem, Machine
from wattview.probes.containers.metric_labels import LONGEST_VALUE, RESTARTS, label_names

_COUNTERS: tuple[tuple[str, FamilyType, str, str], ...] = (
    ("container_cpu_user_seconds_total", "counter", "CPU time spent in user mode.", "cpu_user_seconds_total"),
    ("container_cpu_system_seconds_total", "counter", "CPU time spent in the kernel.", "cpu_system_seconds_total"),
    ("container_cpu_cfs_periods_total", "counter", "Periods of CPU quota enforcement.", "cfs_periods_total"),
    (
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Periods in which the container was throttled.",
        "cfs_throttled_periods_total",
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Time for which the container was throttled.",
        "cfs_throttled_seconds_total",
    ),
    (
        "container_cpu_cfs_burst_periods_total",
        "counter",
        "Periods in which the container went over its quota by burst.",
        "cfs_burst_periods_total",
    ),
    (
        "container_cpu_cfs_burst_seconds_total",
        "counter",
        "CPU time used over the quota by burst.",
        "cfs_burst_seconds_total",
    ),
    ("container_memory_usage_bytes", "gauge", "Memory charged to the container.", "memory_usage_bytes"),
    ("container_memory_max_usage_bytes", "gauge", "Largest memory ever charged.", "memory_max_usage_bytes"),
    (
        "container_memory_working_set_bytes",
        "gauge",
        "Memory charged less inactive file pages.",
        "memory_working_set_bytes",
    ),
    ("container_memory_rss", "gauge", "Anonymous memory in bytes.", "memory_rss_bytes"),
    ("container_memory_cache", "gauge", "Page cache in bytes.", "memory_cache_bytes"),
    ("container_memory_mapped_file", "gauge", "Mapped file memory in bytes.", "memory_mapped_file_bytes"),
    ("container_memory_swap", "gauge", "Swap in use in bytes.", "memory_swap_bytes"),
    ("container_memory_kernel_usage", "gauge", "Kernel memory in bytes.", "memory_kernel_bytes"),
    ("container_memory_failcnt", "counter", "Times that the memory limit was hit.", "memory_limit_hits_total"),
    (
        "container_memory_total_active_anon_bytes",
        "gauge",
        "Anonymous memory on the active list.",
        "memory_active_anon_bytes",
    ),
    (
        "container_memory_total_inactive_anon_bytes",
        "gauge",
        "Anonymous memory on the inactive list.",
        "memory_inactive_anon_bytes",
    ),
    (
        "container_memory_total_active_file_bytes",
        "gauge",
        "File memory on the active list.",
        "memory_active_file_bytes",
    ),
    (
        "container_memory_total_inactive_file_bytes",
        "gauge",
        "File memory on the inactive list.",
        "memory_inactive_file_bytes",
    ),
    (
        "container_memory_anon_hugepages_bytes",
        "gauge",
        "Anonymous memory in transparent huge pages.",
        "memory_anon_hugepages_bytes",
    ),
    ("container_memory_file_dirty_bytes", "gauge", "File memory not yet written back.", "memory_dirty_bytes"),
    (
        "container_memory_file_writeback_bytes",
        "gauge",
        "File memory being written back now.",
        "memory_writeback_bytes",
    ),
    ("container_memory_pgscan_total", "counter", "Pages looked at by reclaim.", "memory_pages_scanned_total"),
    ("container_memory_pgsteal_total", "counter", "Pages taken by reclaim.", "memory_pages_stolen_total"),
    (
        "container_memory_workingset_refault_file_total",
        "counter",
        "File pages read again after reclaim had taken them.",
        "memory_refaults_file_total",
    ),
    (
        "container_memory_workingset_refault_anon_total",
        "counter",
        "Anonymous pages read again after reclaim had taken them.",
        "memory_refaults_anon_total",
    ),
    (
        "container_memory_events_high_total",
        "counter",
        "Times that the container was throttled at memory.high.",
        "memory_high_events_total",
    ),
    (
        "container_memory_events_max_total",
        "counter",
        "Times that the container was about to exceed memory.max.",
        "memory_max_events_total",
    ),
    ("container_oom_events_total", "counter", "Processes killed by the OOM killer.", "oom_kills_total"),
    ("container_threads", "gauge", "Threads in the container.", "pids"),
)
"""name, type, help, field of CgroupCounters."""

_FAILURES = (("pgfault", "memory_page_faults_total"), ("pgmajfault", "memory_major_page_faults_total"))

_SPEC: tuple[tuple[str, str, str], ...] = (
    ("container_spec_cpu_shares", "CPU shares of the container.", "cpu_shares"),
    ("container_spec_cpu_period", "CPU period in microseconds.", "cpu_period_us"),
    ("container_spec_cpu_quota", "CPU quota in microseconds of each period; absent without one.", "cpu_quota_us"),
)
_SPEC_ZERO_IS_UNLIMITED: tuple[tuple[str, str, str], ...] = (
    ("container_spec_memory_limit_bytes", "Memory limit; 0 is none.", "memory_limit_bytes"),
    ("container_spec_memory_swap_limit_bytes", "Swap limit; 0 is none.", "memory_swap_limit_bytes"),
    (
        "container_spec_memory_reservation_limit_bytes",
        "Memory reservation; 0 is none.",
        "memory_reservation_bytes",
    ),
    ("container_threads_max", "Largest number of threads; 0 is no limit.", "pids_limit"),
)

_PRESSURE: tuple[tuple[str, str, str], ...] = (
    ("container_pressure_cpu_waiting_seconds_total", "Time some tasks waited for a CPU.", "cpu some"),
    ("container_pressure_cpu_stalled_seconds_total", "Time all tasks waited for a CPU.", "cpu full"),
    ("container_pressure_memory_waiting_seconds_total", "Time some tasks waited for memory.", "memory some"),
    ("container_pressure_memory_stalled_seconds_total", "Time all tasks waited for memory.", "memory full"),
    ("container_pressure_io_waiting_seconds_total", "Time some tasks waited for I/O.", "io some"),
    ("container_pressure_io_stalled_seconds_total", "Time all tasks waited for I/O.", "io full"),
)

_NETWORK: tuple[tuple[str, str, str], ...] = (
    ("container_network_receive_bytes_total", "Bytes received.", "receive_bytes"),
    ("container_network_receive_packets_total", "Packets received.", "receive_packets"),
    ("container_network_receive_packets_dropped_total", "Packets dropped on receipt.", "receive_dropped"),
    ("container_network_receive_errors_total", "Errors on receipt.", "receive_errors"),
    ("container_network_transmit_bytes_total", "Bytes sent.", "transmit_bytes"),
    ("container_network_transmit_packets_total", "Packets sent.", "transmit_packets"),
    ("container_network_transmit_packets_dropped_total", "Packets dropped on sending.", "transmit_dropped"),
    ("container_network_transmit_errors_total", "Errors on sending.", "transmit_errors"),
)

_DISK_IO: tuple[tuple[str, str, str, str], ...] = (
    ("container_fs_reads_bytes_total", "Bytes read.", "bytes_by_operation", "Read"),
    ("container_fs_writes_bytes_total", "Bytes written.", "bytes_by_operation", "Write"),
    ("container_fs_reads_total", "Reads done.", "ios_by_operation", "Read"),
    ("container_fs_writes_total", "Writes done.", "ios_by_operation", "Write"),
    ("container_fs_io_cost_usage_seconds_total", "Device time by the I/O cost model.", "cost_seconds", "usage"),
    ("container_fs_io_cost_wait_seconds_total", "Time waiting for I/O budget.", "cost_seconds", "wait"),
    ("container_fs_io_cost_indebt_seconds_total", "Time in I/O debt.", "cost_seconds", "indebt"),
    ("container_fs_io_cost_indelay_seconds_total", "Time delayed for I/O debt.", "cost_seconds", "indelay"),
)


_SPACE: tuple[tuple[str, str, str], ...] = (
    ("container_fs_usage_bytes", "Bytes that the container's own layer and logs take.", "used_bytes"),
    ("container_fs_limit_bytes", "Size of the filesystem that they are on.", "limit_bytes"),
    ("container_fs_inodes_total", "Inodes that the container's own layer takes.", "used_inodes"),
    ("container_fs_inodes_free", "Inodes free on the filesystem that it is on.", "free_inodes"),
)


_DISK: tuple[tuple[str, FamilyType, str, str], ...] = (
    ("container_fs_reads_merged_total", "counter", "Reads merged with others.", "reads_merged"),
    ("container_fs_sector_reads_total", "counter", "Sectors read.", "sectors_read"),
    ("container_fs_read_seconds_total", "counter", "Time spent reading.", "read_seconds"),
    ("container_fs_writes_merged_total", "counter", "Writes merged with others.", "writes_merged"),
    ("container_fs_sector_writes_total", "counter", "Sectors written.", "sectors_written"),
    ("container_fs_write_seconds_total", "counter", "Time spent writing.", "write_seconds"),
    ("container_fs_io_current", "gauge", "I/Os in progress.", "in_progress"),
    ("container_fs_io_time_seconds_total", "counter", "Time with I/O in progress.", "io_seconds"),
    ("container_fs_io_time_weighted_seconds_total", "counter", "The same, by I/Os.", "weighted_io_seconds"),
)
"""name, type, help, field of DiskCounters."""


_KUBERNETES = (
    ("pod", "io.kubernetes.pod.name"),
    ("namespace", "io.kubernetes.pod.namespace"),
    ("container", "io.kubernetes.container.name"),
)
"""The labels that the kubelet's cAdvisor has, and the container's labels that they are."""


def cadvisor_families(reading: ContainersReading) -> list[Family]:
    """cAdvisor's families for every container, recently ended ones included, the root cgroup and the machine.

    The root (``id="/"``, without a name) includes all containers: sums over containers select ``name!=""``.
    """
    families = _CadvisorFamilies()
    everyone = (*reading.containers, *reading.ended, *([reading.root] if reading.root is not None else []))
    names = label_names(_all_labels(everyone) if reading.labels_shown is None else reading.labels_shown)
    counts_restarts = any(container.restarts for container in everyone)
    kubernetes = any(_KUBERNETES[0][1] in container.labels for container in everyone)
    for container in everyone:
        own = tuple([(name, container.labels.get(key, "")[:LONGEST_VALUE]) for key, name in names.items()])
        if counts_restarts:
            own = (*own, (RESTARTS, str(container.restarts) if container.restarts else ""))
        if kubernetes:
            own = (*own, *[(name, container.labels.get(key, "")) for name, key in _KUBERNETES])
        base = _base(container.cgroup, container.name, container.image, own)
        _add_container(families, base, container, reading.details[container.id], container.ended or reading.time)
    families.add("container_scrape_error", "gauge", "1 where the containers could not be read.", "", 0)
    if reading.machine is not None:
        _add_machine(families, reading.machine, reading.engine)
    return families.all()


class _CadvisorFamilies:
    """Families under construction, by name, in the order of their first samples."""

    def __init__(self) -> None:
        self._found: dict[str, Family] = {}

    def add(self, name: str, kind: FamilyType, text: str, label: str, value: float | None) -> None:
        if value is not None:
            family = self._found.get(name)
            if family is None:
                family = self._found[name] = Family(name, kind, text)
            family.samples.append((label, value))

    def add_counter(self, name: str, kind: FamilyType, text: str, label: str, value: float | None) -> None:
        """Like ``add``, for counters; an ended container has no gauges."""
        if kind == "counter":
            self.add(name, kind, text, label, value)

    def all(self) -> list[Family]:
        return list(self._found.values())


def _add_container(
    families: _CadvisorFamilies, base: str, container: Container, detail: ContainerDetail, seen: float
) -> None:
    # An ended container uses no memory any more: only its counters remain.
    add = families.add if container.ended is None else families.add_counter
    counters, label = detail.counters, "{" + base + "}"

    def labelled(extra: str) -> str:
        return "{" + base + "," + extra + "}"

    for name, text, moment in (
        ("container_last_seen", "When the container was last seen.", seen),
        ("container_start_time_seconds", "When the container started.", container.started),
        ("container_creation_time_seconds", "When the container was made.", container.created),
    ):
        families.add(name, "gauge", text, label, None if moment is None else int(moment))
    add("container_health_state", "gauge", "1 healthy, 0 not (yet), -1 no health check.", label, _health(container))
    if counters.cpu_seconds_by_cpu:
        for cpu, seconds in enumerate(counters.cpu_seconds_by_cpu):
            if seconds > 0:
                add(_CPU_USAGE, "counter", _CPU_USAGE_HELP, labelled(f'cpu="cpu{cpu:02d}"'), seconds)
    else:
        add(_CPU_USAGE, "counter", _CPU_USAGE_HELP, labelled('cpu="total"'), counters.cpu_seconds_total)
    for name, kind, text, field in _COUNTERS:
        add(name, kind, text, label, getattr(counters, field))
    for failure, field in _FAILURES:
        for scope in ("container", "hierarchy"):
            add(
                "container_memory_failures_total",
                "counter",
                "Page faults.",
                labelled(f'failure_type="{failure}",scope="{scope}"'),
                getattr(counters, field),
            )
    for name, text, field in _SPEC:
        add(name, "gauge", text, label, getattr(counters.spec, field))
    if container.cgroup:
        for name, text, field in _SPEC_ZERO_IS_UNLIMITED:
            add(name, "gauge", text, label, getattr(counters.spec, field) or 0)
    for name, text, key in _PRESSURE:
        add(name, "counter", text, label, counters.pressure.get(key))
    for nic in detail.network:
        interface = labelled(f"interface={_quoted(nic.device)}")
        for name, text, field in _NETWORK:
            add(name, "counter", text, interface, getattr(nic, field))
    for disk in counters.disks or ():
        device = f"device={_quoted(disk.device)}"
        on_device = labelled(device)
        for name, text, field, operation in _DISK_IO:
            add(name, "counter", text, on_device, getattr(disk, field).get(operation))
        for operation, amount in disk.bytes_by_operation.items():
            add(
                "container_blkio_device_usage_total",
                "counter",
                "Bytes by block device and operation.",
                labelled(f'{device},major="{disk.major}",minor="{disk.minor}",operation="{operation}"'),
                amount,
            )
    if detail.space is not None:
        device = labelled(f"device={_quoted(detail.space.device)}")
        for name, text, field in _SPACE:
            add(name, "gauge", text, device, getattr(detail.space, field))
    told = {disk.device for disk in counters.disks or ()}
    for filesystem in detail.filesystems:
        device = labelled(f"device={_quoted(filesystem.device)}")
        _add_filesystem(families, device, filesystem, filesystem.device in told)
    if detail.load is not None:
        for name, text, tasks in (
            ("container_cpu_load_average_10s", "Tasks that ran or waited for a CPU, × 1000.", detail.load.running),
            ("container_cpu_load_d_average_10s", "Tasks that waited for I/O, × 1000.", detail.load.uninterruptible),
        ):
            add(name, "gauge", text, label, int(tasks * 1000))
    for state, count in detail.tasks.items():
        add("container_tasks_state", "gauge", "Tasks by state.", labelled(f'state="{state}"'), count)


def _add_filesystem(families: _CadvisorFamilies, device: str, filesystem: Filesystem, has_io: bool) -> None:
    """One of the machine's filesystems. ``has_io``: its I/O is already reported by the cgroup."""
    for (name, text, _), value in zip(
        _SPACE,
        (filesystem.used_bytes, filesystem.size_bytes, filesystem.inodes, filesystem.free_inodes),
        strict=True,
    ):
        families.add(name, "gauge", text, device, value)
    disk = filesystem.disk
    if disk is None:
        return
    for name, kind, text, field in _DISK:
        families.add(name, kind, text, device, getattr(disk, field))
    if not has_io:
        moved = (disk.sectors_read * 512, disk.sectors_written * 512, disk.reads, disk.writes)
        for (name, text, _, _), value in zip(_DISK_IO[:4], moved, strict=True):
            families.add(name, "counter", text, device, value)


_CPU_USAGE = "container_cpu_usage_seconds_total"
_CPU_USAGE_HELP = "CPU time of the container."


def _health(container: Container) -> int:
    if container.health is None:
        return -1
    return int(container.health == "healthy")


def _all_labels(containers: Iterable[Container]) -> set[str]:
    return {key for container in containers for key in container.labels}


@lru_cache(maxsize=1024)
def _base(cgroup: str, name: str, image: str, own: tuple[tuple[str, str], ...]) -> str:
    """A container's labels without the braces."""
    return label_text({**dict(own), "id": cgroup, "image": image, "name": name})[1:-1]


@lru_cache(maxsize=1024)
def _quoted(value: str) -> str:
    return label_text({"x": value})[3:-1]


def _add_machine(families: _CadvisorFamilies, machine: Machine, engine: Engine) -> None:
    label = labels(boot_id=machine.boot_id, machine_id=machine.machine_id, system_uuid=machine.system_uuid)
    for name, text, value in _machine_values(machine):
        families.add(name, "gauge", text, label, value)
    families.add("machine_scrape_error", "gauge", "1 where the machine could not be read.", "", 0)
    versions: Mapping[str, str] = {
        "cadvisorRevision": "",
        "cadvisorVersion": f"wattview {__version__}",
        "dockerVersion": engine.version,
        "kernelVersion": machine.kernel_version,
        "osVersion": machine.os_version,
    }
    families.add("cadvisor_version_info", "gauge", "What serves these metrics, and where.", labels(**versions), 1)


def _machine_values(machine: Machine) -> Iterator[tuple[str, str, float | None]]:
    yield "machine_cpu_cores", "Logical CPUs.", machine.cpus
    yield "machine_cpu_physical_cores", "Physical CPU cores.", machine.physical_cores
    yield "machine_cpu_sockets", "CPU sockets.", machine.sockets
    yield "machine_memory_bytes", "Memory of the machine.", machine.memory_bytes
    yield "machine_swap_bytes", "Swap of the machine.", machine.swap_bytes
