"""Software RAID: the state of each array and of its disks, from /proc/mdstat and /sys/block/md*/md."""

from __future__ import annotations

import re
from typing import NamedTuple

from wattview.config import Config
from wattview.exposition import Family, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import Directories, gauge

_STATUS = re.compile(r"(\d+) blocks.*\[(\d+)/(\d+)\] \[([U_]+)\]")
_SYNCED = re.compile(r"\((\d+)/\d+\)")

# State as it is shown, words of the progress line. The order is node_exporter's: a reshape has no name of its own.
_SYNCING = (("recovering", "recovery"), ("check", "check"), ("resync", "resync"))
_STATES = ("active", "inactive", "recovering", "resync", "check")


class Array(NamedTuple):
    """One array. ``synced`` of ``blocks`` are in sync (blocks of 1 KiB)."""

    device: str
    state: str
    required: int
    active: int
    failed: int
    spare: int
    blocks: int
    synced: int


class Mdadm:
    """``node_md_*{device}``; no data where the md driver is not loaded."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/mdstat")
        self._blocks = Directories(f"{config.paths.sysfs}/block", "md.+")

    def collect(self) -> list[Family]:
        state = gauge("node_md_state", "Indicates the state of md-device.")
        disks = gauge("node_md_disks", "Number of active/failed/spare disks of device.")
        required = gauge("node_md_disks_required", "Total number of disks of device.")
        blocks = gauge("node_md_blocks", "Total number of blocks on device.")
        synced = gauge("node_md_blocks_synced", "Number of blocks synced on device.")
        raid_disks = gauge("node_md_raid_disks", "Number of raid disks on device.")
        degraded = gauge("node_md_degraded", "Number of degraded disks on device.")
        arrays = mdstat(self._file.read())
        attributes = self._blocks.found_or_none()
        for array in arrays:
            device = array.device
            for name in _STATES:
                state.add(1 if name == array.state else 0, labels(device=device, state=name))
            disks.add(array.active, labels(device=device, state="active"))
            disks.add(array.failed, labels(device=device, state="failed"))
            disks.add(array.spare, labels(device=device, state="spare"))
            required.add(array.required, labels(device=device))
            blocks.add(array.blocks, labels(device=device))
            synced.add(array.synced, labels(device=device))
        for device, directory in attributes.items():
            members = directory.number("md/raid_disks")
            raid_disks.add(members, labels(device=device))
            if members is not None:
                # A level without redundancy has no such file, and cannot be degraded.
                degraded.add(directory.number("md/degraded") or 0, labels(device=device))
        return [state, disks, required, blocks, synced, raid_disks, degraded]


def mdstat(data: bytes) -> list[Array]:
    """The arrays of /proc/mdstat. Raises ValueError where one is not described as the kernel does it."""
    found = []
    blocks = re.split(r"\n(?=\S)", data.decode("ascii", "replace"))
    for block in blocks:
        head, _, body = block.partition("\n")
        if head.startswith(("Personalities", "unused", "read_ahead")) or not head.strip():
            continue
        found.append(_array(head, body))
    return found


def _array(head: str, body: str) -> Array:
    fields = head.split()
    if len(fields) < 3 or fields[1] != ":":
        raise ValueError(f"mdstat: not an array: {head[:80]!r}")
    size = re.search(r"(\d+) blocks", body)
    if size is None:
        raise ValueError(f"mdstat: {fields[0]} has no size")
    blocks = int(size[1])
    state = fields[2]
    if "raid0" in head or "linear" in head:
        # Nothing in such an array can be missing: each disk is named with a number in brackets.
        active = required = head.count("[")
    elif state == "inactive":
        active = required = 0
    else:
        status = _STATUS.search(body)
        if status is None:
            raise ValueError(f"mdstat: {fields[0]} does not say how many of its disks are there")
        required, active = int(status[2]), int(status[3])
    synced = blocks
    for name, word in _SYNCING:
        if word in body:
            state = name
            progress = _SYNCED.search(body)
            # Work that is PENDING or DELAYED has no progress yet.
            synced = int(progress[1]) if progress else 0
            break
    return Array(fields[0], state, required, active, head.count("(F)"), head.count("(S)"), blocks, synced)
