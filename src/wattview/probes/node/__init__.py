"""node_exporter's collectors: one file each, in the list of ``config/node.py``, which settings are checked against.

Names, types, help, labels, units and default filters are those of prometheus/node_exporter, so that its dashboards and
alerts keep working. A collector that fails costs its own families only, and says so in
``node_scrape_collector_success``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Set

from msgspec import Struct

from wattview import __version__
from wattview.config import Config
from wattview.config.node import NODE_COLLECTOR_LIST
from wattview.exposition import Family, gauge, labels, parse_series
from wattview.model import Fault, Reading
from wattview.probes import made
from wattview.probes.node.collector import Collector, NoSource

log = logging.getLogger("wattview.node")


class UnknownCollector(ValueError):
    """A requested collector does not exist, or is disabled."""


class Collected(Struct, frozen=True, kw_only=True):
    """The families of one collector in one scrape; ``reason`` says why there are none."""

    name: str
    success: bool
    duration_seconds: float
    families: list[Family]
    reason: str = ""


class NodeReading(Reading, frozen=True, kw_only=True):
    """The collectors' families. A collector without a source on this machine counts as a failure, but has no Fault."""

    collectors: tuple[Collected, ...]


class NodeProbe:
    """All enabled collectors. ``names`` lists them."""

    def __init__(self, config: Config) -> None:
        enabled = enabled_names(config)
        self._collectors: dict[str, Collector] = {
            one.name: made(__name__, one.place, config) for one in NODE_COLLECTOR_LIST if one.name in enabled
        }
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
        """Closes all files."""
        self._collectors.clear()

    def _run(self, name: str, collector: Collector) -> tuple[Collected, bool]:
        began = time.perf_counter()
        families: list[Family] = []
        reason, is_fault = "", False
        try:
            families = collector.collect()
        except (NoSource, FileNotFoundError) as error:
            reason = str(error) or "no data"
        except Exception as error:
            # Whatever a kernel file contains, it must not affect the other collectors.
            reason, is_fault = f"{type(error).__name__}: {error}", True
        if reason != self._said.get(name, ""):
            self._said[name] = reason
            log.log(logging.WARNING if is_fault else logging.DEBUG, "collector %s: %s", name, reason or "works again")
        duration = time.perf_counter() - began
        result = Collected(name=name, success=not reason, duration_seconds=duration, families=families, reason=reason)
        return result, is_fault


def enabled_names(config: Config) -> frozenset[str]:
    """The collectors that the settings enable."""
    return frozenset(
        ({one.name for one in NODE_COLLECTOR_LIST if one.default} | config.node.enabled) - config.node.disabled
    )


def _unknown(name: str) -> str:
    if any(one.name == name for one in NODE_COLLECTOR_LIST):
        return f"collector {name!r} is switched off; switch it on with node.enable"
    return f"no collector is named {name!r}"


def families(reading: NodeReading) -> list[Family]:
    """Every collector's families, and each collector's success and duration.

    A name that two collectors produce (a text file may repeat one of ours) becomes one family: the first one's type and
    help, and each series once.
    """
    duration = gauge("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.")
    success = gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.")
    found: dict[str, Family] = {}
    for collected in reading.collectors:
        for family in collected.families:
            known = found.setdefault(family.name, family)
            if known is not family:
                found[family.name] = _joined(known, family)
        text = labels(collector=collected.name)
        duration.add(collected.duration_seconds, text)
        success.add(int(collected.success), text)
    return [_build_info(), *found.values(), duration, success]


def _joined(first: Family, second: Family) -> Family:
    known = {_series(first, text) for text, _ in first.samples}
    more = [sample for sample in second.samples if _series(second, sample[0]) not in known]
    return Family(first.name, first.type, first.help, [*first.samples, *more])


def _series(family: Family, text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """A sample's name and labels, independent of their order."""
    name, pairs = parse_series(family.name + text)
    return name, frozenset(pairs.items())


def _build_info() -> Family:
    help_text = (
        "A metric with a constant '1' value labeled by version, revision, branch, goversion from which node_exporter "
        "was built, and the goos and goarch for the build."
    )
    return gauge("node_exporter_build_info", help_text).add(1, labels(version=__version__, branch="wattview"))
