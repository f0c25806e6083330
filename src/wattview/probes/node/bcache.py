"""bcache: block caches, their backing devices and their cache devices, from /sys/fs/bcache."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, labels, named, rows
from wattview.probes.lines import understood, value
from wattview.probes.node.collector import Directories, Directory

# File of a cache set, name, help.
_SET = rows("""
average_key_size node_bcache_average_key_size_sectors  Average data per key in the btree (sectors).
btree_cache_size node_bcache_btree_cache_size_bytes  Amount of memory currently used by the btree cache.
cache_available_percent node_bcache_cache_available_percent
    Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).
congested node_bcache_congested  Congestion.
root_usage_percent node_bcache_root_usage_percent
    Percentage of the root btree node in use (tree depth increases if too high).
tree_depth node_bcache_tree_depth  Depth of the btree.
internal/active_journal_entries node_bcache_active_journal_entries
    Number of journal entries that are newer than the index.
internal/btree_nodes node_bcache_btree_nodes  Total nodes in the btree.
internal/btree_read_average_duration_us node_bcache_btree_read_average_duration_seconds  Average btree read duration.
internal/cache_read_races node_bcache_cache_read_races_total
    Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where
    the pointer was stale after the read completed.
""")

# File of a backing device, name, help.
_BACKING = rows("""
dirty_data node_bcache_dirty_data_bytes  Amount of dirty data for this backing device in the cache.
stats_total/bypassed node_bcache_bypassed_bytes_total  Amount of IO (both reads and writes) that has bypassed the cache.
stats_total/cache_hits node_bcache_cache_hits_total  Hits counted per individual IO as bcache sees them.
stats_total/cache_misses node_bcache_cache_misses_total  Misses counted per individual IO as bcache sees them.
stats_total/cache_bypass_hits node_bcache_cache_bypass_hits_total  Hits for IO intended to skip the cache.
stats_total/cache_bypass_misses node_bcache_cache_bypass_misses_total  Misses for IO intended to skip the cache.
stats_total/cache_miss_collisions node_bcache_cache_miss_collisions_total
    Instances where data insertion from cache miss raced with write (data already present).
stats_total/cache_readaheads node_bcache_cache_readaheads_total  Count of times readahead occurred.
""")

# Line of a backing device's writeback_rate_debug, name, help.
_WRITEBACK = rows("""
target node_bcache_dirty_target_bytes  Current dirty data target threshold for this backing device in bytes.
rate node_bcache_writeback_rate  Current writeback rate for this backing device in bytes.
proportional node_bcache_writeback_rate_proportional_term
    Current result of proportional controller, part of writeback rate
integral node_bcache_writeback_rate_integral_term  Current result of integral controller, part of writeback rate
change node_bcache_writeback_change  Last writeback rate change step for this backing device.
""")

# File of a cache device, name, help.
_CACHE = rows("""
io_errors node_bcache_io_errors  Number of errors that have occurred, decayed by io_error_halflife.
metadata_written node_bcache_metadata_written_bytes_total
    Sum of all non data writes (btree writes and all other metadata).
written node_bcache_written_bytes_total  Sum of all data that has been written to the cache.
""")

# Line of a cache device's priority_stats, name, help.
_PRIORITY = rows("""
Unused node_bcache_priority_stats_unused_percent  The percentage of the cache that doesn't contain any data.
Metadata node_bcache_priority_stats_metadata_percent  Bcache's metadata overhead.
""")

_DURATION = "internal/btree_read_average_duration_us"
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)")
_UNITS = {letter: 1024 ** (power + 1) for power, letter in enumerate("kMGTPEZY")}


class Bcache:
    """``node_bcache_*{uuid}``; no samples if no cache set is registered.

    ``priority_stats`` is read only if enabled: the kernel sorts all buckets for each read.
    """

    def __init__(self, config: Config) -> None:
        self._sets = Directories(f"{config.paths.sysfs}/fs/bcache", r".*-.*")
        self._priority_stats = config.node.bcache_priority_stats

    def collect(self) -> list[Family]:
        sets = self._sets.found_or_none()
        if not sets:
            return []
        families = {
            name: named(name, help_text)
            for table in (_SET, _BACKING, _WRITEBACK, _CACHE, _PRIORITY)
            for _, name, help_text in table
        }
        for uuid, directory in sets.items():
            for file, name, _ in _SET:
                number = _number(directory, file)
                # node_exporter treats these microseconds as nanoseconds.
                shown = number / 1e6 if number is not None and file == _DURATION else number
                families[name].add(shown, labels(uuid=uuid))
            for device in directory.names():
                if device.startswith("bdev"):
                    self._backing(families, directory, device, labels(uuid=uuid, backing_device=device))
                elif device.startswith("cache") and device[5:].isdigit():
                    text = labels(uuid=uuid, cache_device=device)
                    for file, name, _ in _CACHE:
                        families[name].add(_number(directory, f"{device}/{file}"), text)
                    if self._priority_stats:
                        shares = priority_stats(directory.text(f"{device}/priority_stats") or "")
                        for line, name, _ in _PRIORITY:
                            families[name].add(shares.get(line), text)
        return list(families.values())

    @staticmethod
    def _backing(families: dict[str, Family], directory: Directory, device: str, text: str) -> None:
        for file, name, _ in _BACKING:
            families[name].add(_number(directory, f"{device}/{file}"), text)
        debug = writeback_rate(directory.text(f"{device}/writeback_rate_debug") or "")
        for line, name, _ in _WRITEBACK:
            families[name].add(debug.get(line), text)


def writeback_rate(text: str) -> dict[str, float]:
    """``rate: 1.1M/sec`` and the other lines of writeback_rate_debug, in bytes (bytes per second)."""

    def term(line: str) -> tuple[str, float] | None:
        name, _, amount = line.partition(":")
        if name not in ("rate", "dirty", "target", "proportional", "integral", "change"):
            return None
        return name, dehumanized(amount.strip().removesuffix("/sec"))

    return dict(understood(text.splitlines(), term, "writeback_rate_debug"))


def priority_stats(text: str) -> dict[str, int]:
    """``Unused: 99%`` and ``Metadata: 0%`` of priority_stats, in percent."""

    def share(line: str) -> tuple[str, int] | None:
        name, _, amount = line.partition(":")
        if name not in ("Unused", "Metadata"):
            return None
        return name, int(amount.strip().removesuffix("%"))

    return dict(understood(text.splitlines(), share, "priority_stats"))


def dehumanized(text: str) -> float:
    """Parses a number in the format of bcache's ``bch_hprint``: ``512``, ``-1.3k``, ``20.1G``. Raises ValueError.

    The digits after the point are 1024ths divided by 100, not a decimal fraction: ``.9`` is less than ``.10``.
    """
    unit = _UNITS.get(text[-1:], 0)
    if not _NUMBER.fullmatch(text[:-1] if unit else text):
        raise ValueError(f"not a number of bcache: {text[:40]!r}")
    if not unit:
        return float(text)
    whole, point, fraction = text[:-1].partition(".")
    found = float(whole or "0")
    if point:
        part = float(fraction) / 10.24
        found += -part if whole.startswith("-") else part
    return float(int(found * unit))


def _number(directory: Directory, file: str) -> float | None:
    return value(directory.text(file), lambda text: dehumanized(text.strip()), f"bcache {file}")
