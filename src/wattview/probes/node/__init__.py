"""node_exporter's collectors: one file each, in the list below. To add one is to add one file and one line.

Names, types, help, labels, units and default filters are those of prometheus/node_exporter, so that its dashboards and
alerts keep working. A collector that fails costs its own families only, and says so in
``node_scrape_collector_success``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Set
from typing import NamedTuple

from msgspec import Struct

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.model import Fault, Reading
from wattview.probes.node import (
    arp,
    conntrack,
    cpu,
    diskstats,
    entropy,
    filefd,
    filesystem,
    loadavg,
    meminfo,
    netclass,
    netdev,
    netstat,
    os_release,
    pressure,
    sockstat,
    softnet,
    stat,
    time_clock,
    timex,
    udp_queues,
    uname,
    vmstat,
)
from wattview.probes.node.collector import Collector, NoData

log = logging.getLogger("wattview.node")


class CollectorEntry(NamedTuple):
    """One collector: node_exporter's name for it, how it is made, and whether it is on unless settings say no."""

    name: str
    make: Callable[[Config], Collector]
    default: bool = True


COLLECTORS: tuple[CollectorEntry, ...] = (
    CollectorEntry("arp", arp.Arp),
    CollectorEntry("conntrack", conntrack.Conntrack),
    CollectorEntry("cpu", cpu.Cpu),
    CollectorEntry("diskstats", diskstats.Diskstats),
    CollectorEntry("entropy", entropy.Entropy),
    CollectorEntry("filefd", filefd.FileDescriptors),
    CollectorEntry("filesystem", filesystem.Filesystem),
    CollectorEntry("loadavg", loadavg.Loadavg),
    CollectorEntry("meminfo", meminfo.Meminfo),
    CollectorEntry("netclass", netclass.Netclass),
    CollectorEntry("netdev", netdev.Netdev),
    CollectorEntry("netstat", netstat.Netstat),
    CollectorEntry("os", os_release.OsRelease),
    CollectorEntry("pressure", pressure.Pressure),
    CollectorEntry("sockstat", sockstat.Sockstat),
    CollectorEntry("softnet", softnet.Softnet),
    CollectorEntry("stat", stat.Stat),
    CollectorEntry("time", time_clock.Time),
    CollectorEntry("timex", timex.Timex),
    CollectorEntry("udp_queues", udp_queues.UdpQueues),
    CollectorEntry("uname", uname.Uname),
    CollectorEntry("vmstat", vmstat.Vmstat),
)


class UnknownCollector(ValueError):
    """A collector that was asked for and is not there, or is switched off."""


class Collected(Struct, frozen=True, kw_only=True):
    """What one collector gave at one scrape; ``reason`` says why it gave nothing."""

    name: str
    success: bool
    duration_seconds: float
    families: list[Family]
    reason: str = ""


class NodeReading(Reading, frozen=True, kw_only=True):
    """The collectors' families. Collectors that found no such source are failures without a Fault."""

    collectors: tuple[Collected, ...]


class NodeProbe:
    """All collectors that are switched on. ``names`` lists them."""

    def __init__(self, config: Config) -> None:
        enabled = enabled_names(config)
        self._collectors = {entry.name: entry.make(config) for entry in COLLECTORS if entry.name in enabled}
        self._said: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._collectors)

    def read(self, collect: Set[str] | None = None, exclude: Set[str] | None = None) -> NodeReading:
        """All collectors, or those in ``collect``, less those in ``exclude``. Raises UnknownCollector."""
        for name in sorted((collect or set()) | (exclude or set())):
            if name not in self._collectors:
                raise UnknownCollector(_unknown(name))
        now, monotonic = time.time(), time.monotonic()
        collected = []
        faults = []
        for name, collector in self._collectors.items():
            if (collect and name not in collect) or (exclude and name in exclude):
                continue
            result, is_fault = self._run(name, collector)
            collected.append(result)
            if is_fault:
                faults.append(Fault(name, result.reason))
        return NodeReading(time=now, monotonic=monotonic, collectors=tuple(collected), faults=tuple(faults))

    def close(self) -> None:
        """Lets go of every file."""
        self._collectors.clear()

    def _run(self, name: str, collector: Collector) -> tuple[Collected, bool]:
        began = time.perf_counter()
        families: list[Family] = []
        reason, is_fault = "", False
        try:
            families = collector.collect()
        except (NoData, FileNotFoundError) as error:
            reason = str(error) or "no data"
        except Exception as error:
            # Whatever a kernel file may hold, it must not take the other collectors with it.
            reason, is_fault = f"{type(error).__name__}: {error}", True
        if reason != self._said.get(name, ""):
            self._said[name] = reason
            log.log(logging.WARNING if is_fault else logging.DEBUG, "collector %s: %s", name, reason or "works again")
        duration = time.perf_counter() - began
        result = Collected(name=name, success=not reason, duration_seconds=duration, families=families, reason=reason)
        return result, is_fault


def enabled_names(config: Config) -> frozenset[str]:
    """The collectors that the settings switch on. Raises UnknownCollector where they name one that is not there."""
    every = {entry.name for entry in COLLECTORS}
    on, off = config.node.enabled, config.node.disabled
    for key, names in (("node.enable", on), ("node.disable", off)):
        for name in sorted(names - every):
            raise UnknownCollector(f"{key}: no collector is named {name!r}")
    return frozenset(({entry.name for entry in COLLECTORS if entry.default} | on) - off)


def _unknown(name: str) -> str:
    if any(entry.name == name for entry in COLLECTORS):
        return f"collector {name!r} is switched off; switch it on with node.enable"
    return f"no collector is named {name!r}"


def families(reading: NodeReading) -> list[Family]:
    """Every collector's families, and how each collector fared."""
    duration = Family(
        "node_scrape_collector_duration_seconds", "gauge", "node_exporter: Duration of a collector scrape."
    )
    success = Family("node_scrape_collector_success", "gauge", "node_exporter: Whether a collector succeeded.")
    found: list[Family] = []
    for collected in reading.collectors:
        found += collected.families
        text = labels(collector=collected.name)
        duration.add(collected.duration_seconds, text)
        success.add(int(collected.success), text)
    return [*found, duration, success]
