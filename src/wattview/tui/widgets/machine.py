"""The machine where there is room for more than two lines: CPU, memory and network over time, a bar for each core."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import Horizontal

from wattview.model import HostReading
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import GIB, bar, fit, gib, mbit, number, span
from wattview.tui.time_travel.trend_buffers import Point, traffic
from wattview.tui.view import Picture, why_empty
from wattview.tui.widgets.pane import Pane, Parts, entitle

SECONDS = 300.0
CORE_CELLS = 16
"""The least width of a core's bar with its number and figure."""


class MachinePanes(Horizontal):
    DEFAULT_CSS = """
    MachinePanes { height: 1fr; min-height: 8; }
    MachinePanes #cores { height: 100%; }
    """

    def compose(self) -> ComposeResult:
        yield Graph("%", least=10.0, id="cpu", classes="box")
        yield Pane(id="cores", classes="box")
        yield Graph("GiB", id="memory", classes="box")
        yield Graph("Mb/s", id="network", classes="box")

    def show(self, picture: Picture) -> None:
        snapshot, trends = picture.snapshot, picture.trends
        host = snapshot.host if snapshot is not None else None
        end = snapshot.time if snapshot is not None else SECONDS
        for name, series in (
            ("cpu", [Series(trends["cpu",])]),
            ("memory", [Series(_times(trends["memory",], 1 / GIB))]),
            ("network", [Series(_times(trends["receive",], 8e-6)), Series(_times(trends["transmit",], 8e-6), "a")]),
        ):
            graph = self.query_one(f"#{name}", Graph)
            graph.show(series, end - SECONDS, end, step_seconds=picture.step_seconds, live=picture.live,
                       empty=picture.no_values)  # fmt: skip
            entitle(graph, _title(name, host))
        pane = self.query_one("#cores", Pane)
        entitle(pane, _cores_title(host, end))
        if host is None:
            pane.put((why_empty(picture, "host", "no reading of the host yet"), "$muted"))
        else:
            width, height = pane.content_size.width, pane.content_size.height
            below = rest_parts(host, width)
            room = height - len(below) - 1 if len(host.core_percents) + len(below) < height else height
            pane.put(*core_parts(host, width, room), *(["\n", *below] if room < height else []))


def _title(name: str, host: HostReading | None) -> str:
    if host is None:
        return {"cpu": "CPU", "memory": "Memory", "network": "Network"}[name]
    if name == "cpu":
        return f"CPU {number(host.cpu_percent)} % of {host.cpus}, 5 min"
    if name == "memory":
        return f"Memory {gib(host.memory_used_bytes)} of {gib(host.memory_total_bytes)} GiB"
    received, sent = map(mbit, traffic(host.nics))
    return f"Network ↓{received} ↑{sent} (line) Mbit/s"


def _cores_title(host: HostReading | None, now: float) -> str:
    if host is None:
        return "Cores"
    load = " ".join(number(one, 2) for one in (host.load1, host.load5, host.load15))
    return f"Load {load}, up {span(None if host.boot_time is None else now - host.boot_time)}"


def core_parts(host: HostReading, width: int, height: int) -> Parts:
    """A bar for each core, in as many columns as they need; the last line says how many there is no room for."""
    cores = host.core_percents
    if not cores or height < 1:
        return [("the use of each core is not known at this moment", "$muted")] if not cores else []
    columns = max(1, min(-(-len(cores) // height), width // CORE_CELLS))
    lines = -(-len(cores) // columns)
    hidden = lines > height
    cells = width // columns - 1
    parts: Parts = []
    for line in range(height - 1 if hidden else lines):
        for index in range(line, len(cores), lines):
            value = cores[index]
            parts += [
                (f"{index:>3} ", "$muted"), (bar(None if value is None else value / 100, cells - 10), "$primary"),
                f"{number(value, 0):>4} % ",
            ]  # fmt: skip
        parts.append("\n")
    if hidden:
        parts.append((f"and {len(cores) - columns * (height - 1)} more", "$muted"))
    return parts


def rest_parts(host: HostReading, width: int) -> Parts:
    """Memory, swap and each network interface, a line each, where the cores leave room for them."""
    swap = host.swap_total_bytes
    swapped = None if swap is None or host.swap_free_bytes is None else swap - host.swap_free_bytes
    room = max(4, width - 30)
    parts: Parts = []
    for title, used, total in (
        ("Memory", host.memory_used_bytes, host.memory_total_bytes), ("Swap", swapped, swap),
    ):  # fmt: skip
        if total == 0:
            parts.append(f"{title:<7}none\n")
            continue
        filled = bar(None if used is None or total is None else used / total, room)
        parts += [f"{title:<7}", (filled, "$secondary"), f" {gib(used)} of {gib(total)} GiB\n"]
    for nic in host.nics:
        received, sent = mbit(nic.receive_bytes_per_second), mbit(nic.transmit_bytes_per_second)
        parts.append(f"{fit(nic.device, width - 32):<{max(7, width - 32)}} ↓{received:>8} ↑{sent:>8} Mbit/s\n")
    return parts


def _times(points: Iterable[Point], factor: float) -> list[Point]:
    return [(at, value * factor) for at, value in points]
