"""The machine at a glance: CPU, memory, load, network."""

from __future__ import annotations

from collections.abc import Sequence

from wattview.model import HostReading
from wattview.tui.text import bar, gib, mbit, number, span
from wattview.tui.time_travel.trend_buffers import traffic
from wattview.tui.view import Picture, why_empty
from wattview.tui.widgets.pane import Pane, Parts


class Host(Pane):
    DEFAULT_CSS = """
    Host { height: 2; }
    """

    def on_resize(self) -> None:
        if self._picture is not None:
            self.show(self._picture)

    _picture: Picture | None = None

    def show(self, picture: Picture) -> None:
        self._picture = picture
        host = picture.snapshot.host if picture.snapshot is not None else None
        if host is None:
            self.put((why_empty(picture, "host", "no reading of the host yet"), "$muted"))
            return
        now = picture.snapshot.time if picture.snapshot is not None else 0.0
        self.put(*host_parts(host, now, self.content_size.width))


def host_parts(host: HostReading, now: float, width: int) -> Parts:
    """Two lines that fill ``width``: CPU and memory as bars, then load, network and uptime."""
    total, used = host.memory_total_bytes, host.memory_used_bytes
    room = max(6, min(40, (width - 52) // 2))
    cpu = host.cpu_percent
    received, sent = traffic(host.nics)
    return [
        ("CPU ", "$muted"),
        f"{number(cpu):>5} % ",
        (f"{cores_and_bar(host.core_percents, cpu, room)}", "$primary"),
        (f" of {host.cpus:<3}  Memory ", "$muted"),
        f"{gib(used):>6} ",
        (bar(used / total if used is not None and total else None, room), "$secondary"),
        (f" of {gib(total)} GiB\n", "$muted"),
        ("Load ", "$muted"),
        " ".join(number(load, 2) for load in (host.load1, host.load5, host.load15)),
        ("   Network ", "$muted"),
        f"↓{mbit(received):>8} ",
        f"↑{mbit(sent):>8}",
        (" Mbit/s   Up ", "$muted"),
        span(None if host.boot_time is None else now - host.boot_time),
    ]


def cores_and_bar(cores: Sequence[float | None], cpu: float | None, width: int) -> str:
    """The use of each core, one character for each, and of all of them as a bar, where there is room for both."""
    whole = None if cpu is None else cpu / 100
    if not cores or len(cores) > width:
        return bar(whole, width)
    each = levels(cores)
    left = width - len(each) - 1
    return f"{each} {bar(whole, left)}" if left >= 3 else each.ljust(width)


def levels(percents: Sequence[float | None]) -> str:
    """Each as a block of its height, a dot where it is unknown."""
    return "".join("·" if one is None else "▁▂▃▄▅▆▇█"[min(7, int(one * 8 / 100))] for one in percents)
