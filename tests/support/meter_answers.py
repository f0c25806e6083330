"""Answers of real meters, cut to what matters, with the names, nesting and oddities that they have."""

from __future__ import annotations

from typing import Any

SHELLY_PLUG_S = {"type": "SHPLG-S", "mac": "C8C9A3B0E5F1", "auth": False, "fw": "20230913-113421/v1.14.0-gcb84623"}
SHELLY_3EM = {"type": "SHEM-3", "mac": "BCFF4DFD12AB", "auth": True, "fw": "20230913-114150/v1.14.0-gcb84623"}
SHELLY_PLUS = {
    "name": "rack", "id": "shellyplusplugs-d4d4da35b5bc", "mac": "D4D4DA35B5BC", "slot": 0, "model": "SNPL-00112EU",
    "gen": 2, "fw_id": "20240223-141928/1.2.2-g7c39781", "ver": "1.2.2", "app": "PlusPlugS", "auth_en": False,
}  # fmt: skip


def shelly_gen1_status(watts: float = 21.32, watt_minutes: int = 160_245) -> dict[str, Any]:
    return {
        "wifi_sta": {"connected": True, "ssid": "lab", "ip": "192.0.2.7", "rssi": -61},
        "cloud": {"enabled": False, "connected": False}, "time": "10:35", "unixtime": 1700042132, "serial": 1,
        "relays": [{"ison": True, "has_timer": False, "overpower": False, "source": "http"}],
        "meters": [{"power": watts, "overpower": 0.0, "is_valid": True, "timestamp": 1700045732,
                    "counters": [21.4, 21.3, 21.4], "total": watt_minutes}],
        "temperature": 28.51, "overtemperature": False, "uptime": 981234,
    }  # fmt: skip


def shelly_3em_status() -> dict[str, Any]:
    phases = [(197.77, 0.74, 236.27, 1184633.1), (21.34, 0.31, 235.44, 331873.1), (8.83, 0.24, 235.13, 349600.5)]
    return {
        "relays": [{"ison": False}],
        "emeters": [
            {"power": power, "pf": pf, "current": 1.0, "voltage": volts, "is_valid": True, "total": total,
             "total_returned": 1158.3}
            for power, pf, volts, total in phases
        ],
        "total_power": 227.94,
    }  # fmt: skip


def shelly_plus_status(watts: float = 103.4, watt_hours: float = 9492.468) -> dict[str, Any]:
    return {
        "ble": {}, "cloud": {"connected": False}, "mqtt": {"connected": False},
        "switch:0": {
            "id": 0, "source": "init", "output": True, "apower": watts, "voltage": 230.2, "current": 0.472,
            "aenergy": {"total": watt_hours, "by_minute": [1713.4, 1722.1, 1719.9], "minute_ts": 1700042100},
            "temperature": {"tC": 38.1, "tF": 100.6},
        },
        "sys": {"mac": "D4D4DA35B5BC", "restart_required": False, "time": "10:35", "unixtime": 1700042132},
        "wifi": {"sta_ip": "192.0.2.8", "status": "got ip", "ssid": "lab", "rssi": -52},
    }  # fmt: skip


def shelly_pro_3em_status() -> dict[str, Any]:
    return {
        "em:0": {
            "id": 0, "a_current": 1.12, "a_voltage": 230.1, "a_act_power": 201.5, "a_aprt_power": 258.0, "a_pf": 0.78,
            "b_current": 0.31, "b_voltage": 231.0, "b_act_power": 42.1, "b_aprt_power": 71.3, "b_pf": 0.59,
            "c_current": 0.02, "c_voltage": 229.6, "c_act_power": 0.0, "c_aprt_power": 5.1, "c_pf": 0.0,
            "n_current": None, "total_current": 1.45, "total_act_power": 243.6, "total_aprt_power": 334.4,
        },
        "emdata:0": {
            "id": 0, "a_total_act_energy": 10500.25, "a_total_act_ret_energy": 0.0, "b_total_act_energy": 2210.5,
            "b_total_act_ret_energy": 0.0, "c_total_act_energy": 3.0, "total_act": 12713.75, "total_act_ret": 0.0,
        },
        "sys": {"mac": "34987A45E0C4"},
    }  # fmt: skip


def tasmota_status(power: Any = 45, total: Any = 101.243) -> dict[str, Any]:
    return {
        "StatusSNS": {
            "Time": "2023-11-15T10:35:32",
            "ENERGY": {
                "TotalStartTime": "2022-02-12T12:01:15", "Total": total, "Yesterday": 1.021, "Today": 0.443,
                "Power": power, "ApparentPower": 56, "ReactivePower": 33, "Factor": 0.80, "Voltage": 233,
                "Current": 0.239,
            },
        }
    }  # fmt: skip
