"""SCSI tape drives, from /sys/class/scsi_tape (Documentation/scsi/st.rst)."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family, labels, named
from wattview.probes.node.collector import Directories, Filter

# File in a drive's stats directory, name, help, factor.
_TABLE: tuple[tuple[str, str, str, float], ...] = (
    ("in_flight", "io_now", "The number of I/Os currently outstanding to this device.", 1),
    (
        "io_ns", "io_time_seconds_total",
        "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape "
        "movement commands such as seeking between file or set marks and implicit tape movement such as when rewind "
        "on close tape devices are used.", 1e-9,
    ),
    (
        "other_cnt", "io_others_total",
        "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete "
        "these commands uses the following calculation "
        "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total", 1,
    ),
    ("read_byte_cnt", "read_bytes_total", "The number of bytes read from the tape drive.", 1),
    ("read_cnt", "reads_completed_total", "The number of read requests issued to the tape drive.", 1),
    (
        "read_ns", "read_time_seconds_total",
        "The amount of time spent waiting for read requests to complete.", 1e-9,
    ),
    ("write_byte_cnt", "written_bytes_total", "The number of bytes written to the tape drive.", 1),
    ("write_cnt", "writes_completed_total", "The number of write requests issued to the tape drive.", 1),
    (
        "write_ns", "write_time_seconds_total",
        "The amount of time spent waiting for write requests to complete.", 1e-9,
    ),
    (
        "resid_cnt", "residual_total",
        "The number of times during a read or write we found the residual amount to be non-zero. This should mean "
        "that a program is issuing a read larger thean the block size on tape. For write not all data made it to "
        "tape.", 1,
    ),
)  # fmt: skip


class Tapestats:
    """``node_tape_*{device}``; no data without a tape driver."""

    def __init__(self, config: Config) -> None:
        # A drive has eight names (st0, nst0, st0a …) and one set of counters.
        self._drives = Directories(f"{config.paths.sysfs}/class/scsi_tape", r"st[0-9]+")
        self._filter = Filter(config.node.tape_device_exclude)

    def collect(self) -> list[Family]:
        families = [named(f"node_tape_{name}", help_text) for _, name, help_text, _ in _TABLE]
        for device, directory in self._drives.found().items():
            if self._filter.ignores(device):
                continue
            for family, (file, _, _, factor) in zip(families, _TABLE, strict=True):
                value = directory.number(f"stats/{file}")
                family.add(value if value is None or factor == 1 else value * factor, labels(device=device))
        return families
