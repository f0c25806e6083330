"""What an exporter is expected to show, and the one verdict on what it shows.

``judge`` decides for everybody: port 9600, ``wattview check``, the dashboard and the doctor. A metric that is expected
is there, or a source's state or the exporter itself says why it is not. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from wattview.model import ExporterState, ProbeStatus, exporter_state


class Expected(NamedTuple):
    """The metrics that are expected of one exporter.

    ``always``: whatever this machine has. ``needs``: by source, where that works; a source that is none of these does
    the exporter no harm when it fails. ``wherever``: by another metric of the same answer, where that has samples (a
    stream has a bandwidth).
    """

    always: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    wherever: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def missing(self, shown: Set[str]) -> tuple[str, ...]:
        """Those that are not among the metrics ``shown``."""
        wanted = [*self.always]
        for metrics in self.needs.values():
            wanted += metrics
        for metric, others in self.wherever.items():
            if metric in shown:
                wanted += others
        return tuple([metric for metric in wanted if metric not in shown])

    def source_of(self, metric: str) -> str:
        """The source that it needs, "" where it needs none."""
        return next((source for source, metrics in self.needs.items() if metric in metrics), "")


class SelfReport(Struct, frozen=True, kw_only=True):
    """What an exporter says of itself at ``/health``. ``probes`` are the states of its sources; ``gaps`` says of
    metrics that its sources work and do not have them, and why."""

    exporter: str
    version: str
    pid: int
    status: ExporterState
    probes: tuple[ProbeStatus, ...] = ()
    gaps: dict[str, str] = {}


class Verdict(NamedTuple):
    """``unexplained`` are expected metrics that are missing though nothing says why."""

    healthy: bool
    reason: str
    unexplained: tuple[str, ...] = ()


def judge(
    expected: Expected, missing: Sequence[str], probes: Sequence[ProbeStatus], gaps: Mapping[str, str]
) -> Verdict:
    """Healthy: no source that it needs is refused or broken, and what is missing has a reason other than that."""
    probes = [probe for probe in probes if probe.probe in expected.needs]
    failing = [probe for probe in probes if probe.state not in ("ok", "degraded")]
    said = [
        f"{probe.state}: {probe.reason}" if probe.reason else f"{probe.probe} {probe.state}"
        for probe in failing
        if expected.needs[probe.probe] or probe.state != "absent"
    ]
    without: dict[str, list[str]] = {}
    for metric in missing:
        if metric in gaps:
            without.setdefault(gaps[metric], []).append(metric)
    said += [f"no {', '.join(metrics)}: {reason}" for reason, metrics in without.items()]
    sources = {probe.probe for probe in failing}
    unexplained = tuple(
        metric for metric in missing if metric not in gaps and expected.source_of(metric) not in sources
    )
    if unexplained:
        partly = [f"{probe.probe} degraded: {probe.reason}" for probe in probes if probe.state == "degraded"]
        why = f" ({'; '.join(partly)})" if partly else ""
        said.insert(0, f"expected and missing: {', '.join(unexplained)}{why}")
    healthy = not unexplained and all(probe.state == "absent" for probe in failing)
    return Verdict(healthy, "; ".join(dict.fromkeys(said)), unexplained)


def state_by_sources(expected: Expected, probes: Sequence[ProbeStatus]) -> ExporterState:
    """The state of an exporter as far as its sources tell it, whatever it last showed."""
    known = [probe for probe in probes if probe.state != "unread"]
    healthy = judge(expected, (), known, {}).healthy
    return exporter_state(healthy, not known or any(probe.state != "absent" for probe in known))
