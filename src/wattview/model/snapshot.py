"""Types of the control API's answers: the snapshot, past values, events, the health of exporters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import force_setattr

from wattview.model.containers import Container, Engine
from wattview.model.gpus import Gpu
from wattview.model.host import HostReading
from wattview.model.power import MachinePower, PowerReading, PowerUse
from wattview.model.power.meters import WallPower
from wattview.model.runs import Run
from wattview.model.source import ProbeStatus
from wattview.model.streams import RtmpServer, Stream
from wattview.model.workloads import Workload

ExporterState = Literal["healthy", "no source", "unhealthy"]
"""``healthy``: all expected metrics are there. ``no source``: it works, and this machine has nothing to show."""


def exporter_state(healthy: bool, has_data: bool) -> ExporterState:
    """One word for an exporter's health."""
    return "unhealthy" if not healthy else "healthy" if has_data else "no source"


class ExporterHealth(Struct, frozen=True, kw_only=True):
    """Result of scraping one exporter. ``healthy``: WattView answered 200, the parser accepted it, and each expected
    metric is present or its absence is explained. ``state`` is one word for it.

    ``metric_count`` counts families, ``sample_count`` samples; ``has_data`` is false if every sample is about the
    exporter itself (``wattview_probe_*`` and the like). ``missing`` are expected metrics whose absence is unexplained.
    ``taken_by`` is the owner of its port; "" if it has the port itself. ``scrapes`` counts its answers to others since
    the daemon started; the last of them went to ``scraper`` at ``scraped`` and had ``scraped_bytes`` on the wire.
    """

    exporter: str
    url: str
    reachable: bool
    healthy: bool
    has_data: bool = False
    metric_count: int = 0
    sample_count: int = 0
    scrape_seconds: float | None = None
    checked: float
    reason: str = ""
    missing: tuple[str, ...] = ()
    taken_by: str = ""
    scrapes: int = 0
    scraped: float | None = None
    scraper: str = ""
    scraped_bytes: int | None = None
    state: ExporterState = "unhealthy"

    def __post_init__(self) -> None:
        force_setattr(self, "state", exporter_state(self.healthy, self.has_data))


def counted_states(checked: Sequence[ExporterHealth]) -> str:
    """``8 healthy, 2 no source``."""
    counts = {state: sum(one.state == state for one in checked) for state in get_args(ExporterState)}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def grouped_reasons(checked: Iterable[ExporterHealth]) -> list[tuple[str, str]]:
    """Pairs of (exporters' names, reason): exporters that share a reason, or whose ports one program occupies, are
    grouped."""
    groups: dict[str, list[ExporterHealth]] = {}
    for one in checked:
        if one.reason:
            groups.setdefault(one.taken_by or one.reason, []).append(one)
    return [(", ".join(one.exporter for one in group), _reason(group)) for group in groups.values()]


def _reason(group: Sequence[ExporterHealth]) -> str:
    if len(group) == 1 or not group[0].taken_by:
        return group[0].reason
    return f"{len(group)} ports are taken by {group[0].taken_by}; stop it or set their endpoints.….port"


class Recorded(Struct, frozen=True, kw_only=True):
    """Origin of a snapshot of the past: a history from ``first`` to ``last`` (Unix seconds).

    ``sampled`` is when the newest of its figures was read; None if nothing was recorded around that moment.
    ``interval_seconds`` is the sampling interval. ``run`` is the id of the run whose power samples are all that is
    left, if the history does not reach back that far; "" otherwise.
    """

    first: float
    last: float
    sampled: float | None
    interval_seconds: float
    run: str = ""


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything the dashboard shows, at ``time``. A part whose source is absent is None or empty, and ``probes`` says
    why. ``recorded`` is None in a live snapshot; one from the history describes its origin there, lacks what was not
    recorded, and has today's prices. ``last_event`` is the id of the newest event: a client that knows only older ones
    fetches the events after it.

    ``workloads`` is everything that runs, containers included, so that its power can be summed. ``machine_power`` is
    the power of all measured parts, which the energy's cost and carbon are based on. ``wall`` is power at the wall,
    None without a meter or a calibration. ``cost_per_hour`` is that of energy and of computing time (busy CPUs and
    GPUs) together, at the current rate; None if either is unknown. ``embodied_grams_per_hour`` is the machine's
    embodied carbon, ``sci_grams_per_stream_hour`` the Software Carbon Intensity (ISO/IEC 21031) of the streams now.
    ``prices_stale``: the grid's price or intensity is the last known one.
    """

    time: float
    version: str
    host: HostReading | None
    power: PowerReading | None
    containers: tuple[Container, ...]
    engine: Engine | None
    streams: tuple[Stream, ...]
    rtmp_server: RtmpServer | None
    gpus: tuple[Gpu, ...]
    exporters: tuple[ExporterHealth, ...]
    run: Run | None
    probes: tuple[ProbeStatus, ...]
    cost_per_hour: float | None
    energy_cost_per_hour: float | None
    compute_cost_per_hour: float | None
    carbon_grams_per_hour: float | None
    currency: str
    rtmp_url: str = ""
    machine_power: MachinePower | None = None
    power_use: PowerUse | None = None
    embodied_grams_per_hour: float | None = None
    sci_grams_per_stream_hour: float | None = None
    prices_stale: bool = False
    wall: WallPower | None = None
    workloads: tuple[Workload, ...] = ()
    recorded: Recorded | None = None
    last_event: int = 0


class HistorySeries(Struct, frozen=True):
    """Past values of one series: ``name`` is its text ``metric{label="value"}``, points are (time, value)."""

    name: str
    points: list[tuple[float, float]]


class Finding(Struct, frozen=True, kw_only=True):
    """One line of ``wattview doctor``: a source or tool, whether it works here, and how to fix it."""

    source: str
    state: Literal["works", "absent", "not permitted", "broken"]
    detail: str
    fix: str = ""


EventLevel = Literal["info", "warning", "error"]


class Event(Struct, frozen=True, kw_only=True):
    """One event. ``id`` increases with every event, also across restarts of the daemon; ``about`` is its subject
    (``stream live/cam1``, ``source power``); ``alert``: it needs attention now."""

    id: int
    time: float
    level: EventLevel
    about: str
    text: str
    alert: bool = False


TrendKind = Literal["machine", "wall", "zone", "gpu", "container", "workload", "stream"]
TrendQuantity = Literal[
    "power",
    "energy",
    "cpu",
    "idle",
    "containers",
    "encoders",
    "unattributed",
    "outside",
    "memory",
    "bandwidth_in",
    "utilization",
    "temperature",
]


class Trend(Struct, frozen=True, kw_only=True):
    """``name`` is the subject: () for the machine (for its ``energy``, the source that counted), a zone's package and
    zone, a GPU's uuid, a container's name, a workload's names (``workload_names``), a stream's app and name. Points are
    (Unix seconds, value) in watts, joules, percent (100 is one core for a container or workload, all cores for the
    machine), bytes, bytes per second, or degrees Celsius."""

    kind: TrendKind
    quantity: TrendQuantity
    name: tuple[str, ...]
    points: list[tuple[float, float]]
