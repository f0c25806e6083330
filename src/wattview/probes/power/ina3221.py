"""Power of an NVIDIA Jetson by the INA3221 monitors of its module.

The kernel's driver shows volts and amperes of each rail (Documentation/hwmon/ina3221.rst); NVIDIA's older one, on
Jetson Linux 32 and before, milliwatts below ``<sysfs>/bus/i2c/drivers/ina3221x``. Rails are a module's input or its
parts, by the Jetson Linux Developer Guide, *Platform Power and Performance*: ``WHOLES`` lists complete sets. The
carrier board's own losses are not included. Only sysfs is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from wattview.config import Config
from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken, SourceRefused
from wattview.probes.kernel_files import KernelFile, text_of
from wattview.probes.plausible import HOST_WATTS, implausible
from wattview.probes.power.energy_source import Measurement, Moment, PowerIntegral

WHOLES: tuple[frozenset[str], ...] = (
    frozenset({"VDD_IN"}),
    frozenset({"POM_5V_IN"}),
    frozenset({"5V_IN"}),
    # AGX Orin: VDDQ_VDD2_1V8AO is fed by VIN_SYS_5V0.
    frozenset({"VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"}),
    # AGX Xavier.
    frozenset({"GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"}),
)
"""Sets of rails that together are the module, each joule once; the first complete one is used."""

CHANNELS = 8
MILLI = 1e-3


class Rail(NamedTuple):
    """``files`` are multiplied: milliwatts, or millivolts and milliamperes."""

    name: str
    files: tuple[KernelFile, ...]


class Ina3221:
    """The module's power: see ``EnergySource``. ``measure`` raises SourceAbsent if there is no such monitor, or no
    known complete set of rails."""

    name: PowerSource = "ina3221"
    useful_hz = 5.0
    counts = False

    def __init__(self, config: Config) -> None:
        self._root = Path(config.paths.sysfs)
        self._rails: list[Rail] = []
        self._integral = PowerIntegral()

    def measure(self, now: Moment) -> Measurement:
        if not self._rails:
            self._rails = self._whole()
        try:
            watts = sum(_watts(rail) for rail in self._rails)
        except PermissionError as error:
            raise SourceRefused(f"{error.filename} may not be read", f"chmod a+r {error.filename}") from None
        except (OSError, ValueError) as error:
            self.close()
            raise SourceBroken(f"an INA3221 cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if reason := implausible(watts, HOST_WATTS):
            raise SourceBroken(f"the INA3221 reports {reason}")
        return Measurement(self._integral.add(now, watts))

    def close(self) -> None:
        for rail in self._rails:
            for file in rail.files:
                file.close()
        self._rails = []

    def _whole(self) -> list[Rail]:
        rails = {rail.name: rail for rail in (*self._hwmon(), *self._iio())}
        if not rails:
            raise SourceAbsent("this machine has no INA3221 that measures it")
        for names in WHOLES:
            if names <= rails.keys():
                return [rails[name] for name in sorted(names)]
        raise SourceAbsent(f"the rails of this machine's INA3221 may not cover the whole machine: {', '.join(rails)}")

    def _hwmon(self) -> Iterable[Rail]:
        for chip in sorted((self._root / "class" / "hwmon").glob("hwmon*")):
            if text_of(chip / "name") == "ina3221":
                for channel in range(1, CHANNELS):
                    if name := text_of(chip / f"in{channel}_label"):
                        yield Rail(name, (_file(chip, f"in{channel}_input"), _file(chip, f"curr{channel}_input")))

    def _iio(self) -> Iterable[Rail]:
        for device in sorted((self._root / "bus/i2c/drivers/ina3221x").glob("*/iio:device*")):
            for channel in range(CHANNELS):
                if name := text_of(device / f"rail_name_{channel}"):
                    yield Rail(name, (_file(device, f"in_power{channel}_input"),))


make = Ina3221


def _watts(rail: Rail) -> float:
    product = 1.0
    for file in rail.files:
        product *= int(file.read()) * MILLI
    return product


def _file(directory: Path, name: str) -> KernelFile:
    return KernelFile(directory / name, 32)
