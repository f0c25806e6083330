"""Multipath block devices: size, paths, and the state of each path's device."""

from __future__ import annotations

from wattview.exposition import Family, empty_families, labels, rows
from wattview.probes.node.collector import Directories, Directory, of_sysfs

_SECTOR_BYTES = 512
_FAMILIES = rows("""
info node_dmmultipath_device_info Non-numeric information about a DM-multipath device.
active node_dmmultipath_device_active
  Whether the multipath device-mapper device is active (1) or suspended (0).
size node_dmmultipath_device_size_bytes Size of the multipath device in bytes, read from /sys/block/<dm>/size.
paths node_dmmultipath_device_paths Number of paths for a multipath device.
usable node_dmmultipath_device_paths_active
  Number of paths in active state (SCSI running or NVMe live) for a multipath device.
failed node_dmmultipath_device_paths_failed Number of paths not in active state for a multipath device.
state node_dmmultipath_path_state
  Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.
""")
# The state of a working path in SCSI and in NVMe.
_ACTIVE = ("running", "live")


@of_sysfs(Directories, "block", r"dm-[0-9]+")
def collector(devices: Directories) -> list[Family]:
    """``node_dmmultipath_*``, from /sys/block/dm-*; no samples without a multipath device."""
    families = empty_families(_FAMILIES)
    info, active, size, paths, usable, failed, state = families.values()
    for name, directory in devices.found().items():
        uuid = directory.text("dm/uuid") or ""
        if not uuid.startswith("mpath-"):
            continue
        device = directory.text("dm/name") or name
        info.add(1, labels(device=device, sysfs_name=name, uuid=uuid))
        text = labels(device=device, sysfs_name=name)
        suspended = directory.number("dm/suspended")
        active.add(None if suspended is None else int(suspended == 0), text)
        sectors = directory.number("size")
        size.add(None if sectors is None else sectors * _SECTOR_BYTES, text)
        # A path without that file counts as failed.
        states = {
            path: Directory(f"{devices.root}/{path}/device").text("state") or "unknown"
            for path in directory.names("slaves")
        }
        for path, said in states.items():
            state.add(1, labels(device=device, path=path, state=said))
        working = sum(said in _ACTIVE for said in states.values())
        paths.add(len(states), text)
        usable.add(working, text)
        failed.add(len(states) - working, text)
    return list(families.values())
