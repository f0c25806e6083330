"""Attribution as metric families. An unknown part has no sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from wattview.analysis.attribution.shares import Ledger, Part
from wattview.analysis.attribution.streams import StreamKey
from wattview.daemon.attribution.accounts import Accounts, Book
from wattview.daemon.attribution.stream_power import StreamPower
from wattview.exposition import Family, FamilyType, counter, gauge, labels
from wattview.model import PowerAccount, WorkloadsReading
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
        "wattview_workloads_outside_power_watts",
    }
)
"""The families that the embedded history records: of the two accounts, the marginal one's."""


INCLUDES_IDLE = {"includes_idle": "true"}
"""The label of a figure of the marginal account while idle power, which it leaves out, is not known."""

_WORDS = {
    "marginal": "above idle power; with includes_idle, of all power while idle power is not known.",
    "attributional": "idle power included, which is divided by CPU time and use of GPUs.",
}


def families_of(
    accounts: Accounts, workloads: WorkloadsReading | None, *, fresh: bool,
    shown: Iterable[PowerAccount] = get_args(PowerAccount),
) -> list[Family]:  # fmt: skip
    """Power in the last interval and energy so far, by the accounts that are ``shown``. ``fresh``: the last interval
    is current."""
    found = []
    names: dict[str, str] = {}
    if workloads is not None:
        names = workload_labels((*workloads.workloads, *workloads.ended))
    for account in shown:
        page = accounts.page(account)
        ledger = (accounts.marginal if account == "marginal" else accounts.attributional).ledger
        book = page.book if fresh else Book()
        marks = INCLUDES_IDLE if account == "marginal" and page.includes_idle else {}
        found += _divided(account, book, ledger, names, marks)
    found += _encoder_families(accounts.page("marginal").book.streams if fresh else {})
    return [*found, *_idle_families(accounts, fresh=fresh)]


def _divided(
    account: PowerAccount, book: Book, ledger: Ledger, names: Mapping[str, str], marks: Mapping[str, str]
) -> list[Family]:
    """One account's figures, under names of its own."""
    infix = "" if account == "marginal" else "attributional_"
    words = _WORDS[account]

    def family(what: str, type: FamilyType, help_text: str) -> Family:
        subject, _, rest = what.partition(" ")
        return Family(f"wattview_{subject}_{infix}{rest}", type, f"{help_text} {words}")

    watts = family("container power_watts", "gauge", "Power of a container: its share of CPU and GPU use,")
    joules = family("container energy_joules_total", "counter", "Energy of a container since the daemon started,")
    encoders = family("encoder power_watts", "gauge", "Power of an encoder that WattView runs,")
    rest = family("unattributed power_watts", "gauge", "Power that no container or encoder used,")
    streams = family("stream power_watts", "gauge", "Power of a stream: its share of the server's, and its encoder's,")
    of_workload = family("workload power_watts", "gauge", "Power of a workload: its share of CPU and GPU use,")
    energy = family("workload energy_joules_total", "counter", "Energy of a workload since the daemon started,")
    outside = family("workloads outside_power_watts", "gauge", "Power that no known workload used,")
    for name, total in ledger.by_container.items():
        joules.add(total, labels(name=name))
    for id, text in names.items():
        energy.add(ledger.by_workload.get(id), text)
    if (last := book.last) is not None:
        for part, used in last.parts.items():
            if part.kind == "container":
                watts.add(used / last.seconds, labels(name=part.name, **marks))
            else:
                encoders.add(used / last.seconds, labels(stream=part.name, **marks))
        rest.add(last.unattributed_joules / last.seconds, labels(**marks) if marks else "")
        for id, text in names.items():
            of_workload.add(last.watts(Part("workload", id)), _marked(text, marks))
        if last.workloads:
            outside.add(last.outside_joules / last.seconds, labels(**marks) if marks else "")
        for (app, name), power in book.streams.items():
            streams.add(power.watts, labels(app=app, stream=name, **marks))
    return [watts, joules, encoders, streams, rest, of_workload, energy, outside]


def _marked(text: str, marks: Mapping[str, str]) -> str:
    return f"{text[:-1]},{labels(**marks)[1:]}" if marks else text


def _encoder_families(streams: Mapping[StreamKey, StreamPower]) -> list[Family]:
    encoders = gauge("wattview_stream_encoder_power_watts", "A stream's share of its encoder's power.")
    server = gauge("wattview_stream_server_power_watts", "A stream's share of its server's power.")
    info = gauge(
        "wattview_stream_encoder_info",
        "Who encodes a stream: how it was found (match), its program, where it runs or on which host; always 1.",
    )
    for (app, name), power in streams.items():
        text = labels(app=app, stream=name)
        server.add(power.server_watts, text)
        if (one := power.encoder) is not None:
            encoders.add(one.watts, text)
            where = {"program": one.program, "kind": one.kind, "name": one.name, "host": one.host}
            info.add(1, labels(app=app, stream=name, match=one.match, **where))
    return [encoders, server, info]


def _idle_families(accounts: Accounts, *, fresh: bool) -> list[Family]:
    last, idle, ledger = accounts.marginal.last if fresh else None, accounts.idle, accounts.marginal.ledger
    watts = gauge("wattview_idle_power_watts", "Idle power of the machine, GPUs included.")
    method = gauge("wattview_idle_power_info", "How idle power was determined, as a label; always 1.")
    if last is not None and idle is not None:
        watts.add(last.idle_joules / last.seconds)
        method.add(1, labels(method=idle.method))
    energy = counter(
        "wattview_attributed_energy_joules_total",
        "All energy since the daemon started, by who used it; unknown is from before idle power was known.",
    )
    if ledger.joules:
        energy.add(ledger.idle_joules, labels(to="idle"))
        energy.add(ledger.containers_joules, labels(to="containers"))
        energy.add(ledger.encoders_joules, labels(to="encoders"))
        energy.add(ledger.unattributed_joules, labels(to="unattributed"))
        energy.add(ledger.unknown_joules, labels(to="unknown"))
    return [watts, method, energy]
