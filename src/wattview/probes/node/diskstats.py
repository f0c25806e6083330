"""I/O of block devices, and their udev properties."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, gauge, labels, named
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import Filter, float_or_none

_SECTOR = procfs.SECTOR_BYTES
_MS = 0.001

# Field of procfs.DiskStat, name, help, factor.
_TABLE: tuple[tuple[str, str, str, float], ...] = (
    ("reads", "reads_completed_total", "The total number of reads completed successfully.", 1),
    ("reads_merged", "reads_merged_total", "The total number of reads merged.", 1),
    ("sectors_read", "read_bytes_total", "The total number of bytes read successfully.", _SECTOR),
    ("read_ms", "read_time_seconds_total", "The total number of seconds spent by all reads.", _MS),
    ("writes", "writes_completed_total", "The total number of writes completed successfully.", 1),
    ("writes_merged", "writes_merged_total", "The number of writes merged.", 1),
    ("sectors_written", "written_bytes_total", "The total number of bytes written successfully.", _SECTOR),
    ("write_ms", "write_time_seconds_total", "This is the total number of seconds spent by all writes.", _MS),
    ("in_progress", "io_now", "The number of I/Os currently in progress.", 1),
    ("io_ms", "io_time_seconds_total", "Total seconds spent doing I/Os.", _MS),
    ("weighted_io_ms", "io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", _MS),
    ("discards", "discards_completed_total", "The total number of discards completed successfully.", 1),
    ("discards_merged", "discards_merged_total", "The total number of discards merged.", 1),
    ("sectors_discarded", "discarded_sectors_total", "The total number of sectors discarded successfully.", 1),
    ("discard_ms", "discard_time_seconds_total", "This is the total number of seconds spent by all discards.", _MS),
    ("flushes", "flush_requests_total", "The total number of flush requests completed successfully", 1),
    (
        "flush_ms", "flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.", _MS,
    ),
)  # fmt: skip

# udev property of an ATA disk, name, help.
_ATA = (
    ("ID_ATA_WRITE_CACHE", "ata_write_cache", "ATA disk has a write cache."),
    ("ID_ATA_WRITE_CACHE_ENABLED", "ata_write_cache_enabled", "ATA disk has its write cache enabled."),
    ("ID_ATA_ROTATION_RATE_RPM", "ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."),
)

# Labels, and udev's properties for them.
_FILESYSTEM = {"type": "ID_FS_TYPE", "usage": "ID_FS_USAGE", "uuid": "ID_FS_UUID", "version": "ID_FS_VERSION"}
_MAPPER = {
    "name": "DM_NAME", "uuid": "DM_UUID", "vg_name": "DM_VG_NAME", "lv_name": "DM_LV_NAME", "lv_layer": "DM_LV_LAYER",
}  # fmt: skip


class Diskstats:
    """``node_disk_*``; partitions, loop devices and RAM disks are left out by default."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/diskstats", size=8192)
        self._block = f"{config.paths.sysfs}/block"
        self._udev = config.node.udev_data
        self._filter = Filter(config.node.disk_device_exclude, config.node.disk_device_include)
        self._rotational: dict[str, KernelFile] = {}

    def collect(self) -> list[Family]:
        families = [named(f"node_disk_{name}", help_text) for _, name, help_text, _ in _TABLE]
        info = gauge("node_disk_info", "Info of /sys/block/<block_device>.")
        filesystem = gauge("node_disk_filesystem_info", "Info about disk filesystem.")
        mapper = gauge("node_disk_device_mapper_info", "Info about disk device mapper.")
        ata = {key: gauge(f"node_disk_{name}", help_text) for key, name, help_text in _ATA}
        for disk in procfs.diskstats(self._file.read(), lambda device: not self._filter.ignores(device)):
            device = disk.device
            text = labels(device=device)
            for family, (field, _, _, factor) in zip(families, _TABLE, strict=True):
                value = getattr(disk, field)
                if value is not None:
                    # Division keeps 1234 ms at 1.234 s; a multiplication by 0.001 would not.
                    family.add(value / 1000 if factor == _MS else value * factor, text)
            udev = self._properties(disk.major, disk.minor)
            info.add(
                1,
                labels(
                    device=device,
                    major=str(disk.major),
                    minor=str(disk.minor),
                    path=udev.get("ID_PATH", ""),
                    wwn=udev.get("ID_WWN", ""),
                    model=udev.get("ID_MODEL", ""),
                    serial=_serial(udev),
                    revision=udev.get("ID_REVISION", ""),
                    rotational=self._spins(device),
                ),
            )
            if udev.get("ID_FS_TYPE"):
                filesystem.add(1, labels(device=device, **_facts(udev, _FILESYSTEM)))
            if udev.get("DM_NAME"):
                mapper.add(1, labels(device=device, **_facts(udev, _MAPPER)))
            if udev.get("ID_ATA"):
                for key, family in ata.items():
                    family.add(float_or_none(udev.get(key, "")), text)
        return [info, *families, filesystem, mapper, *ata.values()]

    def _properties(self, major: int, minor: int) -> dict[str, str]:
        try:
            with open(f"{self._udev}/b{major}:{minor}", "rb") as file:
                return udev_properties(file.read())
        except OSError:
            return {}

    def _spins(self, device: str) -> str:
        file = self._rotational.get(device)
        if file is None:
            # In /sys the kernel replaces a device's slash (cciss/c0d0) by an exclamation mark.
            path = f"{self._block}/{device.replace('/', '!')}/queue/rotational"
            file = self._rotational[device] = KernelFile(path)
        try:
            return file.read().decode("ascii", "replace").strip()
        except OSError:
            return "0"


def udev_properties(data: bytes) -> dict[str, str]:
    """The ``E:NAME=value`` lines of one of udev's database files."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("E:"):
            name, equals, value = line[2:].partition("=")
            if equals:
                found[name] = value
    return found


def _facts(udev: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    return {label: udev.get(name, "") for label, name in names.items()}


def _serial(udev: dict[str, str]) -> str:
    """The serial number printed on the disk's label, as far as udev knows it."""
    return next((udev[key] for key in ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL") if udev.get(key)), "")
