"""Our collectors next to Debian's node_exporter, on this machine, in the same second.

Everything that it says is said by us, with the same type, help, labels and value; what we say beyond it is listed here,
because it came with later versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.node_exporter import Exposition, RealNodeExporter, Series
from wattview.config import load
from wattview.exposition import render
from wattview.probes import node

# Families of node_exporter after 1.5.0.
LATER = {
    "node_arp_states",
    "node_cpu_online",
    "node_filesystem_mount_info",
    "node_kernel_hung_tasks_total",
    "node_ksmd_general_profit_bytes",
    "node_netstat_TcpExt_TCPOFOQueue",
    "node_netstat_TcpExt_TCPRcvQDrop",
    "node_pressure_irq_stalled_seconds_total",
    "node_softnet_backlog_len",
    "node_softnet_cpu_collision_total",
    "node_softnet_flow_limit_count_total",
    "node_softnet_received_rps_total",
}
# Labels of node_exporter after 1.5.0.
LATER_LABELS = {"node_disk_info": {"rotational"}, "node_network_info": {"adminstate"}}
# Series that are there for as long as one process is in that state: one scrape may see what its neighbours do not.
FLEETING = {"node_processes_state", "node_processes_threads_state", "node_tcp_connection_states"}
# The real one opens several sockets for the time of its scrape, and counts them.
OF_ITS_DOING = {"node_sockstat_sockets_used"}
# What it says of itself: its build, and how long it took.
OF_ITSELF = {"node_exporter_build_info", "node_scrape_collector_duration_seconds"}

# Collectors that are off by default, with both switched on here (softirqs came after 1.5.0).
OPT_IN = (
    "buddyinfo", "cgroups", "ethtool", "interrupts", "ksmd", "lnstat", "meminfo_numa", "network_route", "processes",
    "qdisc", "slabinfo", "sysctl", "tcpstat", "zoneinfo",
)  # fmt: skip
SYSCTL = ("vm.user_reserve_kbytes", "net.ipv4.tcp_rmem:min,default,max", "net.ipv4.ip_local_port_range")
SYSCTL_INFO = "kernel.seccomp.actions_avail"

TEXTFILES = {
    "backup.prom": """# HELP backup_last_success_timestamp_seconds When it last went well.
# TYPE backup_last_success_timestamp_seconds gauge
backup_last_success_timestamp_seconds{job="nightly", host="a\\\\b \\"c\\"",} 1.7e9
backup_files_total 12
""",
    "stages.prom": """# TYPE stage_seconds histogram
stage_seconds_bucket{le="0.5"} 3
stage_seconds_bucket{le="+Inf"} 4
stage_seconds_sum 2.25
stage_seconds_count 4
# HELP stage_size_bytes Sizes.
# TYPE stage_size_bytes summary
stage_size_bytes{quantile="0.5"} 10
stage_size_bytes_sum 30
stage_size_bytes_count 2
# TYPE stage_runs counter
stage_runs{stage="encode"} 7
stage_idle NaN
""",
    "broken.prom": "this is not { a metric\n",
    "notes.txt": "not_read 1\n",
}


class Both:
    """One scrape of the real one between two of ours, so that a value that moves is caught between its two ends."""

    def __init__(self, real: RealNodeExporter, probe: node.NodeProbe) -> None:
        self.before = ours(probe)
        self.real = real.scrape()
        self.after = ours(probe)


def ours(probe: node.NodeProbe) -> Exposition:
    return Exposition(render(node.families(probe.read())).decode())


@pytest.fixture(scope="module")
def textfiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("textfiles")
    for name, text in TEXTFILES.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture(scope="module")
def real(textfiles: Path) -> Iterator[RealNodeExporter]:
    arguments = [
        f"--collector.textfile.directory={textfiles}",
        *(f"--collector.sysctl.include={setting}" for setting in SYSCTL),
        f"--collector.sysctl.include-info={SYSCTL_INFO}",
    ]
    with RealNodeExporter(OPT_IN, arguments) as exporter:
        yield exporter


@pytest.fixture(scope="module")
def rounds(real: RealNodeExporter, textfiles: Path) -> list[Both]:
    """Three comparisons. What differs because the machine moved in between differs once; what is wrong, each time."""
    config = load(
        sets=[
            f"node.enable={','.join(OPT_IN)}",
            f"node.textfile_directory={textfiles}",
            f"node.sysctl={' '.join(SYSCTL)}",
            f"node.sysctl_info={SYSCTL_INFO}",
        ],
        environ={"HOME": str(textfiles)},
    )
    probe = node.NodeProbe(config)
    return [Both(real, probe) for _ in range(3)]


@pytest.fixture
def both(rounds: list[Both]) -> Both:
    return rounds[-1]


def each_time(rounds: list[Both], wrong: Callable[[Both], set[Series]]) -> set[Series]:
    return set.intersection(*(wrong(both) for both in rounds))


def of_our_collectors(both: Both) -> set[str]:
    """The real one's names, less what it says of itself as a program."""
    return {name for name in both.real.names if not name.startswith(("go_", "process_", "promhttp_"))} - OF_ITSELF


def is_of_a_later_collector(series: Series) -> bool:
    return dict(series[1]).get("collector") in ("bcachefs", "kernel_hung", "watchdog")


def without(labels: frozenset[tuple[str, str]], names: set[str]) -> frozenset[tuple[str, str]]:
    return frozenset(pair for pair in labels if pair[0] not in names)


def values(exposition: Exposition) -> dict[Series, float]:
    return {
        (name, without(labels, LATER_LABELS.get(name, set()))): value
        for (name, labels), value in exposition.values.items()
    }


def test_every_family_of_the_real_one_is_here(both: Both) -> None:
    assert of_our_collectors(both) - both.after.names == set()


def test_every_series_exists_in_some_version_of_the_real_one(both: Both) -> None:
    assert both.after.names - both.real.names - LATER == set()


def test_types_and_help_are_the_same(both: Both) -> None:
    shared = of_our_collectors(both) & both.after.names
    assert len(shared) > 200
    assert {name: both.after.types[name] for name in shared} == {name: both.real.types[name] for name in shared}
    # ksmd's help texts became the kernel's own.
    same = {name for name in shared if not name.startswith("node_ksmd_")}
    assert {name: both.after.help[name] for name in same} == {name: both.real.help[name] for name in same}


def test_every_series_of_the_real_one_is_here(rounds: list[Both]) -> None:
    def missing(both: Both) -> set[Series]:
        theirs = {series for series in values(both.real) if series[0] in of_our_collectors(both)}
        either = values(both.before).keys() | values(both.after).keys()
        return {series for series in theirs - either if series[0] not in FLEETING}

    assert each_time(rounds, missing) == set()


def test_no_series_is_missing_from_the_real_exporter(rounds: list[Both]) -> None:
    def beyond(both: Both) -> set[Series]:
        return {
            series
            for series in values(both.before).keys() & values(both.after).keys() - values(both.real).keys()
            if series[0] not in LATER | OF_ITSELF | FLEETING and not is_of_a_later_collector(series)
        }

    assert each_time(rounds, beyond) == set()


def test_a_collector_succeeds_here_where_it_succeeds_there(both: Both) -> None:
    theirs = both.real.collectors()
    assert {name: value for name, value in both.after.collectors().items() if name in theirs} == {
        name: value for name, value in theirs.items() if name in both.after.collectors()
    }


def test_the_real_ones_counters_lie_between_our_two_scrapes(rounds: list[Both]) -> None:
    def outside(both: Both) -> set[Series]:
        before, after = values(both.before), values(both.after)
        return {
            series
            for series, value in values(both.real).items()
            if both.real.types[series[0]] == "counter"
            and series in before
            and series in after
            # Sums of floating point may differ in the last digit; the kernel itself takes idle and iowait time back.
            and not before[series] - 0.02 <= value <= after[series] + 0.02
        }

    assert each_time(rounds, outside) == set()


def test_unchanged_gauges_keep_their_value(rounds: list[Both]) -> None:
    def still(both: Both) -> set[Series]:
        before, after = values(both.before), values(both.after)
        return {
            series
            for series in values(both.real)
            if both.real.types[series[0]] != "counter"
            and series[0] in of_our_collectors(both) - OF_ITS_DOING - FLEETING
            and before.get(series) == after.get(series) is not None
        }

    def different(both: Both) -> set[Series]:
        theirs, ours = values(both.real), values(both.after)
        return {series for series in still(both) if theirs[series] != ours[series]}

    assert len(still(rounds[0])) > 100
    assert each_time(rounds, different) == set()
