"""One container: its figures, its limits and labels, and how it ran."""

from __future__ import annotations

from wattview.model import Container, Snapshot
from wattview.model.quantities import counted
from wattview.tui.screens.details import DetailGraph
from wattview.tui.text import UNKNOWN, date, fit, gib, mbit, mib, number, span
from wattview.tui.widgets.pane import Parts, listed
from wattview.tui.workloads.processes import ProcessDetails


class ContainerDetails(ProcessDetails):
    """Its subject is the container's id."""

    TAB = "workloads"
    KIND = "container"
    GONE = "no longer running"
    GRAPHS = (
        DetailGraph("power", "Power", "W", ("power",), "power", least=0.2),
        DetailGraph("cpu", "CPU % of a core", "%", (), "cpu", least=5.0),
        DetailGraph("memory", "Memory % of its limit", "%", ("memory",), "memory", least=5.0),
        DetailGraph("network", "Network in, line: out", "Mb/s", ("receive",), below=("transmit",), scale=8e-6),
    )

    _last: Container | None = None

    DEFAULT_CSS = """
    ContainerDetails.-low #memory, ContainerDetails.-low #network { display: none; }
    """

    def part(self, snapshot: Snapshot) -> Container | None:
        return next((one for one in snapshot.containers if one.id == self.subject[0]), None)

    def workload_id(self, snapshot: Snapshot) -> str:
        return next((one.id for one in snapshot.workloads if one.container_id == self.subject[0]), "")

    @property
    def called(self) -> str:
        return self._last.name if self._last is not None else self.subject[0][:12]

    @property
    def history_name(self) -> tuple[str, ...]:
        return (self.called,)

    def facts(self, one: Container, now: float) -> Parts:
        """Everything in the snapshot about a container, one fact per line."""
        energy = None if one.energy_joules_total is None else one.energy_joules_total / 3600
        processes = counted(one.pids, "process")
        facts: list[tuple[str, str]] = [
            ("Power", f"{number(one.power_watts, 2)} W, {number(energy, 2)} Wh since the daemon began"),
            ("Image", f"{one.image}, {one.engine}" if one.engine else one.image),
            ("State", f"{one.state}{f', {one.health}' if one.health else ''}, {counted(one.restarts, 'restart')}"),
            ("Started", f"{date(one.started)}, {span(now - one.started)} ago" if one.started else UNKNOWN),
            ("Id", one.id[:12]),
            ("cgroup", fit(one.cgroup, 44)),
            ("Main process", f"pid {one.pid}, {processes}" if one.pid else processes),
            (
                "CPU",
                f"{number(one.cpu_percent)} % of a core, {span(one.cpu_seconds_total)} of CPU time since it started",
            ),
            (
                "Memory",
                f"{mib(one.memory_working_set_bytes)} MiB in use, {number(one.memory_percent)} % of {_limit(one)}",
            ),
            ("  of which", f"{mib(one.memory_rss_bytes)} MiB anonymous, {mib(one.memory_cache_bytes)} MiB cache"),
            (
                "Disk",
                f"{gib(one.block_read_bytes_total)} GiB read, {gib(one.block_write_bytes_total)} GiB written; "
                f"{mib(one.block_read_bytes_per_second, 2)} and {mib(one.block_write_bytes_per_second, 2)} MiB/s",
            ),
        ]
        for nic in one.network:
            rates = f"↓ {mbit(nic.receive_bytes_per_second)}  ↑ {mbit(nic.transmit_bytes_per_second)} Mbit/s"
            totals = f"{gib(nic.receive_bytes_total)} and {gib(nic.transmit_bytes_total)} GiB"
            facts.append((f"Network {nic.device}", f"{rates}; {totals}"))
        if not one.network:
            facts.append(("Network", "shared with the host or with another container, and counted there"))
        parts = listed(facts, 16)
        if one.labels:
            parts.append(("Labels\n", "$muted"))
            for name, value in sorted(one.labels.items()):
                parts += [f"  {name} = ", (f"{value}\n", "bold")]
        return parts


def _limit(one: Container) -> str:
    if one.memory_limit_bytes is None:
        return "the machine's (no limit)"
    return f"the limit of {mib(one.memory_limit_bytes)} MiB"
