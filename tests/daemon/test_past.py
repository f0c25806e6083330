"""A snapshot of the past is what was read then: the same numbers, and nothing that was not recorded."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import ConfigFactory
from tests.support.dashboard import container, stream
from tests.support.prometheus import prometheus, serve_metrics, victoria_metrics
from tests.support.recorded import HOSTNAME, Machine, past_of, readings
from wattview.analysis.attribution.idle import Idle
from wattview.analysis.attribution.shares import Attribution, Part
from wattview.daemon.attribution.accounts import Accounts
from wattview.daemon.attribution.families import KEPT, families_of
from wattview.daemon.history.prometheus import PrometheusHistory
from wattview.daemon.history.protocol import HistoryError
from wattview.daemon.history.replay import NOT_RECORDED, OutOfReach
from wattview.daemon.history.sqlite import SqliteHistory
from wattview.daemon.history.trends import trends
from wattview.daemon.lab.run_journal import Journal, runs_directory
from wattview.exposition import render
from wattview.model import (
    ContainersReading,
    GpusReading,
    HostReading,
    PowerReading,
    Run,
    Scenario,
    ScenarioRecord,
    Snapshot,
    StreamEncoder,
    StreamsReading,
    WorkloadsReading,
    workload_names,
)
from wattview.probes.workloads.families import workload_labels


@pytest.fixture
async def machine(make_config: ConfigFactory, tmp_path: Path) -> AsyncIterator[Machine]:
    one = Machine(make_config, tmp_path)
    yield one
    await one.close()


async def test_the_host_and_its_power_are_what_was_read(machine: Machine, tmp_path: Path) -> None:
    at = await machine.tick()
    found = await past_of(machine.config, machine.history, tmp_path).at(at)
    power, host = readings()["power"], readings()["host"]
    assert isinstance(power, PowerReading)
    assert isinstance(host, HostReading)
    assert found.power is not None
    assert found.host is not None
    for field in ("source", "host_watts", "host_joules_total", "host_peak_watts"):
        assert getattr(found.power, field) == getattr(power, field), field
    assert [(z.package, z.zone, z.watts, z.counted) for z in found.power.zones] == [
        (z.package, z.zone, z.watts, z.counted) for z in power.zones
    ]
    for field in (
        "hostname", "cpus", "cpu_busy_seconds_total", "cpu_percent", "memory_total_bytes", "memory_available_bytes",
        "load1", "load5", "load15", "boot_time",
    ):  # fmt: skip
        assert getattr(found.host, field) == getattr(host, field), field
    watts = (found.power.host_watts or 0.0) + sum(gpu.power_watts or 0.0 for gpu in found.gpus)
    assert found.energy_cost_per_hour == pytest.approx(watts / 1000 * 0.12)
    assert found.cost_per_hour == pytest.approx(
        watts / 1000 * 0.12 + (found.host.cpu_percent or 0.0) / 100 * found.host.cpus * 0.5
    )
    assert found.recorded is not None
    assert found.time == at


async def test_containers_are_what_was_read(machine: Machine, tmp_path: Path) -> None:
    found = await past_of(machine.config, machine.history, tmp_path).at(await machine.tick())
    reading = readings()["containers"]
    assert isinstance(reading, ContainersReading)
    assert found.engine is not None
    assert found.engine.version == reading.engine.version
    assert found.engine.cpu_percent == reading.engine.cpu_percent
    assert len(found.containers) == 3
    for one, was in zip(found.containers, sorted(reading.containers, key=lambda one: one.name), strict=True):
        for field in (
            "id", "name", "image", "state", "health", "restarts", "started", "cpu_percent", "memory_percent", "pids",
            "memory_working_set_bytes", "memory_limit_bytes", "block_read_bytes_per_second", "power_watts",
            "block_write_bytes_per_second",
        ):  # fmt: skip
            assert getattr(one, field) == getattr(was, field), field
        (nic,), (was_nic,) = one.network, was.network
        assert nic.receive_bytes_per_second == was_nic.receive_bytes_per_second
        assert nic.transmit_bytes_per_second == was_nic.transmit_bytes_per_second
        assert nic.receive_bytes_total is None, "a total was not kept"


async def test_workloads_are_what_was_read(machine: Machine, tmp_path: Path) -> None:
    """With their power; and with a rate, from the second reading."""
    reading = readings()["workloads"]
    assert isinstance(reading, WorkloadsReading)
    await machine.tick()
    busier = [
        msgspec.structs.replace(one, cpu_seconds_total=(one.cpu_seconds_total or 0) + 1) for one in reading.workloads
    ]
    machine.script["workloads"] = msgspec.structs.replace(reading, workloads=tuple(busier))
    at = await machine.tick()
    watts = [
        (f"wattview_workload_power_watts{workload_labels([one])[one.id]}", len(one.id) / 2) for one in reading.workloads
    ]
    await machine.history.append(at, watts)
    found = await past_of(machine.config, machine.history, tmp_path).at(at)
    assert {one.id for one in found.workloads} == {one.id for one in reading.workloads}, (
        "without the one that had ended"
    )
    for one in found.workloads:
        was = next(each for each in busier if each.id == one.id)
        for field in ("kind", "name", "namespace", "pod", "container", "unit", "engine", "image", "user",
                      "container_id", "cpu_seconds_total"):  # fmt: skip
            assert getattr(one, field) == getattr(was, field), field
        assert one.power_watts == len(one.id) / 2, "pods with a container of the same name have each their own"
        assert one.cpu_percent is not None
        assert one.cpu_percent > 0
        assert one.memory_bytes is None, "that was not kept"


async def test_a_trend_of_a_workload_is_that_of_its_own_pod(machine: Machine) -> None:
    reading = readings()["workloads"]
    assert isinstance(reading, WorkloadsReading)
    began = time.time()
    await machine.tick()
    morning = reading.workloads[2]
    more = msgspec.structs.replace(morning, cpu_seconds_total=16.0)
    machine.script["workloads"] = msgspec.structs.replace(reading, workloads=(*reading.workloads[:2], more))
    at = await machine.tick()
    found = {
        one.name: one.points for one in await trends(machine.history, "workload", "cpu", (), began - 1, at + 1, 0.0)
    }
    (still,), (grew,) = found[workload_names(reading.workloads[1])], found[workload_names(morning)]
    assert still[1] == 0
    assert grew[1] > 100
    (one,) = await trends(machine.history, "workload", "cpu", workload_names(morning), began - 1, at + 1, 0.0)
    assert one.points == [grew]


async def test_streams_are_what_was_read(machine: Machine, tmp_path: Path) -> None:
    found = await past_of(machine.config, machine.history, tmp_path).at(await machine.tick())
    reading = readings()["streams"]
    assert isinstance(reading, StreamsReading)
    assert found.rtmp_server is not None
    assert (found.rtmp_server.name, found.rtmp_server.connections) == (reading.server.name, reading.server.connections)
    for one, was in zip(found.streams, reading.streams, strict=True):
        assert msgspec.structs.replace(one, clients=()) == msgspec.structs.replace(
            was, clients=(), bytes_in_total=None, bytes_out_total=None
        )


async def test_a_past_streams_encoder_is_the_one_found_then(machine: Machine, tmp_path: Path) -> None:
    at = await machine.tick()
    labels = 'app="{}",stream="{}",match="socket",program="ffmpeg",kind="unit",name="encode.service",host=""'
    names = [(one.app, one.name) for one in readings()["streams"].streams]  # type: ignore[attr-defined]
    text = f"wattview_stream_encoder_info{{{labels.format(*names[0])}}}"
    await machine.history.append(at, [(text, 1.0)])
    found = await past_of(machine.config, machine.history, tmp_path).at(at)
    encoder = StreamEncoder(match="socket", program="ffmpeg", kind="unit", name="encode.service")
    assert [one.encoder for one in found.streams if (one.app, one.name) == names[0]] == [encoder]


async def test_gpus_are_what_was_read(machine: Machine, tmp_path: Path) -> None:
    found = await past_of(machine.config, machine.history, tmp_path).at(await machine.tick())
    reading = readings()["gpu"]
    assert isinstance(reading, GpusReading)
    (one,), (was,) = found.gpus, reading.gpus
    assert msgspec.structs.replace(one, processes=()) == msgspec.structs.replace(
        was, processes=(), encoder_latency_seconds=None
    )


async def test_a_network_rate_is_the_growth_of_the_counter(machine: Machine, tmp_path: Path) -> None:
    host = readings()["host"]
    assert isinstance(host, HostReading)
    await machine.tick()
    nic = msgspec.structs.replace(host.nics[0], receive_bytes_total=500_001, transmit_bytes_total=1)
    machine.script["host"] = msgspec.structs.replace(host, nics=(nic,))
    at = await machine.tick()
    (series,) = await machine.history.samples("wattview_host_network_receive_bytes_total", at - 60, at)
    (t0, _), (t1, _) = series.points
    found = await past_of(machine.config, machine.history, tmp_path).at(at)
    assert found.host is not None
    assert found.host.nics[0].receive_bytes_per_second == pytest.approx(500_000 / (t1 - t0))
    assert found.host.nics[0].transmit_bytes_per_second == 0.0


async def test_ended_workloads_appear_before_their_end_only(machine: Machine, tmp_path: Path) -> None:
    before = await machine.tick()
    machine.script["containers"] = msgspec.structs.replace(readings()["containers"], containers=(container(1),))  # type: ignore[call-arg]
    machine.script["streams"] = msgspec.structs.replace(readings()["streams"], streams=(stream(1),))  # type: ignore[call-arg]
    after = await machine.tick()
    past = past_of(machine.config, machine.history, tmp_path)
    there, gone = await past.at(before), await past.at(after)
    assert [one.name for one in there.containers] == ["nginx-rtmp", "transcoder-a", "transcoder-b"]
    assert [one.name for one in gone.containers] == ["transcoder-a"]
    assert [one.name for one in there.streams] == ["stream0", "stream1"]
    assert [one.name for one in gone.streams] == ["stream1"]


async def test_a_failed_source_keeps_no_old_figures(machine: Machine, tmp_path: Path) -> None:
    await machine.tick()
    past = past_of(machine.config, machine.history, tmp_path)
    interval = machine.config.history.interval_seconds
    (series,) = await machine.history.samples("wattview_host_cpus", time.time() - 60, time.time())
    read = series.points[0][0]
    await machine.history.append(read + 60, [("wattview_host_cpus", 8.0)])
    assert (await past.at(read + 2.4 * interval)).host is not None
    late = await past.at(read + 60)
    assert late.host is None
    assert late.power is None
    assert late.containers == ()
    assert late.engine is None
    assert late.streams == ()
    assert late.gpus == ()
    assert {one.reason for one in late.probes} == {NOT_RECORDED}


async def test_facts_are_written_when_they_change_and_not_at_every_tick(machine: Machine) -> None:
    for _ in range(5):
        at = await machine.tick()
    machine.script["containers"] = msgspec.structs.replace(
        readings()["containers"],
        containers=(container(0, health="unhealthy"),),  # type: ignore[call-arg]
    )
    await machine.tick()
    infos = await machine.history.samples("docker_container_info", at - 60, at + 60)
    assert sorted(len(one.points) for one in infos) == [1, 1, 1, 1], "three containers once, and one that fell ill"


async def test_who_used_the_power_is_what_was_attributed(make_config: ConfigFactory, tmp_path: Path) -> None:
    history = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    now = time.time()
    accounts = Accounts()
    accounts.idle = Idle(22.0, "baseline", 0.5)
    for at in (now - 5, now):
        last = Attribution(
            time=at, seconds=5.0, joules=200.0, idle_joules=110.0, unattributed_joules=15.0,
            parts={Part("container", "web"): 40.0, Part("container", "db"): 10.0, Part("encoder", "quick-1"): 25.0},
            workloads={Part("workload", "/docker/web"): 85.0}, outside_joules=5.0,
        )  # fmt: skip
        accounts.marginal.last = last
        accounts.marginal.ledger.add(last)
        families = families_of(accounts, None, fresh=True)
        await history.append(at, [(f.name + t, v) for f in families if f.name in KEPT for t, v in f.samples])
    found = await past_of(make_config(), history, tmp_path).at(now)
    use = found.power_use
    assert use is not None
    assert (use.idle_watts, use.encoders_watts, use.unattributed_watts, use.idle_method) == (22, 5, 3, "baseline")
    assert use.encoders == {"quick-1": 5.0}
    assert use.seconds == pytest.approx(5.0, abs=1e-5)
    assert use.watts == pytest.approx(40.0), "the parts make up the whole"
    assert use.workloads_watts == pytest.approx(17.0), "all above idle power, but what no workload used"
    assert use.containers_watts is None, "whether containers were read was not recorded here"
    await history.close()


async def test_an_older_history_shows_only_what_it_recorded(make_config: ConfigFactory, tmp_path: Path) -> None:
    """The series that an older daemon kept: power and CPU time, and no facts."""
    history = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    now = time.time()
    for at in (now - 5, now):
        await history.append(at, [('wattview_host_power_watts{source="rapl"}', 40.0)])
        await history.append(at, [('rapl_power_watts{package="package-0",zone="core"}', 20.0)])
        await history.append(at, [("wattview_host_cpu_busy_seconds_total", 8.0), ("wattview_host_cpus", 4.0)])
        await history.append(at, [('docker_container_cpu_percent{name="web"}', 3.0)])
        await history.append(at, [('nginx_rtmp_stream_bandwidth_in_bytes{app="live",stream="a"}', 3.0)])
    found = await past_of(make_config(), history, tmp_path).at(now)
    assert found.power is not None
    assert found.power.host_watts == 40.0
    assert found.power.host_joules_total is None
    assert found.power.zones == (), "nobody knows which of them the host's figure was made of"
    assert found.host is not None
    assert (found.host.cpus, found.host.cpu_busy_seconds_total) == (4, 8.0)
    assert (found.host.memory_total_bytes, found.host.load1, found.host.boot_time) == (None, None, None)
    (one,) = found.containers
    assert (one.name, one.cpu_percent, one.memory_working_set_bytes, one.started) == ("web", 3.0, None, None)
    assert found.streams == (), "how many watched is not known, and is not 0"
    await history.close()


async def test_a_time_outside_the_history_is_refused_with_its_extent(machine: Machine, tmp_path: Path) -> None:
    past = past_of(machine.config, machine.history, tmp_path)
    with pytest.raises(OutOfReach, match="the history is empty"):
        await past.at(time.time())
    at = await machine.tick()
    with pytest.raises(OutOfReach, match=r"reaches from \d{4}-.* to \d{4}-.*, not to 1970-01-0"):
        await past.at(5.0)
    with pytest.raises(OutOfReach, match="not to"):
        await past.at(time.time() + 60)
    reach = (await past.at(at)).recorded
    assert reach is not None
    assert reach.first <= (reach.sampled or 0.0) <= reach.last <= at


async def test_a_broken_history_says_why(make_config: ConfigFactory, tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"this is no database, but a text of some length" * 100)
    history = SqliteHistory(path, 1e9)
    with pytest.raises(HistoryError, match="not a database"):
        await past_of(make_config(), history, tmp_path).at(time.time())
    await history.close()


@pytest.mark.slow
@pytest.mark.parametrize("store", [prometheus, victoria_metrics])
async def test_a_real_prometheus_gives_the_same_snapshot(
    machine: Machine, tmp_path: Path, store: Callable[..., AbstractAsyncContextManager[str]]
) -> None:
    """All that the exporters show, scraped each second, against what the recorder wrote."""
    at = await machine.tick()
    recorded = await past_of(machine.config, machine.history, tmp_path).at(at)
    text = render(machine.families()).decode()
    async with serve_metrics(lambda: text) as target, store(tmp_path, [target]) as url:
        history = PrometheusHistory(url)
        past = past_of(machine.config, history, tmp_path)
        async with asyncio.timeout(60):
            while True:
                await asyncio.sleep(1.0)
                with contextlib.suppress(OutOfReach):
                    found = await past.at(time.time() - 1.0)
                    if found.host is not None and found.host.nics[0].receive_bytes_per_second is not None:
                        break
        assert found.recorded is not None
        assert found.recorded.interval_seconds == pytest.approx(1.0, abs=0.2)
        assert found.recorded.first < found.time
        await history.close()

    def same(snapshot: Snapshot) -> dict[str, Any]:
        """Without the times, and without what only one of them keeps: the peak between two ticks."""
        assert snapshot.host is not None
        assert snapshot.power is not None
        nics = tuple(msgspec.structs.replace(nic, receive_bytes_per_second=None, transmit_bytes_per_second=None)
                     for nic in snapshot.host.nics)  # fmt: skip
        return {
            "power": msgspec.structs.replace(snapshot.power, time=0.0, host_peak_watts=None),
            "host": msgspec.structs.replace(snapshot.host, time=0.0, nics=nics),
            "containers": snapshot.containers,
            "engine": snapshot.engine,
            "streams": snapshot.streams,
            "server": snapshot.rtmp_server,
            "gpus": snapshot.gpus,
        }

    assert rounded(msgspec.to_builtins(same(found))) == rounded(msgspec.to_builtins(same(recorded)))


def rounded(tree: Any) -> Any:
    """To twelve digits: a store may keep values in decimal."""
    match tree:
        case dict():
            return {key: rounded(value) for key, value in tree.items()}
        case list() | tuple():
            return [rounded(value) for value in tree]
        case float():
            return float(f"{tree:.12g}")
    return tree


async def test_of_several_machines_in_a_store_this_one_is_shown(make_config: ConfigFactory, tmp_path: Path) -> None:
    history = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    now = time.time()
    both = [
        (f'wattview_host_power_watts{{host="{host}",source="rapl"}}', watts)
        for host, watts in ((HOSTNAME, 40.0), ("other", 90.0))
    ]
    await history.append(now, both)
    found = await past_of(make_config(), history, tmp_path).at(now)
    assert found.power is not None
    assert found.power.host_watts == 40.0
    with pytest.raises(LookupError, match="several machines"):
        await past_of(make_config(), history, tmp_path, hostname="unknown").at(now)
    await history.close()


async def test_of_a_run_that_the_history_has_lost_its_windows_power_is_left(
    make_config: ConfigFactory, tmp_path: Path
) -> None:
    began = time.time() - 86400
    record = ScenarioRecord(
        name="quick", start_time=began + 10, end_time=began + 20, power_source="rapl", warmup_seconds=2.0
    )
    kept = Run(
        id="20261101_120000", state="done", started=began, ended=began + 40, scenarios=[Scenario(name="quick")],
        finished=[record],
    )  # fmt: skip
    journal = Journal(runs_directory(tmp_path))
    journal.write(kept)
    lines = [f"{began + 10 + n / 10:.6f},{4200 + 4.2 * n:.6f}\n" for n in range(101)]  # 42 W, ten times a second
    (journal.folder(kept.id) / "01-power.csv").write_text("time,joules_total\n" + "".join(lines))
    history = SqliteHistory(tmp_path / "history.sqlite", 1e9)
    await history.append(time.time(), [("wattview_host_cpus", 8.0)])
    past = past_of(make_config(f"paths.state={tmp_path}"), history, tmp_path)

    within = await past.at(began + 15.05)  # between two samples
    assert within.power is not None
    # Times in the file are to the microsecond, and the samples a tenth of a second apart.
    assert within.power.host_watts == pytest.approx(42.0, rel=1e-4)
    assert within.power.host_joules_total == pytest.approx(4410.0)
    assert (within.power.source, within.host, within.containers) == ("rapl", None, ())
    assert within.recorded is not None
    assert (within.recorded.run, within.recorded.first, within.recorded.last) == (kept.id, began, began + 40)
    assert within.run is not None
    assert within.run.progress is not None
    assert within.run.progress.phase == "measuring"

    between = await past.at(began + 5)
    assert between.power is None
    assert between.recorded is not None
    assert between.recorded.sampled is None
    with pytest.raises(OutOfReach, match=r"history\.retention"):
        await past.at(began - 5)
    (journal.folder(kept.id) / "01-power.csv").write_text("no samples of ours\n")
    with pytest.raises(OutOfReach):
        await past.at(began + 15)
    await history.close()
