"""SCSI tape drives, from /sys/class/scsi_tape (Documentation/scsi/st.rst)."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, families_of, labels, rows
from wattview.probes.node.collector import Directories, Directory, Filter

# File in a drive's stats directory, name, help.
_TABLE = rows("""
in_flight node_tape_io_now  The number of I/Os currently outstanding to this device.
io_ns node_tape_io_time_seconds_total
    The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement
    commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape
    devices are used.
other_cnt node_tape_io_others_total
    The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these
    commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total
read_byte_cnt node_tape_read_bytes_total  The number of bytes read from the tape drive.
read_cnt node_tape_reads_completed_total  The number of read requests issued to the tape drive.
read_ns node_tape_read_time_seconds_total  The amount of time spent waiting for read requests to complete.
write_byte_cnt node_tape_written_bytes_total  The number of bytes written to the tape drive.
write_cnt node_tape_writes_completed_total  The number of write requests issued to the tape drive.
write_ns node_tape_write_time_seconds_total  The amount of time spent waiting for write requests to complete.
resid_cnt node_tape_residual_total
    The number of times during a read or write we found the residual amount to be non-zero. This should mean that a
    program is issuing a read larger thean the block size on tape. For write not all data made it to tape.
""")


class Tapestats:
    """``node_tape_*{device}``; no data without a tape driver."""

    def __init__(self, config: Config) -> None:
        # A drive has eight names (st0, nst0, st0a …) and one set of counters.
        self._drives = Directories(f"{config.paths.sysfs}/class/scsi_tape", r"st[0-9]+")
        self._filter = Filter(config.node.tape_device_exclude)

    def collect(self) -> list[Family]:
        drives = [
            (labels(device=device), directory)
            for device, directory in self._drives.found().items()
            if not self._filter.ignores(device)
        ]
        return families_of(_TABLE, drives, _count)


def _count(drive: Directory, file: str) -> float | None:
    value = drive.number(f"stats/{file}")
    return value * 1e-9 if value is not None and file.endswith("_ns") else value
