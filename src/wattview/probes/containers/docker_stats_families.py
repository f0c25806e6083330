"""A ContainersReading as docker-stats-exporter's metric families, for 9501. cAdvisor's: ``cadvisor_families``."""

from __future__ import annotations

from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.model import ContainersReading
from wattview.model.source import total

_DOCKER = rows("""
cpu_percent docker_container_cpu_percent  CPU use of the container; 100 is one core.
cpu_seconds_total docker_container_cpu_seconds_total  CPU time of the container.
memory_percent docker_container_memory_percent
    Working set of the container as a share of its limit, or of the machine's memory.
memory_working_set_bytes docker_container_memory_bytes
    Working set of the container: its memory less inactive file pages.
memory_limit_bytes docker_container_memory_limit_bytes  Memory limit; absent without one.
block_read_bytes_per_second docker_container_block_read_bytes_per_second  Bytes read from block devices each second.
block_write_bytes_per_second docker_container_block_write_bytes_per_second  Bytes written to block devices each second.
pids docker_container_processes  Processes and threads in the container.
restarts docker_container_restarts_total  Restarts by the engine's restart policy.
started docker_container_start_time_seconds  When the container was started, in Unix seconds.
""")
"""Fields of Container."""

_ENGINE = rows("""
cpu_percent docker_engine_cpu_percent  CPU use of dockerd and containerd; 100 is one core.
memory_percent docker_engine_memory_percent  Resident memory of dockerd and containerd, of the machine's.
memory_bytes docker_engine_memory_bytes  Resident memory of dockerd and containerd.
""")


def docker_families(reading: ContainersReading) -> list[Family]:
    """The engine, and the running containers of all engines, one label: ``name``."""
    engine = reading.engine
    about = labels(engine=engine.name, version=engine.version, cgroup_version=str(engine.cgroup_version))
    described = "The engine, its version and its kind of cgroups, as labels; always 1."
    named = [(labels(name=container.name), container) for container in reading.containers]
    families = [
        *families_of(_ENGINE, [("", engine)]),
        gauge("docker_engine_info", described, 1, about),
        *families_of(_DOCKER, named),
    ]
    received = gauge("docker_container_network_receive_bytes_per_second", "Bytes received each second.")
    sent = gauge("docker_container_network_transmit_bytes_per_second", "Bytes sent each second.")
    state = gauge("docker_container_state", "1 for the state that the container is in.")
    healthy = gauge("docker_container_healthy", "1 where the container's own health check succeeds, else 0.")
    info = gauge("docker_container_info", "What the container is, as labels; always 1.")
    for label, container in named:
        received.add(total(nic.receive_bytes_per_second for nic in container.network), label)
        sent.add(total(nic.transmit_bytes_per_second for nic in container.network), label)
        state.add(1, labels(name=container.name, state=container.state))
        what = {"id": container.id, "image": container.image, "health": container.health or ""}
        info.add(1, labels(name=container.name, **what, engine=container.engine or engine.name.lower()))
        if container.health is not None:
            healthy.add(int(container.health == "healthy"), label)
    return [*families, received, sent, state, healthy, info]
