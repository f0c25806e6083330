"""The machine as container exporters describe it: CPUs, memory, and cAdvisor's identifiers.

Read once: nothing here changes while a machine runs. Only ``procfs``, ``sysfs`` and ``rootfs`` are read.
"""

from __future__ import annotations

import os
from pathlib import Path

from wattview.config import Paths
from wattview.model import Machine
from wattview.probes import procfs
from wattview.probes.kernel_files import read_once, text_of


def read_machine(paths: Paths) -> Machine:
    """Describes this machine. Raises OSError or ValueError if procfs has no meminfo or stat."""
    proc, sys, root = Path(paths.procfs), Path(paths.sysfs), Path(paths.rootfs)
    memory = procfs.meminfo(read_once(str(proc / "meminfo")))
    cores, sockets = _topology(sys / "devices/system/cpu")
    return Machine(
        cpus=procfs.cpu_count(read_once(str(proc / "stat"))),
        physical_cores=cores,
        sockets=sockets,
        memory_bytes=memory["MemTotal"],
        swap_bytes=memory.get("SwapTotal", 0),
        machine_id=_first_line(root / "etc/machine-id") or _first_line(root / "var/lib/dbus/machine-id"),
        system_uuid=_first_line(sys / "class/dmi/id/product_uuid"),
        boot_id=_first_line(proc / "sys/kernel/random/boot_id"),
        kernel_version=_first_line(proc / "sys/kernel/osrelease"),
        os_version=_os_name(root),
    )


def _topology(cpus: Path) -> tuple[int | None, int | None]:
    """(physical cores, sockets) from the kernel's CPU topology; None if unknown."""
    cores: set[tuple[str, str]] = set()
    try:
        names = os.listdir(cpus)
    except OSError:
        return None, None
    for name in names:
        if name.startswith("cpu") and name[3:].isdigit():
            package = _first_line(cpus / name / "topology/physical_package_id")
            core = _first_line(cpus / name / "topology/core_id")
            if package and core:
                cores.add((package, core))
    return (len(cores), len({package for package, _ in cores})) if cores else (None, None)


def _os_name(root: Path) -> str:
    """PRETTY_NAME of os-release(5)."""
    for file in (root / "etc/os-release", root / "usr/lib/os-release"):
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip().strip("\"'")
    return ""


def _first_line(file: Path) -> str:
    return text_of(file).partition("\n")[0].strip()
