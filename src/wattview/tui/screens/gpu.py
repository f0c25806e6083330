"""Screen 5: the GPUs, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.widget import Widget

from wattview.model import Gpu, GpuProcess, Snapshot
from wattview.tui.screens.details import DetailGraph, PartView
from wattview.tui.screens.power_graph import PowerGraph
from wattview.tui.text import GIB, gib, mib, number
from wattview.tui.view import Picture, why_empty
from wattview.tui.widgets import workload_columns
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Pane, Parts, entitle, fit_height
from wattview.tui.widgets.table import Table
from wattview.tui.widgets.tabs import Tab


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
    Column("Process", 12, lambda one: one.name, lambda one: one.name, left=True),
    Column("PID", 7, lambda one: str(one.pid), lambda one: one.pid),
    Column("MiB", 7, lambda one: mib(one.memory_bytes), lambda one: one.memory_bytes),
    Column("SM %", 6, lambda one: _whole(one.sm_percent), lambda one: one.sm_percent),
    Column("Enc %", 6, lambda one: _whole(one.encoder_percent), lambda one: one.encoder_percent, rank=1),
    Column("Dec %", 6, lambda one: _whole(one.decoder_percent), lambda one: one.decoder_percent, rank=2),
    Column("cgroup", 20, lambda one: one.cgroup, lambda one: one.cgroup, left=True, rank=3),
)


LOOKED = (
    "Looked for: NVIDIA's through NVML; AMD's and Intel's in the files of the kernel's drivers (amdgpu, i915, xe)."
    " Meanwhile, the power of the machine:"
)


class GpusScreen(PartView):
    """Its subject is the UUID of the GPU under the cursor."""

    ENTRY = Tab("5", "gpu", "GPU")
    TAB = ENTRY.mode
    KIND = "gpu"
    GONE = "no longer listed by its driver"
    GRAPHS = (
        DetailGraph("power", "Power", "W", (), "power", least=10.0),
        DetailGraph("use", "Use, line: encoder", "%", ("use",), "utilization", below=("encoder",), least=10.0),
        DetailGraph("memory", "Memory, GiB", "", ("memory",), "memory", scale=1 / GIB),
        DetailGraph("temperature", "Temperature", "°C", ("temperature",), "temperature", least=50.0),
    )

    DEFAULT_CSS = """
    GpusScreen {
        #gpus { height: 1fr; }
        #looked { padding: 0 2; color: $muted; }
        &.-nothing #sheet { display: none; }
        #looked, PowerGraph { display: none; }
        &.-nothing #looked, &.-nothing PowerGraph { display: block; }
        #processes { height: 1fr; width: 2fr; }
        &.-wide #processes { width: 1fr; }
        &.-low #memory, &.-low #temperature { display: none; }
        &.-middle #graphs { height: 1fr; }
        &.-middle #side { height: 9; }
    }
    """

    _last: Gpu | None = None

    def content(self) -> Iterator[Widget]:
        yield Table(GPUS, lambda one: one.uuid, id="gpus", classes="box")
        yield Pane(LOOKED, id="looked")
        yield PowerGraph()
        yield from super().content()

    def below_facts(self) -> Iterator[Widget]:
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
        self.set_class(not gpus, "-nothing")
        self.query_one(PowerGraph).draw(picture)
        if table.row is None:
            return
        self.turn_to((table.row.uuid,))
        super().show(picture)
        if self._last is not None:
            processes: Table[GpuProcess] = self.query_one("#processes", Table)
            count = len(self._last.processes)
            entitle(processes, workload_columns.titled("Processes", count, count))
            processes.show(self._last.processes)

    def on_table_highlighted(self, message: Table.Highlighted) -> None:
        if message.table.id == "gpus":
            self.show(self.dashboard.picture)

    def part(self, snapshot: Snapshot) -> Gpu | None:
        return next((one for one in snapshot.gpus if one.uuid == self.subject[0]), None)

    @property
    def called(self) -> str:
        return self._last.called if self._last is not None else ""

    @property
    def about(self) -> str:
        return self.called

    def facts(self, one: Gpu, now: float) -> Parts:
        """Details without a column."""
        energy = None if one.energy_joules_total is None else one.energy_joules_total / 3.6e6
        free = f"{gib(one.memory_free_bytes)} GiB free, {gib(one.memory_reserved_bytes, 2)} reserved"
        encoder: Parts = [("Encodes   ", "$muted"), f"{_encoding(one)}\n"] if one.encoder_sessions is not None else []
        return [
            ("Identity  ", "$muted"), f"{one.uuid}, {one.pci_bus_id}, driver {one.driver_version}\n",
            ("Energy    ", "$muted"), f"{number(energy, 3)} kWh since the driver loaded\n",
            *encoder,
            ("Memory    ", "$muted"), f"{free}, at {number(one.memory_temperature_celsius, 0)} °C\n",
            ("PCIe      ", "$muted"), f"{number(one.pcie_replay_total, 0)} replays",
        ]  # fmt: skip


def _encoding(gpu: Gpu) -> str:
    sessions, rate = number(gpu.encoder_sessions, 0), number(gpu.encoder_frames_per_second, 0)
    latency = None if gpu.encoder_latency_seconds is None else gpu.encoder_latency_seconds * 1000
    return f"{sessions} streams at {rate} fps, {number(latency)} ms behind"
