"""Many hosts at a glance, from the Prometheus or VictoriaMetrics that all of their daemons are scraped into.

``fleet(url)`` asks a handful of PromQL queries at once and lays their answers side by side, a row a host; hosts are
told apart by the label ``host``, which the daemon's service discovery gives. Nothing here needs recording rules, a
daemon on this machine, or anything but the store.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

import httpx
import msgspec
from msgspec import Struct

SEEN_WITHIN = "1h"
"""A host that has sent nothing for longer is no part of the fleet any more."""


class FleetError(Exception):
    """The store cannot be asked. ``str()`` is for people."""


class HostRow(Struct, frozen=True, kw_only=True):
    """One host now. What the store has no fresh sample of is None: a host that is gone has ``seen_seconds`` alone.

    ``seen_seconds`` is how long ago the host last sent anything. ``exporters_healthy`` of ``exporters`` are well, by
    the host's own check; ``targets_up`` of ``targets`` answered the last scrape. ``cost_per_hour`` is of energy and CPU
    time at the host's own prices. ``cpu_percent`` is of the whole machine. ``scenario`` and ``phase`` are of a run
    that goes on.
    """

    host: str
    seen_seconds: float
    power_watts: float | None = None
    power_source: str | None = None
    streams: int | None = None
    watts_per_stream: float | None = None
    containers: int | None = None
    cpu_percent: float | None = None
    cost_per_hour: float | None = None
    currency: str | None = None
    carbon_grams_per_hour: float | None = None
    exporters: int | None = None
    exporters_healthy: int | None = None
    targets: int | None = None
    targets_up: int | None = None
    scenario: str | None = None
    phase: str | None = None


_WATTS = "max by (host) (wattview_host_power_watts)"
_BUSY_CPUS = "max by (host) (rate(wattview_host_cpu_busy_seconds_total[1m]))"
_PUE = "on (host) group_left () max by (host) (wattview_pue_ratio)"

QUERIES: Mapping[str, str] = {
    "seen": f"max by (host) (timestamp(up)) or max by (host) (max_over_time(timestamp(up)[{SEEN_WITHIN}:15s]))",
    "power": "wattview_host_power_watts",
    "streams": "max by (host) (nginx_rtmp_streams)",
    "containers": "count by (host) (docker_container_cpu_percent)",
    "cpu": f"100 * {_BUSY_CPUS} / max by (host) (wattview_host_cpus)",
    "energy_cost": (
        f"{_WATTS} / 1000 * {_PUE} * on (host) group_left (currency) "
        "max by (host, currency) (wattview_price_energy_per_kwh)"
    ),
    "cpu_cost": (
        f"{_BUSY_CPUS} * on (host) group_left (currency) max by (host, currency) (wattview_price_cpu_per_hour)"
    ),
    "carbon": f"{_WATTS} / 1000 * on (host) group_left () max by (host) (wattview_carbon_grams_per_kwh) * {_PUE}",
    "exporters": "count by (host) (exporter_health_status)",
    "exporters_healthy": "sum by (host) (exporter_health_status)",
    "targets": "count by (host) (up)",
    "targets_up": "sum by (host) (up)",
    "run": "wattview_run_phase",
}


class _Result(Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(Struct):
    result: list[_Result] = []


class _Answer(Struct):
    status: str
    data: _Data | None = None
    error: str = ""


_decode = msgspec.json.Decoder(_Answer, strict=False).decode

_Rows = dict[str, _Result]
"""The answer to one query: a result a host."""


async def fleet(url: str, timeout_seconds: float = 10.0) -> list[HostRow]:
    """Every host that sent a sample within the last hour, by name.

    ``url`` may have a path (VictoriaMetrics' cluster: ``http://vmselect:8481/select/0/prometheus``) and
    ``user:password@``, which is sent as basic authentication. Raises FleetError.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise FleetError(f"{url}: {error}") from None
    user = httpx.BasicAuth(parsed.username, parsed.password) if parsed.userinfo else None
    base = str(parsed.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")
    async with httpx.AsyncClient(base_url=base + "/", auth=user, timeout=timeout_seconds, trust_env=False) as http:
        answers = await asyncio.gather(*(_ask(http, base, query) for query in QUERIES.values()))
    return rows(dict(zip(QUERIES, answers, strict=True)))


def rows(answers: Mapping[str, _Rows]) -> list[HostRow]:
    """The answers to ``QUERIES``, by their names, side by side."""
    return [_row(host, answers) for host in sorted(answers["seen"])]


def _row(host: str, answers: Mapping[str, _Rows]) -> HostRow:
    watts = _number(answers["power"], host)
    streams = _count(answers["streams"], host)
    energy, cpu = _number(answers["energy_cost"], host), _number(answers["cpu_cost"], host)
    seen = answers["seen"][host]
    return HostRow(
        host=host,
        seen_seconds=max(0.0, seen.value[0] - float(seen.value[1])),
        power_watts=watts,
        power_source=_label(answers["power"], host, "source"),
        streams=streams,
        watts_per_stream=watts / streams if watts is not None and streams else None,
        containers=_count(answers["containers"], host),
        cpu_percent=_number(answers["cpu"], host),
        cost_per_hour=None if energy is None or cpu is None else energy + cpu,
        currency=_label(answers["energy_cost"], host, "currency"),
        carbon_grams_per_hour=_number(answers["carbon"], host),
        exporters=_count(answers["exporters"], host),
        exporters_healthy=_count(answers["exporters_healthy"], host),
        targets=_count(answers["targets"], host),
        targets_up=_count(answers["targets_up"], host),
        scenario=_label(answers["run"], host, "scenario"),
        phase=_label(answers["run"], host, "phase"),
    )


def _number(found: _Rows, host: str) -> float | None:
    if host not in found:
        return None
    value = float(found[host].value[1])
    return value if math.isfinite(value) else None


def _count(found: _Rows, host: str) -> int | None:
    value = _number(found, host)
    return None if value is None else round(value)


def _label(found: _Rows, host: str, name: str) -> str | None:
    return found[host].metric.get(name) if host in found else None


async def _ask(http: httpx.AsyncClient, base: str, query: str) -> _Rows:
    # VictoriaMetrics answers as of 30 seconds ago unless nocache is sent, which Prometheus ignores.
    try:
        response = await http.post("api/v1/query", data={"query": query, "nocache": "1"})
    except httpx.TimeoutException:
        raise FleetError(f"{base} did not answer in time") from None
    except httpx.HTTPError as error:
        raise FleetError(f"{base} cannot be reached: {error or type(error).__name__}") from None
    try:
        answer = _decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = None
    if response.status_code != 200 or answer is None or answer.data is None:
        said = answer.error if answer is not None and answer.error else response.reason_phrase
        raise FleetError(f"{base} answered {response.status_code}: {said}; is this a Prometheus?")
    return {result.metric["host"]: result for result in answer.data.result if result.metric.get("host")}
