"""One container: its figures, its limits and labels, and its history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Container as Box
from textual.containers import VerticalScroll
from textual.widget import Widget

from wattview.model import Container
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import UNKNOWN, count, date, fit, gib, mbit, mib, number, span
from wattview.tui.time_travel.last_hour import HOUR_SECONDS, LastHour
from wattview.tui.view import Picture, View
from wattview.tui.widgets.pane import Pane, Parts, entitle


class ContainerDetails(View):
    TAB = "containers"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,left,h", "app.pop_screen", "Back", id="details_back"),
    ]
    DEFAULT_CSS = """
    ContainerDetails {
        #sheet { width: 1fr; height: 1fr; layout: vertical; }
        #facts { height: 1fr; }
        #graphs { height: 14; }
        &.-low #graphs { height: 9; }
        &.-wide #sheet { layout: horizontal; }
        &.-wide #graphs { height: 1fr; width: 2fr; }
        &.-wide #facts { width: 1fr; }
    }
    """

    def __init__(self, container_id: str) -> None:
        super().__init__()
        self.container_id = container_id
        self._named = ""
        self._hour = LastHour()

    def content(self) -> Iterator[Widget]:
        with Box(id="sheet"):
            with Box(id="graphs"):
                yield Graph("%", least=5.0, id="cpu", classes="box")
            with VerticalScroll(id="facts", classes="box"):
                yield Pane(id="text")

    def on_mount(self) -> None:
        self.query_one("#cpu").border_title = "CPU %, last hour"
        self.query_one("#facts").focus()
        self.query_one("#text", Pane).grows = True

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        if snapshot is None:
            return
        one = next((one for one in snapshot.containers if one.id == self.container_id), None)
        facts = self.query_one("#facts")
        if one is None:
            entitle(facts, self._named, "! no longer running; these are its last figures")
        else:
            self._named = one.name
            entitle(facts, one.name, "")
            self.query_one("#text", Pane).put(*container_facts(one, snapshot.time))
        now = snapshot.time
        points = self._hour.points(picture.trends["container", self.container_id], now)
        self.query_one(Graph).show([Series(points)], now - HOUR_SECONDS, now, step_seconds=5.0, live=picture.live)
        if one is not None and self._hour.wants(now, picture.playback is not None):
            self._load(one.name, now)

    @work(exit_on_error=False)
    async def _load(self, name: str, moment: float) -> None:
        await self._hour.load(self.dashboard.client, moment, "container", "cpu", name)
        self.paint(self.dashboard.picture)


def container_facts(one: Container, now: float) -> Parts:
    """Everything in the snapshot about a container, one fact per line."""
    energy = None if one.energy_joules_total is None else one.energy_joules_total / 3600
    facts: list[tuple[str, str]] = [
        ("Power", f"{number(one.power_watts, 2)} W, {number(energy, 2)} Wh since the daemon began"),
        ("Image", one.image),
        ("State", f"{one.state}{f', {one.health}' if one.health else ''}, {count(one.restarts)} restarts"),
        ("Started", f"{date(one.started)}, {span(now - one.started)} ago" if one.started else UNKNOWN),
        ("Id", one.id[:12]),
        ("cgroup", fit(one.cgroup, 44)),
        ("Main process", f"pid {one.pid}, {count(one.pids)} processes" if one.pid else f"{count(one.pids)} processes"),
        ("CPU", f"{number(one.cpu_percent)} % of a core, {span(one.cpu_seconds_total)} of CPU time since it started"),
        ("Memory", f"{mib(one.memory_working_set_bytes)} MiB in use, {number(one.memory_percent)} % of {_limit(one)}"),
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
    parts: Parts = []
    for name, value in facts:
        parts += [(f"{name:<16}", "$muted"), f"{value}\n"]
    if one.labels:
        parts.append(("Labels\n", "$muted"))
        for name, value in sorted(one.labels.items()):
            parts += [f"  {name} = ", (f"{value}\n", "bold")]
    return parts


def _limit(one: Container) -> str:
    if one.memory_limit_bytes is None:
        return "the machine's (no limit)"
    return f"the limit of {mib(one.memory_limit_bytes)} MiB"
