"""Texts of the fleet page: a host's columns, the sum of all, and details of the host under the cursor."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from textual.content import Content

from wattview.fleet import HostRow
from wattview.model.power_sources import is_estimate
from wattview.model.quantities import counted
from wattview.tui.fleet.feed import FleetHost
from wattview.tui.sources import source_words
from wattview.tui.text import UNKNOWN, about, count, money, number, spark, within
from wattview.tui.time_travel.trend_buffers import bridged, buckets, snapped
from wattview.tui.widgets.column import Column
from wattview.tui.widgets.pane import Parts
from wattview.tui.widgets.workload_columns import titled

SPARK_CELLS = 12
SPARK_SECONDS = 300.0

STATES = {"live": "● live", "connecting": "… connecting", "quiet": "! quiet", "lost": "✗ lost"}
STATE_TONES = {"live": "good", "connecting": "dim", "quiet": "warn", "lost": "bad"}
_ORDER = {"lost": 0, "quiet": 1, "connecting": 2, "live": 3}


def age(seconds: float) -> str:
    """``42 s``, ``3 min``, ``2 h``, ``5 d``: short, in one unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{int(seconds)} s"


def state_text(row: HostRow) -> str:
    """The state in words; for a host that is not live, since when."""
    known = row.state in ("quiet", "lost") and row.seen_seconds is not None
    return f"{STATES[row.state]} {age(row.seen_seconds or 0.0)}" if known else STATES[row.state]


def exporters_text(row: HostRow) -> str:
    return UNKNOWN if row.exporters is None else f"{count(row.exporters_healthy)}/{row.exporters}"


def run_text(row: HostRow) -> str:
    if row.phase is None:
        return ""
    done = f"{row.fraction * 100:.0f} % " if row.fraction is not None else ""
    return f"{done}{row.scenario or 'run'}: {row.phase}"


def cost_text(row: HostRow) -> str:
    return UNKNOWN if row.cost_per_hour is None else f"{money(row.cost_per_hour)} {row.currency or ''}"


def _spark(host: FleetHost) -> str:
    window = snapped(host.now - SPARK_SECONDS, host.now, SPARK_CELLS)
    return spark(bridged(buckets(host.trend, *window, SPARK_CELLS), 2))


def _source(host: FleetHost) -> str:
    source = host.row.power_source
    return UNKNOWN if source is None else "ESTIMATE" if is_estimate(source) else source


def _old(host: FleetHost) -> str:
    return "" if host.row.state == "live" else "dim"


def _figure(
    title: str, width: int, get: Callable[[HostRow], float | None], decimals: int, rank: int
) -> Column[FleetHost]:
    return Column(
        title, width, lambda host: number(get(host.row), decimals), lambda host: get(host.row), rank=rank, tone=_old
    )


HOSTS: tuple[Column[FleetHost], ...] = (
    Column("Host", 16, lambda host: host.row.host, lambda host: host.row.host.casefold(), left=True, tone=_old),
    Column("State", 13, lambda host: state_text(host.row), lambda host: _ORDER[host.row.state], left=True,
           tone=lambda host: STATE_TONES[host.row.state]),
    _figure("W", 7, lambda row: row.power_watts, 1, 0),
    Column("± W", 6, lambda host: number(host.row.power_error_watts, 2), lambda host: host.row.power_error_watts,
           rank=11, tone=_old),
    Column("Source", 9, _source, _source, left=True, rank=1,
           tone=lambda host: _old(host) or ("warn" if is_estimate(host.row.power_source) else "")),
    Column("5 minutes", SPARK_CELLS, _spark, left=True, rank=6, tone=_old),
    _figure("Streams", 7, lambda row: row.streams, 0, 2),
    _figure("Players", 7, lambda row: row.players, 0, 8),
    _figure("Cont", 5, lambda row: row.containers, 0, 9),
    _figure("CPU %", 6, lambda row: row.cpu_percent, 1, 4),
    # Sorted by currency first: prices in two currencies cannot be compared.
    Column("Cost/h", 11, lambda host: cost_text(host.row), lambda host: _cost(host.row), rank=7, tone=_old),
    _figure("gCO₂/h", 7, lambda row: row.carbon_grams_per_hour, 1, 10),
    Column("Exp", 5, lambda host: exporters_text(host.row), lambda host: _well(host.row), rank=3,
           tone=lambda host: _old(host) or ("warn" if _well(host.row) not in (None, 1.0) else "")),
    Column("Run", 21, lambda host: run_text(host.row), lambda host: run_text(host.row) or None, left=True, rank=5,
           tone=_old),
)  # fmt: skip


def _cost(row: HostRow) -> tuple[str, float] | None:
    return None if row.cost_per_hour is None else (row.currency or "", row.cost_per_hour)


def _well(row: HostRow) -> float | None:
    return row.exporters_healthy / row.exporters if row.exporters and row.exporters_healthy is not None else None


def sum_parts(hosts: Sequence[FleetHost]) -> Parts:
    """Three lines: power, cost, and work, each summed over the live hosts that know it. Power and carbon state the
    number of hosts, and the share of power that is estimated. The errors are bounds, not random: they add up."""
    rows = [host.row for host in hosts]
    live = [row for row in rows if row.state == "live"]
    return [*_power(live, len(rows)), "\n", *_costs(live), "\n", *_work(live)] if rows else []


def _power(live: Sequence[HostRow], hosts: int) -> Parts:
    watts = _known(live, lambda row: row.power_watts)
    measured = [row for row in live if row.power_watts is not None]
    errors = _known(measured, lambda row: row.power_error_watts)
    error = sum(errors) if len(errors) == len(measured) else None
    estimates = _known([row for row in live if is_estimate(row.power_source)], lambda row: row.power_watts)
    of = counted(hosts, "host") if len(watts) == hosts else f"{len(watts)} of {counted(hosts, 'host')}"
    parts: Parts = [
        ("Power  ", "$muted"),
        (f"{number(sum(watts)) if watts else UNKNOWN} W", "bold $primary"),
        f" {within(error)} of {of}" if watts else f" of {of}",
    ]
    if estimates:
        parts += ["   ", (" ESTIMATE ", "bold reverse $warning"), f" {number(sum(estimates))} W of it"]
    return parts


def _costs(live: Sequence[HostRow]) -> Parts:
    """Cost per hour of energy and computing time, one sum per currency; currencies are not converted."""
    costs: dict[str, float] = defaultdict(float)
    for row in live:
        if row.cost_per_hour is not None:
            costs[row.currency or ""] += row.cost_per_hour
    prices = " + ".join(f"{money(total)} {currency}/h" for currency, total in sorted(costs.items()))
    known = len(_known(live, lambda row: row.cost_per_hour))
    of = f" of {counted(known, 'host')}" if 0 < known < len(live) else ""
    parts: Parts = [("Cost   ", "$muted"), (prices or UNKNOWN) + of]
    carbon = _known(live, lambda row: row.carbon_grams_per_hour)
    if carbon:
        parts.append(f"   {number(sum(carbon))} g CO₂/h of {counted(len(carbon), 'host')}")
    return parts


def _work(live: Sequence[HostRow]) -> Parts:
    runs = sum(row.phase is not None for row in live)
    exporters = _known(live, lambda row: row.exporters)
    texts = [
        counted(round(sum(known)), title)
        for title, known in (
            ("stream", _known(live, lambda row: row.streams)),
            ("player", _known(live, lambda row: row.players)),
            ("container", _known(live, lambda row: row.containers)),
        )
        if known
    ]
    if exporters:
        texts.append(f"{sum(row.exporters_healthy or 0 for row in live)}/{sum(exporters):.0f} exporters")
    if runs:
        texts.append(f"▶ {counted(runs, 'run')}")
    return [("Work   ", "$muted"), "  ".join(texts) or UNKNOWN]


def states_title(hosts: Sequence[FleetHost], shown: int) -> Content:
    """The table's title: the number of hosts, and their states."""
    parts: list[str | tuple[str, str]] = [titled("Hosts", shown, len(hosts))]
    states = Counter(host.row.state for host in hosts)
    for state in ("live", "connecting", "quiet", "lost"):
        if states[state]:
            style = {"lost": "$text-error", "quiet": "$text-warning"}.get(state, "not bold")
            parts += ["  ", (f"{STATES[state].split()[0]} {states[state]} {state}", style)]
    return Content.assemble(*parts)


def _known(rows: Sequence[HostRow], get: Callable[[HostRow], float | None]) -> list[float]:
    return [value for row in rows if (value := get(row)) is not None]


def figures(row: HostRow) -> Parts:
    """A host's row as a line."""
    texts = [
        f"{number(row.cpu_percent)} % CPU",
        f"{count(row.streams)} streams",
        f"{count(row.players)} players",
        f"{count(row.containers)} containers",
        f"{cost_text(row)}/h",
        f"{number(row.carbon_grams_per_hour)} g CO₂/h" if row.carbon_grams_per_hour is not None else "",
        f"{exporters_text(row)} exporters",
    ]
    error = f" {within(row.power_error_watts)}" if row.power_watts is not None else ""
    return [(f"{number(row.power_watts)} W", "bold $primary"), f"{error}  ", "  ".join(text for text in texts if text)]


def facts(host: FleetHost) -> Parts:
    """Two lines on the host under the cursor: its state, and what no column has room for."""
    row = host.row
    parts: Parts = [(f"{row.host}  ", "bold")]
    if row.state == "live":
        if is_estimate(row.power_source):
            parts += [("ESTIMATE", "bold $text-warning"), " "]
        error = f", {within(row.power_error_watts)} W" if row.power_watts is not None else ""
        parts.append(row.power_reason or source_words(row.power_source) + error or "no figure of its power")
    elif row.state == "connecting":
        parts.append("has not answered yet")
    elif row.state == "quiet":
        parts.append((f"is connected but has not answered for {about(row.seen_seconds or 0)}", "$text-warning"))
    else:
        parts.append((f"✗ {row.reason}", "$text-error"))
    if row.state == "lost" and host.retry_seconds >= 1:
        parts.append(f"; again in {about(host.retry_seconds)}")
    more = [
        f"{number(row.watts_per_stream)} W for each stream" if row.watts_per_stream is not None else "",
        f"{money(row.energy_cost_per_hour)} {row.currency or ''}/h of energy"
        if row.energy_cost_per_hour is not None
        else "",
        f"{count(row.targets_up)} of {row.targets} targets answer" if row.targets is not None else "",
        run_text(row),
        f"WattView {host.version}" if host.version else "",
        host.address.url if host.address is not None else "",
    ]
    return [*parts, "\n", ("   ".join(text for text in more if text), "$muted")]
