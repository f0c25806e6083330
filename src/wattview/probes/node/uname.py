"""The kernel's identification, as in uname(2)."""

from __future__ import annotations

import os

from wattview.config import Config
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile


class Uname:
    """``node_uname_info``. Read from /proc/sys/kernel, so that another tree gives its own machine's names."""

    def __init__(self, config: Config) -> None:
        root = f"{config.paths.procfs}/sys/kernel"
        names = ("ostype", "osrelease", "version", "hostname", "domainname")
        self._files = {name: KernelFile(f"{root}/{name}", 512) for name in names}

    def collect(self) -> list[Family]:
        own = os.uname()
        text = labels(
            sysname=self._name("ostype", own.sysname),
            release=self._name("osrelease", own.release),
            version=self._name("version", own.version),
            machine=own.machine,
            nodename=self._name("hostname", own.nodename),
            domainname=self._name("domainname", "(none)"),
        )
        help_text = "Labeled system information as provided by the uname system call."
        return [gauge("node_uname_info", help_text, 1, text)]

    def _name(self, file: str, fallback: str) -> str:
        try:
            return self._files[file].read().decode("utf-8", "replace").strip()
        except OSError:
            return fallback
