"""The wall as the daemon knows it: by its meter while there is one, by the calibration after that; what it keeps, what
it takes from other machines, and what it says where the calibration no longer fits."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.support.wall import IDLE, METERS, MODEL, TICK_SECONDS, Load, WallMachine, calibrated
from wattview.analysis.attribution.shares import GpuInterval, Interval
from wattview.daemon.events import kept_events
from wattview.daemon.wall import calibration_file
from wattview.daemon.wall.calibration_file import FILE_NAME, problem
from wattview.daemon.wall.identity import difference, machine_model
from wattview.daemon.wall.wall import CalibrationRefused, Wall
from wattview.model import MeterReading, WallPower
from wattview.model.power.calibration import CalibrationOffer, WallCalibration, WallInputs

NO_GPU: Callable[[], tuple[str, ...]] = tuple


@pytest.fixture(scope="module")
def learnt() -> tuple[WallMachine, WallCalibration]:
    return calibrated(1, METERS[0])


def wall_of(state: Path, gpus: Callable[[], tuple[str, ...] | None] = NO_GPU) -> Wall:
    return Wall(state, MODEL, calibration_file.load(state), gpus, 15.0)


def interval_of(one: WallInputs) -> Interval:
    gpus = (GpuInterval("gpu", one.gpu_watts * one.seconds, 0.5, 0.5, {}),) if one.gpu_watts else ()
    return Interval(
        time=one.time, seconds=one.seconds, host_joules=one.host_watts * one.seconds, cpus=MODEL.cpus, cpu_seconds={},
        busy_seconds=one.cpu_percent / 100 * MODEL.cpus * one.seconds, gpus=gpus, monotonic=time.monotonic(),
    )  # fmt: skip


def metered(at: float, watts: float | None, error: float = 0.5) -> WallPower:
    meter = MeterReading(time=at, monotonic=0.0, name="plug", kind="shelly", watts=watts, joules_total=None,
                         refresh_seconds=1.0, resolution_watts=0.1)  # fmt: skip
    return WallPower(source="meter", time=at, monotonic=0.0, watts=watts, error_watts=error, meters=(meter,),
                     reason="" if watts is not None else "plug has not answered for 20 s")  # fmt: skip


def adopt(wall: Wall, calibration: WallCalibration, **more: object) -> WallCalibration:
    return asyncio.run(wall.adopt(msgspec.convert({"calibration": calibration, **more}, CalibrationOffer)))


def test_the_meter_takes_precedence_and_the_calibration_continues_without_it(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    machine, calibration = WallMachine(1), learnt[1]
    wall = wall_of(tmp_path)
    adopt(wall, calibration)
    machine.run(IDLE, 60.0)
    machine.run(Load(0.6), 240.0)
    for one in machine.inputs:
        wall.take(interval_of(one), "rapl")
    last = machine.inputs[-1]
    truth = sum(watts for _, watts in machine.truth[-20:]) / 20
    with_meter = wall.power(metered(last.time, 123.4))
    assert with_meter is not None
    assert (with_meter.source, with_meter.watts) == ("meter", 123.4)
    without = wall.power(metered(last.time + 1, None))
    assert without is not None
    assert without.source == "calibrated"
    assert without.watts == pytest.approx(truth, rel=0.03)
    assert without.error_watts is not None
    assert [meter.name for meter in without.meters] == ["plug"]
    joules = sum(watts * TICK_SECONDS for _, watts in machine.truth)
    assert without.joules_total == pytest.approx(joules, rel=0.02)


def test_an_unknown_part_makes_wall_power_unknown_and_restarts_counting(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    machine, calibration = learnt
    wall = wall_of(tmp_path)
    adopt(wall, calibration)
    for one in machine.inputs[:5]:
        wall.take(interval_of(one), "rapl")
    wall.take(None, "")
    lost = wall.power(None)
    assert lost is not None
    assert (lost.watts, lost.error_watts, lost.joules_total) == (None, None, None)
    assert lost.reason == "the machine's own power is not known now"
    for one in machine.inputs[5:7]:
        wall.take(interval_of(one), "rapl")
    again = wall.power(None)
    assert again is not None
    assert again.joules_total is not None
    assert again.since == machine.inputs[5].time


@pytest.mark.parametrize(
    ("source", "gpus", "reason"),
    [
        ("estimated", (), "calibrated by rapl, and the machine's power comes from an estimate"),
        ("hwmon", (), "calibrated by rapl, and the machine's power comes from hwmon"),
        ("rapl", ("A GPU",), "the machine has changed since the calibration (GPUs: none, here A GPU)"),
    ],
)
def test_a_calibration_is_void_on_another_machine(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration], source: str, gpus: tuple[str, ...], reason: str
) -> None:
    machine, calibration = learnt
    wall = wall_of(tmp_path, lambda: gpus)
    adopt(wall, calibration)
    wall.take(interval_of(machine.inputs[0]), source)
    power = wall.power(None)
    assert power is not None
    assert power.watts is None
    assert power.reason.startswith(reason)


def test_a_calibration_is_void_after_the_processor_changed(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    machine, calibration = learnt
    adopt(wall_of(tmp_path), calibration)
    wall = Wall(tmp_path, replace(MODEL, cpu="another"), calibration_file.load(tmp_path), NO_GPU, 15.0)
    wall.take(interval_of(machine.inputs[0]), "rapl")
    power = wall.power(None)
    assert power is not None
    assert power.watts is None
    assert power.reason.startswith(
        "the machine has changed since the calibration (processor: Simulated 16-Core, here another"
    )


def test_outside_of_the_calibrated_range_there_is_no_interval(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    machine, calibration = learnt
    wall = wall_of(tmp_path)
    adopt(wall, calibration)
    wall.take(interval_of(machine.inputs[0]._replace(host_watts=1000.0)), "rapl")
    power = wall.power(None)
    assert power is not None
    assert power.watts is not None
    assert power.error_watts is None
    assert power.reason.startswith("outside the calibrated range")


def test_the_calibration_is_private_and_survives_a_restart(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    adopt(wall_of(tmp_path), learnt[1])
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    again = wall_of(tmp_path)
    assert again.calibration == learnt[1]
    asyncio.run(again.forget())
    assert wall_of(tmp_path).calibration is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"version":99}'])
def test_a_file_that_is_not_a_calibration_is_reported_and_kept(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with caplog.at_level(logging.WARNING, "wattview"):
        assert wall_of(tmp_path).calibration is None
    assert "make a new one: wattview calibrate" in caplog.text
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_what_cannot_be_computed_with_is_refused(tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]) -> None:
    good = learnt[1]
    wrong = {
        "newer": replace(good, version=2),
        "does not know": replace(good, terms=("base", "moon", *good.terms[2:])),
        "do not match": replace(good, coefficients=good.coefficients[1:]),
        "below 0": replace(good, quantile=0.0),
    }
    for words, calibration in wrong.items():
        assert words in problem(calibration)
        with pytest.raises(CalibrationRefused, match=words):
            adopt(wall_of(tmp_path), calibration)
    assert not (tmp_path / FILE_NAME).exists()


def test_another_model_of_machine_is_refused_unless_forced_and_marked(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    wall, good = wall_of(tmp_path), learnt[1]
    same = adopt(wall, good, imported=True)
    assert (same.imported, same.forced) == (True, False)
    other = replace(good, machine=replace(MODEL, board="Another Board"))
    with pytest.raises(CalibrationRefused, match="board: Another Board, here Example Board") as refused:
        adopt(wall, other, imported=True)
    assert refused.value.other_model
    assert wall.calibration == same
    forced = adopt(wall, other, imported=True, force=True)
    assert (forced.imported, forced.forced) == (True, True)


def test_virtual_machines_of_one_instance_type_are_of_one_model() -> None:
    one = replace(MODEL, virtual=True, instance_type="m5.xlarge")
    assert difference(one, replace(one, cpu="another processor")) == ""
    assert "instance type" in difference(one, replace(one, instance_type="m5.large"))
    assert "CPUs" in difference(one, replace(one, cpus=2))


def test_firmware_gives_the_model_and_amazon_the_instance_type(tmp_path: Path) -> None:
    procfs, dmi = tmp_path / "proc", tmp_path / "sys/class/dmi/id"
    procfs.mkdir()
    dmi.mkdir(parents=True)
    cpu = "processor : {}\nmodel name : Intel(R) Xeon(R) Platinum 8259CL\nflags : fpu sse hypervisor\n\n"
    (procfs / "cpuinfo").write_text(cpu.format(0) + cpu.format(1))
    (dmi / "sys_vendor").write_text("Amazon EC2\n")
    (dmi / "product_name").write_text("m5.large\n")
    found = machine_model(str(procfs), str(tmp_path / "sys"))
    assert (found.cpus, found.virtual, found.instance_type) == (2, True, "m5.large")
    assert found.product == "Amazon EC2 m5.large"
    (procfs / "cpuinfo").write_text(cpu.format(0).replace(" hypervisor", ""))
    (dmi / "sys_vendor").write_text("Dell Inc.\n")
    (dmi / "product_name").write_text("PowerEdge R650\n")
    found = machine_model(str(procfs), str(tmp_path / "sys"))
    assert (found.virtual, found.instance_type, found.product) == (False, "", "Dell Inc. PowerEdge R650")


def test_a_calibration_that_no_longer_fits_is_reported_once(
    tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]
) -> None:
    machine, calibration = WallMachine(1), learnt[1]
    wall = wall_of(tmp_path)
    adopt(wall, calibration)
    machine.run(Load(0.3), 3600.0)
    truth = dict(machine.truth)

    def follow(inputs: list[WallInputs], factor: float) -> None:
        for one in inputs:
            wall.power(metered(one.time, truth[one.time] * factor))
            wall.take(interval_of(one), "rapl")

    with kept_events() as events:
        follow(machine.inputs[:1200], 1.0)
        assert [event for event in events.after() if event.about == "wall"] == []
        follow(machine.inputs[1200:], 1.3)
        told = [event for event in events.after() if event.about == "wall"]
    assert len(told) == 1
    assert told[0].text.startswith("the calibration no longer fits: the meter reads")
    assert told[0].text.endswith("run: wattview calibrate")


def test_samples_are_kept_while_a_meter_is_there(tmp_path: Path, learnt: tuple[WallMachine, WallCalibration]) -> None:
    machine, wall = learnt[0], wall_of(tmp_path)
    wall.take(interval_of(machine.inputs[0]), "rapl")
    none = wall.samples(0.0, "")
    assert (none.inputs, none.meter) == ([], [])
    assert none.reason == "no wall meter is configured: add one to [[power.meters]]"
    for one in machine.inputs[1:6]:
        wall.power(metered(one.time, 80.0))
        wall.take(interval_of(one), "rapl")
    found = wall.samples(machine.inputs[3].time, "plug")
    assert [one.time for one in found.inputs] == [one.time for one in machine.inputs[4:6]]
    assert found.meter == [(one.time, 80.0) for one in machine.inputs[4:6]]
    assert (found.refresh_seconds, found.resolution_watts, found.power_source) == (1.0, 0.1, "rapl")
    assert found.inputs[0] == pytest.approx(machine.inputs[4])
    assert wall.samples(0.0, "other").reason == "no meter is called 'other'; there are: plug"
