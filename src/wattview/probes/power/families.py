"""The host's power as metric families: ``rapl_*``, which scrape configurations expect, and the host's figure."""

from __future__ import annotations

from wattview.exposition import Family, families_of, labels, rows
from wattview.model import PowerReading

_ZONE = rows("""
watts rapl_power_watts  Mean power of a RAPL zone over the last second.
joules_total rapl_energy_joules_total  Energy that a RAPL zone has counted, wraps undone.
counted wattview_zone_counted  1 for a RAPL zone that the host's figure is made of, else 0.
""")

_HOST = rows("""
host_watts wattview_host_power_watts
    Mean power of the host over the last second: packages and DRAM, or psys, each once.
host_joules_total wattview_host_energy_joules_total  Energy of the host: packages and DRAM, or psys, each once.
""")


def families(reading: PowerReading) -> list[Family]:
    """The RAPL exporter's families of a reading."""
    zones = [(labels(package=zone.package, zone=zone.zone), zone) for zone in reading.zones]
    return [*families_of(_ZONE, zones), *families_of(_HOST, [(labels(source=reading.source), reading)])]
