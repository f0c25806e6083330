"""Batteries and mains adapters, from /sys/class/power_supply (Documentation/power/power_supply_class.rst)."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Families, Family, gauge, label_text, labels
from wattview.probes.node.collector import Directories, Filter

# Name by file; the kernel counts in these units.
_PLAIN = {
    "authentic": "authentic", "calibrate": "calibrate", "capacity": "capacity",
    "capacity_alert_max": "capacity_alert_max", "capacity_alert_min": "capacity_alert_min",
    "cycle_count": "cyclecount", "online": "online", "present": "present",
    "time_to_empty_now": "time_to_empty_seconds", "time_to_full_now": "time_to_full_seconds",
}  # fmt: skip
_MICRO = {
    "current_boot": "current_boot", "current_max": "current_max", "current_now": "current_ampere",
    "energy_empty": "energy_empty", "energy_empty_design": "energy_empty_design", "energy_full": "energy_full",
    "energy_full_design": "energy_full_design", "energy_now": "energy_watthour", "voltage_boot": "voltage_boot",
    "voltage_max": "voltage_max", "voltage_max_design": "voltage_max_design", "voltage_min": "voltage_min",
    "voltage_min_design": "voltage_min_design", "voltage_now": "voltage_volt", "voltage_ocv": "voltage_ocv",
    "charge_control_limit": "charge_control_limit", "charge_control_limit_max": "charge_control_limit_max",
    "charge_counter": "charge_counter", "charge_empty": "charge_empty", "charge_empty_design": "charge_empty_design",
    "charge_full": "charge_full", "charge_full_design": "charge_full_design", "charge_now": "charge_ampere",
    "charge_term_current": "charge_term_current", "constant_charge_current": "constant_charge_current",
    "constant_charge_current_max": "constant_charge_current_max",
    "constant_charge_voltage": "constant_charge_voltage",
    "constant_charge_voltage_max": "constant_charge_voltage_max", "precharge_current": "precharge_current",
    "input_current_limit": "input_current_limit", "power_now": "power_watt",
}  # fmt: skip
_TENTHS = {
    "temp": "temp_celsius", "temp_alert_max": "temp_alert_max_celsius", "temp_alert_min": "temp_alert_min_celsius",
    "temp_ambient": "temp_ambient_celsius", "temp_ambient_max": "temp_ambient_max_celsius",
    "temp_ambient_min": "temp_ambient_min_celsius", "temp_max": "temp_max_celsius", "temp_min": "temp_min_celsius",
}  # fmt: skip
_INFO = (
    "capacity_level", "charge_type", "health", "manufacturer", "model_name", "serial_number", "status", "technology",
    "type", "usb_type", "scope",
)  # fmt: skip
_TABLES = ((_PLAIN, 1), (_MICRO, 1_000_000), (_TENTHS, 10))


class PowerSupplyClass:
    """``node_power_supply_*{power_supply}``."""

    def __init__(self, config: Config) -> None:
        self._supplies = Directories(f"{config.paths.sysfs}/class/power_supply")
        self._filter = Filter(config.node.power_supply_exclude)

    def collect(self) -> list[Family]:
        families = Families()
        info = gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.")
        for supply, directory in self._supplies.found().items():
            if self._filter.ignores(supply):
                continue
            files = set(directory.names())
            for table, divisor in _TABLES:
                for file in sorted(files & table.keys()):
                    name = table[file]
                    value = directory.number(file)
                    shown = value if value is None or divisor == 1 else value / divisor
                    help_text = f"{name} value of /sys/class/power_supply/<power_supply>."
                    families.add(f"node_power_supply_{name}", help_text, shown, labels(power_supply=supply))
            texts = {name: (directory.text(name) or "").strip() for name in _INFO if name in files}
            known = {name: text for name, text in texts.items() if text}
            info.add(1, label_text({"power_supply": supply, **known}))
        return [*families.all(), info]
