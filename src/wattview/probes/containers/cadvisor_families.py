"""A ContainersReading as cAdvisor's metric families, for 8080: a pure function and its tables.

Names, types and labels are those of cAdvisor with its default set of metrics for Docker containers. A value that the
kernel does not provide has no sample here; cAdvisor prints 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from operator import attrgetter

from wattview import __version__
from wattview.exposition import Families, Family, FamilyType, label_text, labels, rows
from wattview.foreign_text import shortened
from wattview.gc_tuning import kept_for_a_while
from wattview.model import Container, ContainerDetail, ContainersReading, Engine, Filesystem, Machine
from wattview.probes.containers.metric_labels import RESTARTS, label_names, shown_values

_COUNTERS = rows("""
cpu_user_seconds_total container_cpu_user_seconds_total  CPU time spent in user mode.
cpu_system_seconds_total container_cpu_system_seconds_total  CPU time spent in the kernel.
cfs_periods_total container_cpu_cfs_periods_total  Periods of CPU quota enforcement.
cfs_throttled_periods_total container_cpu_cfs_throttled_periods_total  Periods in which the container was throttled.
cfs_throttled_seconds_total container_cpu_cfs_throttled_seconds_total  Time for which the container was throttled.
cfs_burst_periods_total container_cpu_cfs_burst_periods_total
    Periods in which the container went over its quota by burst.
cfs_burst_seconds_total container_cpu_cfs_burst_seconds_total  CPU time used over the quota by burst.
memory_usage_bytes container_memory_usage_bytes  Memory charged to the container.
memory_max_usage_bytes container_memory_max_usage_bytes  Largest memory ever charged.
memory_working_set_bytes container_memory_working_set_bytes  Memory charged less inactive file pages.
memory_rss_bytes container_memory_rss  Anonymous memory in bytes.
memory_cache_bytes container_memory_cache  Page cache in bytes.
memory_mapped_file_bytes container_memory_mapped_file  Mapped file memory in bytes.
memory_swap_bytes container_memory_swap  Swap in use in bytes.
memory_kernel_bytes container_memory_kernel_usage  Kernel memory in bytes.
memory_active_anon_bytes container_memory_total_active_anon_bytes  Anonymous memory on the active list.
memory_inactive_anon_bytes container_memory_total_inactive_anon_bytes  Anonymous memory on the inactive list.
memory_active_file_bytes container_memory_total_active_file_bytes  File memory on the active list.
memory_inactive_file_bytes container_memory_total_inactive_file_bytes  File memory on the inactive list.
memory_anon_hugepages_bytes container_memory_anon_hugepages_bytes  Anonymous memory in transparent huge pages.
memory_dirty_bytes container_memory_file_dirty_bytes  File memory not yet written back.
memory_writeback_bytes container_memory_file_writeback_bytes  File memory being written back now.
memory_pages_scanned_total container_memory_pgscan_total  Pages looked at by reclaim.
memory_pages_stolen_total container_memory_pgsteal_total  Pages taken by reclaim.
memory_refaults_file_total container_memory_workingset_refault_file_total
    File pages read again after reclaim had taken them.
memory_refaults_anon_total container_memory_workingset_refault_anon_total
    Anonymous pages read again after reclaim had taken them.
memory_high_events_total container_memory_events_high_total  Times that the container was throttled at memory.high.
memory_max_events_total container_memory_events_max_total  Times that the container was about to exceed memory.max.
oom_kills_total container_oom_events_total  Processes killed by the OOM killer.
pids container_threads  Threads in the container.
""")
"""Fields of CgroupCounters."""

_counters_of = attrgetter(*[row.source for row in _COUNTERS])

_FAILURES = (("pgfault", "memory_page_faults_total"), ("pgmajfault", "memory_major_page_faults_total"))

_SPEC = rows("""
cpu_shares container_spec_cpu_shares  CPU shares of the container.
cpu_period_us container_spec_cpu_period  CPU period in microseconds.
cpu_quota_us container_spec_cpu_quota  CPU quota in microseconds of each period; absent without one.
""")

_SPEC_ZERO_IS_UNLIMITED = rows("""
memory_limit_bytes container_spec_memory_limit_bytes  Memory limit; 0 is none.
memory_swap_limit_bytes container_spec_memory_swap_limit_bytes  Swap limit; 0 is none.
memory_reservation_bytes container_spec_memory_reservation_limit_bytes  Memory reservation; 0 is none.
pids_limit container_threads_max  Largest number of threads; 0 is no limit.
""")

_PRESSURE = rows("""
cpu-some container_pressure_cpu_waiting_seconds_total  Time some tasks waited for a CPU.
cpu-full container_pressure_cpu_stalled_seconds_total  Time all tasks waited for a CPU.
memory-some container_pressure_memory_waiting_seconds_total  Time some tasks waited for memory.
memory-full container_pressure_memory_stalled_seconds_total  Time all tasks waited for memory.
io-some container_pressure_io_waiting_seconds_total  Time some tasks waited for I/O.
io-full container_pressure_io_stalled_seconds_total  Time all tasks waited for I/O.
""")

_NETWORK = rows("""
receive_bytes container_network_receive_bytes_total  Bytes received.
receive_packets container_network_receive_packets_total  Packets received.
receive_dropped container_network_receive_packets_dropped_total  Packets dropped on receipt.
receive_errors container_network_receive_errors_total  Errors on receipt.
transmit_bytes container_network_transmit_bytes_total  Bytes sent.
transmit_packets container_network_transmit_packets_total  Packets sent.
transmit_dropped container_network_transmit_packets_dropped_total  Packets dropped on sending.
transmit_errors container_network_transmit_errors_total  Errors on sending.
""")

_network_of = attrgetter(*[row.source for row in _NETWORK])

_DISK_IO = rows("""
bytes_by_operation.Read container_fs_reads_bytes_total  Bytes read.
bytes_by_operation.Write container_fs_writes_bytes_total  Bytes written.
ios_by_operation.Read container_fs_reads_total  Reads done.
ios_by_operation.Write container_fs_writes_total  Writes done.
cost_seconds.usage container_fs_io_cost_usage_seconds_total  Device time by the I/O cost model.
cost_seconds.wait container_fs_io_cost_wait_seconds_total  Time waiting for I/O budget.
cost_seconds.indebt container_fs_io_cost_indebt_seconds_total  Time in I/O debt.
cost_seconds.indelay container_fs_io_cost_indelay_seconds_total  Time delayed for I/O debt.
""")

_SPACE = rows("""
used_bytes container_fs_usage_bytes  Bytes that the container's own layer and logs take.
limit_bytes container_fs_limit_bytes  Size of the filesystem that they are on.
used_inodes container_fs_inodes_total  Inodes that the container's own layer takes.
free_inodes container_fs_inodes_free  Inodes free on the filesystem that it is on.
""")

_DISK = rows("""
reads_merged container_fs_reads_merged_total  Reads merged with others.
sectors_read container_fs_sector_reads_total  Sectors read.
read_seconds container_fs_read_seconds_total  Time spent reading.
writes_merged container_fs_writes_merged_total  Writes merged with others.
sectors_written container_fs_sector_writes_total  Sectors written.
write_seconds container_fs_write_seconds_total  Time spent writing.
in_progress container_fs_io_current  I/Os in progress.
io_seconds container_fs_io_time_seconds_total  Time with I/O in progress.
weighted_io_seconds container_fs_io_time_weighted_seconds_total  The same, by I/Os.
""")
"""Fields of DiskCounters."""

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
    families = Families()
    everyone = (*reading.containers, *reading.ended, *([reading.root] if reading.root is not None else []))
    shown = reading.labels_shown
    names = label_names({key for one in everyone for key in one.labels} if shown is None else shown)
    counts_restarts = any(container.restarts for container in everyone)
    kubernetes = any(_KUBERNETES[0][1] in container.labels for container in everyone)
    for container in everyone:
        own = tuple(zip(names.values(), shown_values(container.labels, names), strict=True))
        if counts_restarts:
            own = (*own, (RESTARTS, str(container.restarts) if container.restarts else ""))
        if kubernetes:
            own = (*own, *[(name, shortened(container.labels.get(key, ""))) for name, key in _KUBERNETES])
        base = _base(container.cgroup, container.name, container.image, own)
        _add_container(families, base, container, reading.details[container.id], container.ended or reading.time)
    families.add("container_scrape_error", "1 where the containers could not be read.", 0)
    if reading.machine is not None:
        _add_machine(families, reading.machine, reading.engine)
    return families.all()


def _add_container(families: Families, base: str, container: Container, detail: ContainerDetail, seen: float) -> None:
    # An ended container uses no memory any more: only its counters remain.
    add = families.add if container.ended is None else partial(_add_counter, families)
    counters, label = detail.counters, "{" + base + "}"

    def labelled(extra: str) -> str:
        return "{" + base + "," + extra + "}"

    for name, text, moment in (
        ("container_last_seen", "When the container was last seen.", seen),
        ("container_start_time_seconds", "When the container started.", container.started),
        ("container_creation_time_seconds", "When the container was made.", container.created),
    ):
        families.add(name, text, None if moment is None else int(moment), label)
    add("container_health_state", "1 healthy, 0 not (yet), -1 no health check.", _health(container), label)
    if counters.cpu_seconds_by_cpu:
        for cpu, seconds in enumerate(counters.cpu_seconds_by_cpu):
            if seconds > 0:
                add(_CPU_USAGE, _CPU_USAGE_HELP, seconds, labelled(f'cpu="cpu{cpu:02d}"'))
    else:
        add(_CPU_USAGE, _CPU_USAGE_HELP, counters.cpu_seconds_total, labelled('cpu="total"'))
    for (_, name, text), value in zip(_COUNTERS, _counters_of(counters), strict=True):
        if value is not None:
            add(name, text, value, label)
    hits = counters.memory_limit_hits_total
    add("container_memory_failcnt", "Times that the memory limit was hit.", hits, label, "counter")
    for failure, field in _FAILURES:
        for scope in ("container", "hierarchy"):
            which = labelled(f'failure_type="{failure}",scope="{scope}"')
            add("container_memory_failures_total", "Page faults.", getattr(counters, field), which)
    for field, name, text in _SPEC:
        add(name, text, getattr(counters.spec, field), label)
    for field, name, text in _SPEC_ZERO_IS_UNLIMITED if container.cgroup else ():
        add(name, text, getattr(counters.spec, field) or 0, label)
    for kind, name, text in _PRESSURE if counters.pressure else ():
        add(name, text, counters.pressure.get(kind.replace("-", " ")), label)
    for nic in detail.network:
        interface = labelled(f"interface={_quoted(nic.device)}")
        for (_, name, text), value in zip(_NETWORK, _network_of(nic), strict=True):
            add(name, text, value, interface)
    for disk in counters.disks or ():
        device = f"device={_quoted(disk.device)}"
        on_device = labelled(device)
        for source, name, text in _DISK_IO:
            field, operation = source.split(".")
            add(name, text, getattr(disk, field).get(operation), on_device)
        for operation, amount in disk.bytes_by_operation.items():
            which = labelled(f'{device},major="{disk.major}",minor="{disk.minor}",operation="{operation}"')
            add("container_blkio_device_usage_total", "Bytes by block device and operation.", amount, which)
    if detail.space is not None:
        device = labelled(f"device={_quoted(detail.space.device)}")
        for field, name, text in _SPACE:
            add(name, text, getattr(detail.space, field), device, "gauge")
    told = {disk.device for disk in counters.disks or ()}
    for filesystem in detail.filesystems:
        device = labelled(f"device={_quoted(filesystem.device)}")
        _add_filesystem(families, device, filesystem, filesystem.device in told)
    if detail.load is not None:
        for name, text, tasks in (
            ("container_cpu_load_average_10s", "Tasks that ran or waited for a CPU, × 1000.", detail.load.running),
            ("container_cpu_load_d_average_10s", "Tasks that waited for I/O, × 1000.", detail.load.uninterruptible),
        ):
            add(name, text, int(tasks * 1000), label)
    for state, count in detail.tasks.items():
        add("container_tasks_state", "Tasks by state.", count, labelled(f'state="{state}"'))


def _add_counter(
    families: Families, name: str, text: str, value: float | None, label: str, type: FamilyType | None = None
) -> None:
    if type == "counter" or (type is None and name.endswith("_total")):
        families.add(name, text, value, label, type)


def _add_filesystem(families: Families, device: str, filesystem: Filesystem, has_io: bool) -> None:
    """One of the machine's filesystems. ``has_io``: its I/O is already reported by the cgroup."""
    space = (filesystem.used_bytes, filesystem.size_bytes, filesystem.inodes, filesystem.free_inodes)
    for row, value in zip(_SPACE, space, strict=True):
        families.add(row.name, row.help, value, device, "gauge")
    disk = filesystem.disk
    if disk is None:
        return
    for field, name, text in _DISK:
        families.add(name, text, getattr(disk, field), device)
    if not has_io:
        moved = (disk.sectors_read * 512, disk.sectors_written * 512, disk.reads, disk.writes)
        for row, value in zip(_DISK_IO[:4], moved, strict=True):
            families.add(row.name, row.help, value, device)


_CPU_USAGE = "container_cpu_usage_seconds_total"
_CPU_USAGE_HELP = "CPU time of the container."


def _health(container: Container) -> int:
    if container.health is None:
        return -1
    return int(container.health == "healthy")


@kept_for_a_while(16_384)
def _base(cgroup: str, name: str, image: str, own: tuple[tuple[str, str], ...]) -> str:
    """A container's labels without the braces."""
    return label_text({**dict(own), "id": cgroup, "image": image, "name": name})[1:-1]


@kept_for_a_while(16_384)
def _quoted(value: str) -> str:
    return label_text({"x": value})[3:-1]


def _add_machine(families: Families, machine: Machine, engine: Engine) -> None:
    label = labels(boot_id=machine.boot_id, machine_id=machine.machine_id, system_uuid=machine.system_uuid)
    for name, text, value in _machine_values(machine):
        families.add(name, text, value, label)
    families.add("machine_scrape_error", "1 where the machine could not be read.", 0)
    versions: Mapping[str, str] = {
        "cadvisorRevision": "",
        "cadvisorVersion": f"wattview {__version__}",
        "dockerVersion": engine.version,
        "kernelVersion": machine.kernel_version,
        "osVersion": machine.os_version,
    }
    families.add("cadvisor_version_info", "What serves these metrics, and where.", 1, labels(**versions))


def _machine_values(machine: Machine) -> Iterator[tuple[str, str, float | None]]:
    yield "machine_cpu_cores", "Logical CPUs.", machine.cpus
    yield "machine_cpu_physical_cores", "Physical CPU cores.", machine.physical_cores
    yield "machine_cpu_sockets", "CPU sockets.", machine.sockets
    yield "machine_memory_bytes", "Memory of the machine.", machine.memory_bytes
    yield "machine_swap_bytes", "Swap of the machine.", machine.swap_bytes
