"""Containers, workloads, streams and GPUs of a past moment, reconstructed from their recorded metric families. Pure
functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from wattview.daemon.history.sample_index import Key, SampleIndex, by_key, rate_of, size_of, whole
from wattview.model import (
    WORKLOAD_NAMES,
    Container,
    EncoderMatch,
    Engine,
    Gpu,
    Nic,
    RtmpServer,
    Stream,
    StreamEncoder,
    Workload,
    WorkloadKind,
)

# containers

_CONTAINER: Mapping[str, str] = {
    "docker_container_cpu_percent": "cpu_percent",
    "docker_container_memory_percent": "memory_percent",
    "docker_container_memory_bytes": "memory_working_set_bytes",
    "docker_container_block_read_bytes_per_second": "block_read_bytes_per_second",
    "docker_container_block_write_bytes_per_second": "block_write_bytes_per_second",
    "docker_container_processes": "pids",
}
_RECEIVED = "docker_container_network_receive_bytes_per_second"
_SENT = "docker_container_network_transmit_bytes_per_second"
_ENGINE = ("docker_engine_cpu_percent", "docker_engine_memory_percent")
_CONTAINER_FACTS: Mapping[str, str] = {
    "docker_container_start_time_seconds": "started",
    "docker_container_restarts_total": "restarts",
    "docker_container_memory_limit_bytes": "memory_limit_bytes",
}
_WHOLE = ("memory_working_set_bytes", "memory_limit_bytes", "pids", "restarts")


def engine(moment: SampleIndex, facts: SampleIndex) -> Engine | None:
    """The container engine; None if it was not read."""
    info = facts.of("docker_engine_info").get("docker_engine_info", [])
    if not info or moment.time_of(*_ENGINE, *_CONTAINER) is None:
        return None
    labels = info[0].labels
    return Engine(
        name=labels.get("engine", "Docker"),
        version=labels.get("version", ""),
        cgroup_version=int(labels["cgroup_version"]) if labels.get("cgroup_version", "").isdecimal() else 0,
        cpu_percent=moment.value("docker_engine_cpu_percent"),
        memory_percent=moment.value("docker_engine_memory_percent"),
    )


def containers(moment: SampleIndex, facts: SampleIndex) -> tuple[Container, ...]:
    """The running containers. One whose id was not recorded has its name as id."""
    read = moment.of(*_CONTAINER, _RECEIVED, _SENT, *_ENGINE)
    described = facts.of("docker_container_info", "docker_container_state", *_CONTAINER_FACTS)
    figures: dict[Key, dict[str, Any]] = by_key(read, _CONTAINER, "name")
    said = by_key(described, _CONTAINER_FACTS, "name")
    received, sent = by_key(read, {_RECEIVED: "rate"}, "name"), by_key(read, {_SENT: "rate"}, "name")
    infos: dict[Key, Mapping[str, str]] = {
        (one.labels.get("name", ""),): one.labels for one in described.get("docker_container_info", ())
    }
    states = {one.labels.get("name", ""): one.labels for one in described.get("docker_container_state", ())}
    watts, joules = "wattview_container_power_watts", "wattview_container_energy_joules_total"
    used = by_key(moment.of(watts, joules), {watts: "power_watts", joules: "energy_joules_total"}, "name")
    of_host = engine(moment, facts)
    first = of_host.name.lower() if of_host is not None else ""
    found = []
    for key in sorted(infos.keys() if infos and read else figures.keys()):
        info = infos.get(key, {})
        rates = received.get(key, {}).get("rate"), sent.get(key, {}).get("rate")
        nic = Nic(device="all", receive_bytes_per_second=rates[0], transmit_bytes_per_second=rates[1])
        found.append(
            Container(
                id=info.get("id") or key[0],
                name=key[0],
                image=info.get("image", ""),
                cgroup="",
                engine="" if info.get("engine") == first else info.get("engine", ""),
                state=states.get(key[0], {}).get("state", ""),
                health=info.get("health") or None,
                network=() if rates == (None, None) else (nic,),
                **_counts({**figures.get(key, {}), **said.get(key, {})}),
                **used.get(key, {}),
            )
        )
    return tuple(found)


def _counts(figures: dict[str, Any]) -> dict[str, Any]:
    """The same figures, with integers for those that are integers by nature."""
    return {field: int(value) if field in _WHOLE else value for field, value in figures.items()}


# streams

_STREAM: Mapping[str, str] = {
    "nginx_rtmp_stream_bandwidth_in_bytes": "bandwidth_in_bytes",
    "nginx_rtmp_stream_bandwidth_out_bytes": "bandwidth_out_bytes",
    "nginx_rtmp_stream_players": "players",
    "nginx_rtmp_stream_dropped_frames": "dropped_frames",
    "nginx_rtmp_stream_avsync_seconds": "avsync_seconds",
    "nginx_rtmp_stream_uptime_seconds_total": "uptime_seconds",
}
_STREAM_FACTS: Mapping[str, str] = {
    "nginx_rtmp_stream_active": "active",
    "nginx_rtmp_stream_publishers": "publishers",
    "nginx_rtmp_stream_frames_per_second": "fps",
}
_SERVER: Mapping[str, str] = {
    "nginx_rtmp_connections": "connections",
    "nginx_rtmp_bandwidth_in_bytes": "bandwidth_in_bytes",
    "nginx_rtmp_bandwidth_out_bytes": "bandwidth_out_bytes",
}
_STREAM_TEXTS = ("video_codec", "video_profile", "video_level", "audio_codec", "audio_profile")


def rtmp_server(moment: SampleIndex, facts: SampleIndex) -> RtmpServer | None:
    """The RTMP server; its name is known if a stream was live."""
    read = by_key(moment.of(*_SERVER, *_STREAM), _SERVER).get((), {})
    if not read:
        return None
    connections = read.get("connections")
    info = facts.of("nginx_rtmp_stream_info").get("nginx_rtmp_stream_info", [])
    return RtmpServer(
        name=info[0].labels.get("server", "") if info else "",
        connections=None if connections is None else int(connections),
        bandwidth_in_bytes=read.get("bandwidth_in_bytes"),
        bandwidth_out_bytes=read.get("bandwidth_out_bytes"),
    )


def streams(moment: SampleIndex, facts: SampleIndex) -> tuple[Stream, ...]:
    """The streams whose players and publishers were counted, by application and name."""
    figures: dict[Key, dict[str, Any]] = by_key(moment.of(*_STREAM, *_SERVER), _STREAM, "app", "stream")
    described = facts.of("nginx_rtmp_stream_info", *_STREAM_FACTS)
    said = by_key(described, _STREAM_FACTS, "app", "stream")
    infos: dict[Key, Mapping[str, str]] = {
        (one.labels.get("app", ""), one.labels.get("stream", "")): one.labels
        for one in described.get("nginx_rtmp_stream_info", ())
    }
    encoder_info = "wattview_stream_encoder_info"
    encoders: dict[Key, StreamEncoder | None] = {
        (one.labels.get("app", ""), one.labels.get("stream", "")): _encoder(one.labels)
        for one in moment.of(encoder_info).get(encoder_info, ())
    }
    power = "wattview_stream_power_watts"
    watts = by_key(moment.of(power), {power: "watts"}, "app", "stream")
    found = []
    for key, read in sorted(figures.items()):
        facts_of, info = said.get(key, {}), infos.get(key, {})
        if "players" not in read or "publishers" not in facts_of:
            continue
        width, height = size_of(info.get("resolution", ""))
        avsync, dropped = read.get("avsync_seconds"), read.get("dropped_frames")
        found.append(
            Stream(
                app=key[0],
                name=key[1],
                active=facts_of.get("active", 0.0) > 0,
                uptime_seconds=read.get("uptime_seconds"),
                bandwidth_in_bytes=read.get("bandwidth_in_bytes"),
                bandwidth_out_bytes=read.get("bandwidth_out_bytes"),
                publishers=int(facts_of["publishers"]),
                players=int(read["players"]),
                width=width,
                height=height,
                fps=facts_of.get("fps"),
                dropped_frames=None if dropped is None else int(dropped),
                avsync_ms=None if avsync is None else round(avsync * 1000),
                audio_channels=whole(info.get("audio_channels", "")),
                audio_sample_rate_hertz=whole(info.get("audio_sample_rate", "")),
                power_watts=watts.get(key, {}).get("watts"),
                encoder=encoders.get(key),
                **{name: info.get(name) or None for name in _STREAM_TEXTS},  # type: ignore[arg-type]
            )
        )
    return tuple(found)


def _encoder(labels: Mapping[str, str]) -> StreamEncoder | None:
    match = labels.get("match")
    if match not in get_args(EncoderMatch):
        return None
    where = {name: labels.get(name, "") for name in ("program", "kind", "name", "host")}
    return StreamEncoder(match=match, **where)  # type: ignore[arg-type]


# workloads

_WORKLOAD = (*WORKLOAD_NAMES, "engine")
"""The labels that all series of a workload have."""


def workloads(moment: SampleIndex, facts: SampleIndex) -> tuple[Workload, ...]:
    """The running workloads, without their memory. One whose id was not recorded is called by kind and name."""
    spent, info = "wattview_workload_cpu_seconds_total", "wattview_workload_info"
    watts, joules = "wattview_workload_power_watts", "wattview_workload_energy_joules_total"
    read = {_workload_key(one.labels): one for one in moment.of(spent).get(spent, ())}
    infos = {_workload_key(one.labels): one.labels for one in facts.of(info).get(info, ())}
    used = by_key(moment.of(watts, joules), {watts: "power_watts", joules: "energy_joules_total"}, *_WORKLOAD)
    found = []
    for key in infos if infos and read else used:
        said, cpu = infos.get(key, {}), read.get(key)
        names = dict(zip(_WORKLOAD, key, strict=True))
        if names["kind"] not in get_args(WorkloadKind):
            continue
        id = said.get("id") or f"{names['kind']}:{names['name']}"
        rate = rate_of(cpu) if cpu is not None else None
        found.append(
            Workload(
                id=id,
                slice=id.rpartition("/")[0],
                container_id=said.get("container_id", ""),
                image=said.get("image", ""),
                user=said.get("user", ""),
                cpu_seconds_total=cpu.value if cpu is not None else None,
                cpu_percent=None if rate is None else rate * 100,
                **names,  # type: ignore[arg-type]
                **used.get(key, {}),
            )
        )
    return tuple(found)


def _workload_key(labels: Mapping[str, str]) -> Key:
    return tuple(labels.get(name, "") for name in _WORKLOAD)


# GPUs

_GPU: Mapping[str, tuple[str, Callable[[float], Any]]] = {
    "DCGM_FI_DEV_POWER_USAGE": ("power_watts", float),
    "DCGM_FI_DEV_GPU_UTIL": ("utilization_percent", float),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("energy_joules_total", lambda value: value / 1000),
    "DCGM_FI_DEV_ENC_UTIL": ("encoder_percent", float),
    "DCGM_FI_DEV_DEC_UTIL": ("decoder_percent", float),
    "DCGM_FI_DEV_MEM_CLOCK": ("memory_clock_hertz", lambda value: value * 1e6),
    "wattview_gpu_power_watts": ("power_watts", float),
    "wattview_gpu_utilization_percent": ("utilization_percent", float),
    "wattview_gpu_memory_used_bytes": ("memory_used_bytes", int),
    "wattview_gpu_temperature_celsius": ("temperature_celsius", float),
    "wattview_gpu_clock_hertz": ("sm_clock_hertz", float),
    "wattview_gpu_encoder_sessions": ("encoder_sessions", int),
    "wattview_gpu_encoder_frames_per_second": ("encoder_frames_per_second", float),
}
_GPU_FACTS: Mapping[str, tuple[str, Callable[[float], Any]]] = {
    "wattview_gpu_power_limit_watts": ("power_limit_watts", float),
    "wattview_gpu_memory_total_bytes": ("memory_total_bytes", int),
}
_VENDORS = ("nvidia", "amd", "intel")


def gpus(moment: SampleIndex, facts: SampleIndex) -> tuple[Gpu, ...]:
    """The GPUs, without their processes and without the figures of MIG instances."""
    found: dict[str, dict[str, Any]] = {}
    for table, read in ((_GPU, moment.of(*_GPU)), (_GPU_FACTS, facts.of(*_GPU_FACTS))):
        for metric, (field, convert) in table.items():
            for one in read.get(metric, ()):
                labels = one.labels
                uuid = labels.get("uuid") or labels.get("UUID", "")
                if labels.get("GPU_I_ID") or (table is _GPU_FACTS and uuid not in found):
                    continue
                gpu = found.setdefault(uuid, {"uuid": uuid, "pci_bus_id": "", "driver_version": ""})
                gpu["index"] = whole(labels.get("gpu", "")) or 0
                gpu["name"] = labels.get("name") or labels.get("modelName", "")
                gpu["pci_bus_id"] = labels.get("pci_bus_id") or gpu["pci_bus_id"]
                gpu["driver_version"] = labels.get("DCGM_FI_DRIVER_VERSION") or gpu["driver_version"]
                if labels.get("vendor") in _VENDORS:
                    gpu["vendor"] = labels["vendor"]
                gpu[field] = convert(one.value)
    return tuple(sorted((Gpu(**fields) for fields in found.values()), key=lambda gpu: (gpu.index, gpu.uuid)))
