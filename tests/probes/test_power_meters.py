"""Sources besides RAPL: the board's own meters (hwmon), the battery, and what the estimate knows of a processor."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ConfigFactory
from tests.support.clock import FakeClock
from tests.support.nobody import as_nobody, directory_for_all
from tests.support.powercap import Constant, PowercapTree, Square, machine
from wattview.config import ConfigError
from wattview.model import PowerReading
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.power.energy_source import PowerIntegral
from wattview.probes.power.estimate import ANY_FAMILY, FAMILIES, EstimatedEnergy, cpu_family
from wattview.probes.power.hwmon import PROCESSOR_METERS, HwmonMeters
from wattview.probes.power.probe import PowerProbe


class Board:
    """A sysfs root with the hwmon chips and power supplies that the test puts there."""

    def __init__(self, sysfs: Path) -> None:
        self.sysfs = sysfs

    def chip(self, at: int, name: str, *, in_device: bool = False, **files: object) -> Path:
        directory = self.sysfs / "class" / "hwmon" / f"hwmon{at}"
        if in_device:
            directory /= "device"
        put(directory, name=name, **files)
        return directory

    def supply(self, name: str, **files: object) -> Path:
        directory = self.sysfs / "class" / "power_supply" / name
        put(directory, **files)
        return directory


def put(directory: Path, **files: object) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_text(f"{content}\n")


class Measured:
    """A probe on that board, on a hand-turned clock."""

    def __init__(self, sysfs: Path, make_config: ConfigFactory, sources: str = "auto") -> None:
        self.clock = FakeClock()
        self.probe = PowerProbe(make_config(f"paths.sysfs={sysfs}", f"power.sources={sources}"), clock=self.clock)

    def after(self, seconds: float) -> PowerReading:
        self.clock.advance(seconds)
        return self.probe.read()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


# hwmon


def test_a_servers_own_meter_is_read_without_rapl(board: Board, make_config: ConfigFactory) -> None:
    board.chip(0, "coretemp", temp1_input=45000)
    board.chip(1, "amdgpu", power1_average=90_000_000)
    board.chip(2, "power_meter", in_device=True, power1_average=212_000_000, power1_is_battery=0)
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    reading = measured.after(2.0)
    assert reading.source == "hwmon"
    assert reading.host_watts == pytest.approx(212)
    assert measured.probe.sample_hz == 1.0


def test_a_gpus_sensor_is_not_the_host(board: Board, make_config: ConfigFactory) -> None:
    board.chip(0, "amdgpu", power1_average=90_000_000, power1_label="PPT")
    board.chip(1, "i915", energy1_input=123456789)
    assert Measured(board.sysfs, make_config).after(0).source == "estimated"
    with pytest.raises(SourceAbsent):
        Measured(board.sysfs, make_config, "hwmon").after(0)


def test_the_total_of_a_power_supply_is_not_added_to_its_rails(board: Board, make_config: ConfigFactory) -> None:
    rails = {"power1_input": 301_000_000, "power1_label": "power total", "power2_input": 250_000_000}
    board.chip(0, "corsairpsu", power2_label="power +12v", **rails)
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    assert measured.after(2.0).host_watts == pytest.approx(301)


def test_the_modules_of_a_grace_machine_are_added_and_their_parts_are_not(
    board: Board, make_config: ConfigFactory
) -> None:
    at = 0
    for socket in (0, 1):
        for part, watts in (("Module", 400), ("Grace", 150), ("CPU", 100), ("SysIO", 20)):
            text = f"{part} Power Socket {socket}"
            board.chip(at, "power_meter", in_device=True, power1_average=watts * 10**6, power1_oem_info=text)
            at += 1
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    assert measured.after(2.0).host_watts == pytest.approx(800)


def test_several_meters_of_no_known_meaning_are_not_guessed_at(board: Board, make_config: ConfigFactory) -> None:
    for at in range(2):
        board.chip(at, "power_meter", power1_average=100_000_000)
    assert Measured(board.sysfs, make_config).after(0).source == "estimated"


def test_an_energy_counter_is_preferred_to_an_integral(board: Board, make_config: ConfigFactory) -> None:
    sockets = {"energy3_label": "Esocket0", "energy4_label": "Esocket1"}
    cores = {"energy1_label": "Ecore000", "energy1_input": 10**9, "energy2_label": "Ecore001", "energy2_input": 10**9}
    chip = board.chip(0, "amd_energy", energy3_input=5_000_000, energy4_input=7_000_000, **sockets, **cores)
    measured = Measured(board.sysfs, make_config)
    start = measured.after(0)
    put(chip, energy3_input=65_000_000, energy4_input=47_000_000, energy1_input=2 * 10**9)
    end = measured.after(2.0)
    assert end.source == "hwmon-processor"
    assert end.host_joules_total - start.host_joules_total == pytest.approx(100)
    assert end.host_watts == pytest.approx(50)


def test_a_counter_updated_every_second_gives_no_power_over_shorter_spans(
    board: Board, make_config: ConfigFactory
) -> None:
    chip = board.chip(0, "amd_energy", energy1_label="Esocket0", energy1_input=0)
    measured = Measured(board.sysfs, make_config)
    for tenth in range(300):
        put(chip, energy1_input=int((tenth * 0.1 + 0.913) // 1.0 * 45_000_000))
        reading = measured.after(0.1)
        if reading.host_watts is not None:
            assert reading.host_watts == pytest.approx(45, rel=0.12)
            assert reading.host_peak_watts == pytest.approx(45, rel=0.12)
    assert reading.host_error_watts is not None


def test_one_of_two_grace_processors_is_not_the_machine(board: Board, make_config: ConfigFactory) -> None:
    text = "Grace Power Socket 0"
    board.chip(0, "power_meter", in_device=True, power1_average=150_000_000, power1_oem_info=text)
    assert Measured(board.sysfs, make_config).after(0).source == "hwmon-processor"


def test_a_meter_that_says_0_watts_measures_nothing(board: Board, make_config: ConfigFactory) -> None:
    board.chip(0, "power_meter", power1_average=0)
    reading = Measured(board.sysfs, make_config).after(0)
    assert reading.source == "estimated"
    assert "0 W" in reading.faults[0].reason


@pytest.mark.parametrize("content", ["", "4294967295000", "-5", "many"])
def test_invalid_meter_answers_give_no_power(content: str, board: Board, make_config: ConfigFactory) -> None:
    board.chip(0, "power_meter", power1_average=content)
    with pytest.raises(SourceBroken) as caught:
        Measured(board.sysfs, make_config).after(0)
    assert "power1_average" in caught.value.reason
    assert "power.sources=estimated" in caught.value.fix


def test_a_meter_that_may_not_be_read_names_the_command() -> None:
    with directory_for_all() as sysfs:
        chip = Board(sysfs).chip(0, "amd_energy", energy1_input=5, energy1_label="Esocket0")
        file = chip / "energy1_input"
        file.chmod(0)
        meters = HwmonMeters(sysfs, "hwmon-processor", PROCESSOR_METERS)
        with as_nobody() as user, pytest.raises(SourceRefused) as caught:
            meters.measure(FakeClock()())
        assert f"run: sudo chown {user} {file}" in caught.value.fix
        file.chmod(0o400)
        os.chown(file, user, -1)
        with as_nobody():
            assert meters.measure(FakeClock()()).host_microjoules == 0, "the command works"


def test_a_subset_of_the_meters_is_not_the_machine(board: Board, make_config: ConfigFactory) -> None:
    """One of two modules goes, as its driver is unbound, and comes back under another number."""
    files = {"in_device": True, "power1_average": 400_000_000}
    chips = [board.chip(at, "power_meter", power1_oem_info=f"Module Power Socket {at}", **files) for at in (0, 1)]
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    assert measured.after(2.0).host_watts == pytest.approx(800)
    shutil.rmtree(chips[1])
    for _ in range(3):
        with pytest.raises(SourceBroken, match="'Module Power Socket 1' has gone"):
            measured.after(11.0)
    board.chip(7, "power_meter", power1_oem_info="Module Power Socket 1", **files)
    measured.after(11.0)
    assert measured.after(2.0).host_watts == pytest.approx(800)


def test_a_socket_without_a_meter_of_its_own_leaves_the_sum_unknown(board: Board, make_config: ConfigFactory) -> None:
    for at, text in enumerate(("Grace Power Socket 0", "Grace Power Socket 1", "Module Power Socket 1")):
        board.chip(at, "power_meter", in_device=True, power1_average=150_000_000, power1_oem_info=text)
    with pytest.raises(SourceBroken, match="socket 0 has no such sensor"):
        Measured(board.sysfs, make_config, "hwmon").after(0)
    # The processors are all there: they are what is known.
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    reading = measured.after(2.0)
    assert (reading.source, reading.host_watts) == ("hwmon-processor", pytest.approx(300))
    assert "socket 0" in reading.faults[0].reason


def test_a_meter_that_disappears_is_replaced_by_the_next_source(board: Board, make_config: ConfigFactory) -> None:
    chip = board.chip(0, "power_meter", power1_average=50_000_000)
    measured = Measured(board.sysfs, make_config)
    assert measured.after(0).source == "hwmon"
    for file in chip.iterdir():
        file.unlink()
    assert measured.after(20.0).source == "estimated"


@given(st.lists(st.tuples(st.floats(0.01, 30), st.floats(0, 500)), min_size=1, max_size=30))
def test_the_integral_of_a_power_lies_between_its_bounds(steps: list[tuple[float, float]]) -> None:
    clock = FakeClock()
    integral = PowerIntegral()
    integral.add(clock(), steps[0][1])
    for seconds, watts in steps:
        clock.advance(seconds)
        integral.add(clock(), watts)
    powers = [watts for _, watts in steps]
    total = sum(seconds for seconds, _ in steps)
    assert min(powers) * total - 1e-3 <= integral.microjoules / 1e6 <= max(powers) * total + 1e-3


def test_the_integral_counts_nothing_over_a_sleep() -> None:
    clock = FakeClock()
    integral = PowerIntegral()
    integral.add(clock(), 50.0)
    clock.advance(2.0)
    clock.suspend(3600.0)
    assert integral.add(clock(), 50.0) == 0
    clock.advance(2.0)
    assert integral.add(clock(), 50.0) == 100_000_000


def test_the_integral_of_a_known_power_is_its_energy(board: Board, make_config: ConfigFactory) -> None:
    chip = board.chip(0, "power_meter", power1_average=20_000_000)
    power = Square(20, 80, 20)
    measured = Measured(board.sysfs, make_config)
    start = measured.after(0)
    for second in range(1, 61):
        watts = power.joules(second + 0.5) - power.joules(second - 0.5)
        put(chip, power1_average=round(watts * 1e6))
        end = measured.after(1.0)
    assert end.host_joules_total - start.host_joules_total == pytest.approx(power.joules(60), rel=0.02)


# batteries


BATTERY = {"type": "Battery", "scope": "System", "present": 1}


@pytest.mark.parametrize(
    "gives",
    [
        {"power_now": 11_500_000},
        {"power_now": -11_500_000},
        {"current_now": 1_000_000, "voltage_now": 11_500_000},
        {"current_now": -1_000_000, "voltage_now": 11_500_000},
    ],
)
def test_a_laptop_on_battery_is_measured_at_the_battery(
    gives: dict[str, int], board: Board, make_config: ConfigFactory
) -> None:
    board.supply("AC", type="Mains", online=0)
    board.supply("BAT0", status="Discharging", **BATTERY, **gives)
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    reading = measured.after(2.0)
    assert reading.source == "battery"
    assert reading.host_watts == pytest.approx(11.5)


def test_two_batteries_are_added(board: Board, make_config: ConfigFactory) -> None:
    board.supply("BAT0", status="Discharging", power_now=6_000_000, **BATTERY)
    board.supply("BAT1", status="Discharging", power_now=4_000_000, **BATTERY)
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    assert measured.after(2.0).host_watts == pytest.approx(10)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_that_does_not_discharge_does_not_measure_the_host(
    status: str, board: Board, make_config: ConfigFactory
) -> None:
    board.supply("BAT0", status=status, power_now=30_000_000, **BATTERY)
    assert Measured(board.sysfs, make_config).after(0).source == "estimated"


@pytest.mark.parametrize("status", ["Unknown", "Not charging", "Full", "Charging"])
def test_a_battery_reports_its_own_reason(status: str, board: Board, make_config: ConfigFactory) -> None:
    board.supply("AC", type="Mains", online=0)
    board.supply("BAT0", type="Battery", present=1, status=status, power_now=20_000_000)
    with pytest.raises(SourceAbsent, match=f"its status is '{status}'"):
        Measured(board.sysfs, make_config, "battery").after(0)


def test_a_battery_beside_a_plug_is_not_all_that_feeds_the_machine(board: Board, make_config: ConfigFactory) -> None:
    plug = board.supply("AC", type="Mains", online=1)
    board.supply("BAT0", status="Discharging", power_now=3_000_000, **BATTERY)
    measured = Measured(board.sysfs, make_config)
    assert measured.after(0).source == "estimated"
    put(plug, online=0)
    reading = measured.after(2.0)
    assert (reading.source, reading.host_watts) == ("battery", None), "no mean over two sources"
    assert measured.after(2.0).host_watts == pytest.approx(3)


OTHERS = {
    "a dock": {"device_supply": {"type": "USB", "scope": "Device", "online": 1}},
    "a keyboard's mains": {"wacom_ac_1": {"type": "Mains", "scope": "Device", "online": 1}},
    "a port that gives": {"ucsi-source-psy-USBC000:001": {"type": "USB", "online": 1}},
    "one of two ports": {
        "ucsi-source-psy-USBC000:001": {"type": "USB", "online": 1},
        "ucsi-source-psy-USBC000:002": {"type": "USB", "online": 0},
    },
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_supplies_that_do_not_feed_the_machine_are_ignored(
    others: dict[str, dict[str, object]], board: Board, make_config: ConfigFactory
) -> None:
    board.supply("AC", type="Mains", online=0)
    board.supply("BAT0", status="Discharging", power_now=20_000_000, **BATTERY)
    for name, files in others.items():
        board.supply(name, **files)
    put(board.sysfs / "class/typec/port0", power_role="[source] sink")
    if len(others) > 1:
        put(board.sysfs / "class/typec/port1", power_role="source [sink]")
    measured = Measured(board.sysfs, make_config)
    measured.after(0)
    reading = measured.after(2.0)
    assert (reading.source, reading.host_watts) == ("battery", pytest.approx(20))


@pytest.mark.parametrize("role", ["source [sink]", "[sink]", None])
def test_a_port_that_takes_power_feeds_the_machine(role: str | None, board: Board, make_config: ConfigFactory) -> None:
    board.supply("BAT0", status="Discharging", power_now=20_000_000, **BATTERY)
    board.supply("ucsi-source-psy-USBC000:002", type="USB", online=1)
    put(board.sysfs / "class/typec/port0", power_role="[source] sink")
    if role is not None:
        put(board.sysfs / "class/typec/port1", power_role=role)
    else:
        put(board.sysfs / "class/typec/port0", power_role="source [sink]")
    assert Measured(board.sysfs, make_config).after(0).source == "estimated"


def test_an_impossible_battery_power_is_not_a_sample(board: Board, make_config: ConfigFactory) -> None:
    board.supply("BAT0", status="Discharging", power_now=65_535_000_000, **BATTERY)
    with pytest.raises(SourceBroken, match="65535 W is not a possible power of a battery"):
        Measured(board.sysfs, make_config, "battery").after(0)


def test_the_battery_of_a_mouse_is_not_the_machines(board: Board, make_config: ConfigFactory) -> None:
    board.supply("hidpp_battery_0", type="Battery", scope="Device", status="Discharging", power_now=100_000)
    with pytest.raises(SourceAbsent, match="no battery"):
        Measured(board.sysfs, make_config, "battery").after(0)


def test_rapl_comes_before_every_other_meter(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    board = Board(tmp_path)
    board.chip(0, "power_meter", power1_average=200_000_000)
    board.supply("BAT0", status="Discharging", power_now=11_000_000, **BATTERY)
    assert Measured(tree.sysfs, make_config).after(0).source == "rapl"
    assert Measured(tree.sysfs, make_config, "hwmon").after(0).source == "hwmon"
    assert Measured(tree.sysfs, make_config, "battery").after(0).source == "battery"


def test_a_source_that_fails_for_a_moment_is_not_replaced(tmp_path: Path, make_config: ConfigFactory) -> None:
    tree = PowercapTree(tmp_path, machine(Constant(30)))
    Board(tmp_path).chip(0, "power_meter", power1_average=200_000_000)
    measured = Measured(tmp_path, make_config)
    assert measured.after(0).source == "rapl"
    (tree.directory("intel-rapl:0") / "energy_uj").write_text("?\n")
    with pytest.raises(SourceBroken, match="not a number"):
        measured.after(1.0)
    tree.write(2.0)
    assert measured.after(1.0).source == "rapl"


# the processor's family


def cpuinfo(**fields: object) -> bytes:
    lines = [f"{name.replace('_', ' ') if name != 'vendor_id' else name}\t: {value}" for name, value in fields.items()]
    return ("processor\t: 0\n" + "\n".join(lines) + "\n\nprocessor\t: 1\nmodel\t\t: 1\n").encode()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (cpuinfo(vendor_id="AuthenticAMD", cpu_family=25, model=17, model_name="AMD EPYC 9R14"), "EPYC 4th Gen"),
        (cpuinfo(vendor_id="AuthenticAMD", cpu_family=23, model=49, model_name="AMD EPYC 7R32"), "EPYC 2nd Gen"),
        (cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=85, model_name="Xeon 8175M", stepping=4), "Skylake"),
        (
            cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=85, model_name="Xeon 8259CL", stepping=7),
            "Cascade Lake",
        ),
        (
            cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=143, model_name="Xeon 8488C", stepping=8),
            "Sapphire Rapids",
        ),
        (b"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n", "Graviton 2 to 4"),
        (cpuinfo(vendor_id="GenuineIntel", cpu_family=6, model=6, model_name="QEMU Virtual CPU", stepping=3), "any"),
        (b"", "any"),
    ],
)
def test_a_processor_is_known_by_its_model_numbers(text: bytes, name: str) -> None:
    assert cpu_family(text).name == name


@given(st.binary(max_size=300))
def test_no_cpuinfo_breaks_the_estimate(text: bytes) -> None:
    assert cpu_family(text) in (*FAMILIES, ANY_FAMILY)


def test_no_two_families_claim_one_processor() -> None:
    seen = [(model, at) for family in FAMILIES for model in family.models for at in family.steppings or (None,)]
    assert len(seen) == len(set(seen))
    assert all(0 < family.idle_watts < family.max_watts for family in FAMILIES)


def watts_at_rest(procfs: Path, *settings: float | None) -> float:
    clock = FakeClock()
    estimate = EstimatedEnergy(procfs, *settings)
    before = estimate.measure(clock()).host_microjoules
    clock.advance(1.0)
    after = estimate.measure(clock()).host_microjoules
    assert before is not None
    assert after is not None
    return (after - before) / 1e6


def test_the_estimate_takes_the_familys_watts_unless_they_are_set(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(
        "cpu  10 0 10 100 0 0 0 0 0 0\ncpu0 5 0 5 50 0 0 0 0 0 0\ncpu1 5 0 5 50 0 0 0 0 0 0\n"
    )
    assert watts_at_rest(tmp_path) == pytest.approx(2 * 0.74)
    (tmp_path / "cpuinfo").write_bytes(cpuinfo(vendor_id="AuthenticAMD", cpu_family=25, model=1))
    assert watts_at_rest(tmp_path) == pytest.approx(2 * 0.46)
    assert watts_at_rest(tmp_path, 2.0) == pytest.approx(4.0)


def test_watts_that_contradict_each_other_are_refused_at_the_start(make_config: ConfigFactory) -> None:
    with pytest.raises(ConfigError, match=r"power\.estimate_max_watts_per_cpu"):
        make_config("power.estimate_idle_watts_per_cpu=3", "power.estimate_max_watts_per_cpu=2")
