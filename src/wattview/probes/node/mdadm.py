"""Software RAID: the state of each array and of its disks, from /proc/mdstat and /sys/block/md*/md."""

from __future__ import annotations

import re
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, families_of, gauge, labels, rows
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import understood
from wattview.probes.node.collector import Directories

_ARRAY = re.compile(r"\n(?=\S+ : )")
_SIZE = re.compile(r"(\d+) blocks")
_STATUS = re.compile(r"^.*(?: : |blocks |super |level ).*\[(\d+)/(\d+)\] \[[U_]+\]", re.MULTILINE)
_FIRST_NUMBER = re.compile(r"\d+")
_SYNCED = re.compile(r"\((\d+)/\d+\)")

# Exported state, words of the progress line. The order is node_exporter's: a reshape has no name of its own.
_SYNCING = (("recovering", "recovery"), ("check", "check"), ("resync", "resync"))
_STATES = ("active", "inactive", "recovering", "resync", "check")

_TABLE = rows("""
required node_md_disks_required Total number of disks of device.
blocks node_md_blocks Total number of blocks on device.
synced node_md_blocks_synced Number of blocks synced on device.
""")


class Array(NamedTuple):
    """One array. ``synced`` of ``blocks`` are in sync (blocks of 1 KiB); None if the kernel gives no size."""

    device: str
    state: str
    required: int
    active: int
    failed: int
    spare: int
    blocks: int | None
    synced: int | None


class Mdadm:
    """``node_md_*{device}``; no data if the md driver is not loaded."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/mdstat")
        self._blocks = Directories(f"{config.paths.sysfs}/block", "md.+")

    def collect(self) -> list[Family]:
        state = gauge("node_md_state", "Indicates the state of md-device.")
        disks = gauge("node_md_disks", "Number of active/failed/spare disks of device.")
        raid_disks = gauge("node_md_raid_disks", "Number of raid disks on device.")
        degraded = gauge("node_md_degraded", "Number of degraded disks on device.")
        arrays = mdstat(self._file.read())
        attributes = self._blocks.found_or_none()
        for array in arrays:
            device = array.device
            for name in _STATES:
                state.add(1 if name == array.state else 0, labels(device=device, state=name))
            for kind in ("active", "failed", "spare"):
                disks.add(getattr(array, kind), labels(device=device, state=kind))
        for device, directory in attributes.items():
            members = raid_disks_now(directory.text("md/raid_disks"))
            raid_disks.add(members, labels(device=device))
            if members is not None:
                # A level without redundancy has no such file, and cannot be degraded.
                degraded.add(directory.number("md/degraded") or 0, labels(device=device))
        of_arrays = families_of(_TABLE, [(labels(device=array.device), array) for array in arrays])
        return [state, disks, *of_arrays, raid_disks, degraded]


def raid_disks_now(text: str | None) -> int | None:
    """6 from ``6 (5)``, the kernel's text while an array of 5 is reshaped into one of 6."""
    match = _FIRST_NUMBER.match(text or "")
    return int(match[0]) if match else None


def mdstat(data: bytes) -> list[Array]:
    """The arrays in /proc/mdstat. Raises ValueError if none has the kernel's format."""
    return understood(_ARRAY.split(data.decode("ascii", "replace")), _array, "mdstat")


def _array(text: str) -> Array | None:
    """One array: a line with its name, state, level and disks, and lines below it. None for the lines before the first
    array."""
    head, _, body = text.partition("\n")
    if head.startswith(("Personalities", "unused", "read_ahead")):
        return None
    device, colon, state, *rest = head.split()
    if colon != ":":
        raise ValueError("not an array")
    size, status = _SIZE.search(text), _STATUS.search(text)
    level = next((word for word in rest if not word.startswith("(")), "")
    disks = [word for word in rest if "[" in word and not word.startswith("[")]
    if level in ("raid0", "linear"):
        # Such an array cannot lack a disk.
        active = required = len(disks)
    elif state == "inactive":
        active = required = 0
    elif status is not None:
        required, active = int(status[1]), int(status[2])
    else:
        raise ValueError("does not say how many of its disks are there")
    blocks = synced = int(size[1]) if size else None
    for name, word in _SYNCING:
        if word in body:
            state = name
            progress = _SYNCED.search(body)
            # PENDING or DELAYED work has no progress yet.
            synced = int(progress[1]) if progress else 0
            break
    failed, spare = (sum(mark in disk for disk in disks) for mark in ("(F)", "(S)"))
    return Array(device, state, required, active, failed, spare, blocks, synced)
