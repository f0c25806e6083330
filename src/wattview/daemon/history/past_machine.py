"""The machine at a past moment: power, attribution, host figures and the exporters' health.

Pure functions. A reading or figure that was not recorded is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from wattview.analysis.windows import series as names
from wattview.analysis.windows.host import MEASURED
from wattview.daemon.history.past_workloads import engine
from wattview.daemon.history.sample_index import IndexedSample, SampleIndex, by_key, rate_of
from wattview.model import (
    ExporterHealth,
    HostReading,
    MachinePower,
    Nic,
    PowerReading,
    PowerUse,
    WallPower,
    WallSource,
    Zone,
)
from wattview.model.power import IdleMethod

SOURCES = (*MEASURED, "estimated")

HEALTH = (
    "exporter_health_status", "exporter_reachable", "exporter_has_data", "exporter_metric_count",
    "exporter_sample_count",
)  # fmt: skip
"""The families of the exporters' health."""


def power(moment: SampleIndex, facts: SampleIndex) -> PowerReading | None:
    """Host power from the best source that was read last, and its zones. Zones that may or may not be part of the
    host's figure are left out."""
    readings = [
        one
        for metric in (names.HOST_WATTS, names.HOST_ENERGY)
        for one in moment.all(metric)
        if one.labels.get("source") in SOURCES
    ]
    if not readings:
        return None
    last = max(readings, key=lambda one: (one.time, -SOURCES.index(one.labels["source"])))
    source = last.labels["source"]
    return PowerReading(
        time=last.time,
        monotonic=0.0,
        source=source,
        host_joules_total=moment.value_by(names.HOST_ENERGY, source),
        host_watts=moment.value_by(names.HOST_WATTS, source),
        host_peak_watts=moment.value_by(names.HOST_PEAK_WATTS, source),
        host_error_watts=moment.value_by(names.MACHINE_ERROR_WATTS, source),
        zones=_zones(moment, facts) if source == "rapl" else (),
    )


def machine(moment: SampleIndex, host: PowerReading | None) -> MachinePower | None:
    """Machine power as recorded; without a figure if a part of it was unknown then."""
    if host is None:
        return None
    recorded = max(moment.all(names.MACHINE_WATTS), key=lambda one: one.time, default=None)
    if recorded is None:
        return MachinePower(source=host.source, reason="it is unknown, or was not recorded, at this moment")
    source = recorded.labels.get("source", "")
    error = moment.value_by(names.MACHINE_ERROR_WATTS, source)
    return MachinePower(source=source, watts=recorded.value, error_watts=error)


def wall(moment: SampleIndex) -> WallPower | None:
    """Power from the wall: by the meter if it was read, else calibrated."""
    for source in get_args(WallSource):
        for one in moment.all(names.WALL_WATTS):
            if one.labels.get("source") == source:
                error = moment.value_by(names.WALL_ERROR_WATTS, source)
                return WallPower(
                    source=source, time=one.time, monotonic=0.0, watts=one.value, error_watts=error, answered=one.time
                )
    return None


def _zones(moment: SampleIndex, facts: SampleIndex) -> tuple[Zone, ...]:
    def key(sample: IndexedSample) -> tuple[str, str]:
        return sample.labels.get("package", ""), sample.labels.get("zone", "")

    watts = {key(one): one.value for one in moment.of(names.RAPL_WATTS).get(names.RAPL_WATTS, ())}
    counted = {key(one): one.value for one in facts.of("wattview_zone_counted").get("wattview_zone_counted", ())}
    zones = [
        Zone(
            path="", package=package, zone=zone, joules_total=None, watts=watts.get((package, zone)), counted=value > 0
        )
        for (package, zone), value in counted.items()
    ]
    return tuple(sorted(zones, key=lambda one: (_natural(one.package), one.zone != one.package, one.zone)))


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text))


def power_use(moment: SampleIndex, facts: SampleIndex) -> PowerUse | None:
    """Attribution. The total is the sum of its parts, as attribution conserves energy."""
    containers, encoders = "wattview_container_power_watts", "wattview_encoder_power_watts"
    idle, rest, method = "wattview_idle_power_watts", "wattview_unattributed_power_watts", "wattview_idle_power_info"
    outside = "wattview_workloads_outside_power_watts"
    read = moment.of(containers, encoders, idle, rest, outside, method)
    if not read.get(rest):
        return None
    # While idle power was not known, nothing was recorded of it, and the other figures included it.
    idle_sample, rest_sample = next(iter(read.get(idle, ())), None), read[rest][0]
    idle_watts = idle_sample.value if idle_sample is not None else None
    by_encoder = {one.labels.get("stream", ""): one.value for one in read.get(encoders, ())}
    in_containers = sum(one.value for one in read.get(containers, ()))
    attributed = in_containers + sum(by_encoder.values()) + rest_sample.value
    known = engine(moment, facts) is not None
    how = next((one.labels.get("method", "") for one in read.get(method, ())), "")
    return PowerUse(
        time=rest_sample.time,
        seconds=rest_sample.time - rest_sample.before[0] if rest_sample.before is not None else 0.0,
        watts=(idle_watts or 0.0) + attributed,
        idle_watts=idle_watts,
        idle_method=next((method for method in get_args(IdleMethod) if method == how), None),
        containers_watts=in_containers if known else None,
        encoders_watts=sum(by_encoder.values()),
        unattributed_watts=rest_sample.value,
        workloads_watts=None if not read.get(outside) else attributed - read[outside][0].value,
        encoders=by_encoder,
        includes_idle=idle_watts is None,
        reason="" if idle_watts is not None else "idle power was not known then",
    )


def host(moment: SampleIndex, facts: SampleIndex, hostname: str) -> HostReading | None:
    """The machine at a glance; None if its CPU time, which every reading has, was not recorded."""
    prefix = "wattview_host_"
    figures = {name: moment.value(prefix + name) for name in _HOST}
    total, boot = facts.value(prefix + "memory_total_bytes"), facts.value(prefix + "boot_time_seconds")
    missing = None in (figures["cpus"], figures["cpu_busy_seconds_total"])
    at = moment.time_of(prefix + "cpus")
    if missing or at is None:
        return None
    known: Any = figures
    available = figures["memory_available_bytes"]
    return HostReading(
        time=at,
        monotonic=0.0,
        hostname=hostname,
        cpus=int(known["cpus"]),
        cpu_busy_seconds_total=known["cpu_busy_seconds_total"],
        cpu_percent=known["cpu_percent"],
        memory_total_bytes=None if total is None else int(total),
        memory_available_bytes=None if available is None else int(available),
        load1=known["load1"],
        load5=known["load5"],
        load15=known["load15"],
        boot_time=boot,
        nics=_nics(moment),
    )


_HOST = ("cpus", "cpu_busy_seconds_total", "cpu_percent", "memory_available_bytes", "load1", "load5", "load15")


def _nics(moment: SampleIndex) -> tuple[Nic, ...]:
    received, sent = "wattview_host_network_receive_bytes_total", "wattview_host_network_transmit_bytes_total"
    read = moment.of(received, sent)
    out = {one.labels.get("device", ""): one for one in read.get(sent, ())}
    return tuple(
        Nic(
            device=device,
            receive_bytes_total=int(one.value),
            transmit_bytes_total=int(out[device].value),
            receive_bytes_per_second=rate_of(one),
            transmit_bytes_per_second=rate_of(out[device]),
        )
        for one in read.get(received, ())
        if (device := one.labels.get("device", "")) in out
    )


def exporters(moment: SampleIndex, urls: Mapping[str, str]) -> tuple[ExporterHealth, ...]:
    """The exporters' health where it was recorded; ``urls`` has today's addresses, in display order."""
    by_name = by_key(moment.of(*HEALTH), {name: name.removeprefix("exporter_") for name in HEALTH}, "exporter")
    at = moment.time_of("exporter_health_status")
    order: Sequence[str] = list(urls)
    return tuple(
        ExporterHealth(
            exporter=name,
            url=urls.get(name, ""),
            reachable=figures.get("reachable", 0.0) > 0,
            healthy=figures["health_status"] > 0,
            has_data=figures.get("has_data", 0.0) > 0,
            metric_count=int(figures.get("metric_count", 0)),
            sample_count=int(figures.get("sample_count", 0)),
            checked=at or moment.at,
        )
        for (name,), figures in sorted(
            by_name.items(), key=lambda item: order.index(item[0][0]) if item[0][0] in urls else len(order)
        )
        if "health_status" in figures
    )
