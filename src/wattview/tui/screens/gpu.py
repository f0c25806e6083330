"""Screen 5: the GPUs, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.containers import Container
from textual.widget import Widget

from wattview.model import Gpu, GpuProcess
from wattview.tui.plots.graph import Graph, Series
from wattview.tui.text import GIB, gib, mib, number
from wattview.tui.view import Picture, View, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab

GRAPH_SECONDS = 120.0


def _figure(
    title: str, width: int, get: Callable[[Gpu], float | None], write: Callable[[float | None], str], rank: int
) -> Column[Gpu]:
    return Column(title, width, lambda one: write(get(one)), get, rank=rank)


def _whole(value: float | None) -> str:
    return number(value, 0)


GPUS: tuple[Column[Gpu], ...] = (
    Column("GPU", 14, lambda one: f"{one.index} {one.name}", lambda one: one.index, left=True),
    _figure("W", 6, lambda one: one.power_watts, number, 0),
    _figure("limit W", 7, lambda one: one.power_limit_watts, _whole, 4),
    _figure("Use %", 6, lambda one: one.utilization_percent, _whole, 0),
    _figure("Enc %", 6, lambda one: one.encoder_percent, _whole, 1),
    _figure("Dec %", 6, lambda one: one.decoder_percent, _whole, 2),
    _figure("MiB used", 8, lambda one: one.memory_used_bytes, mib, 1),
    _figure("Mem %", 6, lambda one: one.memory_utilization_percent, _whole, 5),
    _figure("°C", 4, lambda one: one.temperature_celsius, _whole, 1),
    _figure("SM MHz", 7, lambda one: None if one.sm_clock_hertz is None else one.sm_clock_hertz / 1e6, _whole, 3),
    _figure(
        "Mem MHz", 8, lambda one: None if one.memory_clock_hertz is None else one.memory_clock_hertz / 1e6, _whole, 6
    ),
)


PROCESSES: tuple[Column[GpuProcess], ...] = (
    Column("Process", 18, lambda one: one.name, lambda one: one.name, left=True),
    Column("PID", 8, lambda one: str(one.pid), lambda one: one.pid),
    Column("MiB", 8, lambda one: mib(one.memory_bytes), lambda one: one.memory_bytes),
    Column("SM %", 6, lambda one: _whole(one.sm_percent), lambda one: one.sm_percent),
    Column("Enc %", 6, lambda one: _whole(one.encoder_percent), lambda one: one.encoder_percent, rank=1),
    Column("Dec %", 6, lambda one: _whole(one.decoder_percent), lambda one: one.decoder_percent, rank=2),
    Column("cgroup", 20, lambda one: one.cgroup, lambda one: one.cgroup, left=True, rank=3),
)


GRAPHS: tuple[tuple[str, str, str, tuple[str, ...], float, float], ...] = (
    ("power", "Power", "W", (), 1.0, 10.0),
    ("use", "Use %, line: encoder", "%", ("use",), 1.0, 10.0),
    ("memory", "Memory", "GiB", ("memory",), 1 / GIB, 1.0),
    ("temperature", "Temperature", "°C", ("temperature",), 1.0, 50.0),
)
"""Id, title, unit, the trend after the GPU's key, the factor of its values, the least top of the scale."""


class GpusScreen(View):
    ENTRY = Tab("5", "gpu", "GPU")
    TAB = ENTRY.mode

    DEFAULT_CSS = """
    GpusScreen {
        #gpus { height: 1fr; }
        #facts { height: 4; padding: 0 2; }
        #below { height: 1fr; layout: vertical; }
        #graphs { layout: grid; grid-size: 2; height: 1fr; width: 1fr; }
        #processes { height: 1fr; width: 1fr; }
        &.-middle #below, &.-wide #below { layout: horizontal; }
        &.-low #facts { height: 2; }
        &.-wide #graphs { width: 2fr; }
        &.-low #memory, &.-low #temperature { display: none; }
        &.-low .box { border: none; border-top: solid $border-blurred; }
        &.-low .box:focus { border: none; border-top: solid $border; }
    }
    """

    def content(self) -> Iterator[Widget]:
        yield Table(GPUS, lambda one: one.uuid, id="gpus", classes="box")
        yield Pane(id="facts")
        with Container(id="below"):
            with Container(id="graphs"):
                for name, _, unit, _, _, least in GRAPHS:
                    yield Graph(unit, least=least, id=name, classes="box")
            yield Table(PROCESSES, lambda one: one.pid, empty="no process uses it", id="processes", classes="box")

    def on_mount(self) -> None:
        self.query_one("#gpus").border_title = "GPUs"
        self.query_one("#gpus").focus()

    def show(self, picture: Picture) -> None:
        snapshot = picture.snapshot
        gpus = snapshot.gpus if snapshot is not None else ()
        table: Table[Gpu] = self.query_one("#gpus", Table)
        table.show(gpus, why_empty(picture, "gpu", "this machine has no GPU that NVML knows"), tell=False)
        fit_height(table, len(gpus), self.size.height // 3)
        for part in ("#facts", "#below"):
            self.query_one(part).display = bool(gpus)
        self._draw(table.row)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        if message.table.id == "gpus":
            self._draw(message.row)

    def _draw(self, gpu: Gpu | None) -> None:
        picture = self.dashboard.picture
        if gpu is None or picture.snapshot is None:
            return
        self.query_one("#facts", Pane).put(*gpu_facts(gpu))
        end = picture.snapshot.time
        processes: Table[GpuProcess] = self.query_one("#processes", Table)
        entitle(processes, workload_columns.titled("Processes", len(gpu.processes), len(gpu.processes)))
        processes.show(gpu.processes)
        for name, title, _, trend, factor, _ in GRAPHS:
            series = [Series([(at, value * factor) for at, value in picture.trends[("gpu", gpu.uuid, *trend)]])]
            if name == "use":
                series.append(Series(picture.trends["gpu", gpu.uuid, "encoder"], "a"))
            graph = self.query_one(f"#{name}", Graph)
            entitle(graph, f"{title} of GPU {gpu.index}, 2 min" if name == "power" else title)
            graph.show(series, end - GRAPH_SECONDS, end, step_seconds=picture.step_seconds, live=picture.live)


def _encoding(gpu: Gpu) -> str:
    sessions, rate = number(gpu.encoder_sessions, 0), number(gpu.encoder_frames_per_second, 0)
    latency = None if gpu.encoder_latency_seconds is None else gpu.encoder_latency_seconds * 1000
    return f"encodes {sessions} streams at {rate} fps, {number(latency)} ms behind"


def gpu_facts(gpu: Gpu) -> Parts:
    """Details without a column."""
    energy = None if gpu.energy_joules_total is None else gpu.energy_joules_total / 3.6e6
    free = f"{gib(gpu.memory_free_bytes)} GiB free, {gib(gpu.memory_reserved_bytes, 2)} GiB reserved"
    return [
        ("Identity  ", "$muted"), f"{gpu.uuid}, {gpu.pci_bus_id}, driver {gpu.driver_version}\n",
        ("Energy    ", "$muted"), f"{number(energy, 3)} kWh since the driver was loaded; {_encoding(gpu)}\n",
        ("Memory    ", "$muted"), f"{free}; memory at {number(gpu.memory_temperature_celsius, 0)} °C\n",
        ("PCIe      ", "$muted"), f"{number(gpu.pcie_replay_total, 0)} replays",
    ]  # fmt: skip
