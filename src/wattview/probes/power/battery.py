"""Power of a laptop on its battery, through ``<sysfs>/class/power_supply``.

Format: Documentation/ABI/testing/sysfs-class-power and Documentation/power/power_supply_class.rst. What a battery gives
is what the machine draws, but only while nothing else feeds it: on mains the same files tell what the battery is
charged with. Batteries of mice and keyboards (``scope`` is ``Device``) are not the machine's. Nothing but sysfs is
touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from wattview.model import PowerSource
from wattview.probes import SourceAbsent
from wattview.probes.power.source import Measurement, Moment, PowerIntegral

MICRO = 1e-6


class Battery(NamedTuple):
    """One battery of the machine. ``watts`` is None where it does not tell."""

    name: str
    discharging: bool
    watts: float | None


class BatteryPower:
    """The host's power while it runs on battery: see ``EnergySource``.

    Energy is the integral of the power readings, which the firmware renews every few seconds. ``measure`` raises
    SourceAbsent without a battery, while something else feeds the machine, and while a battery does not tell its
    power, as many do not in the first seconds after the plug is drawn.
    """

    name: PowerSource = "battery"
    useful_hz = 1.0
    counts = False

    def __init__(self, sysfs: str | Path) -> None:
        self._root = Path(sysfs) / "class" / "power_supply"
        self._integral = PowerIntegral()

    def measure(self, now: Moment) -> Measurement:
        batteries, plugged = self._supplies()
        if not batteries:
            raise SourceAbsent("this machine has no battery")
        feeding = [battery for battery in batteries if battery.discharging]
        if plugged or not feeding:
            raise SourceAbsent("the battery does not feed the machine: it is plugged in")
        watts = 0.0
        for battery in feeding:
            if not battery.watts:
                raise SourceAbsent(f"{battery.name} feeds the machine and does not tell its power")
            watts += battery.watts
        return Measurement(self._integral.add(now, watts))

    def close(self) -> None:
        """Nothing stays open: these files are read once a second, and come and go with the plug."""

    def _supplies(self) -> tuple[list[Battery], bool]:
        """The machine's batteries, and whether anything else feeds it."""
        try:
            supplies = sorted(self._root.iterdir())
        except OSError:
            return [], False
        batteries: list[Battery] = []
        plugged = False
        for supply in supplies:
            kind = _text(supply / "type")
            if kind != "Battery":
                plugged = plugged or _text(supply / "online") in ("1", "2")
            elif _text(supply / "scope") != "Device" and _text(supply / "present") != "0":
                discharging = _text(supply / "status") == "Discharging"
                batteries.append(Battery(supply.name, discharging, _watts(supply)))
        return batteries, plugged


def _watts(battery: Path) -> float | None:
    """Some drivers give the power, others current and voltage; the sign of a discharge is not agreed upon."""
    power = _number(battery / "power_now")
    if power is not None:
        return abs(power) * MICRO
    current, voltage = _number(battery / "current_now"), _number(battery / "voltage_now")
    return None if current is None or voltage is None else abs(current) * voltage * MICRO * MICRO


def _number(file: Path) -> int | None:
    try:
        return int(_text(file))
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
