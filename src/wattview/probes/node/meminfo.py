"""Every field of /proc/meminfo, in bytes where the kernel counts in kB."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family, gauge
from wattview.probes import procfs
from wattview.probes.kernel_files import KernelFile

_PARENTHESES = re.compile(r"\((.*)\)")


class Meminfo:
    """``node_memory_*``: ``Active(anon)`` is ``node_memory_Active_anon_bytes``."""

    def __init__(self, config: Config) -> None:
        self._file = KernelFile(f"{config.paths.procfs}/meminfo")
        self._names: dict[tuple[bytes, bytes], tuple[str, str]] = {}

    def collect(self) -> list[Family]:
        found = []
        for field, value, unit in procfs.MEMINFO_FIELD.findall(self._file.read()):
            name, help_text = self._names.get((field, unit)) or self._name(field, unit)
            found.append(gauge(name, help_text, int(value) * 1024 if unit else int(value)))
        if not found:
            raise ValueError("meminfo: has no field")
        return found

    def _name(self, field: bytes, unit: bytes) -> tuple[str, str]:
        name = memory_field_name(field.decode("ascii", "replace")) + ("_bytes" if unit else "")
        named = self._names[field, unit] = (f"node_memory_{name}", f"Memory information field {name}.")
        return named


def memory_field_name(field: str) -> str:
    """A field of a meminfo file as part of a metric's name."""
    return re.sub(r"\W", "_", _PARENTHESES.sub(r"_\1", field))
