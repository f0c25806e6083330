"""ZFS: its caches, pools and datasets, from /proc/spl/kstat/zfs."""

from __future__ import annotations

import os
from collections.abc import Iterator

from wattview.config import Config
from wattview.exposition import Families, Family, labels
from wattview.probes.lines import odd
from wattview.probes.node.collector import NoSource

# File of module-wide counters, part of the name.
_FILES = {
    "abdstats": "zfs_abd",
    "arcstats": "zfs_arc",
    "dbufstats": "zfs_dbuf",
    "dmu_tx": "zfs_dmu_tx",
    "dnodestats": "zfs_dnode",
    "fm": "zfs_fm",
    "vdev_cache_stats": "zfs_vdev_cache",
    "vdev_mirror_stats": "zfs_vdev_mirror",
    "xuio_stats": "zfs_xuio",
    "zfetchstats": "zfs_zfetch",
    "zil": "zfs_zil",
}
_POOL_STATES = ("online", "degraded", "faulted", "offline", "removed", "unavail", "suspended")
_INT64, _UINT64 = "3", "4"


class Zfs:
    """``node_zfs_*``, untyped as in node_exporter; no data if the module is not loaded."""

    def __init__(self, config: Config) -> None:
        self._root = f"{config.paths.procfs}/spl/kstat/zfs"

    def collect(self) -> list[Family]:
        if not os.path.isdir(self._root):
            raise NoSource("ZFS is not loaded")
        families = Families()
        for file, subsystem in _FILES.items():
            text = self._read(file)
            if text is not None:
                for name, value in kstat(text, (_INT64, _UINT64)):
                    _add(families, subsystem, f"kstat.zfs.misc.{file}.{name}", value)
        for pool in sorted(entry.name for entry in os.scandir(self._root) if entry.is_dir()):
            self._pool(families, pool)
        return families.all()

    def _pool(self, families: Families, pool: str) -> None:
        io = self._read(f"{pool}/io")
        if io is not None:
            for name, value in pool_io(io):
                _add(families, "zfs_zpool", f"kstat.zfs.misc.io.{name}", value, labels(zpool=pool))
        for file in sorted(os.listdir(f"{self._root}/{pool}")):
            if file.startswith("objset-"):
                text = self._read(f"{pool}/{file}") or ""
                where = labels(zpool=pool, dataset=dataset_name(text))
                for name, value in kstat(text, (_UINT64,)):
                    _add(families, "zfs_zpool_dataset", f"kstat.zfs.misc.objset.{name}", value, where)
        state = self._read(f"{pool}/state")
        if state is not None:
            for known in _POOL_STATES:
                is_in = int(known in state.lower().split())
                families.add("node_zfs_zpool_state", "kstat.zfs.misc.state", is_in, labels(zpool=pool, state=known))

    def _read(self, file: str) -> str | None:
        try:
            with open(f"{self._root}/{file}", encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return None


def kstat(text: str, types: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """(name, value) of the lines below ``name type data`` whose type is one of ``types``. Raises ValueError."""
    lines = [line.split() for line in text.splitlines()]
    heading = ["name", "type", "data"]
    if heading not in lines:
        raise ValueError("kstat: has no table")

    def named(fields: list[str]) -> tuple[str, int] | None:
        return (fields[0], int(fields[2])) if len(fields) >= 3 and fields[1] in types else None

    for fields in lines[lines.index(heading) + 1 :]:
        try:
            value = named(fields)
        except ValueError:
            odd("kstat", " ".join(fields))
        else:
            if value is not None:
                yield value


def dataset_name(text: str) -> str:
    """The dataset of an objset file; its name may contain spaces."""
    for line in text.splitlines():
        fields = line.split(None, 2)
        if len(fields) == 3 and fields[0] == "dataset_name":
            return fields[2]
    return ""


def pool_io(text: str) -> list[tuple[str, int]]:
    """(name, value) from a pool's io file: a line of names, then a line of numbers."""
    names: list[str] = []
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["nread"]:
            names = fields
        elif names and len(fields) == len(names) and all(field.isdecimal() for field in fields):
            return [(name, int(value)) for name, value in zip(names, fields, strict=True)]
    return []


def _add(families: Families, subsystem: str, help_text: str, value: int, text: str = "") -> None:
    name = f"node_{subsystem}_{help_text.rpartition('.')[2].replace('-', '_')}"
    families.add(name, help_text, value, text, "untyped")
