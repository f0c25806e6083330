"""What an exporter is expected to show, and the verdict on what it shows.

``judge`` is used by port 9600, ``wattview check``, the dashboard and the doctor. Every expected metric must be there,
unless a source's state or the exporter itself explains its absence. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from wattview.model import ExporterState, ProbeStatus, exporter_state


class Expected(NamedTuple):
    """The metrics that are expected of one exporter.

    ``always``: on every machine. ``needs``: by source, if that works; failures of other sources do not affect the
    exporter. ``wherever``: by another metric of the same answer, if that has samples (a stream has a bandwidth).
    """

    always: tuple[str, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    wherever: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    def missing(self, shown: Set[str]) -> tuple[str, ...]:
        """The expected metrics that are not in ``shown``."""
        wanted = [*self.always]
        for metrics in self.needs.values():
            wanted += metrics
        for metric, others in self.wherever.items():
            if metric in shown:
                wanted += others
        return tuple([metric for metric in wanted if metric not in shown])

    def source_of(self, metric: str) -> str:
        """The source that it needs; "" if none."""
        return next((source for source, metrics in self.needs.items() if metric in metrics), "")


class SelfReport(Struct, frozen=True, kw_only=True):
    """An exporter's own report at ``/health``. ``probes`` are the states of its sources; ``gaps`` explains metrics that
    working sources do not have."""

    exporter: str
    version: str
    pid: int
    status: ExporterState
    probes: tuple[ProbeStatus, ...] = ()
    gaps: dict[str, str] = {}


class Verdict(NamedTuple):
    """``unexplained`` are missing expected metrics without a reason."""

    healthy: bool
    reason: str
    unexplained: tuple[str, ...] = ()


def judge(
    expected: Expected, missing: Sequence[str], probes: Sequence[ProbeStatus], gaps: Mapping[str, str]
) -> Verdict:
    """Healthy: no source that it needs is refused or broken, and every missing metric has another reason."""
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
    """The state of an exporter according to its sources."""
    known = [probe for probe in probes if probe.state != "unread"]
    healthy = judge(expected, (), known, {}).healthy
    return exporter_state(healthy, not known or any(probe.state != "absent" for probe in known))
