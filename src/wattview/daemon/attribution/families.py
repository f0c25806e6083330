"""Attribution as metric families. An unknown part has no sample."""

from __future__ import annotations

from collections.abc import Mapping

from wattview.analysis.attribution.idle import Idle
from wattview.analysis.attribution.shares import Attribution, Ledger, Part
from wattview.analysis.attribution.streams import StreamKey
from wattview.daemon.attribution.stream_power import StreamPower
from wattview.exposition import Family, labels
from wattview.model import WorkloadsReading
from wattview.probes.workloads.families import workload_labels

KEPT = frozenset(
    {
        "wattview_container_power_watts",
        "wattview_container_energy_joules_total",
        "wattview_stream_power_watts",
        "wattview_stream_encoder_info",
        "wattview_encoder_power_watts",
        "wattview_idle_power_watts",
        "wattview_idle_power_info",
        "wattview_unattributed_power_watts",
        "wattview_workload_power_watts",
        "wattview_workload_energy_joules_total",
    }
)
"""The families that the embedded history records."""


def attribution_families(
    last: Attribution | None,
    ledger: Ledger,
    idle: Idle | None,
    streams: Mapping[StreamKey, StreamPower],
) -> list[Family]:
    """Power in the last interval and energy so far, by container, encoder and stream, with idle and unattributed."""
    watts = Family(
        "wattview_container_power_watts", "gauge", "Active power of a container: its share of CPU and GPU use."
    )
    joules = Family(
        "wattview_container_energy_joules_total", "counter", "Active energy of a container since the daemon started."
    )
    encoders = Family("wattview_encoder_power_watts", "gauge", "Active power of an encoder that WattView runs.")
    rest = Family(
        "wattview_unattributed_power_watts", "gauge", "Active power of all that is no container and no encoder."
    )
    for name, total in ledger.by_container.items():
        joules.add(total, labels(name=name))
    if last is not None:
        for part, used in last.parts.items():
            if part.kind == "container":
                watts.add(used / last.seconds, labels(name=part.name))
            else:
                encoders.add(used / last.seconds, labels(stream=part.name))
        rest.add(last.unattributed_joules / last.seconds)
    idle_watts = Family("wattview_idle_power_watts", "gauge", "What the machine draws at rest, GPUs included.")
    if last is not None:
        idle_watts.add(last.idle_joules / last.seconds)
    method = Family("wattview_idle_power_info", "gauge", "How idle power was found, as a label; always 1.")
    if idle is not None:
        method.add(1, labels(method=idle.method))
    energy = Family(
        "wattview_attributed_energy_joules_total",
        "counter",
        "All energy since the daemon started, by who used it; unknown is from before idle power was known.",
    )
    if ledger.joules:
        energy.add(ledger.idle_joules, labels(to="idle"))
        energy.add(ledger.containers_joules, labels(to="containers"))
        energy.add(ledger.encoders_joules, labels(to="encoders"))
        energy.add(ledger.unattributed_joules, labels(to="unattributed"))
        energy.add(ledger.unknown_joules, labels(to="unknown"))
    return [watts, joules, encoders, *_stream_families(streams), idle_watts, method, rest, energy]


def _stream_families(streams: Mapping[StreamKey, StreamPower]) -> list[Family]:
    whole = Family(
        "wattview_stream_power_watts",
        "gauge",
        "Active power of a stream: its part of the server's, and its encoder's. No sample while that is not known.",
    )
    encoders = Family("wattview_stream_encoder_power_watts", "gauge", "A stream's part of its encoder's active power.")
    server = Family("wattview_stream_server_power_watts", "gauge", "A stream's part of its server's active power.")
    info = Family(
        "wattview_stream_encoder_info",
        "gauge",
        "Who encodes a stream: how it was found (match), its program, where it runs or on which host; always 1.",
    )
    for (app, name), power in streams.items():
        text = labels(app=app, stream=name)
        whole.add(power.watts, text)
        server.add(power.server_watts, text)
        if (one := power.encoder) is not None:
            encoders.add(one.watts, text)
            where = {"program": one.program, "kind": one.kind, "name": one.name, "host": one.host}
            info.add(1, labels(app=app, stream=name, match=one.match, **where))
    return [whole, encoders, server, info]


def workload_families(last: Attribution | None, ledger: Ledger, reading: WorkloadsReading | None) -> list[Family]:
    """The same by workload: another division of the same total, which includes containers and encoders."""
    watts = Family(
        "wattview_workload_power_watts", "gauge", "Active power of a workload: its share of CPU and GPU use."
    )
    joules = Family(
        "wattview_workload_energy_joules_total", "counter", "Active energy of a workload since the daemon started."
    )
    outside = Family(
        "wattview_workloads_outside_power_watts", "gauge", "Active power that was used by no workload that is known."
    )
    if reading is None:
        return [watts, joules, outside]
    for id, text in workload_labels((*reading.workloads, *reading.ended)).items():
        joules.add(ledger.by_workload.get(id), text)
        if last is not None:
            watts.add(last.watts(Part("workload", id)), text)
    if last is not None and last.workloads:
        outside.add(last.outside_joules / last.seconds)
    return [watts, joules, outside]
