"""Which zones are found, how they are labelled and counted, and what happens to those that cannot be read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.clock import FakeClock
from tests.support.nobody import as_nobody, directory_for_all
from tests.support.powercap import UNIT_NANOJOULES, Constant, PowercapTree, SimulatedZone, machine
from wattview.model import Fault, PowerReading, Zone
from wattview.probes import SourceAbsent, SourceError, SourceRefused
from wattview.probes.power.powercap_zone import MAX_ZONE_WATTS, growth
from wattview.probes.power.probe import PowerProbe


class Machine:
    """A simulated machine that is read through RAPL alone."""

    def __init__(self, tree: PowercapTree, make_config: ConfigFactory) -> None:
        self.tree = tree
        self.clock = FakeClock()
        self.probe = PowerProbe(make_config(f"paths.sysfs={tree.sysfs}", "power.sources=rapl"), clock=self.clock)

    def run(self, seconds: float = 2.0) -> PowerReading:
        """Lets time pass, sampled by the clock, and reads at its end."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.tree.write(self.clock.seconds)
            with suppress(SourceError):
                self.probe.sample()
        return self.probe.read()


@pytest.fixture
def make_machine(tmp_path: Path, make_config: ConfigFactory) -> Iterator[type[Machine]]:
    def make(zones: list[SimulatedZone]) -> Machine:
        made.append(Machine(PowercapTree(tmp_path, zones), make_config))
        return made[-1]

    made: list[Machine] = []
    yield make  # type: ignore[misc]
    for each in made:
        each.tree.close()
        each.probe.close()


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    with directory_for_all() as directory:
        yield directory


def by_path(reading: PowerReading) -> dict[str, Zone]:
    return {zone.path: zone for zone in reading.zones}


def series(reading: PowerReading) -> set[tuple[str, str]]:
    return {(zone.package, zone.zone) for zone in reading.zones}


def fault(reading: PowerReading, part: str) -> Fault:
    return next(fault for fault in reading.faults if fault.part == part)


# names


def test_each_zone_has_the_labels_that_dashboards_use(make_machine) -> None:
    watts = Constant(10)
    reading = make_machine(machine(watts, sockets=2, core=watts, uncore=watts, dram=watts, psys=Constant(60))).run()
    assert series(reading) == {
        *(("package-0", zone) for zone in ("package-0", "core", "uncore", "dram")),
        *(("package-1", zone) for zone in ("package-1", "core", "uncore", "dram")),
        ("psys", "psys"),
    }


def test_zones_are_numbered_in_hexadecimal(make_machine) -> None:
    reading = make_machine(machine(Constant(100), sockets=18, core=Constant(60), mmio=True)).run()
    assert len(reading.zones) == 36
    assert {"intel-rapl:f", "intel-rapl:11", "intel-rapl:a:0"} <= by_path(reading).keys()
    assert ("package-10", "core") in series(reading)
    assert [zone.package for zone in reading.zones if zone.zone == zone.package][9:12] == [
        "package-9",
        "package-10",
        "package-11",
    ]
    assert reading.host_watts == pytest.approx(1800, rel=0.001)
    assert not reading.faults


def test_an_oddly_numbered_zone_makes_the_sum_unknown(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30)))
    (machine_.tree.sysfs / "class" / "powercap" / "intel-rapl:x").mkdir()
    reading = machine_.run()
    assert reading.host_watts is None
    assert by_path(reading)["intel-rapl:0"].watts == pytest.approx(30, rel=0.001)
    assert "numbered" in fault(reading, "intel-rapl:x").reason


def test_dies_of_one_socket_stay_apart(make_machine) -> None:
    zones = [
        SimulatedZone("intel-rapl:0", "package-0-die-0", Constant(10)),
        SimulatedZone("intel-rapl:0:0", "dram", Constant(1)),
        SimulatedZone("intel-rapl:1", "package-0-die-1", Constant(20), start_units=10**8),
        SimulatedZone("intel-rapl:1:0", "dram", Constant(2)),
    ]
    reading = make_machine(zones).run()
    assert {(zone.package, zone.zone): round(zone.watts or 0, 2) for zone in reading.zones} == {
        ("package-0-die-0", "package-0-die-0"): 10,
        ("package-0-die-0", "dram"): 1,
        ("package-0-die-1", "package-0-die-1"): 20,
        ("package-0-die-1", "dram"): 2,
    }
    assert reading.host_watts == pytest.approx(33, rel=0.001)


def test_dies_whose_counters_meet_by_chance_stay_apart(make_machine) -> None:
    ahead = int(601 * 1e9 / UNIT_NANOJOULES)
    zones = [
        SimulatedZone("intel-rapl:0", "package-0-die-0", Constant(10), start_units=ahead),
        SimulatedZone("intel-rapl:1", "package-0-die-1", Constant(20)),
    ]
    reading = make_machine(zones).run(62.0)
    assert len(series(reading)) == 2
    assert reading.host_watts == pytest.approx(30, rel=0.001)


def test_the_platform_zone_of_another_socket_is_still_the_platform(make_machine) -> None:
    zones = [*machine(Constant(50), sockets=2), SimulatedZone("intel-rapl:2", "psys-1", Constant(180))]
    reading = make_machine(zones).run()
    assert by_path(reading)["intel-rapl:2"].zone == "psys"
    assert reading.host_watts == pytest.approx(180, rel=0.001)


def test_two_packages_of_one_name_do_not_share_a_series(make_machine) -> None:
    zones = [SimulatedZone(f"intel-rapl:{at}", "package-0", Constant(10)) for at in (0, 1)]
    reading = make_machine(zones).run()
    assert len(series(reading)) == 2
    assert reading.host_watts == pytest.approx(20, rel=0.001)


# the same registers twice


def test_a_package_that_mmio_repeats_is_shown_and_counted_once(make_machine) -> None:
    reading = make_machine(machine(Constant(40), sockets=2, dram=Constant(5), mmio=True)).run()
    assert not [zone for zone in reading.zones if "mmio" in zone.path]
    assert reading.host_watts == pytest.approx(90, rel=0.001)


def test_dies_that_show_the_packages_one_counter_are_counted_once(make_machine) -> None:
    package, start = Constant(240), 123_456_789
    zones = []
    for die in range(4):
        zones.append(SimulatedZone(f"intel-rapl:{die}", f"package-0-die-{die}", package, start_units=start))
        zones.append(SimulatedZone(f"intel-rapl:{die}:0", "core", Constant(2), start_units=start + die * 10**6))
    machine_ = make_machine(zones)
    assert machine_.run().host_watts == pytest.approx(240, rel=0.001)
    reading = machine_.run(125.0)
    assert reading.host_watts == pytest.approx(240, rel=0.001), "also after the tree was looked at again"
    assert series(reading) == {("package-0-die-0", "package-0-die-0"), ("package-0-die-0", "core")}


def dies_of_two_sockets() -> list[SimulatedZone]:
    """Both dies of each socket show the one counter of their package."""
    return [
        SimulatedZone(f"intel-rapl:{2 * socket + die}", f"package-{socket}-die-{die}", Constant(68), start_units=start)
        for socket, start in enumerate((11_000_000, 987_654_321))
        for die in range(2)
    ]


@pytest.mark.parametrize("hidden", [(0, 1, 2, 3), (1,), (0, 2), (0, 1)])
def test_dies_that_become_readable_late_are_counted_once(
    hidden: tuple[int, ...], shared_directory: Path, make_config: ConfigFactory
) -> None:
    machine_ = Machine(PowercapTree(shared_directory, dies_of_two_sockets()), make_config)
    counters = [machine_.tree.directory(f"intel-rapl:{number}") / "energy_uj" for number in hidden]
    for counter in counters:
        counter.chmod(0o400)
    with as_nobody(), suppress(SourceRefused):
        assert machine_.run(1.5).host_joules_total is None
    for counter in counters:
        counter.chmod(0o444)
    with as_nobody():
        before = machine_.run(3.0)
        after = machine_.run(63.0)
    for reading in (before, after):
        assert reading.host_watts == pytest.approx(136, rel=0.001)
        assert {zone.package for zone in reading.zones} == {"package-0-die-0", "package-1-die-0"}
    assert after.host_joules_total - before.host_joules_total == pytest.approx(136 * 63, rel=0.001)


def test_dies_that_begin_at_one_value_and_draw_differently_lose_no_energy(make_machine) -> None:
    zones = [SimulatedZone(f"intel-rapl:{die}", f"package-0-die-{die}", Constant(40 + 4 * die)) for die in range(2)]
    machine_ = make_machine(zones)
    assert machine_.run(0.1).host_joules_total is None
    reading = machine_.run(10.0)
    assert reading.host_joules_total == pytest.approx(84 * 10.0, rel=0.001)
    assert reading.host_watts == pytest.approx(84, rel=0.001)


def test_mmio_is_used_if_it_is_the_only_interface(make_machine) -> None:
    zones = [SimulatedZone("intel-rapl-mmio:0", "package-0", Constant(28))]
    reading = make_machine(zones).run()
    assert series(reading) == {("package-0", "package-0")}
    assert reading.host_watts == pytest.approx(28, rel=0.001)


# other forms of the tree


def test_a_control_type_that_was_bind_mounted_alone_is_read(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30), core=Constant(20), dram=Constant(4)))
    powercap = tmp_path / "class" / "powercap"
    shutil.rmtree(powercap)
    powercap.mkdir()
    (tmp_path / "devices" / "virtual" / "powercap" / "intel-rapl").rename(powercap / "intel-rapl")
    reading = Machine(tree, make_config).run()
    assert series(reading) == {("package-0", "package-0"), ("package-0", "core"), ("package-0", "dram")}
    assert reading.host_watts == pytest.approx(34, rel=0.001)


def test_zones_hidden_by_a_container_engine_are_refused_with_the_fix(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30)))
    shutil.rmtree(machine_.tree.sysfs / "devices" / "virtual" / "powercap")
    with pytest.raises(SourceRefused, match="hidden") as caught:
        machine_.probe.read()
    assert "-v /sys:/host/sys:ro" in caught.value.fix
    assert "paths.sysfs=/host/sys" in caught.value.fix


def test_a_machine_without_rapl_says_so(tmp_path: Path, make_config: ConfigFactory) -> None:
    probe = PowerProbe(make_config(f"paths.sysfs={tmp_path}", "power.sources=rapl"))
    with pytest.raises(SourceAbsent, match="no RAPL zone"):
        probe.read()


# what may not be read


def test_root_only_counters_are_refused_with_the_command_that_grants_access(
    shared_directory: Path, make_config: ConfigFactory
) -> None:
    tree = PowercapTree(shared_directory, machine(Constant(30), sockets=2))
    files = [tree.directory(path) / "energy_uj" for path in tree.zones]
    for file in files:
        file.chmod(0)
    probe = Machine(tree, make_config).probe
    with as_nobody() as user, pytest.raises(SourceRefused, match="readable by root only") as caught:
        probe.read()
    assert f"sudo chown {user} {shared_directory}/class/powercap/intel-rapl*:*/energy_uj" in caught.value.fix

    for file in files:
        file.chmod(0o400)
        os.chown(file, user, -1)
    with as_nobody():
        assert probe.read().host_joules_total is not None, "the command works, without a restart"


def test_a_sum_without_a_socket_is_unknown(shared_directory: Path, make_config: ConfigFactory) -> None:
    machine_ = Machine(PowercapTree(shared_directory, machine(Constant(30), sockets=2)), make_config)
    (machine_.tree.directory("intel-rapl:1") / "energy_uj").chmod(0)
    with as_nobody():
        reading = machine_.run()
    assert reading.host_joules_total is None
    assert reading.host_watts is None
    assert by_path(reading)["intel-rapl:0"].watts == pytest.approx(30, rel=0.001)
    assert "intel-rapl:1" not in by_path(reading)
    assert "sudo chown" in fault(reading, "intel-rapl:1").fix


def test_garbage_in_a_counter_only_loses_that_zone(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), core=Constant(20), dram=Constant(5)))
    before = machine_.run()
    counter = machine_.tree.directory("intel-rapl:0:1") / "energy_uj"
    good = counter.read_bytes()
    counter.write_bytes(b"\x00\xff4e5\n")
    machine_.clock.advance(1.0)
    reading = machine_.probe.read()
    assert reading.host_joules_total is None
    assert set(by_path(reading)) == {"intel-rapl:0", "intel-rapl:0:0"}
    assert "not a number" in fault(reading, "intel-rapl:0:1").reason
    counter.write_bytes(good)
    after = machine_.run(3.0)
    assert not after.faults
    assert after.host_joules_total - before.host_joules_total == pytest.approx(35 * 4, rel=0.001)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_no_content_of_a_counter_breaks_the_reading(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tree = PowercapTree(Path(directory), machine(Constant(30), dram=Constant(5)))
        (tree.directory("intel-rapl:0:0") / "energy_uj").write_bytes(content)
        from wattview import config

        probe = PowerProbe(config.load(sets=[f"paths.sysfs={directory}", "power.sources=rapl"], environ={}))
        reading = probe.read()
        assert by_path(reading)["intel-rapl:0"].joules_total == 0
        assert ("intel-rapl:0:0" in by_path(reading)) != bool(reading.faults)
        tree.close()
        probe.close()


# what goes and comes


def test_a_removed_socket_leaves_no_smaller_figure(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), sockets=2, core=Constant(10)))
    assert machine_.run().host_watts == pytest.approx(60, rel=0.001)
    machine_.tree.remove("intel-rapl:1")
    reading = machine_.run()
    assert set(by_path(reading)) == {"intel-rapl:0", "intel-rapl:0:0"}
    assert reading.host_joules_total is None
    assert "has disappeared" in fault(reading, "intel-rapl:1").reason


def test_a_driver_that_is_loaded_later_is_found(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30)))
    hidden = machine_.tree.sysfs / "class" / "hidden"
    (machine_.tree.sysfs / "class" / "powercap").rename(hidden)
    with pytest.raises(SourceAbsent):
        machine_.probe.read()
    hidden.rename(machine_.tree.sysfs / "class" / "powercap")
    assert machine_.run().host_watts == pytest.approx(30, rel=0.001)


def test_a_driver_that_is_unloaded_is_absent(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30)))
    machine_.run()
    machine_.tree.remove("intel-rapl:0")
    with pytest.raises(SourceAbsent):
        machine_.run()


def test_a_zone_that_comes_back_is_read_again(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), sockets=2))
    before = machine_.run()
    counter = machine_.tree.directory("intel-rapl:1") / "energy_uj"
    counted = int(counter.read_text())
    machine_.tree.freeze("intel-rapl:1")
    counter.write_text("")
    assert machine_.run(1.0).host_watts is None
    counter.unlink()
    counter.write_text(str(counted + 90_000_000))
    reading = machine_.run(2.0)
    assert not reading.faults
    assert reading.host_joules_total - before.host_joules_total == pytest.approx(30 * 3 + 90, rel=0.001)


def test_a_zone_that_comes_later_is_found(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), sockets=2))
    link = machine_.tree.sysfs / "class" / "powercap" / "intel-rapl:1"
    directory = machine_.tree.directory("intel-rapl:1")
    aside = machine_.tree.sysfs / "aside"
    directory.rename(aside)
    link.unlink()
    assert machine_.run().host_watts == pytest.approx(30, rel=0.001)
    aside.rename(directory)
    link.symlink_to(directory)
    reading = machine_.run(65.0)
    assert reading.host_watts == pytest.approx(60, rel=0.001)


# counters that stand still


def test_a_counter_that_never_moves_is_reported_and_is_not_0_watts(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), uncore=Constant(2), dram=Constant(5)))
    machine_.tree.freeze("intel-rapl:0:0")
    reading = machine_.run()
    assert series(reading) == {("package-0", "package-0"), ("package-0", "dram")}
    reason = fault(reading, "intel-rapl:0:0").reason
    assert "has not moved" in reason
    assert "disabled" in reason, "enabled is 0 there"
    assert reading.host_watts == pytest.approx(35, rel=0.001)


def test_a_disabled_zone_that_counts_is_read(make_machine) -> None:
    zones = [zone._replace(enabled=0) for zone in machine(Constant(30), dram=Constant(5))]
    reading = make_machine(zones).run()
    assert not reading.faults
    assert reading.host_watts == pytest.approx(35, rel=0.001)


def test_a_counter_that_has_moved_may_rest(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), uncore=Constant(2)))
    machine_.run()
    machine_.tree.freeze("intel-rapl:0:0")
    reading = machine_.run(3.0)
    assert by_path(reading)["intel-rapl:0:0"].watts == 0.0, "an unused part that was seen to count really draws nothing"
    assert not reading.faults


def test_a_stuck_dram_zone_is_left_out_and_a_stuck_package_is_not(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), sockets=2, dram=Constant(5)))
    machine_.tree.freeze("intel-rapl:1:0")
    assert machine_.run().host_watts == pytest.approx(65, rel=0.001)
    machine_ = make_machine(machine(Constant(30), sockets=2, dram=Constant(5)))
    machine_.tree.freeze("intel-rapl:1")
    reading = machine_.run()
    assert reading.host_watts is None
    assert "has not moved" in fault(reading, "intel-rapl:1").reason


def test_a_stuck_platform_zone_leaves_the_packages(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30), sockets=2, dram=Constant(5), psys=Constant(90)))
    machine_.tree.freeze("intel-rapl:2")
    reading = machine_.run()
    assert reading.host_watts == pytest.approx(70, rel=0.001)
    assert ("psys", "psys") not in series(reading)


def test_a_platform_zone_below_its_packages_is_not_believed(make_machine) -> None:
    reading = make_machine(machine(Constant(60), dram=Constant(5), psys=Constant(20))).run(5.0)
    assert reading.host_watts == pytest.approx(65, rel=0.001)
    assert "less than the packages" in fault(reading, "psys").reason


def test_two_platform_zones_are_not_added_up(make_machine) -> None:
    zones = [
        *machine(Constant(50), sockets=2),
        SimulatedZone("intel-rapl:2", "psys", Constant(150)),
        SimulatedZone("intel-rapl:3", "psys-1", Constant(150)),
    ]
    reading = make_machine(zones).run()
    assert reading.host_watts == pytest.approx(100, rel=0.001)
    assert len(series(reading)) == 4


# sleep


def test_a_counter_reset_by_a_resume_is_not_a_wrap(make_machine) -> None:
    machine_ = make_machine(machine(Constant(30)))
    before = machine_.run()
    counter = machine_.tree.directory("intel-rapl:0") / "energy_uj"
    machine_.tree.freeze("intel-rapl:0")
    machine_.clock.suspend(30.0)
    counter.write_text("450000\n")
    reading = machine_.probe.read()
    assert reading.host_joules_total - before.host_joules_total == pytest.approx(0.45)
    assert reading.host_watts is None, "there is no last second yet"


def test_energy_during_sleep_is_counted_without_a_burst(make_machine) -> None:
    machine_ = make_machine(machine(Constant(0.5)))
    before = machine_.run()
    machine_.clock.suspend(36000.0)
    machine_.tree.write(machine_.clock.seconds)
    assert machine_.probe.read().host_watts is None
    reading = machine_.run(2.0)
    assert reading.host_joules_total - before.host_joules_total == pytest.approx(18001, rel=0.001)
    assert reading.host_watts == pytest.approx(0.5, rel=0.001)
    assert reading.host_peak_watts == pytest.approx(0.5, rel=0.01)


# unwrapping

RANGE_UJ = 262_143_328_850


@given(
    before=st.integers(0, RANGE_UJ),
    watts=st.floats(0, 2000),
    seconds=st.floats(0.001, 120),
    range_uj=st.sampled_from([RANGE_UJ, 65_712_999_613, 2_000_000_000]),
)
def test_energy_survives_a_counter_wrap(before: int, watts: float, seconds: float, range_uj: int) -> None:
    before %= range_uj
    true = int(watts * seconds * 1e6) % range_uj
    assert growth(before, (before + true) % range_uj, range_uj, seconds) == true


@given(
    before=st.integers(0, 2**64),
    now=st.integers(0, 2**64),
    range_uj=st.integers(0, 2**64),
    seconds=st.floats(0, 1e7),
    slept=st.booleans(),
)
def test_no_counter_ever_shows_a_fall_or_an_impossible_power(
    before: int, now: int, range_uj: int, seconds: float, slept: bool
) -> None:
    grown = growth(before, now, range_uj, seconds, slept)
    assert 0 <= grown <= MAX_ZONE_WATTS * (seconds + 0.1) * 1e6


def test_a_counter_reset_counts_what_followed_it() -> None:
    assert growth(100_000_000_000, 2_000_000, RANGE_UJ, 0.1) == 2_000_000


def test_an_impossible_jump_counts_nothing() -> None:
    assert growth(1_000_000, 200_000_000_000, RANGE_UJ, 0.1) == 0


# zones that are not as others


def test_memory_that_is_no_part_of_a_package_is_counted(make_machine) -> None:
    zones = [
        SimulatedZone("intel-rapl:0", "package-0", Constant(30)),
        SimulatedZone("intel-rapl:1", "dram", Constant(7)),
    ]
    reading = make_machine(zones).run()
    assert reading.host_watts == pytest.approx(37, rel=1e-4)
    assert reading.faults == ()


@pytest.mark.parametrize("name", ["Package-0", "soc", "package"])
def test_a_zone_of_an_unknown_name_makes_the_sum_unknown_and_says_so(name: str, make_machine) -> None:
    zones = [
        SimulatedZone("intel-rapl:0", "package-0", Constant(30)),
        SimulatedZone("intel-rapl:1", name, Constant(30)),
    ]
    reading = make_machine(zones).run()
    assert reading.host_watts is None
    assert by_path(reading)["intel-rapl:0"].watts == pytest.approx(30, rel=1e-4)
    assert repr(name) in fault(reading, "intel-rapl:1").reason


def test_a_platform_counter_holds_what_has_an_unknown_name(make_machine) -> None:
    zones = [
        SimulatedZone("intel-rapl:0", "package-0", Constant(30)),
        SimulatedZone("intel-rapl:1", "soc", Constant(30)),
        SimulatedZone("intel-rapl:2", "psys", Constant(80)),
    ]
    assert make_machine(zones).run().host_watts == pytest.approx(80, rel=1e-4)


@pytest.mark.parametrize("text", ["0\n", None])
def test_a_wrap_at_an_unknown_range_is_reported(text: str | None, make_machine) -> None:
    """codecarbon takes a range that it cannot read as 0: https://github.com/mlco2/codecarbon/pull/1321."""
    machine = make_machine([SimulatedZone("intel-rapl:0", "package-0", Constant(30), bits=21)])
    file = machine.tree.directory("intel-rapl:0") / "max_energy_range_uj"
    file.unlink() if text is None else file.write_text(text)
    assert machine.run(2).faults == ()
    reading = machine.run(4)
    assert "max_energy_range_uj" in fault(reading, "intel-rapl:0").reason
    assert reading.host_joules_total == pytest.approx(177, abs=3.1), "a lower bound: less by one sample's energy"
