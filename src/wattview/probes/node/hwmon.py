"""Hardware sensors: temperatures, fans, voltages, currents, power, energy (/sys/class/hwmon).

Files and units: Documentation/hwmon/sysfs-interface.rst.
"""

from __future__ import annotations

import os
import re

from wattview.config import Config
from wattview.exposition import Families, Family, FamilyType, labels
from wattview.probes.node.collector import Directories, Directory, Filter, NoSource, float_or_none

_FILE = re.compile(r"(?P<type>[^0-9]+)(?P<number>[0-9]*)(?:_(?P<property>.+))?")
_TYPES = frozenset((
    "vrm", "beep_enable", "update_interval", "in", "cpu", "fan", "pwm", "temp", "curr", "power", "energy", "humidity",
    "intrusion", "freq",
))  # fmt: skip
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9:_]")

_MILLI = 1e-3
_MICRO = 1e-6

# Sensor types with a single value: family, help, factor.
_SINGLE = {
    "beep_enable": ("node_hwmon_beep_enabled", "Hardware beep enabled", 1.0),
    "vrm": ("node_hwmon_voltage_regulator_version", "Hardware voltage regulator", 1.0),
    "update_interval": ("node_hwmon_update_interval_seconds", "Hardware monitor update interval", _MILLI),
}

# Type and property (None: any other), suffix of the name, type, help, factor. The first match counts.
_UNITS: tuple[tuple[str, tuple[str, ...] | None, str, FamilyType, str, float], ...] = (
    ("in", None, "_volts", "gauge", "Hardware monitor for voltage ({property})", _MILLI),
    ("cpu", None, "_volts", "gauge", "Hardware monitor for voltage ({property})", _MILLI),
    ("temp", ("type",), "", "gauge", "Hardware monitor temp element type", 1.0),
    ("temp", None, "_celsius", "gauge", "Hardware monitor for temperature ({property})", _MILLI),
    ("curr", None, "_amps", "gauge", "Hardware monitor for current ({property})", _MILLI),
    ("energy", None, "_joule_total", "counter", "Hardware monitor for joules used so far ({property})", _MICRO),
    ("power", ("accuracy",), "", "gauge", "Hardware monitor power meter accuracy, as a ratio", _MICRO),
    (
        "power", ("average_interval", "average_interval_min", "average_interval_max"), "_seconds", "gauge",
        "Hardware monitor power usage update interval ({property})", _MILLI,
    ),
    ("power", None, "_watt", "gauge", "Hardware monitor for power usage in watts ({property})", _MICRO),
    (
        "humidity", None, "", "gauge",
        "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) "
        "({property})", _MICRO,
    ),
    (
        "fan", ("input", "min", "max", "target"), "_rpm", "gauge",
        "Hardware monitor for fan revolutions per minute ({property})", 1.0,
    ),
)  # fmt: skip

Sensors = dict[str, dict[str, str]]
"""Text by sensor (``temp1``) and property (``input``); the property of ``pwm1`` itself is ""."""


class Hwmon:
    """``node_hwmon_*{chip,sensor}``. A chip's name is its device's position on its bus, which survives a reboot."""

    def __init__(self, config: Config) -> None:
        self._chips = Directories(f"{config.paths.sysfs}/class/hwmon")
        self._chip_filter = Filter(config.node.hwmon_chip_exclude, config.node.hwmon_chip_include)
        self._sensor_filter = Filter(config.node.hwmon_sensor_exclude, config.node.hwmon_sensor_include)

    def collect(self) -> list[Family]:
        try:
            chips = self._chips.found()
        except FileNotFoundError:
            raise NoSource("no hardware sensors") from None
        families = Families()
        for chip, directory in chip_names(list(chips.values())).items():
            if self._chip_filter.ignores(chip):
                continue
            human = clean_name(directory.text("name") or "")
            if human:
                families.add("node_hwmon_chip_names", "Annotation metric for human-readable chip names", 1,
                     labels(chip=chip, chip_name=human))  # fmt: skip
            for sensor, properties in self._sensors(directory).items():
                # A filter sees both names, so that it can select one sensor of one chip.
                if not self._sensor_filter.ignores(f"{chip};{sensor}"):
                    sensor_families(families, chip, sensor, properties)
        return families.all()

    @staticmethod
    def _sensors(directory: Directory) -> Sensors:
        """All sensors of a chip. Older drivers keep the files in the device's own directory."""
        found: Sensors = {}
        for prefix in ("", "device"):
            for file in directory.names(prefix):
                match = _FILE.fullmatch(file)
                if match is None or match["type"] not in _TYPES:
                    continue
                text = directory.text(f"{prefix}/{file}" if prefix else file)
                if text is not None:
                    sensor = f"{match['type']}{int(match['number'] or 0)}"
                    found.setdefault(sensor, {})[match["property"] or ""] = text.strip("\n")
        return found


def sensor_families(families: Families, chip: str, sensor: str, properties: dict[str, str]) -> None:
    """Adds one sensor's samples to ``families``; a property that is not a number is left out."""
    match = _FILE.fullmatch(sensor)
    kind = match["type"] if match else sensor
    text = labels(chip=chip, sensor=sensor)
    if "label" in properties:
        families.add("node_hwmon_sensor_label", "Label for given chip and sensor", 1,
             labels(chip=chip, sensor=sensor, label=properties["label"]))  # fmt: skip
    if kind in _SINGLE:
        name, help_text, factor = _SINGLE[kind]
        value = float_or_none(properties.get("", ""))
        if kind == "beep_enable":
            value = 1.0 if properties.get("") == "1" else 0.0
        families.add(name, help_text, None if value is None else value * factor, text)
        return
    for element, raw in properties.items():
        value = float_or_none(raw)
        if element == "label" or value is None:
            continue
        name = f"node_hwmon_{kind}"
        if element == "input":
            # The input is the value itself; it gets the suffix only if the sensor also has a property of that name.
            name += "_input" if "" in properties else ""
        elif element:
            name += f"_{clean_name(element)}"
        _add_element(families, name, kind, element, value, text, properties)


def _add_element(
    families: Families,
    name: str,
    kind: str,
    element: str,
    value: float,
    text: str,
    properties: dict[str, str],
) -> None:
    if element in ("fault", "alarm"):
        families.add(name, f"Hardware sensor {element} status ({kind})", value, text)
        return
    if element == "beep":
        families.add(f"{name}_enabled", "Hardware monitor sensor has beeping enabled", value, text)
        return
    if kind == "freq" and element == "input":
        # A GPU's clock is named by its label (sclk, mclk), not its number.
        label = clean_name(properties.get("label", ""))
        if label:
            chip_text = text[: text.index(',sensor="')]
            families.add(f"{name}_freq_mhz", "Hardware monitor for GPU frequency in MHz", value * _MICRO,
                 f'{chip_text},sensor="{label}"}}')  # fmt: skip
        return
    shown = "input" if kind == "temp" and not element else element
    for unit_kind, elements, suffix, family_type, help_text, factor in _UNITS:
        if kind == unit_kind and (elements is None or element in elements):
            families.add(name + suffix, help_text.format(property=shown), value * factor, text, family_type)
            return
    families.add(name, f"Hardware monitor {kind} element {element}", value, text)


def chip_name(directory: Directory) -> str:
    """``platform_coretemp_0`` out of the device's path on its bus; else its name; else hwmonN, which is not stable."""
    device = os.path.realpath(f"{directory.path}/device")
    if os.path.exists(device):
        bus, name = clean_name(os.path.basename(os.path.dirname(device))), clean_name(os.path.basename(device))
        if bus and name:
            return f"{bus}_{name}"
        if name:
            return name
    return clean_name(directory.text("name") or "") or clean_name(os.path.basename(os.path.realpath(directory.path)))


def chip_names(directories: list[Directory]) -> dict[str, Directory]:
    """Directories by chip name. Two chips on one device are distinguished by their own names, or else by their
    numbers."""
    sharing: dict[str, list[Directory]] = {}
    for directory in directories:
        sharing.setdefault(chip_name(directory), []).append(directory)
    named: dict[str, Directory] = {}
    for chip, chips in sharing.items():
        own = [clean_name(directory.text("name") or "") for directory in chips]
        for directory, name in zip(chips, own, strict=True):
            if len(chips) == 1:
                named[chip] = directory
            elif name and own.count(name) == 1:
                named[f"{chip}_{name}"] = directory
            else:
                named[f"{chip}_{os.path.basename(directory.path)}"] = directory
    return named


def clean_name(text: str) -> str:
    """Text as a lower-case part of a metric's name."""
    return _NOT_IN_A_NAME.sub("_", text.strip().lower()).strip("_")
