"""Open files of the whole machine, and their limit."""

from __future__ import annotations

import re

from wattview.exposition import Family, gauge
from wattview.probes.node.collector import of_file

_FILE_NR = re.compile(rb"^([0-9]{1,20})\s+[0-9]+\s+([0-9]{1,20})$", re.MULTILINE)


@of_file("sys/fs/file-nr")
def collector(data: bytes) -> list[Family]:
    """``node_filefd_*``, from /proc/sys/fs/file-nr."""
    allocated, maximum = file_nr(data)
    return [
        gauge("node_filefd_allocated", "File descriptor statistics: allocated.", allocated),
        gauge("node_filefd_maximum", "File descriptor statistics: maximum.", maximum),
    ]


def file_nr(data: bytes) -> tuple[int, int]:
    """(allocated, maximum) out of /proc/sys/fs/file-nr. Raises ValueError."""
    match = _FILE_NR.search(data)
    if match is None:
        raise ValueError("file-nr: does not hold three numbers")
    return int(match[1]), int(match[2])
