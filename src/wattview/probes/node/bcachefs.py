"""bcachefs: filesystems and their devices, from /sys/fs/bcachefs."""

from __future__ import annotations

import math
import re

from wattview.exposition import Families, Family, labels
from wattview.probes.lines import understood, value
from wattview.probes.node.collector import Directories, Directory, NoSource, of_sysfs

_UNITS = {letter: 1024 ** (power + 1) for power, letter in enumerate("kmgtpe")}


@of_sysfs(Directories, "fs/bcachefs")
def collector(directories: Directories) -> list[Family]:
    """``node_bcachefs_*{uuid}``; no data if no such filesystem is mounted."""
    found = directories.found()
    if not found:
        raise NoSource("no bcachefs is mounted")
    families = Families()
    for uuid, directory in found.items():
        _filesystem(families, uuid, directory)
        for name in directory.names():
            if name.startswith("dev-"):
                _device(families, uuid, name.removeprefix("dev-"), directory, name)
    return families.all()


def _filesystem(families: Families, uuid: str, directory: Directory) -> None:
    def add(name: str, help_text: str, value: float | None, **more: str) -> None:
        families.add(f"node_bcachefs_{name}", help_text, value, labels(uuid=uuid, **more))

    add("info", "Filesystem information.", 1)
    add("btree_cache_size_bytes", "Btree cache memory usage in bytes.", _bytes(directory.text("btree_cache_size")))
    for name, (compressed, uncompressed) in table(directory.text("compression_stats") or "").items():
        add("compression_compressed_bytes", "Compressed size by algorithm.", _bytes(compressed), algorithm=name)
        add("compression_uncompressed_bytes", "Uncompressed size by algorithm.", _bytes(uncompressed), algorithm=name)
    for kind, count in errors(directory.text("errors") or "").items():
        add("errors_total", "Error count by error type.", count, error_type=kind)
    for name in directory.names("counters"):
        counted = since_creation(directory.text(f"counters/{name}") or "")
        family = re.sub(r"[^a-zA-Z0-9_]", "_", name) + "_total"
        add(family, f"Bcachefs counter {name} since filesystem creation.", counted)
    for kind, (writes, size) in table(directory.text("btree_write_stats") or "").items():
        count_of = value(writes, int, "btree_write_stats")
        add("btree_writes_total", "Number of btree writes by type.", count_of, type=kind)
        add("btree_write_average_size_bytes", "Average btree write size by type.", _bytes(size), type=kind)


def _device(families: Families, uuid: str, device: str, directory: Directory, folder: str) -> None:
    def add(name: str, help_text: str, value: float | None, **more: str) -> None:
        families.add(f"node_bcachefs_device_{name}", help_text, value, labels(uuid=uuid, device=device, **more))

    said = {name: directory.text(f"{folder}/{name}") or "" for name in ("label", "state", "io_done", "io_errors")}
    add("info", "Device information.", 1, label=said["label"], state=said["state"])
    add("bucket_size_bytes", "Bucket size in bytes.", _bytes(directory.text(f"{folder}/bucket_size")))
    add("buckets", "Total number of buckets.", directory.number(f"{folder}/nbuckets"))
    add("durability", "Device durability setting.", directory.number(f"{folder}/durability"))
    for operation, kind, done in io_done(said["io_done"]):
        help_text = "IO bytes by operation type and data type."
        add("io_done_bytes_total", help_text, done, operation=operation, data_type=kind)
    for kind, count in io_errors(said["io_errors"]).items():
        add("io_errors_total", "IO errors by error type.", count, type=kind)


def human_bytes(text: str) -> int:
    """Converts ``542k`` or ``1.5G`` to bytes. Raises ValueError."""
    text = text.strip()
    unit = _UNITS.get(text[-1:].lower())
    size = float(text[:-1] if unit else text) * (unit or 1)
    if not math.isfinite(size):
        raise ValueError(f"bcachefs: not a size: {text[:80]!r}")
    return int(size)


def _bytes(text: str | None) -> int | None:
    return value(text, human_bytes, "bcachefs")


def errors(text: str) -> dict[str, int]:
    """Errors by kind from a filesystem's errors: kind, count, time last seen."""

    def kind(line: str) -> tuple[str, int]:
        fields = line.split()
        return fields[0], int(fields[1])

    return dict(understood(text.splitlines(), kind, "bcachefs errors"))


def table(text: str) -> dict[str, tuple[str, str]]:
    """The first two columns of a table with a heading, by the first word of each line."""
    found = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 3:
            found[fields[0].removesuffix(":")] = (fields[1], fields[2])
    return found


def since_creation(text: str) -> int | None:
    """One counter's value since the filesystem was created."""
    for line in text.splitlines():
        if line.startswith("since filesystem creation:"):
            return _bytes(line.partition(":")[2])
    return None


def io_done(text: str) -> list[tuple[str, str, int]]:
    """(operation, data type, bytes) from a device's io_done."""
    operation = ""

    def done(line: str) -> tuple[str, str, int] | None:
        nonlocal operation
        name, colon, number = line.strip().partition(":")
        if name in ("read", "write") and colon and not number.strip():
            operation = name
            return None
        if not operation:
            raise ValueError("above the first operation")
        return operation, name.strip(), int(number)

    return understood(text.splitlines(), done, "bcachefs io_done")


def io_errors(text: str) -> dict[str, int]:
    """Errors by kind from a device's io_errors, since the filesystem was created."""
    wanted = False

    def errors_of(line: str) -> tuple[str, int] | None:
        nonlocal wanted
        if line.startswith("IO errors since"):
            wanted = line.startswith("IO errors since filesystem creation")
        elif wanted and ":" in line:
            kind, _, count = line.strip().partition(":")
            return kind.strip(), int(count)
        return None

    return dict(understood(text.splitlines(), errors_of, "bcachefs io_errors"))
