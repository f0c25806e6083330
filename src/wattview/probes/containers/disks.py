"""Names and stacking of block devices: a bio that LVM, LUKS, md or DRBD passes on is counted at every device on its
way.

Only ``<sysfs>/dev/block`` is read: a link per device, and its ``slaves`` (Documentation/ABI/stable/sysfs-block).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from functools import lru_cache

Device = tuple[int, int]
"""(major, minor) of a block device."""

_FRESH_SECONDS = 60.0
"""How long data from sysfs is cached: device-mapper devices come and go."""


class Disks:
    """``/dev/vda`` for 254:0, and I/O over stacked devices without double counting."""

    def __init__(self, sysfs: str) -> None:
        self._directory = f"{sysfs}/dev/block"
        self._names: dict[Device, str] = {}
        self._slaves: dict[Device, frozenset[str]] = {}
        self._fresh_until = 0.0

    def name(self, device: Device) -> str:
        """The device's file; its numbers if the kernel has no name for it."""
        self._forget_what_is_old()
        found = self._names.get(device)
        if found is None:
            found = f"{device[0]}:{device[1]}"
            with contextlib.suppress(OSError):
                # sysfs replaces a slash in a device's name by an exclamation mark (cciss!c0d0).
                found = "/dev/" + os.path.basename(os.readlink(f"{self._directory}/{found}")).replace("!", "/")
            self._names[device] = found
        return found

    def moved(self, amounts: Mapping[Device, int]) -> int:
        """The sum over all devices, counting I/O that one device passes on to another once."""
        if len(amounts) < 2:
            return sum(amounts.values())
        below = {device: self._below(device) for device in amounts}
        if not any(below.values()):
            return sum(amounts.values())
        names = {self.name(device): device for device in amounts}
        return sum(_once(stack, amounts) for stack in _stacks(tuple(names.items()), tuple(below.items())))

    def _below(self, device: Device) -> frozenset[str]:
        """All whole disks below a device, by name, at any depth."""
        self._forget_what_is_old()
        found = self._slaves.get(device)
        if found is None:
            found = self._slaves[device] = frozenset(_whole_disks(f"{self._directory}/{device[0]}:{device[1]}"))
        return found

    def _forget_what_is_old(self) -> None:
        now = time.monotonic()
        if now > self._fresh_until:
            self._names.clear()
            self._slaves.clear()
            self._fresh_until = now + _FRESH_SECONDS


def _whole_disks(directory: str, depth: int = 8) -> set[str]:
    found: set[str] = set()
    try:
        slaves = os.listdir(f"{directory}/slaves")
    except OSError:
        return found
    for name in slaves:
        slave = os.path.realpath(f"{directory}/slaves/{name}")
        # For a partition, its disk: cgroups count I/O per disk.
        disk = os.path.dirname(slave) if os.path.exists(f"{slave}/partition") else slave
        found.add("/dev/" + os.path.basename(disk).replace("!", "/"))
        if depth:
            found |= _whole_disks(slave, depth - 1)
    return found


Stack = tuple[tuple[Device, frozenset[Device]], ...]
"""Related devices, each with the devices below it."""


@lru_cache(maxsize=256)
def _stacks(names: tuple[tuple[str, Device], ...], below: tuple[tuple[Device, frozenset[str]], ...]) -> list[Stack]:
    known = dict(names)
    under = {device: frozenset(known[name] for name in disks if name in known) for device, disks in below}
    together = {device: {device} for device in under}
    for device, disks in under.items():
        for disk in disks:
            joined = together[device] | together[disk]
            for one in joined:
                together[one] = joined
    groups = {id(group): group for group in together.values()}
    return [tuple((device, under[device]) for device in sorted(group)) for group in groups.values()]


def _once(stack: Stack, amounts: Mapping[Device, int]) -> int:
    """I/O through one stack: requests to its top, plus requests made directly to a lower device.

    A mirror writes twice, so the sum over the disks is too large; if a volume is stacked on another in a way that sysfs
    does not show, the sum at the top is too large. No device has seen more than the total.
    """
    tops = 0
    for device, _ in stack:
        above = {upper: disks for upper, disks in stack if device in disks}
        passed_on = sum(amounts[upper] for upper, disks in above.items() if not disks & above.keys())
        tops += max(0, amounts[device] - passed_on)
    disks_alone = sum(amounts[device] for device, disks in stack if not disks)
    return max(min(tops, disks_alone), max(amounts[device] for device, _ in stack))
