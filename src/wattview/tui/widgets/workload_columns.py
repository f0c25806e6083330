"""The columns of containers and streams, which several screens show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from wattview.model import Container, Snapshot, Stream, Workload
from wattview.tui.text import UNKNOWN, count, mbit, mib, money, number, span, spark
from wattview.tui.time_travel.trend_buffers import Key, SummedTrends, TrendBuffers, bridged, buckets, snapped, traffic
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.table import Table

R = TypeVar("R")

SPARK_CELLS = 12
SPARK_SECONDS = 60.0


class ContainerRow(NamedTuple):
    container: Container
    trends: TrendBuffers
    now: float

    @property
    def name(self) -> str:
        return self.container.name

    @property
    def trend_key(self) -> Key:
        return "container", self.container.id


class WorkloadRow(NamedTuple):
    """A workload, and what its engine knows of it if it is a container. In a tree it is ``depth`` branches deep, and
    ``parent`` is the key of the innermost; a branch itself has ``parts``, whose sum ``workload`` is."""

    workload: Workload
    container: Container | None
    trends: TrendBuffers | SummedTrends
    now: float
    depth: int = 0
    parent: str | None = None
    parts: int = 0
    folded: bool = False

    @property
    def name(self) -> str:
        return self.workload.name

    @property
    def trend_key(self) -> Key:
        return "workload", self.workload.id


class StreamRow(NamedTuple):
    stream: Stream
    trends: TrendBuffers
    now: float
    cost_per_watt_hour: float | None = None

    @property
    def trend_key(self) -> Key:
        return "stream", self.stream.app, self.stream.name


def container_rows(snapshot: Snapshot, trends: TrendBuffers) -> list[ContainerRow]:
    """By CPU, the busiest first: the order of equal rows."""
    rows = [ContainerRow(one, trends, snapshot.time) for one in snapshot.containers]
    return sorted(rows, key=lambda row: -(row.container.cpu_percent or 0.0))


def workload_rows(snapshot: Snapshot, trends: TrendBuffers) -> list[WorkloadRow]:
    """By CPU, the busiest first: the order of equal rows."""
    containers = {one.id: one for one in snapshot.containers}
    rows = [WorkloadRow(one, containers.get(one.container_id), trends, snapshot.time) for one in snapshot.workloads]
    return sorted(rows, key=lambda row: -(row.workload.cpu_percent or 0.0))


def workload_place(one: Workload) -> str:
    """Where it belongs: its pod with the namespace, else its slice, else its user."""
    if one.pod:
        return f"{one.namespace}/{one.pod}"
    return one.slice.strip("/") or one.user


def stream_rows(snapshot: Snapshot, trends: TrendBuffers) -> list[StreamRow]:
    """With the energy's cost: the machine's energy cost per hour, by a stream's share of its power."""
    watts = snapshot.machine_power.watts if snapshot.machine_power is not None else None
    cost = snapshot.energy_cost_per_hour
    price = cost / watts if cost is not None and watts else None
    return [StreamRow(one, trends, snapshot.time, price) for one in snapshot.streams]


def stream_key(row: StreamRow) -> tuple[str, str]:
    return row.stream.app, row.stream.name


def _spark(row: ContainerRow | WorkloadRow | StreamRow) -> str:
    values = buckets(row.trends[row.trend_key], *snapped(row.now - SPARK_SECONDS, row.now, SPARK_CELLS), SPARK_CELLS)
    return spark(bridged(values, 2))


def _megabytes(value: float | None) -> str:
    return number(None if value is None else value / 1e6, 2)


def _figure(
    title: str, width: int, get: Callable[[Container], float | None], write: Callable[[float | None], str], rank: int
) -> Column[ContainerRow]:
    return Column(title, width, lambda row: write(get(row.container)), lambda row: get(row.container), rank=rank)


CONTAINERS: tuple[Column[ContainerRow], ...] = (
    Column("Container", 14, lambda row: row.container.name, lambda row: row.container.name.casefold(), left=True),
    _figure("W", 6, lambda one: one.power_watts, number, 0),
    _figure("CPU %", 7, lambda one: one.cpu_percent, number, 0),
    Column("last minute", SPARK_CELLS, _spark, left=True, rank=6, tone=lambda row: "graph"),
    _figure("MiB", 7, lambda one: one.memory_working_set_bytes, mib, 1),
    _figure("Mem %", 6, lambda one: one.memory_percent, number, 3),
    _figure("↓Mbit/s", 8, lambda one: traffic(one.network)[0], mbit, 4),
    _figure("↑Mbit/s", 8, lambda one: traffic(one.network)[1], mbit, 4),
    _figure("rd MB/s", 8, lambda one: one.block_read_bytes_per_second, _megabytes, 10),
    _figure("wr MB/s", 8, lambda one: one.block_write_bytes_per_second, _megabytes, 10),
    _figure("PIDs", 5, lambda one: one.pids, lambda value: number(value, 0), 8),
    Column("Health", 9, lambda row: row.container.health or UNKNOWN, left=True, rank=7,
           tone=lambda row: "bad" if row.container.health == "unhealthy" else ""),
    _figure("Restarts", 9, lambda one: one.restarts, lambda value: number(value, 0), 9),
    Column("Up", 10, lambda row: span(_up(row)), lambda row: _up(row), rank=5),
)  # fmt: skip


WORKLOADS: tuple[Column[WorkloadRow], ...] = (
    Column("Workload", 18, lambda row: row.workload.name, lambda row: row.workload.name.casefold(), left=True),
    Column("W", 6, lambda row: number(row.workload.power_watts), lambda row: row.workload.power_watts),
    Column("CPU %", 7, lambda row: number(row.workload.cpu_percent), lambda row: row.workload.cpu_percent),
    Column("last minute", SPARK_CELLS, lambda row: _spark(row), left=True, rank=5, tone=lambda row: "graph"),
    Column("MiB", 8, lambda row: mib(row.workload.memory_bytes), lambda row: row.workload.memory_bytes, rank=2),
    Column("Kind", 9, lambda row: row.workload.kind, lambda row: row.workload.kind, left=True, rank=1),
    Column("Belongs to", 22, lambda row: workload_place(row.workload) or UNKNOWN,
           lambda row: workload_place(row.workload), left=True, rank=3),
    Column("Engine", 10, lambda row: row.workload.engine or UNKNOWN, lambda row: row.workload.engine, left=True,
           rank=6),
    Column("Up", 10, lambda row: span(_running(row)), lambda row: _running(row), rank=4),
)  # fmt: skip


def _in_tree(row: WorkloadRow) -> str:
    mark = ("▸ " if row.folded else "▾ ") if row.parts else "  "
    return f"{'  ' * row.depth}{mark}{row.workload.name}"


WORKLOAD_TREE: tuple[Column[WorkloadRow], ...] = (
    Column("Workload", 30, _in_tree, lambda row: row.workload.name.casefold(), left=True),
    *(column for column in WORKLOADS[1:] if column.title not in ("Kind", "Belongs to")),
    Column("Kind", 11, lambda row: f"{row.parts} inside" if row.parts else row.workload.kind, left=True, rank=2),
)
"""Workloads in the branches that they belong to."""


def _running(row: WorkloadRow) -> float | None:
    return None if row.workload.started is None else row.now - row.workload.started


def _up(row: ContainerRow) -> float | None:
    return None if row.container.started is None else row.now - row.container.started


def _name(stream: Stream) -> str:
    return f"{stream.app}/{stream.name}"


def _codec(stream: Stream) -> str:
    return stream.video_codec or (stream.audio_codec or UNKNOWN)


def _encoder(row: StreamRow) -> str:
    """Where a stream is encoded, or that this is not known."""
    one = row.stream.encoder
    if one is None:
        return UNKNOWN
    return {"none": "not found", "server": "the server"}.get(one.match) or one.place or UNKNOWN


def _encoder_in(row: StreamRow, width: int) -> str:
    """The same; in little space without the kind of its workload."""
    text, one = _encoder(row), row.stream.encoder
    if len(text) <= width or one is None or not one.name:
        return text
    return text.removeprefix(f"{one.kind} ")


def _cost(row: StreamRow) -> float | None:
    if row.stream.power_watts is None or row.cost_per_watt_hour is None:
        return None
    return row.stream.power_watts * row.cost_per_watt_hour


STREAMS: tuple[Column[StreamRow], ...] = (
    Column("Stream", 18, lambda row: _name(row.stream), lambda row: _name(row.stream).casefold(), left=True),
    Column("W", 5, lambda row: number(row.stream.power_watts), lambda row: row.stream.power_watts),
    Column("Codec", 6, lambda row: _codec(row.stream), lambda row: _codec(row.stream), left=True, rank=3),
    Column("Size", 9, lambda row: row.stream.resolution or UNKNOWN, lambda row: row.stream.width, rank=2),
    Column("fps", 5, lambda row: number(row.stream.fps), lambda row: row.stream.fps, rank=4),
    Column("Mbit/s", 7, lambda row: mbit(row.stream.bandwidth_in_bytes), lambda row: row.stream.bandwidth_in_bytes),
    Column("last minute", SPARK_CELLS, _spark, left=True, rank=6, tone=lambda row: "graph"),
    Column("out", 8, lambda row: mbit(row.stream.bandwidth_out_bytes), lambda row: row.stream.bandwidth_out_bytes,
           rank=5),
    Column("Players", 7, lambda row: count(row.stream.players), lambda row: row.stream.players, rank=1),
    Column("Dropped", 7, lambda row: count(row.stream.dropped_frames), lambda row: row.stream.dropped_frames, rank=7),
    Column("A/V ms", 6, lambda row: count(row.stream.avsync_ms), lambda row: row.stream.avsync_ms, rank=8),
    Column("Energy cost/h", 13, lambda row: money(_cost(row), 5), _cost, rank=9),
    Column("Up", 8, lambda row: span(row.stream.uptime_seconds), lambda row: row.stream.uptime_seconds, rank=1),
)  # fmt: skip


STREAMS_AND_ENCODERS = (
    *STREAMS[:2],
    Column("Encoder", 14, _encoder, _encoder, left=True, rank=1, draw=_encoder_in, grow=16),
    *STREAMS[2:],
)
"""Streams on a screen of their own."""

WATTS = 1
"""The initial sort column of containers and workloads."""


def idle_sign(snapshot: Snapshot | None) -> str:
    """What a table says below where its watts include idle power."""
    use = snapshot.power_use if snapshot is not None else None
    return "W include idle power" if use is not None and use.includes_idle else ""


def titled(title: str, shown: int, all_rows: int) -> str:
    """``Containers 12``, or ``Containers 3 of 12`` with a filter."""
    if not all_rows:
        return title
    return f"{title} {shown}" if shown == all_rows else f"{title} {shown} of {all_rows}"


def containers_table() -> Table[ContainerRow]:
    return _by_power("containers", CONTAINERS, lambda row: row.container.id)


def workloads_table() -> Table[WorkloadRow]:
    return _by_power("workloads", WORKLOADS, lambda row: row.workload.id)


def _by_power(name: str, columns: Sequence[Column[R]], key: Callable[[R], str]) -> Table[R]:
    """A table with the most power first; rows of unknown power come last, in the order that they have."""
    return Table(columns, key, sort=WATTS, descending=True, opens=True, id=name, classes="box")
