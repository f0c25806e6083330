"""The fleet: one row per host, from its daemon's snapshot or from the store that scrapes all daemons.

``of_snapshot`` makes the row of a daemon that is queried directly. ``FleetStore`` sends a Prometheus or VictoriaMetrics
a few PromQL queries concurrently and joins their answers by the label ``host``, which the daemons' service discovery
adds. It needs no recording rules and no daemon on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from wattview.exposition import labels
from wattview.fetch import Access
from wattview.model import Snapshot
from wattview.promql import Store, StoreError, StoreSeries

SEEN_WITHIN = "1h"
"""A host without samples for longer no longer belongs to the fleet."""


FleetError = StoreError
"""The store cannot be queried. ``str()`` is for users."""


class HostRow(Struct, frozen=True, kw_only=True):
    """One host now. Unknown figures are None; a host that is gone has none in the store.

    ``state``: ``lost`` if its daemon does not answer (``reason`` says why), ``quiet`` if it is connected but silent.
    ``seen_seconds`` is the time since its last answer; None if that is over an hour ago. ``exporters_healthy`` of
    ``exporters`` are healthy by the host's own check; ``targets_up`` of ``targets`` answered the store's last scrape.
    ``power_watts`` is that of the whole machine, GPUs included, with the reading error ``power_error_watts``, None if a
    meter does not state it; ``power_reason`` says why it is unknown, if known. ``energy_cost_per_hour`` is the cost of
    its power, ``cost_per_hour`` includes computing time, both at the host's own prices. ``cpu_percent`` is of the whole
    machine. ``streams`` are those with data flowing. ``scenario`` and ``phase`` are those of the run in progress, of
    which ``fraction`` (0 to 1) is done.
    """

    host: str
    state: Literal["connecting", "live", "quiet", "lost"] = "live"
    reason: str = ""
    seen_seconds: float | None = None
    power_watts: float | None = None
    power_error_watts: float | None = None
    power_source: str | None = None
    power_reason: str = ""
    streams: int | None = None
    players: int | None = None
    watts_per_stream: float | None = None
    containers: int | None = None
    cpu_percent: float | None = None
    energy_cost_per_hour: float | None = None
    cost_per_hour: float | None = None
    currency: str | None = None
    carbon_grams_per_hour: float | None = None
    exporters: int | None = None
    exporters_healthy: int | None = None
    targets: int | None = None
    targets_up: int | None = None
    scenario: str | None = None
    phase: str | None = None
    fraction: float | None = None


class HostStreamUse(Struct, frozen=True, kw_only=True):
    """A live stream of a host, from the store. Bandwidth is incoming bytes per second."""

    app: str
    stream: str
    power_watts: float | None = None
    players: int | None = None
    bandwidth_in_bytes: float | None = None


class ContainerUse(Struct, frozen=True, kw_only=True):
    """A container of a host, from the store. ``cpu_percent``: 100 is one core."""

    name: str
    power_watts: float | None = None
    cpu_percent: float | None = None


class HostDetails(Struct, frozen=True, kw_only=True):
    """Details of one host from the store: power as (Unix seconds, watts), and its consumers."""

    power: list[tuple[float, float]]
    streams: list[HostStreamUse]
    containers: list[ContainerUse]


def of_snapshot(snapshot: Snapshot, name: str) -> HostRow:
    """The row from a daemon's own snapshot; ``name`` is used until its host name is known."""
    power, run = snapshot.machine_power, snapshot.run
    watts = power.watts if power is not None else None
    whole = snapshot.rtmp_server is not None and not snapshot.rtmp_server.unlisted_streams
    active = sum(one.active for one in snapshot.streams) if whole else None
    running = run.progress if run is not None and run.state == "running" else None
    return HostRow(
        host=snapshot.host.hostname if snapshot.host is not None else name,
        seen_seconds=0.0,
        power_watts=watts,
        power_error_watts=power.error_watts if power is not None else None,
        power_source=power.source if power is not None else None,
        power_reason=power.reason if power is not None else "",
        streams=active,
        players=None if active is None else sum(one.players for one in snapshot.streams),
        watts_per_stream=watts / active if watts is not None and active else None,
        containers=len(snapshot.containers) if snapshot.engine is not None else None,
        cpu_percent=snapshot.host.cpu_percent if snapshot.host is not None else None,
        energy_cost_per_hour=snapshot.energy_cost_per_hour,
        cost_per_hour=snapshot.cost_per_hour,
        currency=snapshot.currency,
        carbon_grams_per_hour=snapshot.carbon_grams_per_hour,
        exporters=len(snapshot.exporters) or None,
        exporters_healthy=sum(one.healthy for one in snapshot.exporters) if snapshot.exporters else None,
        scenario=running.scenario if running is not None else None,
        phase=running.phase if running is not None else None,
        fraction=running.fraction if running is not None else None,
    )


_WATTS = "max by (host) (wattview_machine_power_watts)"
_BUSY_CPUS = "max by (host) (rate(wattview_host_cpu_busy_seconds_total[1m]))"

# A pair of Prometheus may scrape everything twice: take the maximum per subject first.
QUERIES: Mapping[str, str] = {
    # When a target last answered; 0 for a host that is still scraped but no longer answers.
    "seen": (
        "max by (host) (timestamp(up) * up > 0) or "
        f"max by (host) (max_over_time((timestamp(up) * up)[{SEEN_WITHIN}:15s]))"
    ),
    # The host's daemon adds up its power and cost; do not repeat that here.
    "power": "max by (host, source) (wattview_machine_power_watts)",
    "power_error": "max by (host) (wattview_machine_power_error_watts)",
    "streams": "max by (host) (nginx_rtmp_streams)",
    "players": (
        "sum by (host) (max by (host, app, stream) (nginx_rtmp_stream_players))"
        " or 0 * max by (host) (nginx_rtmp_streams)"
    ),
    "containers": (
        "count by (host) (max by (host, name) (docker_container_cpu_percent))"
        " or 0 * max by (host) (docker_engine_cpu_percent)"
    ),
    "cpu": f"100 * {_BUSY_CPUS} / max by (host) (wattview_host_cpus)",
    "energy_cost": "max by (host, currency) (wattview_energy_cost_per_hour)",
    # CPU time between two scrapes is not sampled: a mean is closer to the cost than the last value.
    "compute_cost": "max by (host, currency) (avg_over_time(wattview_compute_cost_per_hour[1m]))",
    "carbon": "max by (host) (wattview_carbon_grams_per_hour)",
    "exporters": "count by (host) (max by (host, exporter) (exporter_health_status))",
    "exporters_healthy": "sum by (host) (max by (host, exporter) (exporter_health_status))",
    "targets": "count by (host) (max by (host, job, instance) (up))",
    "targets_up": "sum by (host) (max by (host, job, instance) (up))",
    "run": "max by (host, scenario, phase) (wattview_run_phase)",
}


_Rows = dict[str, StoreSeries]
"""The answer to one query: one series per host."""


class FleetStore:
    """A Prometheus, or what speaks as one. Close it with ``await close()``. Every question may raise FleetError.

    ``url`` may have a path (VictoriaMetrics' cluster: ``http://vmselect:8481/select/0/prometheus``) and
    ``user:password@``. ``secret`` is a bearer token, or ``user:password``; ``ca_file`` is trusted beside the system's
    certificates.
    """

    def __init__(self, url: str, secret: str = "", ca_file: str = "") -> None:
        self._store = Store(url, Access(ca_file, secret=secret), where="--prometheus")
        self.url = self._store.url

    async def hosts(self) -> list[HostRow]:
        """Every host that sent a sample within the last hour, by name."""
        answers = await asyncio.gather(*map(self._by_host, QUERIES.values()))
        return rows(dict(zip(QUERIES, answers, strict=True)))

    async def past_power(self, start: float, end: float, step: float) -> dict[str, list[tuple[float, float]]]:
        """Watts of every host over [start, end] (Unix seconds), as (Unix seconds, watts)."""
        found = await self._store.range(_WATTS, start, end, step)
        return {one.labels["host"]: one.points for one in found if one.labels.get("host")}

    async def details(self, host: str, start: float, end: float, step: float) -> HostDetails:
        """Its power over [start, end], and its streams and containers now."""
        here = labels(host=host)
        power, stream_watts, players, bandwidth, container_watts, cpu = await asyncio.gather(
            self._store.range(f"max(wattview_machine_power_watts{here})", start, end, step),
            *map(
                self._store.instant,
                (
                    stream_watts_of(host),
                    f"max by (app, stream) (nginx_rtmp_stream_players{here})",
                    f"max by (app, stream) (nginx_rtmp_stream_bandwidth_in_bytes{here})",
                    f"max by (name) (wattview_container_power_watts{here})",
                    f"max by (name) (docker_container_cpu_percent{here})",
                ),
            ),
        )
        watts, seen, rates = (_by(found, "app", "stream") for found in (stream_watts, players, bandwidth))
        used, busy = _by(container_watts, "name"), _by(cpu, "name")
        return HostDetails(
            power=power[0].points if power else [],
            streams=[
                HostStreamUse(
                    app=key[0],
                    stream=key[1],
                    power_watts=watts.get(key),
                    players=None if seen.get(key) is None else round(seen[key]),
                    bandwidth_in_bytes=rates.get(key),
                )
                for key in sorted(watts.keys() | seen.keys() | rates.keys())
            ],
            containers=[
                ContainerUse(name=key[0], power_watts=used.get(key), cpu_percent=busy.get(key))
                for key in sorted(used.keys() | busy.keys())
            ],
        )

    async def close(self) -> None:
        await self._store.close()

    async def _by_host(self, query: str) -> _Rows:
        return {found.labels["host"]: found for found in await self._store.instant(query) if found.labels.get("host")}


def stream_watts_of(host: str) -> str:
    """PromQL for the power of a host's streams. Where a stream's encoder is on another machine whose daemon watches the
    same media server, that one knows what the encoder takes, and this one what the server does."""
    here, remote = labels(host=host), labels(host=host, match="remote")
    by = "max by (app, stream)"
    elsewhere = "wattview_stream_encoder_power_watts unless on (host, app, stream) wattview_stream_server_power_watts"
    return (
        f"{by} (wattview_stream_power_watts{here}) or (({by} (wattview_stream_server_power_watts{here})"
        f" and {by} (wattview_stream_encoder_info{remote})) + {by} ({elsewhere}))"
    )


def rows(answers: Mapping[str, _Rows]) -> list[HostRow]:
    """Joins the answers to ``QUERIES``."""
    return [_row(host, answers) for host in sorted(answers["seen"])]


def _row(host: str, answers: Mapping[str, _Rows]) -> HostRow:
    watts = _number(answers["power"], host)
    streams = _count(answers["streams"], host)
    energy, compute = _number(answers["energy_cost"], host), _number(answers["compute_cost"], host)
    now, answered = answers["seen"][host].points[0] if answers["seen"][host].points else (0.0, 0.0)
    targets, up = _count(answers["targets"], host), _count(answers["targets_up"], host)
    return HostRow(
        host=host,
        state="live" if up else "lost",
        reason=""
        if up
        else "no samples of it reach the store"
        if up is None
        else f"none of its {targets} targets answers",
        seen_seconds=max(0.0, now - answered) if answered else None,
        power_watts=watts,
        power_error_watts=_number(answers["power_error"], host),
        power_source=_label(answers["power"], host, "source"),
        streams=streams,
        players=_count(answers["players"], host),
        watts_per_stream=watts / streams if watts is not None and streams else None,
        containers=_count(answers["containers"], host),
        cpu_percent=_number(answers["cpu"], host),
        energy_cost_per_hour=energy,
        cost_per_hour=None if energy is None or compute is None else energy + compute,
        currency=_label(answers["energy_cost"], host, "currency"),
        carbon_grams_per_hour=_number(answers["carbon"], host),
        exporters=_count(answers["exporters"], host),
        exporters_healthy=_count(answers["exporters_healthy"], host),
        targets=targets,
        targets_up=up,
        scenario=_label(answers["run"], host, "scenario"),
        phase=_label(answers["run"], host, "phase"),
    )


def _number(found: _Rows, host: str) -> float | None:
    return found[host].points[0][1] if host in found and found[host].points else None


def _count(found: _Rows, host: str) -> int | None:
    value = _number(found, host)
    return None if value is None else round(value)


def _label(found: _Rows, host: str, name: str) -> str | None:
    return found[host].labels.get(name) if host in found else None


def _by(found: list[StoreSeries], *names: str) -> dict[tuple[str, ...], float]:
    """Values by labels, without NaN."""
    return {tuple(one.labels.get(name, "") for name in names): one.points[0][1] for one in found if one.points}
