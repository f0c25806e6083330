"""Selected counters of the network stack: /proc/net/netstat, snmp and snmp6."""

from __future__ import annotations

import re

from wattview.config import Config
from wattview.exposition import Family
from wattview.probes.kernel_files import KernelFile
from wattview.probes.lines import odd
from wattview.probes.node.collector import Filter, SelectedLines

_NUMBERS = re.compile(rb"-?[0-9]{1,20}(?: -?[0-9]{1,20})*")

Field = tuple[str, str]
"""A family's name and help."""


class Netstat:
    """``node_netstat_*``, for the fields (``Tcp_InSegs``) that match ``node.netstat_fields_include``."""

    def __init__(self, config: Config) -> None:
        root = config.paths.procfs
        self._tables = (KernelFile(f"{root}/net/netstat", 8192), KernelFile(f"{root}/net/snmp", 8192))
        self._snmp6 = KernelFile(f"{root}/net/snmp6", 8192)
        self._filter = Filter(include=config.node.netstat_fields_include)
        self._chosen: dict[bytes, list[tuple[int, Field]]] = {}
        self._chosen_version6 = SelectedLines(self._field6)

    def collect(self) -> list[Family]:
        found = []
        for file in self._tables:
            for header, values in table_pairs(file.read()):
                chosen = self._chosen.get(header)
                if chosen is None:
                    chosen = self._chosen[header] = self._choose(header)
                if chosen:
                    fields = values.split()
                    found += [
                        Family(name, "untyped", help_text).add(int(fields[column]))
                        for column, (name, help_text) in chosen
                    ]
        return found + self._version6()

    def _choose(self, header: bytes) -> list[tuple[int, Field]]:
        protocol, *names = header.decode("ascii", "replace").replace(":", "").split()
        return [
            (column, field)
            for column, name in enumerate(names, start=1)
            if (field := self._field(protocol, name)) is not None
        ]

    def _version6(self) -> list[Family]:
        try:
            data = self._snmp6.read()
        except FileNotFoundError:
            return []
        return [
            Family(name, "untyped", help_text).add(value) for (name, help_text), value in self._chosen_version6.of(data)
        ]

    def _field6(self, key: bytes) -> Field | None:
        protocol, six, name = key.decode("ascii", "replace").partition("6")
        return self._field(protocol + six, name) if six else None

    def _field(self, protocol: str, name: str) -> Field | None:
        key = f"{protocol}_{name}"
        if self._filter.ignores(key):
            return None
        return f"node_netstat_{key}", f"Statistic {protocol}{name}."


def table_pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    """A header line and its line of values, one pair per protocol."""
    found: list[tuple[bytes, bytes]] = []
    headers: dict[bytes, bytes] = {}
    for line in data.splitlines():
        protocol, colon, rest = line.partition(b": ")
        if not colon:
            continue
        header = headers.get(protocol, b"")
        if not _NUMBERS.fullmatch(rest):
            headers[protocol] = line
        elif header.count(b" ") == line.count(b" "):
            found.append((header, line))
        else:
            odd("net/snmp", line)
    if data.strip() and not found:
        raise ValueError("net/snmp: has no line of names with its line of values")
    return found
