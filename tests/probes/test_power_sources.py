"""Which source the host's power comes from, what the estimate says, and how a reading is shown."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ConfigFactory
from tests.support.clock import BOOT, EPOCH, FakeClock
from tests.support.powercap import Constant, PowercapTree, machine
from wattview.config import ConfigError
from wattview.exposition import render
from wattview.model import PowerReading, Zone
from wattview.model.power_sources import HOST_SOURCES, PowerSourceEntry
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.power.estimate import EstimatedEnergy
from wattview.probes.power.probe import PowerProbe, families


class Cpus:
    """A /proc/stat whose CPUs are used as the test says: seconds of each mode, all CPUs together."""

    def __init__(self, procfs: Path, online: int = 4) -> None:
        self.file = procfs / "stat"
        self.online = online
        self.modes = {"user": 100.0, "nice": 5.0, "system": 20.0, "idle": 9000.0, "iowait": 50.0}
        self.modes |= {"irq": 1.0, "softirq": 2.0, "steal": 0.0, "guest": 0.0, "guest_nice": 0.0}
        self.write()

    def use(self, **seconds: float) -> None:
        for mode, spent in seconds.items():
            self.modes[mode] += spent
        self.write()

    def write(self) -> None:
        ticks = " ".join(str(round(seconds * 100)) for seconds in self.modes.values())
        lines = [f"cpu  {ticks}", *(f"cpu{at} {ticks}" for at in range(self.online))]
        self.file.write_text("\n".join([*lines, "intr 5 0 1", "ctxt 7", "btime 1700000000", ""]))

    @property
    def busy(self) -> float:
        return sum(self.modes[mode] for mode in ("user", "nice", "system", "irq", "softirq"))


def watts_of(reading: PowerReading) -> float:
    assert reading.host_watts is not None
    return reading.host_watts


# the choice


def test_a_machine_with_counters_is_measured(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    reading = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}")).read()
    assert reading.source == "rapl"
    assert not reading.faults


def test_a_machine_without_counters_is_estimated_and_called_so(tmp_path: Path, make_config: ConfigFactory) -> None:
    probe = PowerProbe(make_config(f"paths.sysfs={tmp_path}"))
    reading = probe.read()
    assert reading.source == "estimated"
    assert reading.zones == ()
    assert reading.host_joules_total is not None
    assert probe.sample_hz == 1.0, "the estimate's counters need no fast clock"


def test_counters_that_never_move_give_way_to_the_estimate(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(0), dram=Constant(0)))
    clock = FakeClock()
    probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}"), clock=clock)
    assert probe.read().host_watts is None
    for _ in range(30):
        clock.advance(0.1)
        probe.sample()
    reading = probe.read()
    assert reading.source == "estimated"
    assert [fault.part for fault in reading.faults] == ["rapl"]
    assert "do not move" in reading.faults[0].reason
    assert "intel-rapl:0" in reading.faults[0].reason


def test_counters_that_never_move_are_broken_where_nothing_else_may_be_used(
    tmp_path: Path, make_config: ConfigFactory
) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(0)))
    clock = FakeClock()
    probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}", "power.sources=rapl"), clock=clock)
    probe.read()
    clock.advance(1.5)
    with pytest.raises(SourceBroken, match="do not move"):
        probe.read()


def test_missing_rapl_is_absent_with_its_fix(tmp_path: Path, make_config: ConfigFactory) -> None:
    probe = PowerProbe(make_config(f"paths.sysfs={tmp_path}", "power.sources=rapl"))
    with pytest.raises(SourceAbsent) as caught:
        probe.read()
    assert "modprobe intel_rapl_msr" in caught.value.fix


@pytest.mark.parametrize("entry", HOST_SOURCES, ids=[entry.name for entry in HOST_SOURCES])
def test_each_source_in_the_list_is_made_by_its_module(entry: PowerSourceEntry, make_config: ConfigFactory) -> None:
    package = PowerProbe.__module__.rpartition(".")[0]
    source = import_module(f"{package}.{entry.module}").make(make_config(f"power.sources={entry.name}"))
    assert source.name == entry.name
    assert source.useful_hz > 0


def test_a_source_that_is_not_in_the_list_is_refused_with_those_that_are(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"power\.sources: expected one of auto, rapl, .*, got 'solar'"):
        make_config("power.sources=solar")


def test_the_estimate_can_be_asked_for(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    assert PowerProbe(make_config(f"paths.sysfs={tree.sysfs}", "power.sources=estimated")).read().source == "estimated"


def test_a_driver_that_is_loaded_later_replaces_the_estimate(tmp_path: Path, make_config: ConfigFactory) -> None:
    clock = FakeClock()
    probe = PowerProbe(make_config(f"paths.sysfs={tmp_path}"), clock=clock)
    for _ in range(5):
        clock.advance(1.0)
        estimated = probe.read()
    assert estimated.host_watts is not None
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    clock.advance(1.0)
    first = probe.read()
    assert (first.source, first.host_watts) == ("rapl", None), "no mean over two sources"
    clock.advance(1.0)
    tree.write(1.0)
    assert watts_of(probe.read()) == pytest.approx(30, rel=0.001)


# the estimate


def test_the_estimate_follows_the_published_formula(tmp_path: Path, make_config: ConfigFactory) -> None:
    cpus = Cpus(tmp_path, online=4)
    clock = FakeClock()
    sets = ("power.sources=estimated", "power.estimate_idle_watts_per_cpu=0.5", "power.estimate_max_watts_per_cpu=4.5")
    probe = PowerProbe(make_config(f"paths.procfs={tmp_path}", *sets), clock=clock)
    start = probe.read()
    assert start.host_joules_total == pytest.approx(0.5 * 4 * BOOT + 4.0 * cpus.busy)
    clock.advance(10.0)
    cpus.use(user=12.0, system=3.0, idle=20.0, iowait=5.0, steal=7.0, guest=6.0)
    end = probe.read()
    assert start.host_joules_total is not None
    assert end.host_joules_total is not None
    assert end.host_joules_total - start.host_joules_total == pytest.approx(0.5 * 4 * 10 + 4.0 * 15)
    assert watts_of(end) == pytest.approx(8.0)


def test_the_estimate_continues_after_a_restart(tmp_path: Path) -> None:
    cpus = Cpus(tmp_path)
    clock = FakeClock()
    kept = EstimatedEnergy(tmp_path, 0.74, 3.5)
    kept.measure(clock())
    clock.advance(100.0)
    cpus.use(user=33.0)
    restarted = EstimatedEnergy(tmp_path, 0.74, 3.5)
    assert restarted.measure(clock()).host_microjoules == kept.measure(clock()).host_microjoules


def test_sleep_draws_nothing_in_the_estimate(tmp_path: Path) -> None:
    Cpus(tmp_path)
    clock = FakeClock()
    estimate = EstimatedEnergy(tmp_path, 0.74, 3.5)
    before = estimate.measure(clock()).host_microjoules
    clock.suspend(3600.0)
    assert estimate.measure(clock()).host_microjoules == before


@given(steps=st.lists(st.tuples(st.integers(1, 64), st.floats(0, 100), st.floats(-2, 400)), min_size=1, max_size=20))
def test_cpus_that_come_and_go_never_turn_the_estimate_back(
    steps: list[tuple[int, float, float]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cpus = Cpus(tmp_path_factory.mktemp("proc"))
    clock = FakeClock()
    estimate = EstimatedEnergy(cpus.file.parent, 0.74, 3.5)
    before = estimate.measure(clock()).host_microjoules
    assert before is not None
    for online, seconds, used in steps:
        clock.advance(seconds)
        cpus.online = online
        cpus.use(user=used)
        after = estimate.measure(clock()).host_microjoules
        assert after is not None
        idle = 0.74 * online * seconds * 1e6
        assert before + idle - 1 <= after <= before + idle + 2.76 * max(0.0, used + 2 * 20) * 1e6 + 1
        before = after


def test_an_unknown_form_of_proc_stat_is_broken_not_zero(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("nonsense\n")
    with pytest.raises(SourceBroken, match="stat"):
        EstimatedEnergy(tmp_path, 0.74, 3.5).measure(FakeClock()())
    (tmp_path / "stat").unlink()
    with pytest.raises(SourceAbsent):
        EstimatedEnergy(tmp_path, 0.74, 3.5).measure(FakeClock()())


# readings


def test_the_energy_belongs_to_the_readings_own_time(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    clock = FakeClock()
    probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}"), clock=clock)
    start = probe.read()
    clock.advance(0.1)
    tree.write(0.1)
    probe.sample()
    clock.advance(0.05)
    tree.write(0.15)
    reading = probe.read()
    assert (reading.time, reading.monotonic) == (EPOCH + 0.1, BOOT + 0.1)
    assert start.host_joules_total is not None
    assert reading.host_joules_total == pytest.approx(start.host_joules_total + 3.0, abs=1e-3)
    clock.advance(5.0)
    tree.write(5.15)
    assert probe.read().time == pytest.approx(EPOCH + 5.15), "without a clock, a reader takes its own sample"


def test_readers_and_the_power_clock_do_not_disturb_each_other(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30), sockets=2, dram=Constant(5)))
    probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}", "power.sample_hz=100"))
    stop = threading.Event()
    totals: list[list[float]] = [[], []]

    def clock() -> None:
        while not stop.wait(0.001):
            probe.sample()

    def reader(into: list[float]) -> None:
        while not stop.is_set():
            reading = probe.read()
            assert reading.host_joules_total is not None
            into.append(reading.host_joules_total)

    threads = [threading.Thread(target=clock), *(threading.Thread(target=reader, args=(into,)) for into in totals)]
    for thread in threads:
        thread.start()
    for at in range(100):
        tree.write(at * 0.01)
        stop.wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    for seen in totals:
        assert seen == sorted(seen)
        assert len(seen) > 10


def test_counters_stay_open_between_samples(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30), sockets=2))
    clock = FakeClock()
    probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}"), clock=clock)

    def held() -> dict[str, str]:
        links = {}
        for link in Path("/proc/self/fd").iterdir():
            try:
                target = str(link.readlink())
            except FileNotFoundError:
                continue
            if target.endswith("energy_uj") and target.startswith(str(tmp_path)):
                links[link.name] = target
        return links

    tree.close()
    probe.read()
    first = held()
    clock.advance(1.0)
    probe.sample()
    assert first == held()
    assert len(first) == 2
    probe.close()
    assert held() == {}


def test_importing_the_probe_loads_no_heavy_library() -> None:
    code = "import sys, wattview.probes.power.probe; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "docker", "httpx", "textual", "prometheus_client"} & set(loaded)


# families


def shown(reading: PowerReading) -> dict[str, float]:
    text = render(families(reading)).decode()
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_reading_is_shown_by_the_names_that_dashboards_use() -> None:
    zone = Zone(path="intel-rapl:0:0", package="package-0", zone="dram", joules_total=12.5, watts=3.0, counted=True)
    reading = PowerReading(
        time=1.0,
        monotonic=1.0,
        source="rapl",
        host_joules_total=99.0,
        host_watts=8.0,
        host_peak_watts=9.0,
        zones=(zone,),
    )
    assert shown(reading) == {
        "rapl_power_watts[('package', 'package-0'), ('zone', 'dram')]": 3.0,
        "rapl_energy_joules_total[('package', 'package-0'), ('zone', 'dram')]": 12.5,
        "wattview_zone_counted[('package', 'package-0'), ('zone', 'dram')]": 1.0,
        "wattview_host_power_watts[('source', 'rapl')]": 8.0,
        "wattview_host_energy_joules_total[('source', 'rapl')]": 99.0,
    }


def test_unknown_figures_have_no_sample() -> None:
    zone = Zone(path="intel-rapl:0", package="package-0", zone="package-0", joules_total=1.0, watts=None, counted=True)
    reading = PowerReading(
        time=1.0,
        monotonic=1.0,
        source="rapl",
        host_joules_total=None,
        host_watts=None,
        host_peak_watts=None,
        zones=(zone,),
    )
    assert shown(reading) == {
        "rapl_energy_joules_total[('package', 'package-0'), ('zone', 'package-0')]": 1.0,
        "wattview_zone_counted[('package', 'package-0'), ('zone', 'package-0')]": 1.0,
    }


def test_an_estimate_is_shown_as_one_and_never_as_rapl(tmp_path: Path, make_config: ConfigFactory) -> None:
    reading = PowerProbe(make_config(f"paths.sysfs={tmp_path}")).read()
    assert set(shown(reading)) == {"wattview_host_energy_joules_total[('source', 'estimated')]"}
