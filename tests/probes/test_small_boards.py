"""Power of Jetsons and Raspberry Pis, which have no RAPL: by the monitors that are on the board."""

from __future__ import annotations

import fcntl
import struct
from pathlib import Path

import pytest

from tests.conftest import ConfigFactory
from tests.support.clock import FakeClock
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.power.probe import PowerProbe
from wattview.probes.power.raspberry_pi import GET_GENCMD_RESULT, rails_watts

ORIN_NX = {"VDD_IN": (5040, 1200), "VDD_CPU_GPU_CV": (5032, 400), "VDD_SOC": (5032, 290)}
AGX_ORIN = {"VDD_GPU_SOC": (12_000, 300), "VDD_CPU_CV": (12_000, 200), "VIN_SYS_5V0": (5000, 800)}

PI = """ 3V7_WL_SW_A current(0)=0.10000000A
   3V3_SYS_A current(1)=0.20000000A
  VDD_CORE_A current(7)=2.00000000A
 3V7_WL_SW_V volt(8)=3.70000000V
   3V3_SYS_V volt(9)=3.30000000V
  VDD_CORE_V volt(15)=0.90000000V
    EXT5V_V volt(24)=5.15246000V
     BATT_V volt(25)=0.00488340V
"""


def hwmon(sysfs: Path, rails: dict[str, tuple[int, int]]) -> None:
    chip = sysfs / "class" / "hwmon" / "hwmon3"
    chip.mkdir(parents=True)
    (chip / "name").write_text("ina3221\n")
    for channel, (rail, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        (chip / f"in{channel}_label").write_text(f"{rail}\n")
        (chip / f"in{channel}_input").write_text(f"{millivolts}\n")
        (chip / f"curr{channel}_input").write_text(f"{milliamperes}\n")


def watts(make_config: ConfigFactory, *sets: str) -> tuple[str, float | None]:
    """Of two readings a second apart."""
    clock = FakeClock()
    probe = PowerProbe(make_config(*sets), clock=clock, pause=clock.advance)
    probe.sample_now()
    clock.advance(1.0)
    probe.sample_now()
    reading = probe.read()
    return reading.source, reading.host_watts


def test_a_jetson_is_measured_at_its_modules_input(make_config: ConfigFactory, tmp_path: Path) -> None:
    hwmon(tmp_path / "sys", ORIN_NX)
    source, found = watts(make_config, f"paths.sysfs={tmp_path / 'sys'}")
    assert (source, found) == ("ina3221", pytest.approx(5.04 * 1.2, rel=1e-4)), "its parts are in it"


def test_a_jetson_without_one_input_is_the_sum_of_its_parts(make_config: ConfigFactory, tmp_path: Path) -> None:
    hwmon(tmp_path / "sys", AGX_ORIN)
    assert watts(make_config, f"paths.sysfs={tmp_path / 'sys'}")[1] == pytest.approx(3.6 + 2.4 + 4.0, rel=1e-4)


def test_a_missing_or_unknown_part_makes_no_smaller_sum(make_config: ConfigFactory, tmp_path: Path) -> None:
    hwmon(tmp_path / "sys", {name: AGX_ORIN[name] for name in ("VDD_GPU_SOC", "VDD_CPU_CV")})
    with pytest.raises(SourceAbsent, match="may not cover the whole machine"):
        watts(make_config, f"paths.sysfs={tmp_path / 'sys'}", "power.sources=ina3221")


def test_nvidias_older_driver_reports_milliwatts(make_config: ConfigFactory, tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    device.mkdir(parents=True)
    for channel, (rail, milliwatts) in enumerate((("POM_5V_IN", 2540), ("POM_5V_GPU", 40), ("POM_5V_CPU", 600))):
        (device / f"rail_name_{channel}").write_text(f"{rail}\n")
        (device / f"in_power{channel}_input").write_text(f"{milliwatts}\n")
    assert watts(make_config, f"paths.sysfs={tmp_path / 'sys'}")[1] == pytest.approx(2.54, rel=1e-4)


def test_a_raspberry_pi_is_the_sum_of_its_pmics_rails(
    make_config: ConfigFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def firmware(device: int, number: int, message: bytearray, mutate: bool) -> int:
        size, _, tag, room = struct.unpack_from("<4I", message)
        assert (size, tag, room, number & 0xFF00) == (len(message), GET_GENCMD_RESULT, 1024, 100 << 8)
        assert bytes(message[24:38]) == b"pmic_read_adc\0"
        message[24 : 24 + len(PI)] = PI.encode()
        message[24 + len(PI)] = 0
        return 0

    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "vcio").touch()
    monkeypatch.setattr(fcntl, "ioctl", firmware)
    source, found = watts(make_config, f"paths.rootfs={tmp_path}", f"paths.sysfs={tmp_path}")
    assert (source, found) == ("pmic", pytest.approx(0.37 + 0.66 + 1.8, rel=1e-4))


def test_an_older_raspberry_pi_has_no_pmic_and_a_rail_without_volts_no_sum() -> None:
    with pytest.raises(SourceAbsent):
        rails_watts('error=1 error_msg="Command not registered"')
    with pytest.raises(SourceBroken, match="VDD_CORE"):
        rails_watts(PI.replace("VDD_CORE_V", "VDD_CORES_V"))
