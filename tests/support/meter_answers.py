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


def redfish_environment() -> dict[str, Any]:
    """A service with EnvironmentMetrics, and a storage chassis inside of the server's that measures too."""
    return {
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": "/redfish/v1/Chassis/1U"},
                                            {"@odata.id": "/redfish/v1/Chassis/Drives"}]},
        "/redfish/v1/Chassis/1U": {
            "@odata.id": "/redfish/v1/Chassis/1U", "Id": "1U", "ChassisType": "RackMount",
            "EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/1U/EnvironmentMetrics"},
            "PowerSubsystem": {"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem"},
            "Power": {"@odata.id": "/redfish/v1/Chassis/1U/Power"},
        },
        "/redfish/v1/Chassis/1U/EnvironmentMetrics": {
            "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics", "Id": "EnvironmentMetrics",
            "PowerWatts": {"DataSourceUri": "/redfish/v1/Chassis/1U/Sensors/TotalPower", "Reading": 374},
            "EnergykWh": {"DataSourceUri": "/redfish/v1/Chassis/1U/Sensors/TotalEnergy", "Reading": 325675.25},
            "PowerLimitWatts": {"SetPoint": 500, "ControlMode": "Automatic"},
        },
        "/redfish/v1/Chassis/Drives": {
            "Id": "Drives", "ChassisType": "Enclosure",
            "Links": {"ContainedBy": {"@odata.id": "/redfish/v1/Chassis/1U"}},
            "EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/Drives/EnvironmentMetrics"},
        },
        "/redfish/v1/Chassis/Drives/EnvironmentMetrics": {"PowerWatts": {"Reading": 60}},
    }  # fmt: skip


def redfish_supplies(second: float | None = 187.5) -> dict[str, Any]:
    """A service whose supplies measure what they take in; one bay is empty."""
    base = "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies"
    bay = {"@odata.id": f"{base}/Bay3"}
    pages: dict[str, Any] = {
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": "/redfish/v1/Chassis/1U"}]},
        "/redfish/v1/Chassis/1U": {
            "Id": "1U", "PowerSubsystem": {"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem"},
        },
        "/redfish/v1/Chassis/1U/PowerSubsystem": {"CapacityWatts": 1600, "PowerSupplies": {"@odata.id": base}},
        base: {"Members": [{"@odata.id": f"{base}/Bay1"}, {"@odata.id": f"{base}/Bay2"}, bay]},
        f"{base}/Bay3": {"Id": "Bay3", "Status": {"State": "Absent"}},
    }  # fmt: skip
    for name, watts in (("Bay1", 190.0), ("Bay2", second)):
        metrics = f"{base}/{name}/Metrics"
        pages[f"{base}/{name}"] = {
            "Id": name, "Status": {"State": "Enabled"}, "Metrics": {"@odata.id": metrics},
        }  # fmt: skip
        pages[metrics] = {
            "InputPowerWatts": {"Reading": watts}, "OutputPowerWatts": {"Reading": 178.4},
            "EnergykWh": {"Reading": 325.675},
        }  # fmt: skip
    return pages


def redfish_power(*chassis: str) -> dict[str, Any]:
    """Older services (iDRAC 8, XCC, iLO 4): PowerControl, of which the first is the whole."""
    pages: dict[str, Any] = {
        "/redfish/v1/Chassis": {"Members": [{"@odata.id": f"/redfish/v1/Chassis/{name}"} for name in chassis]}
    }
    for name in chassis:
        power = f"/redfish/v1/Chassis/{name}/Power"
        pages[f"/redfish/v1/Chassis/{name}"] = {"Id": name, "Power": {"@odata.id": power}}
        pages[power] = {
            "PowerControl": [
                {"MemberId": "0", "Name": "Server Power Control", "PowerConsumedWatts": 244,
                 "PowerMetrics": {"IntervalInMin": 60, "AverageConsumedWatts": 240}},
                {"MemberId": "1", "Name": "CPU Sub-system Power", "PowerConsumedWatts": 99},
            ],
            "PowerSupplies": [{"Name": "PSU1", "PowerInputWatts": 250}],
        }  # fmt: skip
    return pages
