"""One workload that is no container of an engine: its figures, where it belongs, and how it ran."""

from __future__ import annotations

from wattview.model import Snapshot, Workload, workload_names
from wattview.tui.screens.details import DetailGraph
from wattview.tui.text import UNKNOWN, date, fit, mib, number, span
from wattview.tui.widgets.pane import Parts, listed
from wattview.tui.workloads.processes import ProcessDetails


class WorkloadDetails(ProcessDetails):
    """Its subject is the workload's id."""

    TAB = "workloads"
    KIND = "workload"
    GONE = "no longer running"
    GRAPHS = (
        DetailGraph("power", "Power", "W", ("power",), "power", least=0.2),
        DetailGraph("cpu", "CPU % of a core", "%", (), "cpu", least=5.0),
    )

    _last: Workload | None = None

    def part(self, snapshot: Snapshot) -> Workload | None:
        return next((one for one in snapshot.workloads if one.id == self.subject[0]), None)

    def workload_id(self, snapshot: Snapshot) -> str:
        return self.subject[0]

    @property
    def called(self) -> str:
        return self._last.name if self._last is not None else self.subject[0]

    @property
    def history_name(self) -> tuple[str, ...]:
        return workload_names(self._last) if self._last is not None else ("", self.called)

    def facts(self, one: Workload, now: float) -> Parts:
        """Everything in the snapshot about a workload, one fact per line."""
        energy = None if one.energy_joules_total is None else one.energy_joules_total / 3600
        facts: list[tuple[str, str]] = [
            ("Power", f"{number(one.power_watts, 2)} W, {number(energy, 2)} Wh since the daemon began"),
            ("Kind", one.kind),
            ("Pod", f"{one.namespace}/{one.pod}" if one.pod else ""),
            ("Container", one.container),
            ("Engine", one.engine),
            ("Image", one.image),
            ("Unit", one.unit),
            ("User", one.user),
            ("Slice", one.slice),
            ("Id", fit(one.id, 60)),
            ("Started", f"{date(one.started)}, {span(now - one.started)} ago" if one.started else UNKNOWN),
            ("CPU", f"{number(one.cpu_percent)} % of a core, {span(one.cpu_seconds_total)} of CPU time"),
            ("Memory", f"{mib(one.memory_bytes)} MiB"),
        ]
        return listed([(name, value) for name, value in facts if value], 16)
