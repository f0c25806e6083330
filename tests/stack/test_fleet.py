"""Three hosts, each with a daemon and a vmagent of its own, in one store; and what becomes of one that dies.

A host is a network namespace with a hostname of its own: its daemon listens on its own loopback, on the very ports
that the daemons of the others have, and only its vmagent speaks to the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ConfigFactory
from tests.support.daemon import descendants, wait_gone
from tests.support.dashboard import screen_text, until
from tests.support.stack import COMPOSE, Store, eventually, program, running, victoria_metrics
from tests.support.store import fleet
from wattview.daemon.history.prometheus import PrometheusHistory
from wattview.daemon.results import Results
from wattview.fleet import QUERIES, FleetError, FleetStore, HostRow, rows
from wattview.promql import StoreSeries
from wattview.tui.fleet.app import FleetApp
from wattview.tui.fleet.feed import StoreFleet

WATTS_PER_CPU = {"encoder-1": 10.0, "encoder-2": 20.0, "encoder-3": 30.0}


def ip(*arguments: str) -> None:
    done = subprocess.run([program("ip"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr} (needs root)"


@contextlib.contextmanager
def hosts_network(count: int) -> Iterator[tuple[str, list[str]]]:
    """A bridge, and namespaces that hang on it. Gives the bridge's address and the namespaces' names."""
    tag, octet = os.urandom(2).hex(), random.randrange(1, 255)
    bridge, names = f"wvb{tag}", [f"wv-{tag}-{number}" for number in range(1, count + 1)]
    address = f"10.213.{octet}.254"
    try:
        ip("link", "add", bridge, "type", "bridge")
        ip("address", "add", f"{address}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for number, name in enumerate(names, 1):
            ip("netns", "add", name)
            ip("link", "add", f"wv{tag}{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"wv{tag}{number}", "master", bridge, "up")
            ip("-n", name, "address", "add", f"10.213.{octet}.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield address, names
    finally:
        for name in names:
            with contextlib.suppress(AssertionError):
                ip("netns", "delete", name)
        with contextlib.suppress(AssertionError):
            ip("link", "delete", bridge)


class Fleet(NamedTuple):
    store: Store
    daemons: dict[str, int]


def inside(namespace: str, hostname: str, *command: str) -> list[str]:
    """A command on one of the hosts."""
    return ["ip", "netns", "exec", namespace, "unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', hostname,
            *command]  # fmt: skip


@pytest.fixture(scope="module")
def three_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    directory = tmp_path_factory.mktemp("fleet")
    with contextlib.ExitStack() as stack:
        address, namespaces = stack.enter_context(hosts_network(3))
        store = stack.enter_context(victoria_metrics(directory, discovery_port=1, listen=address))
        agent = directory / "vmagent.yml"
        text = (COMPOSE / "prometheus/vmagent.yml").read_text()
        agent.write_text(
            text.replace("scrape_interval: 5s", "scrape_interval: 1s").replace("timeout: 4s", "timeout: 1s")
        )
        daemons = {}
        for namespace, (host, watts) in zip(namespaces, WATTS_PER_CPU.items(), strict=True):
            home = directory / host
            home.mkdir()
            settings = [
                f"paths.state={home}/state", f"daemon.control_socket={home}/wv.sock", "power.sources=estimated",
                f"power.estimate_idle_watts_per_cpu={watts}", f"power.estimate_max_watts_per_cpu={watts}",
                "docker.host=unix:///nowhere/docker.sock", "cost.currency=EUR", "cost.cpu_per_hour=0",
            ]  # fmt: skip
            sets = [part for text in settings for part in ("--set", text)]
            daemon = inside(namespace, host, sys.executable, "-m", "wattview", "daemon", *sets)
            daemons[host] = stack.enter_context(running(directory, *daemon))
            vmagent = inside(
                namespace, host, program("vmagent"), f"-promscrape.config={agent}", "-loggerLevel=ERROR",
                f"-remoteWrite.url={store.url}/api/v1/write", f"-remoteWrite.tmpDataPath={home}/vmagent",
                "-promscrape.httpSDCheckInterval=1s", "-remoteWrite.flushInterval=1s", "-httpListenAddr=127.0.0.1:8429",
                "-memory.allowedBytes=64MB",
            )  # fmt: skip
            stack.enter_context(running(directory, *vmagent))
        eventually(lambda: len(store.query("count by (host) (wattview_machine_power_watts)")) == 3, "three hosts", 60)
        eventually(lambda: len(store.query("exporter_health_status")) == 30, "their exporters' health", 30)
        yield Fleet(store, daemons)


@pytest.mark.slow
async def test_each_host_has_its_own_row_with_its_own_figures(three_hosts: Fleet) -> None:
    found = {row.host: row for row in await fleet(three_hosts.store.url)}
    assert set(found) == set(WATTS_PER_CPU)
    cpus = os.cpu_count()
    assert cpus is not None
    for host, row in found.items():
        watts = WATTS_PER_CPU[host] * cpus
        assert row.power_watts == pytest.approx(watts, rel=0.05), host
        assert row.power_source == "estimated"
        assert (row.targets, row.targets_up) == (10, 10)
        assert row.exporters == 10
        assert row.exporters_healthy is not None
        assert row.state == "live"
        assert row.seen_seconds is not None
        assert row.seen_seconds < 10
        assert row.currency == "EUR"
        assert row.cost_per_hour == pytest.approx(watts / 1000 * 0.12, rel=0.05)
        assert row.carbon_grams_per_hour is None, "no host has set the carbon of its grid"
        assert row.containers is None, "no host has an engine: that is unknown, not 0"


def put_results(path: Path, host: str, window: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"test_date": "2026-01-01", "scenarios": [window], "machine": {"hostname": host}}))


@pytest.mark.slow
async def test_a_scenario_is_analysed_from_the_central_store_wherever_it_ran(
    three_hosts: Fleet, make_config: ConfigFactory
) -> None:
    config = make_config("history.backend=prometheus", f"history.prometheus_url={three_hosts.store.url}")
    start = time.time()
    end = start + 6
    window = {"name": "one", "start_time": start, "end_time": end, "duration": end - start}
    for second, host in enumerate([*WATTS_PER_CPU, "a machine that no store knows"]):
        put_results(Path(config.paths.results) / f"test_results_20260101_00000{second}.json", host, window)
    eventually(lambda: three_hosts.store.value("min(timestamp(wattview_host_power_watts))") > end + 1, "samples", 30)
    history = PrometheusHistory(three_hosts.store.url)
    found = {result.id: result.scenarios[0] for result in await Results(config, history).all()}
    await history.close()
    cpus = os.cpu_count()
    assert cpus is not None
    for second, watts in enumerate(WATTS_PER_CPU.values()):
        result = found[f"20260101_00000{second}"]
        assert result.power_mean_watts == pytest.approx(watts * cpus, rel=0.02)
        assert result.energy_joules == pytest.approx(watts * cpus * 6, rel=0.05)
    stranger = found["20260101_000003"]
    assert stranger.energy_joules is None
    assert "several machines have data and disagree" in stranger.reasons["energy_joules"]


@pytest.mark.slow
async def test_a_host_whose_daemon_has_died_stays_in_the_fleet_and_shows_no_old_figures(three_hosts: Fleet) -> None:
    leader = three_hosts.daemons["encoder-3"]
    everything = {leader} | descendants(leader)
    killed = time.time()
    for pid in everything:
        os.kill(pid, 9)
    assert not wait_gone(everything - {leader})
    eventually(lambda: three_hosts.store.value('sum(up{host="encoder-3"})') == 0, "the store has noticed", 30)

    def stale() -> bool:
        return not three_hosts.store.query('wattview_machine_power_watts{host="encoder-3"}')

    eventually(stale, "its last figures are gone", 30)
    found = {row.host: row for row in await fleet(three_hosts.store.url)}
    since = time.time() - killed
    dead = found["encoder-3"]
    assert (dead.targets, dead.targets_up) == (10, 0)
    assert dead.state == "lost"
    assert dead.seen_seconds is not None
    assert since - 2 < dead.seen_seconds < since + 18, "the store is asked for every fifteenth second"
    assert dead.power_watts is None
    assert dead.cost_per_hour is None
    assert found["encoder-1"].targets_up == 10


@pytest.mark.slow
async def test_the_page_of_the_fleet_is_filled_from_the_store_and_marks_the_host_that_has_died(
    three_hosts: Fleet,
) -> None:
    """After the test above, in which the daemon of encoder-3 is killed."""
    source = StoreFleet(FleetStore(three_hosts.store.url), interval=0.5)
    await source.start()
    app = FleetApp(source)
    cpus = os.cpu_count() or 1
    try:
        async with app.run_test(size=(160, 50)) as pilot:
            await until(pilot, lambda: "✗ 1 lost" in screen_text(app), seconds=30)
            lines = {line.split()[1]: line for line in screen_text(app).splitlines() if "│ encoder-" in line}
            for host in ("encoder-1", "encoder-2"):
                assert "● live" in lines[host]
                assert f" {WATTS_PER_CPU[host] * cpus:.1f}      — ESTIMATE" in lines[host], "its error is unknown"
                assert "/10 " in lines[host], "how many exporters are well is the load's to say here"
            assert "✗ lost" in lines["encoder-3"]
            assert "of 2 of 3 hosts" in screen_text(app)
            await pilot.press("enter")
            await until(pilot, lambda: bool(app.screen.query("#trend")) and "Power, last hour" in screen_text(app))
            await until(pilot, lambda: app.screen.details is not None and len(app.screen.details.power) > 0)
            watts = [value for _, value in app.screen.details.power]
            assert watts[-1] == pytest.approx(WATTS_PER_CPU["encoder-1"] * cpus, rel=0.05)
    finally:
        await source.stop()


async def test_a_missing_store_is_one_clear_line() -> None:
    with pytest.raises(FleetError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        await fleet("http://127.0.0.1:1")


async def test_a_password_is_not_in_the_message() -> None:
    with pytest.raises(FleetError) as caught:
        await fleet("http://user:hunter2@127.0.0.1:1")
    assert "hunter2" not in str(caught.value)


def answer(**hosts: float) -> dict[str, StoreSeries]:
    return {host: StoreSeries({"host": host}, [(100.0, value)]) for host, value in hosts.items()}


def test_what_a_host_has_no_sample_of_is_unknown_and_no_division_by_no_streams_is_made() -> None:
    answers = {name: {} for name in QUERIES}
    answers |= {"seen": answer(a=97.5, b=100), "power": answer(a=80), "streams": answer(a=0, b=2)}
    answers |= {"targets": answer(a=10, b=10), "targets_up": answer(a=10, b=3)}
    assert rows(answers) == [
        HostRow(host="a", seen_seconds=2.5, power_watts=80, streams=0, targets=10, targets_up=10),
        HostRow(host="b", seen_seconds=0, streams=2, targets=10, targets_up=3),
    ]


def test_a_host_that_does_not_answer_is_lost_with_the_reason_and_since_when_it_is() -> None:
    answers = {name: {} for name in QUERIES}
    answers |= {"seen": answer(gone=40, never=0, silent=10), "targets": answer(gone=10, never=2)}
    found = {row.host: row for row in rows(answers | {"targets_up": answer(gone=0, never=0)})}
    assert {row.state for row in found.values()} == {"lost"}
    assert (found["gone"].seen_seconds, found["never"].seen_seconds) == (60, None)
    assert found["gone"].reason == "none of its 10 targets answers"
    assert found["silent"].reason == "no samples of it reach the store"


def test_nan_is_unknown() -> None:
    made = rows({**{name: {} for name in QUERIES}, "seen": answer(a=1), "power": {"a": StoreSeries({"host": "a"}, [])}})
    assert made[0].power_watts is None
