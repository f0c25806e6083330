"""Open files of the whole machine, and how many there may be."""

from __future__ import annotations

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import gauge


class FileDescriptors:
    """``node_filefd_*``, from /proc/sys/fs/file-nr."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/sys/fs/file-nr")

    def collect(self) -> list[Family]:
        fields = self._file.read().split()
        if len(fields) != 3:
            raise ValueError("file-nr: does not hold three numbers")
        return [
            gauge("node_filefd_allocated", "File descriptor statistics: allocated.", int(fields[0])),
            gauge("node_filefd_maximum", "File descriptor statistics: maximum.", int(fields[2])),
        ]
