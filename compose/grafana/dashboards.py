"""Grafana's dashboards as code: what each shows is a table here, and the JSON beside it is made from that.

    python compose/grafana/dashboards.py          writes compose/grafana/dashboards/*.json

The tables speak of titles, units and queries; how Grafana wants to hear that is the Foundation SDK's business
(https://grafana.github.io/grafana-foundation-sdk/). Every query is run against a real store by the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

HERE = Path(__file__).parent / "dashboards"
STORE = DataSourceRef(type_val="prometheus", uid="wattview")


class Panel(NamedTuple):
    """One panel: ``queries`` maps what a line is called to its PromQL. ``width`` is of Grafana's 24 columns."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: Literal["graph", "stat", "bars", "table"] = "graph"
    width: int = 12
    decimals: int | None = None
    note: str = ""


class Page(NamedTuple):
    """One dashboard: its rows by title, and which variables its queries use."""

    uid: str
    title: str
    description: str
    variables: tuple[str, ...]
    rows: dict[str, tuple[Panel, ...]]


VARIABLES = {
    "host": ("Host", 'label_values(wattview_build_info, host)'),
    "container": ("Container", 'label_values(docker_container_cpu_percent{host=~"$host"}, name)'),
    "stream": ("Stream", 'label_values(nginx_rtmp_stream_active{host=~"$host"}, stream)'),
    "scenario": ("Scenario", 'label_values(scenario_duration_seconds{host=~"$host"}, scenario)'),
}

ENERGY = (
    'sum(increase(wattview_host_energy_joules_total{host=~"$host",source!="nvml"}[$__range])) + '
    '(sum(increase(wattview_host_energy_joules_total{host=~"$host",source="nvml"}[$__range]) and on (host) '
    'wattview_host_energy_joules_total{host=~"$host",source=~"rapl|estimated"}) or vector(0))'
)
"""Joules of all hosts. A board's meter or a battery (``hwmon``, ``battery``) has counted the GPUs already."""

POWER = Page(
    "wattview-power",
    "Power",
    "Watts of hosts, packages, containers, streams and GPUs, each joule counted once.",
    ("host", "container", "stream"),
    {
        "Now": (
            Panel("Power", {"": 'sum(host:power_watts{host=~"$host"})'}, "watt", "stat", 6, 1),
            Panel(
                "Power for each stream",
                {"{{host}}": 'host:power_watts_per_stream{host=~"$host"}'},
                "watt",
                "stat",
                6,
                1,
                "Power of the host over its live streams. Empty where none is live.",
            ),
            Panel(
                "Energy in this time range",
                {"": ENERGY},
                "joule",
                "stat",
                6,
                note="From the counters. GPUs are added where the host's own source does not count them.",
            ),
            Panel(
                "Largest power in this time range",
                {"{{host}}": 'max by (host) (max_over_time(wattview_machine_power_watts{host=~"$host"}[$__range]))'},
                "watt",
                "stat",
                6,
                1,
            ),
        ),
        "Hosts": (
            Panel(
                "Power by host and source",
                {"{{host}} ({{source}})": 'wattview_machine_power_watts{host=~"$host"}'},
                "watt",
                note="GPUs are in it. A source “estimated” is computed from CPU use and was not measured.",
            ),
            Panel(
                "CPU use by host",
                {
                    "{{host}}": '100 * sum by (host) (rate(wattview_host_cpu_busy_seconds_total{host=~"$host"}'
                    "[$__rate_interval])) / max by (host) (wattview_host_cpus)"
                },
                "percent",
            ),
            Panel(
                "RAPL zones",
                {"{{host}} {{package}} {{zone}}": 'rapl_power_watts{host=~"$host"}'},
                "watt",
                note="A package contains its core and uncore; psys contains the packages. They are not to be added.",
            ),
            Panel("GPUs", {"{{host}} {{gpu}} {{modelName}}": 'DCGM_FI_DEV_POWER_USAGE{host=~"$host"}'}, "watt"),
        ),
        "Who uses it": (
            Panel(
                "Containers",
                {"{{host}} {{name}}": 'wattview_container_power_watts{host=~"$host",name=~"$container"}'},
                "watt",
            ),
            Panel(
                "Streams",
                {"{{host}} {{app}}/{{stream}}": 'wattview_stream_power_watts{host=~"$host",stream=~"$stream"}'},
                "watt",
            ),
        ),
    },
)

COST = Page(
    "wattview-cost",
    "Cost",
    "Money and carbon an hour at the prices of each host's own settings, and what each scenario has cost.",
    ("host", "scenario"),
    {
        "Now": (
            Panel(
                "Cost an hour",
                {"{{currency}}": 'sum by (currency) (host:cost_per_hour{host=~"$host"})'},
                "short",
                "stat",
                6,
                4,
                "Energy and CPU time together.",
            ),
            Panel(
                "Cost of a stream for an hour",
                {"{{host}} {{currency}}": 'host:cost_per_stream_hour{host=~"$host"}'},
                "short",
                "stat",
                6,
                4,
            ),
            Panel(
                "Cost a month at this rate",
                {"{{currency}}": '730 * sum by (currency) (host:cost_per_hour{host=~"$host"})'},
                "short",
                "stat",
                6,
                2,
            ),
            Panel(
                "CO2e an hour",
                {"": 'sum(host:carbon_grams_per_hour{host=~"$host"})'},
                "massg",
                "stat",
                6,
                1,
                "Empty where no host has set cost.carbon_g_per_kwh.",
            ),
        ),
        "An hour, over time": (
            Panel("Energy", {"{{host}} {{currency}}": 'host:energy_cost_per_hour{host=~"$host"}'}),
            Panel("CPU time", {"{{host}} {{currency}}": 'host:compute_cost_per_hour{host=~"$host"}'}),
            Panel(
                "Price of a kilowatt-hour", {"{{host}} {{currency}}": 'wattview_price_energy_per_kwh{host=~"$host"}'}
            ),
            Panel(
                "Both, and the budget",
                {
                    "{{host}} {{currency}}": 'host:cost_per_hour{host=~"$host"}',
                    "budget of {{host}}": 'wattview_budget_per_hour{host=~"$host"}',
                },
            ),
        ),
        "Scenarios of the latest results": (
            Panel(
                "Cost",
                {
                    "energy": 'cost_energy_load_aware{host=~"$host",scenario=~"$scenario"}',
                    "compute": 'cost_compute_load_aware{host=~"$host",scenario=~"$scenario"}',
                    "total": 'cost_total_load_aware{host=~"$host",scenario=~"$scenario"}',
                },
                "short",
                "table",
                decimals=6,
            ),
            Panel(
                "Energy",
                {"{{scenario}}": 'scenario_energy_joules{host=~"$host",scenario=~"$scenario"}'},
                "joule",
                "bars",
            ),
        ),
    },
)

QOE = Page(
    "wattview-qoe",
    "QoE",
    "Quality that viewers get, beside the power that it takes. The scenarios of the latest results file.",
    ("host", "scenario"),
    {
        "Quality": (
            Panel(
                "QoE score (1 to 5)",
                {"{{scenario}}": 'qoe_score{host=~"$host",scenario=~"$scenario"}'},
                "short",
                "bars",
                12,
                2,
            ),
            Panel(
                "VMAF", {"{{scenario}}": 'quality_vmaf{host=~"$host",scenario=~"$scenario"}'}, "short", "bars", 12, 1
            ),
            Panel("PSNR", {"{{scenario}}": 'quality_psnr{host=~"$host",scenario=~"$scenario"}'}, "dB", "bars", 12, 1),
            Panel(
                "SSIM", {"{{scenario}}": 'quality_ssim{host=~"$host",scenario=~"$scenario"}'}, "short", "bars", 12, 4
            ),
        ),
        "What it takes": (
            Panel(
                "Mean power",
                {"{{scenario}}": 'scenario_power_mean_watts{host=~"$host",scenario=~"$scenario"}'},
                "watt",
                "bars",
                12,
                1,
            ),
            Panel(
                "More than the baseline",
                {"{{scenario}}": 'scenario_baseline_diff_power_watts{host=~"$host",scenario=~"$scenario"}'},
                "watt",
                "bars",
                12,
                1,
            ),
            Panel(
                "All figures",
                {
                    "VMAF": 'quality_vmaf{host=~"$host",scenario=~"$scenario"}',
                    "QoE": 'qoe_score{host=~"$host",scenario=~"$scenario"}',
                    "mean W": 'scenario_power_mean_watts{host=~"$host",scenario=~"$scenario"}',
                    "max W": 'scenario_power_max_watts{host=~"$host",scenario=~"$scenario"}',
                    "J": 'scenario_energy_joules{host=~"$host",scenario=~"$scenario"}',
                    "CPU %": 'scenario_cpu_mean_percent{host=~"$host",scenario=~"$scenario"}',
                    "s": 'scenario_duration_seconds{host=~"$host",scenario=~"$scenario"}',
                },
                "short",
                "table",
                24,
                2,
            ),
        ),
    },
)

STREAMS = Page(
    "wattview-streams",
    "Streams & containers",
    "Live streams of the RTMP server, the encoders of a running scenario, and Docker's containers.",
    ("host", "stream", "container"),
    {
        "Streams": (
            Panel("Live streams", {"{{host}}": 'nginx_rtmp_streams{host=~"$host"}'}, kind="stat", width=6),
            Panel("Connections", {"{{host}}": 'nginx_rtmp_connections{host=~"$host"}'}, kind="stat", width=6),
            Panel("In", {"{{host}}": 'nginx_rtmp_bandwidth_in_bytes{host=~"$host"}'}, "Bps", "stat", 6),
            Panel("Out", {"{{host}}": 'nginx_rtmp_bandwidth_out_bytes{host=~"$host"}'}, "Bps", "stat", 6),
            Panel(
                "In, by stream",
                {"{{app}}/{{stream}}": 'nginx_rtmp_stream_bandwidth_in_bytes{host=~"$host",stream=~"$stream"}'},
                "Bps",
            ),
            Panel(
                "Out, by stream",
                {"{{app}}/{{stream}}": 'nginx_rtmp_stream_bandwidth_out_bytes{host=~"$host",stream=~"$stream"}'},
                "Bps",
            ),
            Panel(
                "Publishers and players",
                {
                    "{{app}}/{{stream}} in": 'nginx_rtmp_stream_publishers{host=~"$host",stream=~"$stream"}',
                    "{{app}}/{{stream}} out": 'nginx_rtmp_stream_players{host=~"$host",stream=~"$stream"}',
                },
            ),
            Panel(
                "Encoders of a running scenario (1 is real time)",
                {"{{host}} {{stream}}": 'wattview_encoder_speed_ratio{host=~"$host"}'},
                decimals=2,
            ),
        ),
        "Containers": (
            Panel(
                "CPU (100 % is one core)",
                {"{{host}} {{name}}": 'docker_container_cpu_percent{host=~"$host",name=~"$container"}'},
                "percent",
            ),
            Panel(
                "Memory",
                {"{{host}} {{name}}": 'container_memory_working_set_bytes{host=~"$host",name=~"$container",name!=""}'},
                "bytes",
            ),
            Panel(
                "Network, received",
                {
                    "{{host}} {{name}} {{interface}}": "rate(container_network_receive_bytes_total"
                    '{host=~"$host",name=~"$container",name!=""}[$__rate_interval])'
                },
                "Bps",
            ),
            Panel(
                "Network, sent",
                {
                    "{{host}} {{name}} {{interface}}": "rate(container_network_transmit_bytes_total"
                    '{host=~"$host",name=~"$container",name!=""}[$__rate_interval])'
                },
                "Bps",
            ),
            Panel("The engine itself: CPU", {"{{host}}": 'docker_engine_cpu_percent{host=~"$host"}'}, "percent"),
            Panel("The engine itself: memory", {"{{host}}": 'docker_engine_memory_percent{host=~"$host"}'}, "percent"),
        ),
    },
)

HEALTH = Page(
    "wattview-health",
    "Exporter health",
    "Whether each exporter answers, with how much, and how long it takes; runs of scenarios, and alerts.",
    ("host",),
    {
        "Exporters": (
            Panel(
                "Not well", {"": 'count(exporter_health_status{host=~"$host"} == 0) or vector(0)'}, kind="stat", width=6
            ),
            Panel("Not reached by the store", {"": 'count(up{host=~"$host"} == 0) or vector(0)'}, kind="stat", width=6),
            Panel("Alerts firing", {"": 'count(ALERTS{alertstate="firing"}) or vector(0)'}, kind="stat", width=6),
            Panel("Samples each scrape", {"": 'sum(scrape_samples_scraped{host=~"$host"})'}, kind="stat", width=6),
            Panel(
                "State",
                {
                    "healthy": 'exporter_health_status{host=~"$host"}',
                    "reachable": 'exporter_reachable{host=~"$host"}',
                    "has data": 'exporter_has_data{host=~"$host"}',
                    "families": 'exporter_metric_count{host=~"$host"}',
                    "samples": 'exporter_sample_count{host=~"$host"}',
                },
                "short",
                "table",
                24,
            ),
        ),
        "Times": (
            Panel("A scrape takes", {"{{host}} {{job}}": 'scrape_duration_seconds{host=~"$host"}'}, "s"),
            Panel(
                "A probe's reading takes", {"{{host}} {{probe}}": 'wattview_probe_duration_seconds{host=~"$host"}'}, "s"
            ),
            Panel("Probes that work", {"{{host}} {{probe}}": 'wattview_probe_success{host=~"$host"}'}),
            Panel("Runs that have ended", {"{{host}} {{state}}": 'wattview_runs_total{host=~"$host"}'}),
        ),
    },
)

PAGES = (POWER, COST, QOE, STREAMS, HEALTH)


def build(page: Page) -> str:
    """A page as the JSON that Grafana reads from a file."""
    board = (
        dashboard.Dashboard(f"WattView · {page.title}")
        .uid(page.uid)
        .description(page.description)
        .tags(["wattview"])
        .time("now-30m", "now")
        .refresh("5s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("WattView").type("dashboards").tags(["wattview"]).as_dropdown(True).keep_time(True)
        )
    )
    for name in page.variables:
        board.with_variable(_variable(name))
    for title, panels in page.rows.items():
        board.with_row(dashboard.Row(title))
        for panel in panels:
            board.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(board.build()) + "\n"


def _variable(name: str) -> Any:
    label, query = VARIABLES[name]
    every = VariableOption(text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(STORE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(every)
    )


def _panel(panel: Panel) -> Any:
    made = _KINDS[panel.kind](panel)
    made.title(panel.title).datasource(STORE).unit(panel.unit).span(panel.width)
    if panel.note:
        made.description(panel.note)
    if panel.decimals is not None:
        made.decimals(panel.decimals)
    for letter, (legend, expression) in zip("ABCDEFGHIJ", panel.queries.items(), strict=False):
        query = prometheus.Dataquery().expr(expression).ref_id(letter).datasource(STORE)
        if panel.kind == "graph":
            query.range().legend_format(legend or "__auto")
        else:
            query.instant().legend_format(legend or "__auto")
        if panel.kind == "table":
            query.format("table")
        made.with_target(query)
    return made


def _graph(panel: Panel) -> Any:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    legend.show_legend(True).calcs(["lastNotNull", "mean", "max"])
    return timeseries.Panel().height(8).fill_opacity(10).min(0).legend(legend)


def _stat(panel: Panel) -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().height(4).graph_mode(BigValueGraphMode.NONE).reduce_options(last)


def _bars(panel: Panel) -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return bargauge.Panel().height(8).min(0).reduce_options(last)


def _table(panel: Panel) -> Any:
    """One row for each thing, one column for each query: Grafana names a query's column after its letter."""
    letters = dict(zip("ABCDEFGHIJ", panel.queries, strict=False))
    hidden = ("Time", "__name__", "instance", "job")
    options = {
        "excludeByName": dict.fromkeys(hidden, True),
        "renameByName": {f"Value #{letter}": legend for letter, legend in letters.items()},
    }
    return (
        table.Panel()
        .height(8)
        .transformations(
            [
                DataTransformerConfig("merge", options={}),
                DataTransformerConfig("organize", options=options),
            ]
        )
    )


_KINDS = {"graph": _graph, "stat": _stat, "bars": _bars, "table": _table}


def file_of(page: Page) -> Path:
    return HERE / f"{page.uid.removeprefix('wattview-')}.json"


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for page in PAGES:
        file_of(page).write_text(build(page), "utf-8")
        sys.stdout.write(f"{file_of(page)}\n")


if __name__ == "__main__":
    main()
