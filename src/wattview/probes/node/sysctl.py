"""Selected kernel settings: numbers as metrics, texts as labels."""

from __future__ import annotations

import re
from typing import NamedTuple

from wattview.config import Config
from wattview.config.node import words
from wattview.exposition import Family, gauge, labels
from wattview.probes.kernel_files import KernelFile

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_:]")


class _Setting(NamedTuple):
    name: str
    fields: tuple[str, ...]
    file: KernelFile


class Sysctl:
    """``node_sysctl_*``, for the settings in ``node.sysctl`` and ``node.sysctl_info``.

    ``net.ipv4.tcp_rmem`` has its three numbers by index; ``net.ipv4.tcp_rmem:min,default,max`` by these names.
    """

    def __init__(self, config: Config) -> None:
        root = f"{config.paths.procfs}/sys"
        self._numbers = [_setting(root, text) for text in words(config.node.sysctl)]
        self._texts = [_setting(root, text) for text in words(config.node.sysctl_info)]

    def collect(self) -> list[Family]:
        found = []
        for setting in self._numbers:
            values = [int(field) for field in setting.file.read().split()]
            found += number_families(setting.name, setting.fields, values)
        info = gauge("node_sysctl_info", "sysctl info")
        for setting in self._texts:
            for index, value in enumerate(setting.file.read().decode("utf-8", "replace").split()):
                info.add(1, labels(name=setting.name, value=value, index=str(index)))
        return [*found, info]


def number_families(setting: str, fields: tuple[str, ...], values: list[int]) -> list[Family]:
    """A setting's numbers as families. Raises ValueError if their number differs from that of the given names."""
    name = f"node_sysctl_{_NOT_IN_A_NAME.sub('_', setting)}"
    if not values:
        raise ValueError(f"sysctl {setting} has no value")
    if fields:
        if len(fields) != len(values):
            raise ValueError(f"sysctl {setting} has {len(values)} values, and {len(fields)} names were given for them")
        return [
            Family(f"{name}_{field}", "untyped", f"sysctl {setting}, field {index}").add(value)
            for index, (field, value) in enumerate(zip(fields, values, strict=True))
        ]
    family = Family(name, "untyped", f"sysctl {setting}")
    if len(values) == 1:
        return [family.add(values[0])]
    for index, value in enumerate(values):
        family.add(value, labels(index=str(index)))
    return [family]


def _setting(root: str, text: str) -> _Setting:
    name, _, fields = text.partition(":")
    return _Setting(
        name, tuple(field for field in fields.split(",") if field), KernelFile(f"{root}/{name.replace('.', '/')}")
    )
