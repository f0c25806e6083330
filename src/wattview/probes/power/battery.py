"""Power of a laptop on its battery, through ``<sysfs>/class/power_supply``.

Format: Documentation/ABI/testing/sysfs-class-power and Documentation/power/power_supply_class.rst. A battery's output
is the machine's power only while nothing else supplies it: on mains the same files show the charging power. Supplies of
mice, keyboards and docks (``scope`` is ``Device``) do not belong to the machine. A USB-C port has a supply too
(``ucsi-source-psy-…``, drivers/usb/typec/ucsi/psy.c), which is also online while the port supplies another device:
``<sysfs>/class/typec/port*/power_role`` distinguishes the two (Documentation/ABI/testing/sysfs-class-typec). Only sysfs
is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from wattview.config import Config
from wattview.model import PowerSource
from wattview.probes import SourceAbsent, SourceBroken
from wattview.probes.kernel_files import text_of
from wattview.probes.plausible import BATTERY_WATTS, implausible
from wattview.probes.power.energy_source import Measurement, Moment, PowerIntegral

MICRO = 1e-6

_PORT_SUPPLY = re.compile(r"ucsi-source-psy-.*?0*([1-9]\d*)")
"""The device's name and the number of its connector: ``ucsi-source-psy-USBC000:001`` is connector 1 of USBC000:00."""


class Battery(NamedTuple):
    """One battery of the machine. ``watts`` is None if it does not report them."""

    name: str
    status: str
    watts: float | None


class BatteryPower:
    """The host's power while it runs on battery: see ``EnergySource``.

    Energy is the integral of the power readings, which the firmware updates every few seconds. ``measure`` raises
    SourceAbsent without a battery, while something else supplies the machine, and while a battery does not report its
    power, as is common in the first seconds after unplugging.
    """

    name: PowerSource = "battery"
    useful_hz = 1.0
    counts = False

    def __init__(self, config: Config) -> None:
        self._root = Path(config.paths.sysfs) / "class" / "power_supply"
        self._ports = Path(config.paths.sysfs) / "class" / "typec"
        self._integral = PowerIntegral()

    def measure(self, now: Moment) -> Measurement:
        batteries, plugged = self._supplies()
        if not batteries:
            raise SourceAbsent("this machine has no battery")
        feeding = [battery for battery in batteries if battery.status == "Discharging"]
        if plugged or not feeding:
            said = "it is plugged in" if plugged else f"its status is {batteries[0].status or 'not told'!r}"
            raise SourceAbsent(f"the machine does not run on battery: {said}")
        watts = 0.0
        for battery in feeding:
            if not battery.watts:
                raise SourceAbsent(f"{battery.name} powers the machine but does not report its power")
            if reason := implausible(battery.watts, BATTERY_WATTS):
                raise SourceBroken(f"{battery.name}: {reason}")
            watts += battery.watts
        return Measurement(self._integral.add(now, watts))

    def close(self) -> None:
        """Nothing stays open: these files are read once a second, and come and go with the plug."""

    def _supplies(self) -> tuple[list[Battery], bool]:
        """The machine's batteries, and whether anything else supplies it."""
        try:
            supplies = sorted(self._root.iterdir())
        except OSError:
            return [], False
        batteries: list[Battery] = []
        plugged = False
        for supply in supplies:
            if text_of(supply / "scope") == "Device":
                continue
            if text_of(supply / "type") != "Battery":
                plugged = plugged or (text_of(supply / "online") in ("1", "2") and not self._gives_away(supply.name))
            elif text_of(supply / "present") != "0":
                batteries.append(Battery(supply.name, text_of(supply / "status"), _watts(supply)))
        return batteries, plugged

    def _gives_away(self, supply: str) -> bool:
        """The supply is that of a USB-C port which powers the device plugged into it. With several ports, its own has
        its number, which counts from 1; if that is unknown, one port that takes power means that the machine is
        supplied."""
        connector = _PORT_SUPPLY.fullmatch(supply)
        if connector is None:
            return False
        own = text_of(self._ports / f"port{int(connector[1]) - 1}" / "power_role")
        if own:
            return "[source]" in own
        try:
            roles = [text_of(port / "power_role") for port in self._ports.iterdir()]
        except OSError:
            return False
        return any("[source]" in role for role in roles) and not any("[sink]" in role for role in roles)


make = BatteryPower


def _watts(battery: Path) -> float | None:
    """Some drivers report power, others current and voltage; the sign of a discharge varies."""
    power = _number(battery / "power_now")
    if power is not None:
        return abs(power) * MICRO
    current, voltage = _number(battery / "current_now"), _number(battery / "voltage_now")
    return None if current is None or voltage is None else abs(current) * voltage * MICRO * MICRO


def _number(file: Path) -> int | None:
    try:
        return int(text_of(file))
    except ValueError:
        return None
