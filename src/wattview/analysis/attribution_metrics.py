"""Who used the power, as metric families. A part that is not known is no sample."""

from __future__ import annotations

from collections.abc import Mapping

from wattview.analysis.attribution import Attribution, Ledger
from wattview.analysis.idle import Idle
from wattview.exposition import Family, labels


def attribution_families(
    interval: Attribution | None,
    ledger: Ledger,
    idle: Idle | None,
    streams: Mapping[tuple[str, str], float],
) -> list[Family]:
    """The last interval's power and all energy so far, by container, encoder and stream, with idle and the rest."""
    watts = Family("wattview_container_power_watts", "gauge", "Active power of a container, by its share of CPU time.")
    joules = Family(
        "wattview_container_energy_joules_total", "counter", "Energy of a container since the daemon began."
    )
    encoders = Family("wattview_encoder_power_watts", "gauge", "Active power of an encoder that WattView runs.")
    for part, total in ledger.parts.items():
        if part.kind == "container":
            text = labels(name=part.name)
            joules.add(total, text)
            watts.add(interval.watts(part) if interval is not None else None, text)
        elif interval is not None:
            encoders.add(interval.watts(part), labels(stream=part.name))
    by_stream = Family(
        "wattview_stream_power_watts", "gauge", "Power of a stream: its part of the server's, and its encoder's."
    )
    for (app, name), value in streams.items():
        by_stream.add(value, labels(app=app, stream=name))
    idle_watts = Family("wattview_idle_power_watts", "gauge", "What the machine draws at rest, as far as was measured.")
    method = Family("wattview_idle_power_info", "gauge", "How idle power was found.")
    if idle is not None:
        idle_watts.add(idle.watts)
        method.add(1.0, labels(method=idle.method))
    rest = Family("wattview_unattributed_power_watts", "gauge", "Active power of what is no container and no encoder.")
    if interval is not None:
        rest.add(interval.unattributed_joules / interval.seconds)
    energy = Family(
        "wattview_attributed_energy_joules_total", "counter",
        "All energy since the daemon began: of the idle machine, of parts (ended ones too), and unattributed.",
    )  # fmt: skip
    energy.add(ledger.idle_joules, labels(to="idle"))
    energy.add(sum(ledger.parts.values()) + ledger.ended_joules, labels(to="parts"))
    energy.add(ledger.unattributed_joules, labels(to="unattributed"))
    return [watts, joules, encoders, by_stream, idle_watts, method, rest, energy]
