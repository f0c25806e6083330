"""The host's power as metric families: ``rapl_*``, which scrape configurations expect, and the host's figure."""

from __future__ import annotations

from wattview.exposition import Family, counter, gauge, labels
from wattview.model import PowerReading


def families(reading: PowerReading) -> list[Family]:
    """The RAPL exporter's families of a reading."""
    zone_watts = gauge("rapl_power_watts", "Mean power of a RAPL zone over the last second.")
    zone_joules = counter("rapl_energy_joules_total", "Energy that a RAPL zone has counted, wraps undone.")
    counted = gauge("wattview_zone_counted", "1 for a RAPL zone that the host's figure is made of, else 0.")
    for zone in reading.zones:
        text = labels(package=zone.package, zone=zone.zone)
        zone_watts.add(zone.watts, text)
        zone_joules.add(zone.joules_total, text)
        counted.add(int(zone.counted), text)
    source = labels(source=reading.source)
    return [
        zone_watts,
        zone_joules,
        counted,
        gauge(
            "wattview_host_power_watts",
            "Mean power of the host over the last second: packages and DRAM, or psys, each once.",
            reading.host_watts,
            source,
        ),
        counter(
            "wattview_host_energy_joules_total",
            "Energy of the host: packages and DRAM, or psys, each once.",
            reading.host_joules_total,
            source,
        ),
    ]
