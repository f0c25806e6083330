"""The kernel's identification, as in uname(2)."""

from __future__ import annotations

import os

from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile
from wattview.probes.node.collector import of_files


@of_files(*(f"sys/kernel/{name}" for name in ("ostype", "osrelease", "version", "hostname", "domainname")), size=512)
def collector(
    ostype: KernelFile, release: KernelFile, version: KernelFile, hostname: KernelFile, domainname: KernelFile
) -> list[Family]:
    """``node_uname_info``. Read from /proc/sys/kernel, so that another tree gives its own machine's names."""
    own = os.uname()
    text = labels(
        sysname=_name(ostype, own.sysname),
        release=_name(release, own.release),
        version=_name(version, own.version),
        machine=own.machine,
        nodename=_name(hostname, own.nodename),
        domainname=_name(domainname, "(none)"),
    )
    help_text = "Labeled system information as provided by the uname system call."
    return [gauge("node_uname_info", help_text, 1, text)]


def _name(file: KernelFile, fallback: str) -> str:
    try:
        return file.read().decode("utf-8", "replace").strip()
    except OSError:
        return fallback
